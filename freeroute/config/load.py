"""Settings: flags over environment over file over defaults, checked, with every reference resolved."""

import importlib.util
import string
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_origin, get_type_hints

import msgspec
from msgspec import UNSET, Struct, structs

from freeroute.config.clients import clients_of
from freeroute.config.provider_specs import KeySpec, ProviderSpec
from freeroute.config.references import References, checked, expanded
from freeroute.config.schema import Where, convert, explain
from freeroute.config.sources import parse_env, parse_yaml, read_text
from freeroute.config.specs import (
    LONGEST_PATTERN,
    DiscoverySpec,
    LoggingSpec,
    MetaModelSpec,
    Pattern,
    RoutingSpec,
    ServerSpec,
    SettingsSpec,
    StorageSpec,
    TracesSpec,
)
from freeroute.config.values import decode_quantity
from freeroute.domain.clients import Client, hash_key
from freeroute.errors import ConfigError
from freeroute.wire.text import printable

SECTIONS: dict[str, type[Struct]] = {
    "server": ServerSpec,
    "discovery": DiscoverySpec,
    "routing": RoutingSpec,
    "logging": LoggingSpec,
    "storage": StorageSpec,
    "traces": TracesSpec,
}
# Variables of the gateway's own besides FREEROUTE_SECTION__FIELD.
VARIABLES = {
    "PORT": "server.port, as hosting platforms set it",
    "FREEROUTE_CONFIG": "the settings file",
    "FREEROUTE_API_KEY": "a key that callers must send",
    "FREEROUTE_ADMIN_KEY": "the key for the admin routes",
    "FREEROUTE_ENCRYPTION_KEY": "what provider keys are sealed with that are entered at run time",
    "FREEROUTE_OPEN": "1 allows listening on every address without a client key",
    "FREEROUTE_PRIVACY": "privacy",
}


# What is read entry by entry.
_ENTRIES = ("providers", "meta_models", "model_aliases")


class Overrides(Struct, kw_only=True):
    """What the command line says; None where it says nothing."""

    config: str | None = None
    host: str | None = None
    port: int | None = None
    state_dir: str | None = None
    keyless: bool | None = None
    open: bool | None = None
    log_format: str | None = None
    log_level: str | None = None


_FLAGS = {
    "host": "server.host",
    "port": "server.port",
    "state_dir": "server.state_dir",
    "keyless": "discovery.keyless",
    "log_format": "logging.format",
    "log_level": "logging.level",
}


class Settings(Struct, frozen=True, kw_only=True):
    """Everything that was set, by whatever way. *environ* includes `.env`; *shown* names the file in errors.

    Keys are resolved: no reference is left in *providers*, *clients* or *server*. *doors* names, by their
    hashes, the keys among these that open something at this gateway: no provider is shown them.
    """

    server: ServerSpec
    discovery: DiscoverySpec
    providers: dict[str, ProviderSpec]
    meta_models: dict[str, MetaModelSpec]
    model_aliases: dict[str, str | None]
    clients: tuple[Client, ...]
    routing: RoutingSpec
    privacy: str
    logging: LoggingSpec
    storage: StorageSpec
    traces: TracesSpec
    state_dir: Path
    environ: Mapping[str, str]
    open: bool = False
    admin_key: str | None = None
    encryption_key: str | None = None
    doors: Mapping[bytes, str] = {}
    file: Path | None = None
    shown: str = "freeroute.yaml"

    def __repr__(self) -> str:
        """Never show a key."""
        return f"Settings(file={str(self.file)!r})"


