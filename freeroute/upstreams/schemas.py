"""Tool schemas for providers that read only a part of JSON Schema."""

from typing import Any

import msgspec
from msgspec import Raw

# Keywords whose value maps names of the caller's choosing to schemas: those names are never keywords.
_MAPS = frozenset({"properties", "patternProperties", "$defs", "definitions"})
# Values of the caller's choosing: data, not schemas.
_DATA = frozenset({"enum", "const", "default", "examples", "example", "required"})
# References that lead into each other, or multiply, end somewhere.
_DEEPEST = 16
_MOST = 200


def simplified(tools: Raw, strips: frozenset[str]) -> Raw:
    """Return *tools* without the keywords *strips* in their schemas; local references are written out."""
    if not any(f'"{word}"'.encode() in bytes(tools) for word in strips):
        return tools
    listed = msgspec.json.decode(tools)
    for tool in listed if isinstance(listed, list) else ():
        function = tool.get("function") if isinstance(tool, dict) else None
        if isinstance(function, dict) and isinstance(function.get("parameters"), dict):
            function["parameters"] = _Simplifier(function["parameters"], strips).result()
    return Raw(msgspec.json.encode(listed))


class _Simplifier:
    """Walks one schema."""

    def __init__(self, root: dict[str, Any], strips: frozenset[str]) -> None:
        self._root = root
        self._strips = strips
        self._left = _MOST

    def result(self) -> Any:
        return self._schema(self._root, 0)

    def _schema(self, value: Any, followed: int) -> Any:
        if isinstance(value, list):
            return [self._schema(item, followed) for item in value]
        if not isinstance(value, dict):
            return value
        target = self._referred(value, followed)
        if target is not None:
            self._left -= 1
            beside = {key: item for key, item in value.items() if key != "$ref"}
            return self._schema({**target, **beside}, followed + 1)
        return {
            key: self._keyword(key, item, followed) for key, item in value.items() if key not in self._strips
        }

    def _keyword(self, key: str, item: Any, followed: int) -> Any:
        if key in _DATA:
            return item
        if key in _MAPS and isinstance(item, dict):
            return {name: self._schema(inner, followed) for name, inner in item.items()}
        return self._schema(item, followed)

    def _referred(self, value: dict[str, Any], followed: int) -> dict[str, Any] | None:
        """Return the schema a local ``$ref`` leads to, if references are to go and there is room for it."""
        reference = value.get("$ref")
        if "$ref" not in self._strips or followed >= _DEEPEST or self._left <= 0:
            return None
        if not isinstance(reference, str) or not reference.startswith("#/"):
            return None
        found: Any = self._root
        for step in reference[2:].split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            found = found.get(name) if isinstance(found, dict) else None
        return found if isinstance(found, dict) else None
