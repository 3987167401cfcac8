"""Options that several commands share."""

from collections.abc import Callable
from typing import Any

import click

Decorated = Callable[..., Any]

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
config = click.option(
    "--config",
    "-c",
    metavar="FILE",
    help="The settings file. Without it: FREEROUTE_CONFIG, ./freeroute.yaml, then ~/.config/freeroute/.",
)
host = click.option("--host", metavar="ADDRESS", help="Where to listen; 127.0.0.1 if nothing else is said.")
port = click.option("--port", "-p", type=click.IntRange(0, 65535), help="The port; 0 takes any free one.")
offline = click.option(
    "--offline", is_flag=True, help="Read the settings instead of asking a running gateway."
)
wide_open = click.option(
    "--open", "open_", is_flag=True, help="Allow listening on a network without any client key."
)
client_key = click.option(
    "--key",
    metavar="KEY",
    help="The key of your client; better in FREEROUTE_API_KEY, which nobody else sees.",
)
url = click.option(
    "--url",
    metavar="URL",
    help="The running gateway. Without it: FREEROUTE_URL, then http://127.0.0.1 and PORT or 3000.",
)


def logging(command: Decorated) -> Decorated:
    """Add the options of the log."""
    form = click.option("--log-format", type=click.Choice(["console", "json"]), help="How the log reads.")
    level = click.option(
        "--log-level",
        type=click.Choice(["debug", "info", "warning", "error"]),
        help="The least that is logged; info if nothing else is said.",
    )
    return form(level(command))