def load(args: Overrides, env: Mapping[str, str], cwd: Path, home: Path) -> Settings:
    """Read the settings from all sources; raises ConfigError naming file, entry and field."""
    environ = {**_dotenv(cwd), **env}
    path, shown = _find(args, environ, cwd, home)
    raw = parse_yaml(read_text(path, shown), shown) if path else {}
    spec = _with_flags(_with_environment(_convert(raw, shown), environ), args)
    look_up = References(environ, path.parent if path else cwd, home)
    where = Where(shown)
    metrics_key = spec.server.metrics_key
    if metrics_key is not None:
        metrics_key = look_up.one(metrics_key, where.member("server").member("metrics_key"))
    admin_key = _own_key(environ, "FREEROUTE_ADMIN_KEY")
    if admin_key is not None and admin_key == metrics_key:
        place = where.member("server").member("metrics_key")
        raise place.error(
            "is the same key as FREEROUTE_ADMIN_KEY: a key that reads /metrics may open nothing else"
        )
    taken = {"server.metrics_key": metrics_key, "FREEROUTE_ADMIN_KEY": admin_key}
    doors = {hash_key(key): name for name, key in taken.items() if key is not None}
    clients = clients_of(
        spec.clients,
        look_up.one,
        where.member("clients"),
        own=_own_key(environ, "FREEROUTE_API_KEY"),
        taken=doors,
    )
    doors |= {client.key_hash: f"that of the client {client.name}" for client in clients}
    state_dir = expanded(spec.server.state_dir, home)
    return Settings(
        server=structs.replace(spec.server, metrics_key=metrics_key),
        discovery=spec.discovery,
        providers={
            name: structs.replace(
                entry, keys=_keys(entry, look_up, where.member("providers").entry(name), doors)
            )
            for name, entry in spec.providers.items()
        },
        meta_models=spec.meta_models,
        model_aliases=spec.model_aliases,
        clients=clients,
        routing=spec.routing,
        privacy=spec.privacy,
        logging=spec.logging,
        storage=_storage(spec.storage, look_up, where.member("storage")),
        traces=spec.traces,
        state_dir=state_dir if state_dir.is_absolute() else cwd / state_dir,
        environ=environ,
        open=args.open if args.open is not None else _truth(environ, "FREEROUTE_OPEN"),
        admin_key=admin_key,
        encryption_key=environ.get("FREEROUTE_ENCRYPTION_KEY") or None,
        doors=doors,
        file=path,
        shown=shown,
    )


# --- sources -------------------------------------------------------------------------------------------


def _dotenv(cwd: Path) -> dict[str, str]:
    path = cwd / ".env"
    return parse_env(read_text(path, ".env"), ".env") if path.is_file() else {}


def _find(args: Overrides, env: Mapping[str, str], cwd: Path, home: Path) -> tuple[Path | None, str]:
    named = args.config or env.get("FREEROUTE_CONFIG")
    if named:
        path = cwd / expanded(named, home)
        if not path.is_file():
            raise ConfigError(f"{named}: there is no such settings file")
        return path, named
    for path, shown in (
        (cwd / "freeroute.yaml", "freeroute.yaml"),
        (home / ".config/freeroute/freeroute.yaml", "~/.config/freeroute/freeroute.yaml"),
    ):
        if path.is_file():
            return path, shown
    return None, "freeroute.yaml"


def _convert(raw: dict[str, Any], shown: str) -> SettingsSpec:
    """Turn the file's content into the settings' shape, entry by entry so that errors name the entry."""
    where = Where(shown)
    plain = {name: value for name, value in raw.items() if name not in _ENTRIES}
    # A section whose lines are all commented out reads as nothing.
    plain = {name: {} if value is None and name in SECTIONS else value for name, value in plain.items()}
    plain = {name: [] if value is None and name == "clients" else value for name, value in plain.items()}
    return structs.replace(
        convert(plain, SettingsSpec, where),
        providers=dict(_entries(raw, "providers", ProviderSpec, where)),
        meta_models=dict(_entries(raw, "meta_models", MetaModelSpec, where)),
        model_aliases=dict(_aliases(raw, where)),
    )


def _entries(raw: dict[str, Any], section: str, kind: type[Any], where: Where) -> Iterator[tuple[str, Any]]:
    inside = where.member(section)
    for name, value in _mapping(raw, section, inside).items():
        if not _is_name(name):
            text = "a name is made of letters, digits, `.`, `_` and `-`, and begins with a letter or digit"
            raise inside.entry(printable(str(name))).error(text)
        yield name, convert({} if value is None else value, kind, inside.entry(name))


def _aliases(raw: dict[str, Any], where: Where) -> Iterator[tuple[str, str | None]]:
    inside = where.member("model_aliases")
    for pattern, name in _mapping(raw, "model_aliases", inside).items():
        if (
            not isinstance(pattern, str)
            or not pattern.isprintable()
            or not 0 < len(pattern) <= LONGEST_PATTERN
        ):
            text = f"a pattern of names is a text of 1 to {LONGEST_PATTERN} characters"
            raise inside.entry(printable(str(pattern))).error(text)
        yield pattern, convert(name, Pattern | None, inside.entry(pattern))  # type: ignore[arg-type]


def _mapping(raw: dict[str, Any], section: str, where: Where) -> dict[Any, Any]:
    content = raw.get(section)
    if not isinstance(content, dict | None):
        raise where.error("expected a mapping of names to entries")
    return content or {}


