"""JSON with comments and trailing commas, edited as text: nothing but the value in question is touched."""

import json
from functools import lru_cache
from typing import Any

from msgspec import Struct

from freeroute.commands.connecting.trees import Path, Step, Unfit, Written, is_meant, place_of, said

EMPTY = "{}\n"

_BLANK = " \t\r\n"
_DECODER = json.JSONDecoder()


class _Node(Struct):
    """A value and where it stands; its *parts* if it is an object or an array."""

    start: int
    end: int
    value: Any
    parts: "list[_Part]" = []

    def part(self, step: Step) -> "_Part | None":
        """Return the part that *step* means: of several members with one key, the last counts."""
        if isinstance(step, str):
            return next((one for one in reversed(self.parts) if one.key == step), None)
        items = (one for one in self.parts if isinstance(self.value, list) and is_meant(one.node.value, step))
        return next(items, None)


class _Part(Struct):
    """A value inside of another, and where it starts, with its *key* in an object; items have none."""

    key: str | None
    start: int
    node: _Node


def read(text: str) -> dict[str, Any]:
    """Return the content of *text*; raises Unfit."""
    value = _parsed(text).value
    if not isinstance(value, dict):
        raise Unfit("this is not a JSON object", (1, 1))
    return value


def put(text: str, path: Path, value: Any) -> str:
    """Return *text* with *value* at *path*."""
    node, rest = _nearest(_parsed(text), path)
    if rest and node.value is None:
        value, rest = _nested(rest, value), ()
    if not rest:
        inner = _indent_of(text, node.start)
        return text[: node.start] + _dumped(value, inner, _unit(text)) + text[node.end :]
    kind, called = (dict, "an object") if isinstance(rest[0], str) else (list, "an array")
    if not isinstance(node.value, kind):
        raise Unfit(f"{said(rest[:1])} belongs into {called}, and there is none", place_of(text, node.start))
    if isinstance(rest[0], str):
        return _inserted(text, node, rest[0], _nested(rest[1:], value))
    return _inserted(text, node, None, _nested(rest, value)[0])


def source(text: str, path: Path) -> str | None:
    """Return how the value at *path* is written, None if it is not."""
    node, rest = _nearest(_parsed(text), path)
    return None if rest else text[node.start : node.end]


def drop(text: str, path: Path) -> str:
    """Return *text* without what is at *path*, which has to be there."""
    around, _ = _nearest(_parsed(text), path[:-1])
    member = around.part(path[-1])
    assert member is not None
    place = around.parts.index(member)
    comma = _comma_after(text, member.node.end)
    cuts = [(_line_start(text, member.start), comma or member.node.end)]
    if comma is None and place:
        end = around.parts[place - 1].node.end
        previous = _comma_after(text, end)
        assert previous is not None
        cuts.insert(0, (previous - 1, previous))
    for start, end in reversed(cuts):
        text = text[:start] + text[end:]
    emptied = around.end - sum(end - start for start, end in cuts)
    inside = text[around.start + 1 : emptied - 1]
    return text if inside.strip() else text[: around.start + 1] + text[emptied - 1 :]


def _nested(path: Path, value: Any) -> Any:
    for step in reversed(path):
        value = {step: value} if isinstance(step, str) else [{step[0]: step[1], **value}]
    return value


def _nearest(node: _Node, path: Path) -> tuple[_Node, Path]:
    """Return the last node on *path* that is there, and the rest of the path."""
    for at, step in enumerate(path):
        part = node.part(step)
        if part is None:
            return node, path[at:]
        node = part.node
    return node, ()


# --- writing ---------------------------------------------------------------------------------------------


def _inserted(text: str, node: _Node, key: str | None, value: Any) -> str:
    eol = "\r\n" if "\r\n" in text else "\n"
    outer, unit = _indent_of(text, node.start), _unit(text)
    name = "" if key is None else f"{json.dumps(key, ensure_ascii=False)}: "
    if not node.parts:
        inside = text[node.start + 1 : node.end - 1]
        line = f"{eol}{outer}{unit}{name}{_dumped(value, outer + unit, unit)}"
        end = inside if inside.strip() else f"{eol}{outer}"
        return f"{text[: node.start + 1]}{line}{end}{text[node.end - 1 :]}"
    last = node.parts[-1]
    comma = _comma_after(text, last.node.end)
    if "\n" not in text[node.start : node.end]:
        at = comma or last.node.end
        compact = json.dumps(value, ensure_ascii=False)
        return f"{text[:at]}{' ' if comma else ', '}{name}{compact}{text[at:]}"
    inner = _indent_of(text, last.start)
    line = f"{eol}{inner}{name}{_dumped(value, inner, unit)}{',' if comma else ''}"
    if comma is None:
        text = f"{text[: last.node.end]},{text[last.node.end :]}"
        comma = last.node.end + 1
    at = _line_end(text, comma)
    return text[:at] + line + text[at:]


