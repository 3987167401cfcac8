"""What it takes to hold a value to a JSON Schema, and how to count it where that may be much.

A schema of some kilobytes whose alternatives refer to more alternatives makes a validator look at one value
millions of times, and one whose items have a thousand forms, or a list of objects to compare with, makes it
look long at a long list. Nothing else runs meanwhile, in no thread. So what a check takes is bounded before
by the length of the value; where that is too much, or where there is no bound, it is counted on the way.

The unit is a look at one value by one subschema, some 20 ns.
"""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

PLAIN = 1000
"""Looks for each value, references followed, up to which a schema is checked as it is. Own design: what
applications ask with takes some hundreds at most, unless it is recursive."""

WORK = 5_000_000
"""Looks that one check may take. Own design: some 0.1 s; what half a megabyte takes in a recursive union of
six kinds."""

STEP = "x-freeroute-step"

STEP_COST = 100  # looks: the keyword below is Python
_LETTER_COST = 12  # looks at a letter in one scan; the worst patterns that were tried take ten times as much
_ITEM_COST = 2  # letters that an item of a list stands for, where items are compared
_DATUM_COST = 8  # looks at each part of what a value is compared with, unless it is a list of texts

_DATA = frozenset({"const", "enum", "default", "examples"})
_DEFINITIONS = frozenset({"$defs", "definitions"})
# Keywords whose members are names, not keywords.
_NAMES = _DEFINITIONS | {"properties", "patternProperties", "dependentSchemas", "dependencies"}
_REFERENCES = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})
# Keywords that look at the same value once more for what other keywords have looked at.
_AGAIN = frozenset({"unevaluatedProperties", "unevaluatedItems"})
# Keywords whose subschema is held to many values.
_REPEATED = _AGAIN | {"items", "additionalItems", "contains", "additionalProperties", "propertyNames"}


