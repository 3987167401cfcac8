"""``freeroute serve``: the gateway with the keys and settings of whoever runs it."""

import shutil
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from freeroute.commands import options
from freeroute.commands.running import environment
from freeroute.commands.starting import lightly
from freeroute.errors import ConfigError

if TYPE_CHECKING:
    from freeroute.app import ServeOptions
    from freeroute.config.assembly import SwitchedOn
    from freeroute.serving import Started


@click.command()
@options.config
@options.host
@options.port
@click.option(
    "--state-dir", metavar="DIR", help="Where counters and the admin key are kept; one gateway at a time."
)
@click.option(
    "--keyless", is_flag=True, help="Also use providers that need no key. Prompts leave this machine."
)
@options.wide_open
@click.option("--demo", is_flag=True, help="The same as `freeroute demo`.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=1,
    callback=lambda ctx, option, count: _only_one(count),
    help="Processes that serve; more than one would need counters that they share.",
)
@options.logging
def serve(
    config: str | None,
    host: str | None,
    port: int | None,
    state_dir: str | None,
    keyless: bool,
    open_: bool,
    demo: bool,
    workers: int,
    log_format: str | None,
    log_level: str | None,
) -> int:
    """Run the gateway with your own keys.

    Keys come from the environment, from .env and from a settings file; local servers are found by
    themselves. What is on, and why, is printed at the start.

    \b
    GROQ_API_KEY=... freeroute serve
    freeroute serve --port 8080 --config team.yaml
    """
    with lightly():
        from freeroute.app import ServeOptions
        from freeroute.config.load import Overrides

        overrides = Overrides(
            config=config,
            host=host,
            port=port,
            state_dir=state_dir,
            keyless=keyless or None,
            open=open_ or None,
            log_format=log_format,
            log_level=log_level,
        )
        return run(ServeOptions(overrides=overrides, demo=demo))


def _only_one(workers: int) -> int:
    """Return *workers*; raises ConfigError for more than one.

    Each of several processes would count by itself, and together they would exceed every limit.
    """
    if workers > 1:
        raise ConfigError(
            f"--workers {workers}: limits, holds and breakers are counted in one process, and there is no"
            " store yet that several could share: each would spend all of a quota. One process serves a core;"
            " docs/deployment.md tells what to do with more."
        )
    return workers


def run(wanted: "ServeOptions") -> int:
    """Serve until told to stop, and return the exit code."""
    from freeroute import serving

    stop_at_sigterm()
    return serving.serve(wanted, _announce, _announce_local)


def stop_at_sigterm() -> None:
    """Let SIGTERM end the process in order: what the server opened is closed on the way out."""
    # The server hands the signal on once it has stopped; by default that would kill us on the spot.
    signal.signal(signal.SIGTERM, _leave)


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def _announce(started: "Started") -> None:
    from freeroute.commands.banner import demo_banner, program, start_message
    from freeroute.version import version

    if started.demo:
        called = program(sys.argv[0], shutil.which("freeroute"), sys.executable, Path.cwd())
        click.echo(demo_banner(started.url, called))
        return
    click.echo(
        start_message(
            started.switched_on,
            started.url,
            version=version(),
            hints=started.hints,
            looking_for_local=started.looking_for_local,
            state_dir=started.state_dir,
            admin_key_set=bool(environment().get("FREEROUTE_ADMIN_KEY")),
            needs_key=started.needs_key,
        )
    )


def _announce_local(on: "SwitchedOn") -> None:
    from freeroute.commands.banner import local_line

    click.echo(local_line(on))
