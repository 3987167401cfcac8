"""``freeroute clients``: who may call the gateway, with which key and within which limits."""

import datetime as dt
import json
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from freeroute.clock import SystemClock
from freeroute.commands import options
from freeroute.commands.running import Failed, environment
from freeroute.commands.tables import table

if TYPE_CHECKING:
    from freeroute.config.load import Settings
    from freeroute.domain.clients import Client

# As in the settings file.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PLAIN = re.compile(r"(?!(?:true|false|null|yes|no|on|off|y|n)$)[a-z][a-z0-9_-]*", re.IGNORECASE)


@click.group()
def clients() -> None:
    """Say who may call the gateway, and within which limits.

    Clients that are added here are kept in the state directory, by hashes of their keys; a running gateway
    goes by them within a second. Those of the settings file are changed there.
    """


# --- options -------------------------------------------------------------------------------------------

_LIMITS = ("requests_per_minute", "tokens_per_minute", "tokens_per_day", "tokens_per_month", "concurrency")
_state_dir = click.option("--state-dir", metavar="DIR", help="The gateway's, if not the one of the settings.")


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


def _where(command: options.Decorated) -> options.Decorated:
    """Add the options of where the clients are kept."""
    return options.config(_state_dir(options.as_json(command)))


# --- commands ------------------------------------------------------------------------------------------


@clients.command("add")
@click.argument("name")
@_terms
@_where
def add(name: str, config: str | None, state_dir: str | None, as_json: bool, **terms: Any) -> int:
    """Let the client NAME in, and show its key this once.

    \b
    freeroute clients add alice --requests-per-minute 20 --tokens-per-day 500000 --models "free*"
    """
    from freeroute.domain.clients import hash_key

    _check(name)
    key, now = _new_key(), SystemClock().now().wall
    client = _client(name, hash_key(key), terms, created=now)

    def enter(known: "tuple[Client, ...]") -> "tuple[Client, ...]":
        others = tuple(other for other in known if other.name != name or other.revoked is None)
        if any(other.name == name for other in others):
            raise Failed(f"there is a client {name} already; `clients rotate {name}` gives it another key")
        return (*others, client)

    _change(name, enter, config, state_dir)
    return _show_key(name, key, as_json)


@clients.command("change")
@click.argument("name")
@_terms
@_where
def change(name: str, config: str | None, state_dir: str | None, as_json: bool, **terms: Any) -> int:
    """Give the client NAME other limits: those named here, and no others. Its key stays.

    \b
    freeroute clients change alice --requests-per-minute 40
    """
    from msgspec import structs

    def turned(client: "Client") -> "Client":
        made = _client(name, client.key_hash, terms, created=client.created)
        return structs.replace(made, former=client.former, revoked=client.revoked)

    return _show(_one(name, turned, config, state_dir), as_json)


@clients.command("list")
@_where
def list_(config: str | None, state_dir: str | None, as_json: bool) -> int:
    """List all clients, those of the settings too."""
    from freeroute.domain.clients import enrolled

    settings, now = _settings(config, state_dir), SystemClock().now().wall
    stored = _store(settings).read()
    hidden = enrolled(settings.clients, stored)[1]
    kept = [_told(client, _source(client, settings), _state(client, now)) for client in settings.clients]
    kept += [
        _told(one, "added", "hidden by the settings" if one.name in hidden else _state(one, now))
        for one in stored
    ]
    if as_json:
        click.echo(json.dumps(kept, indent=2))
    elif not kept:
        click.echo("No client: whoever reaches the gateway may call it.")
    else:
        head = ["NAME", "STATE", "FROM", "LIMITS", "MODELS", "NOTE"]
        click.echo(table(head, [_line(one) for one in kept]))
    return 0


@clients.command("show")
@click.argument("name")
@_where
def show(name: str, config: str | None, state_dir: str | None, as_json: bool) -> int:
    """Show what the client NAME may do. How it stands, a running gateway tells at /v1/key and /v1/status."""
    settings = _settings(config, state_dir)
    now = SystemClock().now().wall
    for client in settings.clients:
        if client.name == name:
            return _show(_told(client, _source(client, settings), _state(client, now)), as_json)
    for client in _store(settings).read():
        if client.name == name:
            return _show(_told(client, "added", _state(client, now)), as_json)
    raise _nobody(name)


@clients.command("rotate")
@click.argument("name")
@click.option("--overlap", metavar="TIME", default="0s", help="How long the old key works on, such as 24h.")
@_where
def rotate(name: str, overlap: str, config: str | None, state_dir: str | None, as_json: bool) -> int:
    """Give the client NAME another key, and show it this once.

    \b
    freeroute clients rotate alice --overlap 24h
    """
    from freeroute.domain.clients import hash_key, rotated
    from freeroute.domain.quantities import duration

    try:
        seconds = duration(overlap)
    except ValueError as exc:
        raise click.BadParameter("expected a duration such as 30m or 24h", param_hint="--overlap") from exc
    key, now = _new_key(), SystemClock().now().wall

    def turned(client: "Client") -> "Client":
        try:
            return rotated(client, hash_key(key), now + seconds, now)
        except ValueError as exc:
            raise Failed(str(exc)) from exc

    _one(name, turned, config, state_dir)
    return _show_key(name, key, as_json)