class Extent(Struct, frozen=True):
    """How many *looks* a schema takes for each value, and by how many *scans* it goes through each letter."""

    looks: int
    scans: int = 0

    @property
    def is_plain(self) -> bool:
        """Say whether this is a bound at all."""
        return self.looks <= PLAIN

    def work(self, length: int) -> int:
        """Return how many looks at most a text of *length* takes: a value in it has two letters or more."""
        return (length // 2 + 1) * self.looks + length * self.scans * _LETTER_COST

    def __add__(self, other: "Extent") -> "Extent":
        """Return both together, no more than what is past every bound."""
        return Extent(min(self.looks + other.looks, WORK + 1), min(self.scans + other.scans, WORK + 1))


_NOTHING = Extent(0)
_ENDLESS = Extent(WORK + 1)


class Steps:
    """Counts what one check by *schema* takes, as a keyword that holds while there is some *left*."""

    def __init__(self, schema: Any) -> None:
        """Begin with none left; between two steps the schema is gone through once at most."""
        self.left = 0
        self._cost = STEP_COST + written(schema).looks
        self._whole = Step(self, _scans(schema) if isinstance(schema, dict) else 0)

    def begin(self, value: Any) -> None:
        """Begin a check of *value*; raises ValueError if it cannot be done."""
        self.left = WORK
        self._whole.validate(value)

    def keyword(self, _: object, scans: int, *__: object) -> "Step":
        """Return what checks the keyword before a subschema that *scans* so often."""
        return Step(self, scans)

    def take(self, letters: int) -> None:
        """Take one step, with so many *letters* to scan; raises ValueError if none is left."""
        self.left -= self._cost + letters * _LETTER_COST
        if self.left < 0:
            raise ValueError("out of steps")


class Step:
    """The keyword at one place."""

    def __init__(self, steps: Steps, scans: int) -> None:
        """Count with *steps*."""
        self._steps = steps
        self._scans = scans

    def validate(self, value: Any) -> None:
        """Take one step; raises ValueError if none is left."""
        self._steps.take(self._scans and self._scans * _letters(value))


def _letters(value: Any) -> int:
    """Return how many letters of *value* itself there are to scan."""
    if isinstance(value, list):
        return len(value) * _ITEM_COST
    return len(value) if isinstance(value, str) else sum(map(len, value)) if isinstance(value, dict) else 0


def unfolded(schema: Any) -> Extent:
    """Return what *schema* takes with its references followed; more than ``WORK`` where there is no bound."""
    try:
        return _extent(schema, schema, {})
    except RecursionError:  # a chain of some hundred references
        return _ENDLESS


def written(schema: Any) -> Extent:
    """Return what *schema* takes as it is written, no reference followed."""
    try:
        return _extent(schema, None, {})
    except RecursionError:
        return _ENDLESS


def counted(schema: Any) -> Any:
    """Return *schema* with a step before each subschema, but the whole, that a value may meet again."""
    if not isinstance(schema, dict):
        return schema
    return {name: _counted(value, name) for name, value in schema.items()}


def _extent(node: Any, root: Any, known: dict[int, Extent]) -> Extent:
    if isinstance(node, list):
        return sum((_extent(one, root, known) for one in node), _NOTHING)
    if not isinstance(node, dict):
        return _NOTHING
    if id(node) not in known:
        known[id(node)] = _ENDLESS  # for whoever comes back here meanwhile
        below = sum((_extent(one, root, known) for one in _below(node, root)), _NOTHING)
        again = _NOTHING if root is None or _AGAIN.isdisjoint(node) else below
        known[id(node)] = Extent(1 + _compared(node), _scans(node)) + below + again
    return known[id(node)]


def _below(node: dict[str, Any], root: Any) -> Iterator[Any]:
    """Yield what *node* consists of and where it leads; what it only defines counts where it is used."""
    for name, value in node.items():
        if name in _REFERENCES and root is not None:
            yield _target(value, root)
        elif name not in _DATA and (name not in _DEFINITIONS or root is None):
            yield value


def _scans(node: dict[str, Any]) -> int:
    """Return how often *node* itself goes through all letters of a text, all names, or all of a list."""
    named = node.get("patternProperties")
    scans = isinstance(node.get("pattern"), str) + (node.get("uniqueItems") is True)
    return scans + (len(named) if isinstance(named, dict) else 0)


def _compared(node: dict[str, Any]) -> int:
    """Return how many looks the comparisons of *node* take; a list of texts is found by one."""
    listed = node.get("enum")
    values = [node.get("const"), *(listed if isinstance(listed, list) else ())]
    return 0 if all(isinstance(value, str | None) for value in values) else _DATUM_COST * _parts(values)


def _parts(value: Any) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + sum(map(_parts, value)) if isinstance(value, list) else 1


def _target(reference: Any, root: Any) -> Any:
    """Return what *reference* leads to; what is not found, say an anchor, is taken for the whole."""
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return root
    place = root
    for step in reference[2:].split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        place = place.get(name, root) if isinstance(place, dict) else root
    return place


def _counted(value: Any, name: str) -> Any:
    """Return the *value* of the keyword *name* with its steps."""
    if name in _DATA:
        return value
    repeated = name in _REPEATED
    if isinstance(value, list):
        return [_subschema(one, repeated=repeated) for one in value]
    if isinstance(value, dict) and name in _NAMES:
        repeated = name == "patternProperties"
        return {key: _subschema(one, repeated=repeated) for key, one in value.items()}
    return _subschema(value, repeated=repeated)


def _subschema(value: Any, *, repeated: bool) -> Any:
    if not isinstance(value, dict):
        return value
    inside = {name: _counted(one, name) for name, one in value.items()}
    scans = _scans(value)
    steps = repeated or scans or not (_REFERENCES | _AGAIN).isdisjoint(value)
    return {"allOf": [{STEP: scans}, inside]} if steps else inside