def _dumped(value: Any, inner: str, unit: str) -> str:
    if isinstance(value, Written):
        return str(value)
    lines = json.dumps(value, indent=unit, ensure_ascii=False).split("\n")
    return ("\n" + inner).join(lines)


def _unit(text: str) -> str:
    """Return by what each level is indented."""
    root = _parsed(text)
    return _indent_of(text, root.parts[0].start) or "  " if root.parts else "  "


def _indent_of(text: str, offset: int) -> str:
    line = text[text.rfind("\n", 0, offset) + 1 : offset]
    return line[: len(line) - len(line.lstrip())]


def _line_start(text: str, offset: int) -> int:
    """Return where the line of *offset* begins, with its line break, if nothing stands before it there."""
    start = len(text[:offset].rstrip(" \t"))
    if start and text[start - 1] == "\n":
        start -= 2 if text[start - 2 : start] == "\r\n" else 1
        return start
    return start


def _line_end(text: str, offset: int) -> int:
    """Return the end of the line if only blanks and comments follow *offset* on it, else *offset*."""
    at = offset
    while at < len(text):
        if text[at] in "\r\n":
            return at
        if text.startswith("//", at):
            found = text.find("\n", at)
            return len(text) if found < 0 else found - (text[found - 1] == "\r")
        if text.startswith("/*", at):
            at = text.index("*/", at) + 2
        elif text[at] in " \t":
            at += 1
        else:
            return offset
    return at


# --- reading ---------------------------------------------------------------------------------------------


def _comma_after(text: str, offset: int) -> int | None:
    """Return where the comma after *offset* ends, None if there is none."""
    at = _skipped(text, offset)
    return at + 1 if text.startswith(",", at) else None


@lru_cache(maxsize=1)  # one change asks for it several times
def _parsed(text: str) -> _Node:
    try:
        node = _value(text, _skipped(text, 0))
    except RecursionError as exc:
        raise Unfit("this is nested too deeply") from exc
    end = _skipped(text, node.end)
    if end < len(text):
        raise Unfit("something follows the end of the content", place_of(text, end))
    return node


def _skipped(text: str, at: int) -> int:
    """Return where blanks and comments from *at* on end."""
    while at < len(text):
        if text[at] in _BLANK:
            at += 1
        elif text.startswith("//", at):
            found = text.find("\n", at)
            at = len(text) if found < 0 else found
        elif text.startswith("/*", at):
            found = text.find("*/", at)
            if found < 0:
                raise Unfit("this comment does not end", place_of(text, at))
            at = found + 2
        else:
            break
    return at


def _value(text: str, at: int) -> _Node:
    if text.startswith("{", at):
        return _object(text, at)
    if text.startswith("[", at):
        return _array(text, at)
    try:
        value, end = _DECODER.raw_decode(text, at)
    except json.JSONDecodeError as exc:
        raise Unfit("a value should stand here", place_of(text, at)) from exc
    return _Node(at, end, value)


def _object(text: str, start: int) -> _Node:
    members: list[_Part] = []
    at = _skipped(text, start + 1)
    while not text.startswith("}", at):
        if not text.startswith('"', at):
            raise Unfit("a key in quotes, or the end of the object, should stand here", place_of(text, at))
        key = _value(text, at)
        colon = _skipped(text, key.end)
        if not text.startswith(":", colon):
            raise Unfit("a colon should stand here", place_of(text, colon))
        node = _value(text, _skipped(text, colon + 1))
        members.append(_Part(key.value, at, node))
        at = _next(text, node.end, "}")
    return _Node(start, at + 1, {one.key: one.node.value for one in members}, members)


def _array(text: str, start: int) -> _Node:
    items: list[_Part] = []
    at = _skipped(text, start + 1)
    while not text.startswith("]", at):
        node = _value(text, at)
        items.append(_Part(None, at, node))
        at = _next(text, node.end, "]")
    return _Node(start, at + 1, [one.node.value for one in items], items)


def _next(text: str, end: int, closing: str) -> int:
    """Return where the next member begins, or where *closing* stands."""
    at = _skipped(text, end)
    if text.startswith(",", at):
        return _skipped(text, at + 1)
    if not text.startswith(closing, at):
        raise Unfit(f"a comma or {closing} should stand here", place_of(text, at))
    return at
