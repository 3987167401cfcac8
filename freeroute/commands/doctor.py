"""``freeroute doctor``: what is wrong with this installation, and what helps."""

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from freeroute.commands import options
from freeroute.commands.running import Running, environment
from freeroute.commands.state import directory

if TYPE_CHECKING:
    from freeroute.commands.checkup.finding import Finding
    from freeroute.commands.offline import Offline


@click.command()
@options.config
@directory
@options.url
@click.option("--offline", is_flag=True, help="Call no provider.")
@options.as_json
def doctor(config: str | None, state_dir: str | None, url: str | None, offline: bool, as_json: bool) -> int:
    """Look for what is wrong, and say what helps.

    Settings, variables, keys, limits, providers, the clock, files, and the gateway, if one runs. Keys are
    tried by calls that cost no quota. No key and no prompt is in what is printed: it may go into an issue.
    Exits with 1 if there is a problem.

    \b
    freeroute doctor
    freeroute doctor --offline --json
    """
    from freeroute.commands.checkup.finding import presentable

    found = list(presentable(_examined(config, state_dir, url, offline=offline), Path.home()))
    if as_json:
        import msgspec

        click.echo(json.dumps({"findings": msgspec.to_builtins(found)}, indent=2))
    else:
        click.echo(_told(found))
    return 1 if any(one.severity == "problem" for one in found) else 0


def _examined(
    config: str | None, state_dir: str | None, url: str | None, *, offline: bool
) -> "Iterator[Finding]":
    from freeroute.commands import offline as reading
    from freeroute.commands.checkup import machine, settings, storage
    from freeroute.commands.checkup.finding import note, problem
    from freeroute.errors import ConfigError

    yield from machine.examine()
    try:
        read = reading.offline(config, state_dir)
    except ConfigError as exc:
        yield problem("settings", str(exc), "correct it; the rest is looked at once the settings can be read")
        return
    yield from settings.examine(read)
    yield from settings.unused_variables(read)
    yield from settings.limits(read)
    yield from storage.examine(read.plan.settings)
    yield from _gateway(read, url)
    if offline:
        yield note("providers", "no provider was called (--offline)")
    else:
        yield from _network(read)


def _gateway(read: "Offline", url: str | None) -> "Iterator[Finding]":
    from freeroute.commands.checkup import machine
    from freeroute.commands.running import kept_admin_key

    env, settings = environment(), read.plan.settings
    named = url or env.get("FREEROUTE_URL")
    running = Running(named or machine.address_of(settings), env)
    kept = kept_admin_key(settings.state_dir) if running.is_local else None
    yield from machine.gateway(running, settings, settings.admin_key or kept, named=bool(named))


def _network(read: "Offline") -> "list[Finding]":
    import asyncio

    from freeroute.clock import SystemClock
    from freeroute.commands.checkup import network
    from freeroute.upstreams.http_proxies import Proxies
    from freeroute.upstreams.http_transport import HttpTransport

    async def examined() -> "list[Finding]":
        transport = HttpTransport(proxies=Proxies(os.environ))
        try:
            return await network.examine(read, transport, SystemClock())
        finally:
            await transport.close()

    return asyncio.run(examined())


def _told(found: "Sequence[Finding]") -> str:
    lines = []
    for one in found:
        lines.append(f"{one.severity:<8} {one.area}: {one.what}")
        lines += [f"{'':<8} -> {one.remedy}"] if one.remedy else []
    counts = Counter(one.severity for one in found)
    told = [_counted(counts[severity], severity) for severity in ("problem", "warning", "note")]
    return "\n".join([*lines, "", ", ".join(told)])


def _counted(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"
