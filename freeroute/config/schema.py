"""The settings file's shape, as seen from outside: located errors, the list of fields, a JSON Schema."""

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, TypeVar

import msgspec
from msgspec import NODEFAULT, UNSET, Struct, inspect

from freeroute.config.provider_specs import ProviderSpec
from freeroute.config.specs import SettingsSpec
from freeroute.config.values import (
    LONGEST,
    PATTERNS,
    SPANS,
    Duration,
    HostName,
    Origin,
    Size,
    Span,
    decode_quantity,
)
from freeroute.domain.resolve import nearest
from freeroute.errors import ConfigError
from freeroute.resources import config_dir
from freeroute.wire.text import printable

T = TypeVar("T")


class Where(Struct, frozen=True):
    """A place in a settings or catalogue file: *path* as people read it, *field* as `fields` names it."""

    file: str
    path: str = ""
    field: str = ""

    def error(self, text: str, inner: str = "") -> ConfigError:
        """Return an error that names the file, the entry and the field."""
        path = f"{self.path}{inner}".lstrip(".")
        return ConfigError(": ".join(part for part in (self.file, path, text) if part), field=path)

    def entry(self, key: str) -> "Where":
        """Return the place of entry *key* of a mapping whose keys the user chose."""
        return Where(self.file, f"{self.path}.{key}".lstrip("."), f"{self.field}.*")

    def item(self, index: int) -> "Where":
        """Return the place of one element of a list."""
        return Where(self.file, f"{self.path}[{index}]", f"{self.field}[]")

    def member(self, name: str) -> "Where":
        """Return the place of field *name*."""
        return Where(self.file, f"{self.path}.{name}".lstrip("."), f"{self.field}.{name}".lstrip("."))


def convert(value: object, kind: type[T], where: Where) -> T:
    """Turn plain *value* into *kind*; raises ConfigError that says where and what, never the value."""
    try:
        return msgspec.convert(value, kind, dec_hook=decode_quantity)
    except msgspec.ValidationError as exc:
        raise explain(exc, where) from exc


_AT = re.compile(r"^(.*?)(?: - at `\$(.*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`")
_WORDS = {
    "float": "number",
    "int": "integer",
    "bool": "true or false",
    "object": "mapping",
    "array": "list",
    "null": "nothing",
}


def explain(exc: msgspec.ValidationError, where: Where) -> ConfigError:
    """Return msgspec's complaint in the words of the settings file."""
    found = _AT.match(str(exc))
    text, inner = (found[1], found[2] or "") if found else (str(exc), "")
    name = where.field + re.sub(r"\[\d+\]", "[]", inner)
    if unknown := _UNKNOWN.fullmatch(text):
        return where.error(_unknown(unknown[1], name), f"{inner}.{printable(unknown[1])}")
    if missing := _MISSING.fullmatch(text):
        return where.error("is required", f"{inner}.{missing[1]}")
    if text.startswith("Invalid enum value"):
        field = _index().get(name.removesuffix("[]").lstrip("."))
        return where.error(_one_of(field.choices if field else (), text), inner)
    if text.startswith("Expected `"):
        text = re.sub(r"`([a-z| ]+)`", lambda match: _worded(match[1]), text)
        text = text[0].lower() + text[1:]
    return where.error(text, inner)


def _one_of(choices: tuple[str, ...], text: str) -> str:
    """Name the *choices*, and the one that the value in msgspec's *text* looks like; never the value."""
    if not choices:
        return "is not a known value"
    close = nearest(text.partition("'")[2].rstrip("'"), choices)
    return f"expected one of {', '.join(choices)}" + (f"; did you mean `{close[0]}`?" if close else "")


def _worded(types: str) -> str:
    return " or ".join(_WORDS.get(name, name) for name in types.split(" | ") if name)


def _unknown(field: str, prefix: str) -> str:
    parent = f"{prefix.lstrip('.')}." if prefix.strip(".") else ""
    siblings = [name[len(parent) :] for name in _index() if name.startswith(parent)]
    close = nearest(field, [name for name in siblings if re.fullmatch(r"\w+", name)])
    return "unknown field" + (f"; did you mean `{close[0]}`?" if close else "")


class Field(Struct, frozen=True):
    """One field of the settings file: ``providers.*.keys[].label``, its type in words, its default."""

    name: str
    type: str
    default: str
    choices: tuple[str, ...] = ()


def fields(root: type = SettingsSpec, prefix: str = "") -> list[Field]:
    """Return every field of the settings file, outer before inner."""
    return list(_fields(inspect.type_info(root), prefix))


@cache
def _index() -> dict[str, Field]:
    return {field.name: field for field in fields()}


def _fields(info: inspect.Type, prefix: str) -> Iterator[Field]:
    match info:
        case inspect.Metadata(type=inner):
            yield from _fields(inner, prefix)
        case inspect.StructType(fields=members):
            for member in members:
                name = f"{prefix}.{member.encode_name}".lstrip(".")
                yield Field(name, _type(member.type), _default(member), _choices(member.type))
                yield from _fields(member.type, name)
        case inspect.UnionType(types=types):
            for option in types:
                yield from _fields(option, prefix)
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item):
            yield from _fields(item, f"{prefix}[]")
        case inspect.DictType(value_type=value):
            yield from _fields(value, f"{prefix}.*")


