"""Values that fit a JSON Schema, with the numbers and quotes of a question where they fit."""

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

from freeroute.upstreams.simulated.understanding import Question

_WORDS = "road idea steps rhythm shore plan case doors window season habit facts".split()
_FORMATS = {
    "date": "2026-11-02",
    "date-time": "2026-11-02T12:30:00Z",
    "time": "12:30:00Z",
    "duration": "P1D",
    "email": "someone@example.org",
    "hostname": "example.org",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.org/",
    "uuid": "6f9619ff-8b86-4d01-b42d-00cf4fc964ff",
}
# A schema may refer to itself: from the first depth on only what is required is filled in, and from the
# second on nothing.
_SPARSE, _DEPTH = 4, 12
_MOST_ITEMS, _MOST_VALUES = 16, 10_000


def fill(schema: Any, rng: random.Random, asked: Question | None = None) -> Any:
    """Return a value of the shape of *schema*: enough of JSON Schema for what callers send."""
    return _Filler(schema, rng, asked or Question()).value(schema, 0)


class _Filler:
    """One schema being filled; what the question offers is used once."""

    def __init__(self, root: Any, rng: random.Random, asked: Question) -> None:
        self._root = root
        self._left = _MOST_VALUES
        self._rng = rng
        self._numbers = asked.numbers
        self._quotes = asked.quotes

    def value(self, schema: Any, depth: int) -> Any:
        self._left -= 1
        if not isinstance(schema, dict) or depth > _DEPTH or self._left < 0:
            return None
        if "$ref" in schema:
            return self.value(self._referred(schema["$ref"]), depth + 1)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return self._rng.choice(schema["enum"])
        for several in ("anyOf", "oneOf", "allOf"):
            if schema.get(several):
                # The last of a choice is where a schema that refers to itself says null.
                return self.value(schema[several][-1 if depth > _SPARSE else 0], depth + 1)
        kind = schema.get("type")
        kind = kind[0] if isinstance(kind, list) and kind else kind
        if kind == "object" or "properties" in schema:
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, depth)
        return self._scalar(kind, schema)

    def _referred(self, pointer: Any) -> Any:
        """What a reference within the schema leads to; others lead nowhere."""
        if not isinstance(pointer, str) or not pointer.startswith("#"):
            return None
        found = self._root
        for name in pointer.removeprefix("#").split("/")[1:]:
            found = found.get(name.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
        return found

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties") or {}
        if depth > _SPARSE:
            properties = {
                name: properties[name] for name in schema.get("required") or () if name in properties
            }
        return {name: self.value(value, depth + 1) for name, value in properties.items()}

    def _array(self, schema: Mapping[str, Any], depth: int) -> list[Any]:
        if schema.get("prefixItems"):
            return [self.value(item, depth + 1) for item in schema["prefixItems"]]
        inner = schema.get("items") or {"type": "string"}
        # Lists in lists multiply.
        count = _count(schema, depth) if depth < 3 else min(1, _count(schema, depth))
        return [self.value(inner, depth + 1) for _ in range(count)]

    def _scalar(self, kind: Any, schema: Mapping[str, Any]) -> Any:
        if kind == "boolean":
            return self._rng.random() < 0.5
        if kind in ("integer", "number"):
            return self._number(kind, schema)
        if kind == "null":
            return None
        return self._text(schema)

    def _number(self, kind: str, schema: Mapping[str, Any]) -> float:
        low, high = _bounds(schema)
        for at, said in enumerate(self._numbers):
            if low <= said <= high and (kind == "number" or said.is_integer()):
                del self._numbers[at]
                return int(said) if kind == "integer" else said
        least = math.ceil(low) if math.isfinite(low) else math.floor(min(0, high))
        most = math.floor(high) if math.isfinite(high) else least + 100
        value = self._rng.randint(least, max(least, most))
        return value if kind == "integer" else float(value)

    def _text(self, schema: Mapping[str, Any]) -> str:
        if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        text = self._quotes.pop(0) if self._quotes else self._rng.choice(_WORDS)
        least, most = schema.get("minLength"), schema.get("maxLength")
        if isinstance(least, int):
            text = text.ljust(min(least, 1_000), ".")
        return text[:most] if isinstance(most, int) else text


def _count(schema: Mapping[str, Any], depth: int) -> int:
    least = schema.get("minItems")
    usual = 1 if depth <= _SPARSE else 0
    return min(least, _MOST_ITEMS) if isinstance(least, int) and least > usual else usual


def _bounds(schema: Mapping[str, Any]) -> tuple[float, float]:
    """The least and the greatest number that *schema* takes, whole numbers within what excludes its ends."""
    lows = [*_given(schema, "minimum"), *(bound + 1 for bound in _given(schema, "exclusiveMinimum"))]
    highs = [*_given(schema, "maximum"), *(bound - 1 for bound in _given(schema, "exclusiveMaximum"))]
    return max(lows, default=-math.inf), min(highs, default=math.inf)


def _given(schema: Mapping[str, Any], name: str) -> Sequence[float]:
    bound = schema.get(name)
    return [float(bound)] if isinstance(bound, int | float) and not isinstance(bound, bool) else []
