"""``freeroute clients``: who may call the gateway, with which key and within which limits."""

import json
import re
import secrets
from typing import TYPE_CHECKING, Any

import click

from freeroute.clock import SystemClock
from freeroute.commands import options, state
from freeroute.commands.tables import listed, table

if TYPE_CHECKING:
    from freeroute.administration.clients import ClientBook
    from freeroute.config.load import Settings

_PLAIN = re.compile(r"(?!(?:true|false|null|yes|no|on|off|y|n)$)[a-z][a-z0-9_-]*", re.IGNORECASE)


@click.group()
def clients() -> None:
    """Say who may call the gateway, and within which limits.

    Clients that are added here are kept in the state directory, by hashes of their keys; a running gateway
    goes by them within a second. Those of the settings file are changed there.
    """


# --- options -------------------------------------------------------------------------------------------

# The options of limits, and how a limit reads.
_LIMITS = {
    "requests_per_minute": "requests/minute",
    "tokens_per_minute": "tokens/minute",
    "tokens_per_day": "tokens/day",
    "tokens_per_month": "tokens/month",
    "concurrency": "concurrency",
}


def _terms(command: options.Decorated) -> options.Decorated:
    """Add the options of what a client may do."""
    added = [
        *(
            click.option(f"--{name.replace('_', '-')}", type=click.IntRange(1), help="No limit if left out.")
            for name in _LIMITS
        ),
        click.option("--models", metavar="PATTERNS", help="What it may ask for, such as `free*,groq/*`."),
        click.option("--privacy", type=click.Choice(["any", "no-train"]), help="Its floor; any if left out."),
        click.option("--weight", type=float, help="Its share while others wait too; 1 if left out."),
        click.option("--max-wait", metavar="TIME", help="How long its requests wait at most, such as 90s."),
        click.option("--expires", metavar="DATE", help="The last moment, such as 2027-01-31."),
        click.option("--note", help="What to remember about it."),
    ]
    for option in reversed(added):
        command = option(command)
    return command


# --- commands ------------------------------------------------------------------------------------------


@clients.command("add")
@click.argument("name")
@_terms
@state.where
def add(name: str, config: str | None, state_dir: str | None, as_json: bool, **terms: Any) -> int:
    """Let the client NAME in, and show its key this once.

    \b
    freeroute clients add alice --requests-per-minute 20 --tokens-per-day 500000 --models "free*"
    """
    settings = state.settings(config, state_dir)
    with state.making(settings, "client.add", name) as note:
        key, _ = _book(settings).add(name, _written(terms), note)
    return _show_key(name, key, as_json)


@clients.command("change")
@click.argument("name")
@_terms
@state.where
def change(name: str, config: str | None, state_dir: str | None, as_json: bool, **terms: Any) -> int:
    """Give the client NAME other limits: those named here, and no others. Its key stays.

    \b
    freeroute clients change alice --requests-per-minute 40
    """
    settings = state.settings(config, state_dir)
    with state.making(settings, "client.change", name) as note:
        told = _book(settings).replace(name, _written(terms), note)
    return _show(told, as_json)


@clients.command("list")
@state.where
def list_(config: str | None, state_dir: str | None, as_json: bool) -> int:
    """List all clients, those of the settings too."""
    kept = _book(state.settings(config, state_dir)).list()
    head = ["NAME", "STATE", "FROM", "LIMITS", "MODELS", "NOTE"]
    none = "No client: whoever reaches the gateway may call it."
    click.echo(listed(kept, head, _line, none, as_json=as_json))
    return 0


@clients.command("show")
@click.argument("name")
@state.where
def show(name: str, config: str | None, state_dir: str | None, as_json: bool) -> int:
    """Show what the client NAME may do. How it stands, a running gateway tells at /v1/key and /v1/status."""
    return _show(_book(state.settings(config, state_dir)).show(name), as_json)


@clients.command("rotate")
@click.argument("name")
@click.option("--overlap", metavar="TIME", default="0s", help="How long the old key works on, such as 24h.")
@state.where
def rotate(name: str, overlap: str, config: str | None, state_dir: str | None, as_json: bool) -> int:
    """Give the client NAME another key, and show it this once.

    \b
    freeroute clients rotate alice --overlap 24h
    """
    settings = state.settings(config, state_dir)
    with state.making(settings, "client.rotate", name) as note:
        key, _ = _book(settings).rotate(name, overlap, note)
    return _show_key(name, key, as_json)


