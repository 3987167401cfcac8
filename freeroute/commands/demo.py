"""``freeroute demo``: everything on simulated providers, or those providers alone on a socket."""

import click

from freeroute.commands import options
from freeroute.commands.starting import lightly

PROVIDERS_PORT = 9100


@click.command()
@options.host
@options.port
@click.option(
    "--seed", type=int, help="What the simulated answers are made of; the same seed, the same answers."
)
@click.option(
    "--providers-only",
    is_flag=True,
    help=f"Serve the simulated providers over HTTP, without a gateway; port {PROVIDERS_PORT} by itself.",
)
@options.wide_open
@options.logging
def demo(
    host: str | None,
    port: int | None,
    seed: int | None,
    providers_only: bool,
    open_: bool,
    log_format: str | None,
    log_level: str | None,
) -> int:
    """Run the whole gateway on simulated providers.

    No key, no settings, no network: the providers are part of the program, with the limits, errors and
    speed of the real ones. A curl line and a Python snippet to try are printed at the start.

    \b
    freeroute demo
    freeroute demo --port 8080
    freeroute demo --providers-only --port 9100
    """
    if providers_only:
        return _providers(host or "127.0.0.1", PROVIDERS_PORT if port is None else port, seed)
    with lightly():
        from freeroute.app import ServeOptions
        from freeroute.commands.serve import run
        from freeroute.config.load import Overrides

        overrides = Overrides(
            host=host, port=port, open=open_ or None, log_format=log_format, log_level=log_level
        )
        return run(ServeOptions(overrides=overrides, demo=True, seed=seed))


def _providers(host: str, port: int, seed: int | None) -> int:
    import uvicorn

    from freeroute.clock import SystemClock
    from freeroute.commands.serve import stop_at_sigterm
    from freeroute.demo import simulation
    from freeroute.observe.logs import set_up
    from freeroute.serving import listen
    from freeroute.upstreams.simulated.http import asgi

    world = simulation(SystemClock(), seed)
    stop_at_sigterm()
    set_up("console", "info")
    with listen(host, port) as listening:
        root = f"http://{host}:{listening.getsockname()[1]}"
        click.echo("Simulated providers; any key that begins with `demo` is accepted:\n")
        for name, provider in world.providers.items():
            click.echo(f"  {name:<12} {root}/{name}{provider.dialect.base_path}")
        click.echo(f"\nHow the next calls to one end: curl {root}/_script/groq -d '{{\"faults\": [503]}}'")
        click.echo(f"What it has seen:               curl {root}/_calls/groq")
        config = uvicorn.Config(
            asgi(world),
            http="httptools",
            ws="none",
            lifespan="on",
            access_log=False,
            log_config=None,
            timeout_graceful_shutdown=1,
        )
        uvicorn.Server(config).run(sockets=[listening])
    return 0
