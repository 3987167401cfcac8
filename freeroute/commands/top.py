"""``freeroute top``: how a running gateway is, in the terminal, as it changes."""

import sys
from typing import TYPE_CHECKING

import click

from freeroute.commands import options
from freeroute.commands.running import Failed, Running, content, environment

if TYPE_CHECKING:
    from rich.console import Console


@click.command()
@click.option("--once", is_flag=True, help="Print how it is now, and end.")
@options.url
@options.config
def top(once: bool, url: str | None, config: str | None) -> int:
    """Watch a running gateway: providers, quotas, last requests.

    It ends with q or Ctrl-C, and waits for a gateway that is away. Without a terminal, or with one
    that is dumb, it prints how things are now, as with --once. It sends the admin key as `freeroute holds`
    does; with FREEROUTE_API_KEY alone it shows what that client may see. NO_COLOR takes the colours away.

    \b
    freeroute top
    freeroute top --once --url https://ai.example
    """
    from rich.console import Console

    running = Running(url, environment())
    admin = running.admin_key(config)
    # What a terminal cannot show must not end the showing.
    if (reconfigure := getattr(sys.stdout, "reconfigure", None)) is not None:
        reconfigure(errors="replace")
    console = Console(highlight=False)
    # A dumb terminal can take back nothing that was printed.
    if once or not console.is_terminal or console.is_dumb_terminal:
        _snapshot(running, admin, console)
    else:
        import asyncio

        from freeroute.commands.watching import watch

        asyncio.run(watch(running, admin, console))
    return 0


def _snapshot(running: Running, admin: str | None, console: "Console") -> None:
    from freeroute.commands.overview import Room, Seen, looks_like_one, overview

    with running.client(operator=True, admin=admin) as client:
        status = content(client.get("/v1/status"))
    if not looks_like_one(status):
        raise Failed(f"{running.url}: this does not look like a gateway")
    room = Room(console.width, ascii_only=console.options.ascii_only)
    console.print(overview(Seen(running.url, status, "", status["now"]), room))