def _default(member: inspect.Field) -> str:
    default = member.default_factory() if member.default_factory is not NODEFAULT else member.default
    if default in (NODEFAULT, UNSET) or isinstance(default, Struct):
        return ""
    return json.dumps(msgspec.to_builtins(default, enc_hook=_plain))


def _plain(value: object) -> object:
    return float(value) if isinstance(value, float) else int(value) if isinstance(value, int) else str(value)


_CUSTOM: dict[type, str] = {
    Duration: "duration",
    Size: "size",
    Span: "span",
    HostName: "text",
    Origin: "text",
}
_PLAIN: list[tuple[type, str]] = [
    (inspect.BoolType, "true or false"),
    (inspect.IntType, "integer"),
    (inspect.FloatType, "number"),
    (inspect.StrType, "text"),
    (inspect.StructType, "mapping"),
    (inspect.DictType, "mapping"),
    (inspect.NoneType, "null"),
]


def _type(info: inspect.Type) -> str:
    match info:
        case inspect.Metadata(type=inner):
            return _type(inner)
        case inspect.CustomType(cls=cls) if cls in _CUSTOM:
            return _CUSTOM[cls]
        case inspect.UnionType(types=types):
            return " or ".join(dict.fromkeys(_type(option) for option in types if not _is_unset(option)))
        case inspect.VarTupleType(item_type=item):
            return f"list of {_type(item)}"
        case inspect.TupleType(item_types=items):
            return f"list of {len(items)} {_type(items[0])}s"
    if choices := _choices(info):
        return ", ".join(choices)
    return next((word for kind, word in _PLAIN if isinstance(info, kind)), "value")


def _is_unset(info: inspect.Type) -> bool:
    return isinstance(info, inspect.CustomType) and info.cls is type(UNSET)


def _choices(info: inspect.Type) -> tuple[str, ...]:
    match info:
        case inspect.Metadata(type=inner) | inspect.VarTupleType(item_type=inner):
            return _choices(inner)
        case inspect.EnumType(cls=cls):
            return tuple(str(member.value) for member in cls)
        case inspect.LiteralType(values=values):
            return tuple(str(value) for value in values)
        case inspect.UnionType(types=types):
            return tuple(choice for option in types for choice in _choices(option))
    return ()


_QUANTITIES: dict[type, dict[str, Any]] = {
    Duration: {
        "description": "200ms, 3s, 1m30s, 2h, 5d or a number of seconds",
        "anyOf": [
            {"type": "number", "minimum": 0, "maximum": LONGEST},
            {"type": "string", "pattern": r"^\s*(\d+(\.\d+)?\s*(ms|s|m|h|d|w)\s*)+$"},
        ],
    },
    Size: {
        "description": "64KiB, 20MiB or a number of bytes",
        "anyOf": [
            {"type": "integer", "minimum": 0},
            {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*([kKmMgG]?[iI]?[bB])?\s*$"},
        ],
    },
    Span: {
        "description": "second, minute, hour, day, week, month or a duration such as 5h",
        "anyOf": [
            {"enum": list(SPANS)},
            {"type": "number", "exclusiveMinimum": 0, "maximum": LONGEST},
            {"type": "string", "pattern": r"^\s*(\d+(\.\d+)?\s*(ms|s|m|h|d|w)\s*)+$"},
        ],
    },
    HostName: {"description": "gateway.example.com", "type": "string", "pattern": PATTERNS[HostName]},
    Origin: {
        "description": "https://app.example.com, or * for every page",
        "type": "string",
        "pattern": PATTERNS[Origin],
    },
}


SCHEMAS: dict[str, type[Struct]] = {
    "freeroute.schema.json": SettingsSpec,
    "provider.schema.json": ProviderSpec,
}


def json_schema(root: type[Struct]) -> str:
    """Return the JSON Schema of a settings file or of a catalogue file, for editors."""
    (schema,), parts = msgspec.json.schema_components(
        [root], schema_hook=lambda kind: dict(_QUANTITIES[kind]), ref_template="#/$defs/{name}"
    )
    if root is SettingsSpec:
        # An entry that only names a provider is written without a body: `groq:`.
        entries = parts["SettingsSpec"]["properties"]["providers"]
        entries["additionalProperties"] = {"anyOf": [entries["additionalProperties"], {"type": "null"}]}
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "freeroute settings" if root is SettingsSpec else "freeroute catalogue entry",
        **schema,
        "$defs": dict(sorted(parts.items())),
    }
    return json.dumps(whole, indent=2, default=_plain) + "\n"


if __name__ == "__main__":
    for name, root in SCHEMAS.items():
        (config_dir() / name).write_text(json_schema(root), encoding="utf-8")
