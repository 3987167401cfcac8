"""Changes to one file of a client: what they make of its text, and how they are taken back.

Texts are edited as little as possible, then read again: what would not come out as meant is not done.
"""

from collections.abc import Collection, Mapping, Sequence
from enum import Enum
from importlib import import_module
from typing import Any

from msgspec import Struct

from freeroute.commands.connecting.trees import ABSENT, Path, Unfit, Written, leaves, look_up, placed


class Form(Enum):
    """How a file is written."""

    JSON = "jsonc"
    TOML = "toml_text"
    YAML = "yaml_text"

    @property
    def editor(self) -> Any:
        """Return the module that edits such texts; of the parsers, only the one that is needed is loaded."""
        return import_module(f"freeroute.commands.connecting.{self.value}")


class Wrote(Struct, frozen=True):
    """What was written at *path*, one time or another: the *values* that are ours there."""

    path: Path
    values: list[Any]


def edited(form: Form, text: str, values: Mapping[Path, Any], scaffold: str = "") -> str:
    """Return *text* with *values*, which are laid over what is there; raises Unfit.

    Of a mapping only the keys that are given are touched. A text without content begins as *scaffold*.
    """
    text = text if text.strip() else scaffold or form.editor.EMPTY
    tree = form.editor.read(text)
    for path, value in values.items():
        text, tree = _laid(form, text, tree, path, value)
    _check(form, text, tree)
    return text


def _laid(form: Form, text: str, tree: Any, path: Path, value: Any) -> tuple[str, Any]:
    found = look_up(tree, path)
    if found == value:
        return text, tree
    if value and isinstance(value, Mapping) and isinstance(found, Mapping):
        for key, one in value.items():
            text, tree = _laid(form, text, tree, (*path, key), one)
        return text, tree
    return form.editor.put(text, path, value), placed(tree, path, value)


def restored(form: Form, text: str, before: str | None, wrote: Sequence[Wrote]) -> str:
    """Return *text* without those values of what was *wrote* that are still there; raises Unfit.

    What stood there *before*, None if there was no file, is put back as it was written.
    """
    tree, former = form.editor.read(text), _tree(form, before)
    ours = {one.path: None for one in wrote if look_up(tree, one.path) in one.values}
    for path in reversed(ours):
        if look_up(tree, path) is ABSENT:
            continue  # it went with what was around it
        place = _outermost(tree, former, path, ours)
        value = look_up(former, place)
        source = None if value is ABSENT else form.editor.source(before, place)
        if source is None:
            text = form.editor.drop(text, place)
        else:
            text = form.editor.put(text, place, Written(source))
        tree = placed(tree, place, value)
    _check(form, text, tree)
    return text


def undone(
    form: Form, text: str, before: str | None, wrote: Sequence[Wrote], scaffold: str = ""
) -> str | None:
    """Return *text* as `restored` does; None if nothing of anybody is left of what was no file before."""
    text = restored(form, text, before, wrote)
    begun = {_letters(one) for one in ("", form.editor.EMPTY, scaffold)}
    return None if before is None and _letters(text) in begun else text


def remaining(form: Form, text: str, before: str | None, places: Sequence[Path]) -> list[Path]:
    """Return what there is at and under *places* in *text* that is not what was there *before*."""
    tree, former = form.editor.read(text), _tree(form, before)
    found: dict[Path, Any] = {}
    for place in places:
        value = look_up(tree, place)
        found |= {} if value is ABSENT else leaves(place, value)
    return [path for path, value in found.items() if look_up(former, path) != value]


def _tree(form: Form, text: str | None) -> Any:
    return form.editor.read(text) if text and text.strip() else {}


def _outermost(tree: Any, former: Any, path: Path, ours: Collection[Path]) -> Path:
    """Return *path*, or the place around it that came to be with what is *ours* and holds only that."""
    while path[1:]:
        around, was = look_up(tree, path[:-1]), look_up(former, path[:-1])
        if type(was) is type(around) or not _wholly(tree, path[:-1], ours):
            break
        path = path[:-1]
    return path


def _wholly(tree: Any, place: Path, ours: Collection[Path]) -> bool:
    """Say whether everything at *place*, which is not the top, is *ours*."""
    found = look_up(tree, place)
    if isinstance(found, list) and place not in ours:
        items = {path[: len(place) + 1] for path in ours if path[: len(place)] == place}
        return len(items) == len(found) and all(_wholly(tree, item, ours) for item in items)
    if not isinstance(found, Mapping) or not found or place in ours:
        return place in ours
    keys = (key for key, one in found.items() if (key, one) != place[-1])
    return all(_wholly(tree, (*place, key), ours) for key in keys)


def _letters(text: str) -> str:
    return "".join(text.split())


def _check(form: Form, text: str, meant: dict[str, Any]) -> None:
    try:
        sound = form.editor.read(text) == meant
    except Unfit:
        sound = False
    if not sound:
        raise Unfit("it is written in a way that is not understood well enough to be changed safely")
