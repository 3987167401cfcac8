"""Provider entries: the catalogue's files, and the settings' own merged over them."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from msgspec import UNSET, Struct, UnsetType, structs

from freeroute.config.provider_specs import ModelSpec, OnlyModels, ProviderSpec, SpeedSpec, TimeoutsSpec
from freeroute.config.schema import Where, convert
from freeroute.config.sources import parse_yaml, read_text
from freeroute.domain.resolve import nearest

S = TypeVar("S", bound=Struct)
V = TypeVar("V")

# What `like:` takes over: how to talk to the service, never whose it is or what it serves.
INHERITED = (
    "kind",
    "auth",
    "headers",
    "errors",
    "quirks",
    "precharge",
    "rate_headers",
    "privacy",
    "timeouts",
    "failed_calls_count",
    "probes",
    "key_check",
    "paths",
    "engine",
)


def or_else(value: V | UnsetType, default: V) -> V:
    """Return *value*, or *default* where none was given."""
    return default if isinstance(value, UnsetType) else value


def read_catalogue(directory: Path) -> dict[str, ProviderSpec]:
    """Return the entries of *directory*'s YAML files by id (the file's name), best rank first."""
    entries = {}
    for path in sorted(directory.glob("*.yaml")):
        raw = parse_yaml(read_text(path, path.name), path.name)
        entries[path.stem] = convert(raw, ProviderSpec, Where(path.name, "", "providers.*"))
    return dict(sorted(entries.items(), key=lambda item: or_else(item[1].rank, 1000)))


def merged(
    name: str, listed: Mapping[str, ProviderSpec], catalogue: Mapping[str, ProviderSpec], where: Where
) -> ProviderSpec:
    """Return entry *name* as it counts: the settings' own over the catalogue's, or over what it is `like`."""
    entry = listed.get(name)
    base = catalogue.get(name, ProviderSpec())
    if entry is None:
        return base
    if not isinstance(entry.like, UnsetType):
        if name in catalogue:
            raise where.error(f"`like` is for providers of your own; {name} is in the catalogue", ".like")
        base = _inherited(name, listed, catalogue, where)
    return _over(base, entry, where)


def _inherited(
    name: str, listed: Mapping[str, ProviderSpec], catalogue: Mapping[str, ProviderSpec], where: Where
) -> ProviderSpec:
    base = ProviderSpec()
    for ancestor in reversed(_ancestors(name, listed, catalogue, where)):
        spec = _over(catalogue.get(ancestor, base), listed.get(ancestor, ProviderSpec()), where, models=False)
        base = ProviderSpec(**{field: getattr(spec, field) for field in INHERITED})
        if not or_else(base.key_check, "/").startswith("/"):
            # A whole address is the other provider's own: a key sent there would reach the wrong people.
            base = structs.replace(base, key_check=UNSET)
        own = {task: path for task, path in or_else(base.paths, {}).items() if path.startswith("/")}
        base = structs.replace(base, paths=own or UNSET)
    return base


def _ancestors(
    name: str, listed: Mapping[str, ProviderSpec], catalogue: Mapping[str, ProviderSpec], where: Where
) -> list[str]:
    line = [name]
    while True:
        parent = listed[line[-1]].like if line[-1] in listed else UNSET
        if isinstance(parent, UnsetType):
            return line[1:]
        if parent not in listed and parent not in catalogue:
            raise where.error(unknown("provider", parent, [*listed, *catalogue]), ".like")
        if parent in line:
            raise where.error("leads back to itself", ".like")
        line.append(parent)


def unknown(what: str, name: str, known: list[str]) -> str:
    """Say that there is no *what* called *name*, with the nearest of those that are *known*."""
    close = nearest(name, known)
    return f"there is no {what} `{name}`" + (f"; did you mean `{close[0]}`?" if close else "")


def _over(base: ProviderSpec, entry: ProviderSpec, where: Where, *, models: bool = True) -> ProviderSpec:
    both = replaced(base, entry)
    timeouts = replaced(or_else(base.timeouts, TimeoutsSpec()), or_else(entry.timeouts, TimeoutsSpec()))
    mixed = _models(base, entry, where) if models else UNSET
    return structs.replace(both, timeouts=timeouts, models=mixed)


def replaced(base: S, over: S) -> S:
    """Return *base* with every field that *over* gives."""
    given = {name: value for name in over.__struct_fields__ if (value := getattr(over, name)) is not UNSET}
    return structs.replace(base, **given)


def _models(base: ProviderSpec, entry: ProviderSpec, where: Where) -> tuple[ModelSpec, ...]:
    known = {model.id: model for model in models_of(base)}
    match entry.models:
        case OnlyModels(only=only):
            for index, name in enumerate(only):
                if name not in known:
                    raise where.error(unknown("model", name, list(known)), f".models.only[{index}]")
            return tuple(known[name] for name in only)
        case UnsetType():
            return tuple(known.values())
        case own:
            for index, model in enumerate(own):
                if model.id in [earlier.id for earlier in own[:index]]:
                    raise where.error("the same model is given twice", f".models[{index}].id")
                known[model.id] = _model(known.get(model.id, ModelSpec(id=model.id)), model)
            return tuple(known.values())


def _model(base: ModelSpec, own: ModelSpec) -> ModelSpec:
    speed = replaced(or_else(base.speed, SpeedSpec()), or_else(own.speed, SpeedSpec()))
    model = structs.replace(replaced(base, own), speed=speed)
    if own.auto is UNSET and not isinstance(own.price, UnsetType):
        # What costs money is used when it is asked for by name, never by `free`.
        return structs.replace(model, auto=own.price.input == 0 and own.price.output == 0)
    return model


def models_of(spec: ProviderSpec) -> tuple[ModelSpec, ...]:
    """Return the models *spec* lists."""
    return spec.models if isinstance(spec.models, tuple) else ()
