"""Values inside of a file's content, by their paths; and what is wrong with a file that cannot be edited."""

import copy
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final

from freeroute.errors import FreerouteError

Step = str | tuple[str, str]
"""The key of a mapping; or a field and its value, which mean the item of a list that has them."""

Path = tuple[Step, ...]


class _Absent:
    """Stands where there is nothing."""


ABSENT: Final = _Absent()


class Unfit(FreerouteError):
    """A file that is not edited, since it is malformed, or is not understood well enough.

    *place* is the line and the column, both from 1 on, where that is known.
    """

    def __init__(self, why: str, place: tuple[int, int] | None = None) -> None:
        """Keep why and where."""
        where = "" if place is None else f"line {place[0]}, column {place[1]}: "
        super().__init__(where + why)


def place_of(text: str, offset: int) -> tuple[int, int]:
    """Return the line and the column of *offset* in *text*."""
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


def look_up(tree: Any, path: Path) -> Any:
    """Return the value at *path* in *tree*, or ABSENT."""
    for step in path:
        if isinstance(step, str):
            tree = tree.get(step, ABSENT) if isinstance(tree, Mapping) else ABSENT
        else:
            tree = (
                next((item for item in tree if _is(item, step)), ABSENT) if isinstance(tree, list) else ABSENT
            )
    return tree


def placed(tree: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    """Return *tree* with *value* at *path*, or without anything there if it is ABSENT."""
    changed: dict[str, Any] = copy.deepcopy(tree)
    node: Any = changed
    for step, following in pairwise(path):
        assert isinstance(step, str)
        inner = node.get(step)
        if inner is None:
            inner = node[step] = {} if isinstance(following, str) else []
        if not isinstance(inner, dict if isinstance(following, str) else list):
            raise Unfit(f"{said(path)} cannot be set: {step} is something else there")
        node = inner
    _place(node, path[-1], value)
    return changed


def _place(node: Any, step: Step, value: Any) -> None:
    if isinstance(step, str):
        node.pop(step, None) if value is ABSENT else node.update({step: value})
        return
    at = next((at for at, item in enumerate(node) if _is(item, step)), len(node))
    node[at : at + 1] = [] if value is ABSENT else [value]


def _is(item: Any, step: tuple[str, str]) -> bool:
    return isinstance(item, Mapping) and item.get(step[0]) == step[1]


def said(path: Path) -> str:
    """Return *path* as people write it."""
    return ".".join(step if isinstance(step, str) else f"{step[0]}={step[1]}" for step in path)