@clients.command("revoke")
@click.argument("name")
@_where
def revoke(name: str, config: str | None, state_dir: str | None, as_json: bool) -> int:
    """Let the client NAME in no more, whichever of its keys it sends."""
    from msgspec import structs

    now = SystemClock().now().wall
    found = _one(
        name, lambda client: structs.replace(client, revoked=client.revoked or now), config, state_dir
    )
    return _show(found, as_json)


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
    from freeroute.domain.clients import hash_key

    _check(name)
    key = _new_key()
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


def _new_key() -> str:
    return f"fr-{secrets.token_urlsafe(32)}"


def _check(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise click.BadParameter(
            "a name has up to 64 letters, digits, `.`, `_` and `-`, and begins with a letter or digit",
            param_hint="NAME",
        )


def _client(name: str, key_hash: bytes, terms: dict[str, Any], created: float | None) -> "Client":
    """Return the client of what was given on the command line; raises ConfigError."""
    from msgspec import structs

    from freeroute.config.clients import client_of
    from freeroute.config.schema import Where, convert
    from freeroute.config.specs import ClientSpec

    given = {field: value for field, value in terms.items() if value is not None}
    if "models" in given:
        given["models"] = [pattern.strip() for pattern in given["models"].split(",") if pattern.strip()]
    where = Where("clients", "", "clients[]")
    spec = convert({"name": name, "key_hash": key_hash.hex(), **given}, ClientSpec, where)
    return structs.replace(client_of(spec, key_hash, where), created=created)


def _settings(config: str | None, state_dir: str | None) -> "Settings":
    from freeroute.config.load import Overrides, load

    return load(Overrides(config=config, state_dir=state_dir), environment(), Path.cwd(), Path.home())


def _store(settings: "Settings") -> Any:
    from freeroute.stores.clients_file import ClientsFile

    return ClientsFile(settings.state_dir)


def _change(
    name: str,
    enter: "Callable[[tuple[Client, ...]], tuple[Client, ...]]",
    config: str | None,
    state_dir: str | None,
) -> None:
    """Change the clients that were added; raises Failed if NAME is one of the settings'."""
    settings = _settings(config, state_dir)
    for client in settings.clients:
        if client.name == name:
            source = _source(client, settings)
            raise Failed(f"{name} is a client of the settings, {source}: what holds for it is said there")
    _store(settings).update(enter)


def _one(
    name: str, turned: "Callable[[Client], Client]", config: str | None, state_dir: str | None
) -> dict[str, Any]:
    """Change the client NAME that was added, and return what there is to tell of it; raises Failed."""
    now = SystemClock().now().wall
    found: list[dict[str, Any]] = []

    def enter(known: "tuple[Client, ...]") -> "tuple[Client, ...]":
        changed = tuple(turned(client) if client.name == name else client for client in known)
        found.extend(_told(one, "added", _state(one, now)) for one in changed if one.name == name)
        if not found:
            raise _nobody(name)
        return changed

    _change(name, enter, config, state_dir)
    return found[0]


def _source(client: "Client", settings: "Settings") -> str:
    """Return where a client of the settings is said."""
    own = client.name == "default" and settings.environ.get("FREEROUTE_API_KEY")
    return "FREEROUTE_API_KEY" if own else settings.shown


def _nobody(name: str) -> Failed:
    return Failed(f"there is no client {name}; `freeroute clients list` shows those there are")


def _state(client: "Client", wall: float) -> str:
    if client.revoked is not None:
        return "revoked"
    return "expired" if client.expires is not None and client.expires <= wall else "active"


def _told(client: "Client", source: str, state: str) -> dict[str, Any]:
    return {
        "name": client.name,
        "state": state,
        "from": source,
        "limits": {limit.label: limit.amount for limit in client.limits},
        "models": client.models,
        "privacy": "no-train" if client.no_train else "any",
        "weight": client.weight,
        "max_wait": client.max_wait,
        "created": client.created,
        "expires": client.expires,
        "revoked": client.revoked,
        "former_keys": [former.until for former in client.former],
        "note": client.note,
    }


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
        *([name, _moment(told[name])] for name in ("created", "expires", "revoked")),
        ["former keys", ", ".join(f"until {_moment(until)}" for until in told["former_keys"]) or "-"],
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
    return ", ".join(f"{amount:g} {label}" for label, amount in told["limits"].items()) or "-"


def _models(told: dict[str, Any]) -> str:
    return ", ".join(told["models"]) if told["models"] is not None else "any"


def _moment(wall: float | None) -> str:
    return "-" if wall is None else dt.datetime.fromtimestamp(wall, dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