@clients.command("revoke")
@click.argument("name")
@state.where
def revoke(name: str, config: str | None, state_dir: str | None, as_json: bool) -> int:
    """Let the client NAME in no more, whichever of its keys it sends."""
    settings = state.settings(config, state_dir)
    with state.making(settings, "client.revoke", name) as note:
        told = _book(settings).revoke(name, note)
    return _show(told, as_json)


@clients.command("remove")
@click.argument("name")
@state.where
def remove(name: str, config: str | None, state_dir: str | None, as_json: bool) -> int:
    """Forget the client NAME.

    The last one can only be revoked: without any client the gateway is open to everybody.
    """
    settings = state.settings(config, state_dir)
    with state.making(settings, "client.remove", name) as note:
        _book(settings).remove(name, note)
    click.echo(json.dumps({"removed": name}) if as_json else f"{name} is no client any more.")
    return 0


@clients.command("new-key")
@click.argument("name")
@options.as_json
def new_key(name: str, as_json: bool) -> int:
    """Make a key for the client NAME in the settings file.

    The key is shown once and kept nowhere: the settings file gets its hash alone. Limits may be added to
    the line, as docs/configuration.md lists them. `clients add` needs no settings file.

    \b
    freeroute clients new-key alice
    """
    from freeroute.administration.fields import check_client_name
    from freeroute.domain.clients import hash_key

    check_client_name(name)
    key = f"fr-{secrets.token_urlsafe(32)}"
    hashed = hash_key(key).hex()
    line = f'- {{name: {yaml_word(name)}, key_hash: "{hashed}"}}'
    if as_json:
        click.echo(json.dumps({"name": name, "key": key, "key_hash": hashed, "yaml": line}, indent=2))
        return 0
    click.echo(f"The key of {name}, shown this once:\n\n{key}\n")
    click.echo(f"Its line in the settings file, under `clients:`:\n\n  {line}")
    return 0


# --- what they share -----------------------------------------------------------------------------------


def yaml_word(text: str) -> str:
    """Return *text* as YAML reads it as text: quoted where it could be taken for a number or a truth."""
    return text if _PLAIN.fullmatch(text) else json.dumps(text)


def _written(terms: dict[str, Any]) -> dict[str, Any]:
    """Return what was given on the command line as the settings file has it."""
    given = {field: value for field, value in terms.items() if value is not None}
    if "models" in given:
        given["models"] = [pattern.strip() for pattern in given["models"].split(",") if pattern.strip()]
    return given


def _book(settings: "Settings") -> "ClientBook":
    from freeroute.administration.clients import ClientBook
    from freeroute.stores.clients_file import ClientsFile

    return ClientBook(ClientsFile(settings.state_dir), lambda: settings, SystemClock())


def _show(told: dict[str, Any], as_json: bool) -> int:
    if as_json:
        click.echo(json.dumps(told, indent=2))
        return 0
    lines = [
        ["state", told["state"]],
        ["from", told["from"]],
        ["limits", _limits(told)],
        ["models", _models(told)],
        ["privacy", told["privacy"]],
        ["weight", f"{told['weight']:g}"],
        ["max wait", "-" if told["max_wait"] is None else f"{told['max_wait']:g} s"],
        *([name, state.moment(told[name])] for name in ("created", "expires", "revoked")),
        ["former keys", ", ".join(f"until {state.moment(until)}" for until in told["former_keys"]) or "-"],
        ["note", told["note"] or "-"],
    ]
    click.echo(table([told["name"], ""], lines))
    return 0


def _show_key(name: str, key: str, as_json: bool) -> int:
    if as_json:
        click.echo(json.dumps({"name": name, "key": key}, indent=2))
    else:
        click.echo(f"The key of {name}, shown this once:\n\n{key}")
    return 0


def _line(told: dict[str, Any]) -> list[str]:
    return [told["name"], told["state"], told["from"], _limits(told), _models(told), told["note"]]


def _limits(told: dict[str, Any]) -> str:
    set_ = [f"{told[field]} {label}" for field, label in _LIMITS.items() if told[field] is not None]
    return ", ".join(set_) or "-"


def _models(told: dict[str, Any]) -> str:
    return ", ".join(told["models"]) if told["models"] is not None else "any"
