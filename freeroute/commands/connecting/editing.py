"""Changes to one file of a client: what they make of its text, and how they are taken back.

Texts are edited as little as possible, then read again: what would not come out as meant is not done.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from importlib import import_module
from typing import Any

from msgspec import Struct

from freeroute.commands.connecting.trees import ABSENT, Path, Unfit, look_up, placed


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
    """Return *text* with *values*; one without content begins as *scaffold*. Raises Unfit."""
    text = text if text.strip() else scaffold or form.editor.EMPTY
    tree = form.editor.read(text)
    for path, value in values.items():
        if look_up(tree, path) != value:
            text = form.editor.put(text, path, value)
            tree = placed(tree, path, value)
    _check(form, text, tree)
    return text


def undone(
    form: Form, text: str, before: str | None, wrote: Sequence[Wrote], scaffold: str = ""
) -> str | None:
    """Return *text* as it would be if nothing had been *wrote*; None if there would be no file.

    *before* is what it was, None if there was none. If nobody changed it since, that is what comes back to
    the byte; otherwise what is still ours is taken out, and what stood there before put back. Raises Unfit.
    """
    tree = form.editor.read(text)
    found = {one.path: look_up(tree, one.path) for one in wrote}
    ours = {one.path: found[one.path] for one in wrote if found[one.path] in one.values}
    if edited(form, before or "", ours, scaffold) == text:
        return before
    former = form.editor.read(before) if before and before.strip() else {}
    for path in reversed(ours):
        text, tree = _restored(form, text, tree, path, former)
    _check(form, text, tree)
    begun = {_letters(one) for one in ("", form.editor.EMPTY, scaffold)}
    return None if before is None and _letters(text) in begun else text


def _letters(text: str) -> str:
    return "".join(text.split())


def _restored(
    form: Form, text: str, tree: dict[str, Any], path: Path, former: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Return *text* and *tree* with what *former* has at *path*; what that leaves empty goes."""
    value = look_up(former, path)
    if value is not ABSENT:
        return form.editor.put(text, path, value), placed(tree, path, value)
    while path:
        if look_up(form.editor.read(text), path) is not ABSENT:
            text = form.editor.drop(text, path)
        tree = placed(tree, path, ABSENT)
        path = path[:-1]
        if look_up(tree, path) or look_up(former, path) is not ABSENT:
            break
    return text, tree


def _check(form: Form, text: str, meant: dict[str, Any]) -> None:
    try:
        sound = form.editor.read(text) == meant
    except Unfit:
        sound = False
    if not sound:
        raise Unfit("it is written in a way that is not understood well enough to be changed safely")