def _is_name(name: object) -> bool:
    allowed = frozenset(string.ascii_letters + string.digits + "._-")
    return isinstance(name, str) and 0 < len(name) <= 64 and name[0].isalnum() and set(name) <= allowed


def _with_environment(spec: SettingsSpec, env: Mapping[str, str]) -> SettingsSpec:
    if env.get("PORT"):
        spec = _replaced(spec, "server.port", env["PORT"], "PORT")
    if env.get("FREEROUTE_PRIVACY"):
        spec = _replaced(spec, "privacy", env["FREEROUTE_PRIVACY"], "FREEROUTE_PRIVACY")
    for name in sorted(env):
        section, separator, member = name.removeprefix("FREEROUTE_").lower().partition("__")
        if not name.startswith("FREEROUTE_") or not separator:
            continue
        if section not in SECTIONS or member not in SECTIONS[section].__struct_fields__:
            raise ConfigError(f"environment: {printable(name)}: there is no setting {section}.{member}")
        spec = _replaced(spec, f"{section}.{member}", env[name], name)
    return spec


def _with_flags(spec: SettingsSpec, args: Overrides) -> SettingsSpec:
    for flag, setting in _FLAGS.items():
        value = getattr(args, flag)
        if value is not None:
            spec = _replaced(spec, setting, str(value), f"--{flag.replace('_', '-')}")
    return spec


def _replaced(spec: SettingsSpec, setting: str, text: str, source: str) -> SettingsSpec:
    """Return *spec* with *setting* (``section.field``) read from *text*, which came from *source*."""
    section, _, member = setting.rpartition(".")
    part = getattr(spec, section) if section else spec
    hint = get_type_hints(type(part), include_extras=True)[member]
    try:
        plain = (
            [item.strip() for item in text.split(",") if item.strip()] if get_origin(hint) is tuple else text
        )
        value = msgspec.convert(plain, hint, strict=False, dec_hook=decode_quantity)
        changed = structs.replace(part, **{member: value})
    except msgspec.ValidationError as exc:
        raise explain(exc, Where("environment" if source.isupper() else "", source, setting)) from exc
    except ValueError as exc:
        raise ConfigError(f"{source}: {exc}") from exc
    return structs.replace(spec, **{section: changed}) if section else changed


def _truth(env: Mapping[str, str], name: str) -> bool:
    text = env.get(name, "").strip().lower()
    if text not in ("", "0", "1", "false", "true", "no", "yes"):
        raise ConfigError(f"environment: {name}: expected 1 or 0")
    return text in ("1", "true", "yes")


# --- keys and storage ----------------------------------------------------------------------------------


def _keys(entry: ProviderSpec, look_up: References, where: Where, doors: Mapping[bytes, str]) -> Any:
    """Return the entry's keys as KeySpecs with their secrets in place; UNSET stays UNSET.

    *doors* is that of `Settings`.
    """
    if entry.keys is UNSET:
        return UNSET
    found: list[KeySpec] = []
    for index, given in enumerate(entry.keys):
        place = where.member("keys").item(index)
        spec = KeySpec(key=given) if isinstance(given, str) else given
        for number, secret in enumerate(look_up.all(spec.key, place), 1):
            label = spec.label if spec.label is None or number == 1 else f"{spec.label}-{number}"
            if secret in [other.key for other in found]:
                raise place.error("repeats an earlier key")
            check_none_of_ours(secret, doors, place)
            found.append(structs.replace(spec, key=secret, label=label))
    return tuple(found)


def check_none_of_ours(secret: str, doors: Mapping[bytes, str], where: Where) -> None:
    """Raise ConfigError if *secret*, which a provider would be shown, opens one of *doors*."""
    if owner := doors.get(hash_key(secret)):
        raise where.error(f"is the same key as {owner}: no provider is shown a key of this gateway")


def _storage(spec: StorageSpec, look_up: References, where: Where) -> StorageSpec:
    if spec.url is None:
        return spec
    url = look_up.one(spec.url, where.member("url"))
    scheme, separator, rest = url.partition("://")
    if scheme not in ("postgresql", "postgres") or not separator or not rest:
        raise where.member("url").error("expected postgresql://user:password@host/database")
    if None in map(importlib.util.find_spec, ("psycopg", "greenlet")):
        raise where.member("url").error(
            "needs PostgreSQL's driver: pip install 'freeroute-gateway[postgres]'"
        )
    return structs.replace(spec, url=f"postgresql://{rest}")


def _own_key(env: Mapping[str, str], name: str) -> str | None:
    return checked(env[name], Where("environment", name)) if env.get(name) else None
