"""JSON Schemas out of the schemas that Gemini's requests are written in, a dialect of OpenAPI's."""

import re
from typing import Any

_UNDERSCORE = re.compile(r"_+([a-z0-9])")
_COUNTS = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})
_SCHEMAS = frozenset({"items", "anyOf", "prefixItems", "additionalProperties", "not", "oneOf", "allOf"})
_NAMED = frozenset({"properties", "$defs", "defs", "definitions", "patternProperties"})
# What says nothing about the form of a value.
_LEFT_OUT = frozenset({"propertyOrdering", "example", "nullable"})


def camel(name: str) -> str:
    """Return the name of a field in the one of its two spellings that has no underscores."""
    return _UNDERSCORE.sub(lambda found: found[1].upper(), name.lstrip("_")) if "_" in name else name


def json_schema(told: Any) -> Any:
    """Return the JSON Schema for *told*: types in lower case, counts as numbers, ``nullable`` as a type."""
    if isinstance(told, list):
        return [json_schema(one) for one in told]
    if not isinstance(told, dict):
        return told
    said = {camel(name): value for name, value in told.items()}
    schema = {name: _value(name, value) for name, value in said.items() if name not in _LEFT_OUT}
    if schema.get("type") == "type_unspecified":
        del schema["type"]
    return _nullable(schema) if said.get("nullable") is True else schema


def _value(name: str, value: Any) -> Any:
    if name == "type":
        return value.lower() if isinstance(value, str) else value
    if name in _SCHEMAS:
        return json_schema(value)
    if name in _NAMED and isinstance(value, dict):
        return {key: json_schema(inner) for key, inner in value.items()}
    # Google writes 64-bit numbers as strings.
    counted = name in _COUNTS and isinstance(value, str) and value.isdecimal()
    return int(value) if counted else value


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    if isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
    if isinstance(schema.get("enum"), list):
        schema["enum"] = [*schema["enum"], None]
    if isinstance(schema.get("anyOf"), list):
        schema["anyOf"] = [*schema["anyOf"], {"type": "null"}]
    return schema
