"""JSON Schemas that lead through themselves again and again: how large they unfold, and how to count the way.

A schema of some kilobytes whose alternatives refer to more alternatives makes a validator look at one value
millions of times. No plain schema does: it is looked through once for each value.
"""

from collections.abc import Iterator
from typing import Any

PLAIN = 1000
"""Subschemas, references followed, up to which a schema is checked as it is. Own design: what applications
ask with has some hundreds at most, unless it is recursive."""

STEPS = 50_000
"""References that one check may follow. Own design: some 50 ms, and what an answer of half a megabyte takes
in a recursive union of six kinds."""

STEP = "x-freeroute-step"

_DATA = frozenset({"const", "enum", "default", "examples"})
_DEFINITIONS = frozenset({"$defs", "definitions"})
# Keywords whose members are names, not keywords.
_NAMES = _DEFINITIONS | {"properties", "patternProperties", "dependentSchemas", "dependencies"}
_REFERENCES = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})


class Steps:
    """Counts the references that one check follows, as a keyword that holds while there are some *left*."""

    def __init__(self) -> None:
        """Begin with none left."""
        self.left = 0

    def keyword(self, *_: object) -> "Steps":
        """Return what checks the keyword."""
        return self

    def validate(self, _: object) -> None:
        """Take one step; raises ValueError if none is left."""
        self.left -= 1
        if self.left < 0:
            raise ValueError("out of steps")


def unfolded(schema: Any) -> int:
    """Return how many subschemas *schema* has with its references followed, at most one over ``PLAIN``."""
    try:
        return _weight(schema, schema, {})
    except RecursionError:  # a chain of some hundred references
        return PLAIN + 1


def counted(schema: Any) -> Any:
    """Return *schema* with a step before each reference but its own first."""
    if not isinstance(schema, dict):
        return schema
    return {name: _counted(value, name) for name, value in schema.items()}


def _weight(node: Any, root: Any, known: dict[int, int]) -> int:
    if isinstance(node, list):
        return min(sum(_weight(one, root, known) for one in node), PLAIN + 1)
    if not isinstance(node, dict):
        return 0
    if id(node) not in known:
        known[id(node)] = PLAIN + 1  # for whoever comes back here meanwhile
        size = 1 + sum(_weight(one, root, known) for one in _below(node, root))
        known[id(node)] = min(size, PLAIN + 1)
    return known[id(node)]


def _below(node: dict[str, Any], root: Any) -> Iterator[Any]:
    """Yield what *node* consists of and where it leads; what it only defines counts where it is used."""
    for name, value in node.items():
        if name in _REFERENCES:
            yield _target(value, root)
        elif name not in _DATA and name not in _DEFINITIONS:
            yield value


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
    """Return the *value* of the keyword *name* with a step before each reference."""
    if name in _DATA:
        return value
    if isinstance(value, list):
        return [_subschema(one) for one in value]
    if isinstance(value, dict) and name in _NAMES:
        return {key: _subschema(one) for key, one in value.items()}
    return _subschema(value)


def _subschema(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inside = {name: _counted(one, name) for name, one in value.items()}
    return inside if _REFERENCES.isdisjoint(value) else {"allOf": [{STEP: True}, inside]}
