"""``freeroute reset``: give a provider of a running gateway a fresh start."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import click

from freeroute.commands import options
from freeroute.commands.running import Running, environment
from freeroute.commands.tables import table


@click.command()
@click.argument("provider")
@options.url
@options.config
@options.as_json
def reset(provider: str, url: str | None, config: str | None, as_json: bool) -> int:
    """Close the breakers of PROVIDER and lift its holds.

    The next call may go there; spent quota stays spent. It needs the admin key: FREEROUTE_ADMIN_KEY, or for
    a gateway on this machine the one in its state directory.

    \b
    freeroute reset groq
    """
    env = environment()
    running = Running(url, env)
    admin = running.admin_key(config)
    found = running.post(f"/v1/status/providers/{quote(provider, safe='')}/reset", admin)
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return 0
    head = ["CANDIDATE", "STATE", ""]
    click.echo(
        f"{found['id']}: {found['state']}\n\n{table(head, [_line(one) for one in found['candidates']])}"
    )
    return 0


def _line(entry: Mapping[str, Any]) -> list[str]:
    return [f"{entry['model']} ({entry['key']})", entry["state"], entry["reason"] or ""]
