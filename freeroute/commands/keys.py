"""``freeroute keys``: provider keys that are kept sealed in the state directory."""

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from freeroute.clock import SystemClock
from freeroute.commands import options, state
from freeroute.commands.running import Failed, Running, environment, kept_admin_key
from freeroute.commands.tables import listed, table

if TYPE_CHECKING:
    from freeroute.administration.providers import ProviderBook
    from freeroute.commands.offline import Offline
    from freeroute.config.load import Settings
    from freeroute.domain.catalogue import Key, Provider
    from freeroute.domain.keys import Verdict

LONGEST_INPUT = 65536
"""Characters read of a key that is piped in. Own design: more than any key has, so that a mistake is told."""


@click.group()
def keys() -> None:
    """Enter provider keys, kept sealed.

    They are kept sealed in the state directory; a running gateway goes by a change within a second. Keys of
    the settings and the environment are listed here too, and changed there.
    """


# --- commands ------------------------------------------------------------------------------------------


@keys.command("add")
@click.argument("provider")
@click.argument("label")
@click.option("--account", default="default", help="Whose quota it uses; keys of one account share it.")
@state.where
def add(
    provider: str, label: str, account: str, config: str | None, state_dir: str | None, as_json: bool
) -> int:
    """Enter a key of PROVIDER under the name LABEL. It is asked for, or read from standard input.

    \b
    freeroute keys add groq mine
    pass show groq | freeroute keys add groq mine
    """
    read = _read(config, state_dir)
    secret = _secret()
    with state.making(read.plan.settings, "key.add", f"{provider}/{label}") as note:
        _book(read).add_key(provider, label, secret, note, account)
    return _told(provider, label, config, state_dir, as_json)


@keys.command("list")
@click.argument("provider", required=False)
@options.url
@options.offline
@state.where
def list_(
    provider: str | None,
    url: str | None,
    offline: bool,
    config: str | None,
    state_dir: str | None,
    as_json: bool,
) -> int:
    """List all keys, those of the settings and the environment too, and how they stand.

    It asks the running gateway, with the admin key; --offline reads the files instead.

    \b
    freeroute keys list
    freeroute keys list groq --offline
    """
    if offline:
        found = _book(_read(config, state_dir)).list()
    else:
        running = Running(url, environment())
        found = running.read("/admin/providers", running.admin_key(config))["data"]
    lines = [
        {"provider": entry["id"], **key}
        for entry in found
        if provider in (None, entry["id"])
        for key in entry["keys"]
    ]
    head = ["PROVIDER", "LABEL", "ACCOUNT", "FROM", "ENDS", "STATE", ""]
    none = "No key. `freeroute keys add PROVIDER LABEL` enters one."
    click.echo(listed(lines, head, _line, none, as_json=as_json))
    return 0


@keys.command("enable")
@click.argument("provider")
@click.argument("label")
@state.where
def enable(provider: str, label: str, config: str | None, state_dir: str | None, as_json: bool) -> int:
    """Use the key LABEL of PROVIDER again."""
    _switch(provider, label, config, state_dir, on=True)
    return _told(provider, label, config, state_dir, as_json)


@keys.command("disable")
@click.argument("provider")
@click.argument("label")
@state.where
def disable(provider: str, label: str, config: str | None, state_dir: str | None, as_json: bool) -> int:
    """Make no further call with the key LABEL of PROVIDER, until it is enabled."""
    _switch(provider, label, config, state_dir, on=False)
    return _told(provider, label, config, state_dir, as_json)


@keys.command("remove")
@click.argument("provider")
@click.argument("label")
@options.config
@state.directory
def remove(provider: str, label: str, config: str | None, state_dir: str | None) -> int:
    """Forget the key LABEL of PROVIDER."""
    read = _read(config, state_dir)
    with state.making(read.plan.settings, "key.remove", f"{provider}/{label}") as note:
        _book(read).remove_key(provider, label, note)
    click.echo(f"{provider}: {label} is removed.")
    return 0


