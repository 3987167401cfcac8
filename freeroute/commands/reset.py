"""``freeroute reset``: give a provider of a running gateway a fresh start."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import click

from freeroute.commands import options
from freeroute.commands.running import LOCAL, Running, environment
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
    admin = env.get("FREEROUTE_ADMIN_KEY") or _kept(running, config, env)
    found = running.post(f"/v1/status/providers/{quote(provider, safe='')}/reset", admin)
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return 0
    head = ["CANDIDATE", "STATE", ""]
    click.echo(
        f"{found['id']}: {found['state']}\n\n{table(head, [_line(one) for one in found['candidates']])}"
    )
    return 0


def _kept(running: Running, config: str | None, env: Mapping[str, str]) -> str | None:
    """Return the admin key that a gateway on this machine made for itself; None if there is none to read."""
    from pathlib import Path

    from freeroute.config.load import Overrides, load

    if urlsplit(running.url).hostname not in LOCAL:
        return None
    try:
        settings = load(Overrides(config=config), env, Path.cwd(), Path.home())
        return (settings.admin_key or (settings.state_dir / "admin_key").read_text(encoding="utf-8")).strip()
    except (OSError, UnicodeDecodeError):
        return None


def _line(entry: Mapping[str, Any]) -> list[str]:
    return [f"{entry['model']} ({entry['key']})", entry["state"], entry["reason"] or ""]
