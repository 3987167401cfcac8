"""Values inside of a file's content, by their paths; and what is wrong with a file that cannot be edited."""

from collections.abc import Mapping
from typing import Any, Final

from freeroute.errors import FreerouteError

Step = str | tuple[str, str]
"""The key of a mapping; or a field and its value, which mean the item of a list that has them."""

Path = tuple[Step, ...]


class _Absent:
    """Stands where there is nothing."""

    def __bool__(self) -> bool:
        return False


ABSENT: Final = _Absent()


class Written(str):
    """A value as it is written in a file, which is not to be written in another way."""

    __slots__ = ()


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
                next((item for item in tree if is_meant(item, step)), ABSENT)
                if isinstance(tree, list)
                else ABSENT
            )
    return tree


def placed(tree: Any, path: Path, value: Any) -> Any:
    """Return *tree* with *value* at *path*, or without anything there if it is ABSENT."""
    return _placed(tree, path, 0, value)


def _placed(node: Any, path: Path, at: int, value: Any) -> Any:
    # Only what is around the value is copied: a tree may have thousands of others.
    if at == len(path):
        return value
    step = path[at]
    if isinstance(step, str):
        if not isinstance(node, Mapping | None):
            raise Unfit(f"{said(path)} cannot be set: {said(path[:at])} is something else there")
        changed = dict(node or {})
        changed[step] = _placed(changed.get(step), path, at + 1, value)
        return {key: one for key, one in changed.items() if one is not ABSENT}
    if not isinstance(node, list | None):
        raise Unfit(f"{said(path)} cannot be set: {said(path[:at])} is something else there")
    items = list(node or [])
    place = next((place for place, item in enumerate(items) if is_meant(item, step)), len(items))
    found = items[place] if place < len(items) else dict([step])
    items[place : place + 1] = [_placed(found, path, at + 1, value)]
    return [item for item in items if item is not ABSENT]


def leaves(path: Path, value: Any) -> dict[Path, Any]:
    """Return what is not a mapping in the *value* that is at *path*, by the paths; empty mappings count.

    The field by which an item of a list is meant is part of its path, and no leaf.
    """
    if not isinstance(value, Mapping) or not value:
        return {path: value}
    found: dict[Path, Any] = {}
    for key, one in value.items():
        if (key, one) != path[-1]:
            found |= leaves((*path, key), one)
    return found


def is_meant(item: Any, step: tuple[str, str]) -> bool:
    """Say whether *step* means this *item* of a list."""
    return isinstance(item, Mapping) and item.get(step[0]) == step[1]


def said(path: Path) -> str:
    """Return *path* as people write it."""
    return ".".join(step if isinstance(step, str) else f"{step[0]}={step[1]}" for step in path)