@keys.command("test")
@click.argument("provider")
@click.argument("label")
@state.where
def test(provider: str, label: str, config: str | None, state_dir: str | None, as_json: bool) -> int:
    """Ask PROVIDER whether the key LABEL is good, by a call that costs no quota.

    A key is invalid only if its provider says so. Exits with 1 if it is.
    """
    verdict = _ask(*_book(_read(config, state_dir)).asked_about(provider, label))
    found = {
        "provider": provider,
        "label": label,
        "verdict": verdict.state.value,
        "detail": verdict.detail,
        "asked": verdict.asked or None,
    }
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        told = f": {verdict.detail}" if verdict.detail else ""
        click.echo(f"{provider}: {label} is {verdict.state.value}{told}\nAsked: {found['asked'] or 'nobody'}")
    return 1 if verdict.state.value == "invalid" else 0


@keys.command("rekey")
@options.config
@state.directory
def rekey(config: str | None, state_dir: str | None) -> int:
    """Seal all entered keys with a new encryption key: all of them, or none.

    One is made and kept in the state directory. If FREEROUTE_ENCRYPTION_KEY is set, it is the first of two
    that are set there: NEW,OLD.
    """
    read = _read(config, state_dir)
    with state.making(read.plan.settings, "key.rekey", "all") as note:
        note(None, None)
        count = read.safe.rekey()
    click.echo(f"{count} {'key is' if count == 1 else 'keys are'} sealed with the new encryption key.")
    return 0


# --- what they share -----------------------------------------------------------------------------------


def _read(config: str | None, state_dir: str | None) -> "Offline":
    from freeroute.commands.offline import offline

    return offline(config, state_dir)


def _book(read: "Offline") -> "ProviderBook":
    from freeroute.administration.providers import ProviderBook

    return ProviderBook(read, SystemClock(), own=lambda key: _own_key(read.plan.settings, key))


def _own_key(settings: "Settings", key: str) -> str | None:
    """Return whose *key* it is at the gateway's own doors; raises ConfigError if that cannot be read."""
    from freeroute.administration.doors import own_key
    from freeroute.stores.clients_file import ClientsFile
    from freeroute.stores.operators_file import OperatorsFile

    directory = settings.state_dir
    told = {
        "the admin key": settings.admin_key or kept_admin_key(directory),
        "the metrics key": settings.server.metrics_key,
    }
    clients = (*settings.clients, *ClientsFile(directory).read())
    return own_key(key, told, clients, OperatorsFile(directory).read())


def _switch(provider: str, label: str, config: str | None, state_dir: str | None, *, on: bool) -> None:
    read = _read(config, state_dir)
    what = "key.enable" if on else "key.disable"
    with state.making(read.plan.settings, what, f"{provider}/{label}") as note:
        _book(read).switch_key(provider, label, note, on=on)


def _secret() -> str:
    """Return the key that is piped in, or typed where nobody sees it."""
    if sys.stdin.isatty():
        return str(click.prompt("Key", hide_input=True, err=True)).strip()
    given = sys.stdin.read(LONGEST_INPUT + 1).strip()
    if not given:
        raise click.UsageError("no key came in on standard input")
    return given


def _ask(provider: "Provider", key: "Key") -> "Verdict":
    import asyncio

    from freeroute.upstreams.keycheck import HttpKeyChecks

    return asyncio.run(HttpKeyChecks(SystemClock()).check(provider, key))


def _told(provider: str, label: str, config: str | None, state_dir: str | None, as_json: bool) -> int:
    read = _read(config, state_dir)
    line = {"provider": provider, **_book(read).show_key(provider, label)}
    if as_json:
        click.echo(json.dumps(line, indent=2))
    else:
        head = ["PROVIDER", "LABEL", "ACCOUNT", "FROM", "ENDS", "STATE", ""]
        click.echo(table(head, [_line(line)]))
    if read.opened.problem:
        raise Failed(read.opened.problem)
    return 0


def _line(line: Mapping[str, Any]) -> list[str]:
    stands = line["state"]
    if line["until"] is not None:
        stands += f" until {state.moment(line['until'])}"
    ends = f"…{line['ends_with']}" if line["ends_with"] else "-"
    return [
        line["provider"],
        line["label"],
        line["account"],
        line["source"],
        ends,
        stands,
        line["reason"] or "",
    ]
