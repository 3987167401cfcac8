"""YAML edited as text: keys at the top, items of lists there, and keys of these. A parser tells where."""

import json
from collections.abc import Iterator
from typing import Any

import yaml

from freeroute.commands.connecting.trees import Path, Unfit, Written, place_of

EMPTY = ""


def read(text: str) -> dict[str, Any]:
    """Return the content of *text*; raises Unfit."""
    try:
        value = yaml.safe_load(text)
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark
        several = exc.problem == "but found another document"
        why = "another document begins here" if several else "this is not valid YAML"
        raise Unfit(why, (mark.line + 1, mark.column + 1) if mark else None) from exc
    except (yaml.YAMLError, RecursionError, ValueError) as exc:
        raise Unfit("this is not valid YAML") from exc
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Unfit("this is not a mapping", (1, 1))
    return value


def put(text: str, path: Path, value: Any) -> str:
    """Return *text* with *value* at *path*: a plain value at the top, an item of a list there, or in one."""
    eol = "\r\n" if "\r\n" in text else "\n"
    found = _at_top(text, str(path[0]))
    if len(path) == 1:
        line = f"{path[0]}: {_plain(value)}"
        return _added(text, line, eol) if found is None else _over(text, *found, value)
    if len(path) == 2:
        return _with_item(text, found, path, value, eol)
    item = _item(found, path[1])
    if item is None:
        return _with_item(text, found, path[:2], {path[1][0]: path[1][1], path[2]: value}, eol)
    inner = _member(item, path[2])
    if inner is not None:
        return _over(text, *inner, value)
    line = f"{path[2]}: {_plain(value)}"
    if item.flow_style:
        at, before = _end(item) - 1, ", "
    else:
        at, before = _line_end(text, _end(item)), eol + " " * item.value[0][0].start_mark.column
    return text[:at] + before + line + text[at:]


def source(text: str, path: Path) -> str | None:
    """Return how the value at *path* is written, None if it is not, but merged in."""
    found = _at_top(text, str(path[0]))
    if len(path) > 1 and found:
        item = _item(found, path[1])
        found = None if item is None or len(path) == 2 else _member(item, path[2])
    if found is None:
        return None
    key, node = found
    return text[_line_end(text, _colon(text, key)) if _is_block(node) else node.start_mark.index : _end(node)]


def drop(text: str, path: Path) -> str:
    """Return *text* without what is at *path*, which has to be there."""
    found = _at_top(text, str(path[0]))
    if found is None:
        raise Unfit(f"{path[0]} is merged in from elsewhere")
    key, node = found
    if len(path) == 1:
        return _without_lines(text, key.start_mark.index, _end(node))
    item = _item(found, path[1])
    if len(path) == 3:
        return _without_member(text, item, path[2])
    text = _without_lines(text, _dash(text, item), _end(item))
    if len(node.value) > 1:
        return text
    return f"{text[: _colon(text, key)]} []{text[_colon(text, key) :]}"


# --- writing ---------------------------------------------------------------------------------------------


def _with_item(text: str, found: Any, path: Path, value: dict[Any, Any], eol: str) -> str:
    if found is None:
        return _added(text, eol.join([f"{path[0]}:", *_lines(value, "  ")]), eol)
    key, node = found
    if _is_empty(node):
        text = text[: _colon(text, key)] + text[max(_colon(text, key), node.end_mark.index) :]
        at = _line_end(text, _colon(text, key))
        return text[:at] + eol + eol.join(_lines(value, "  ")) + (text[at:] or eol)
    if not isinstance(node, yaml.SequenceNode) or node.flow_style:
        raise Unfit(
            f"{path[0]} is not a list with an item on each line", place_of(text, key.start_mark.index)
        )
    dash = _dash(text, node.value[0])
    at = _line_end(text, _end(node))
    return text[:at] + eol + eol.join(_lines(value, text[text.rfind("\n", 0, dash) + 1 : dash])) + text[at:]


def _over(text: str, key: Any, node: Any, value: Any) -> str:
    """Return *text* with *value* over *node*, which is the value of *key*."""
    start, colon = node.start_mark.index, _colon(text, key)
    place = place_of(text, key.start_mark.index)
    if start < key.end_mark.index:
        raise Unfit(f"{key.value} stands for what is written elsewhere", place)
    if text.startswith("&", start) and _is_referred_to(text, text[start + 1 :].split(maxsplit=1)[0]):
        raise Unfit(f"what {key.value} is, is referred to from elsewhere", place)
    new, end = _plain(value), _end(node)
    if isinstance(node, yaml.SequenceNode) and isinstance(value, list | Written):
        if _is_block(node):
            comment = text[colon : _line_end(text, colon)]
            return f"{text[:colon]}{' ' if new else ''}{new}{comment}{text[end:]}"
    elif not isinstance(node, yaml.ScalarNode) or node.style in {"|", ">"}:
        raise Unfit(f"a plain value of {key.value} should stand here", place)
    if new.startswith(("\n", "\r\n")):  # lines below the key
        after = _line_end(text, end)
        return text[:colon] + text[end:after] + new + text[after:]
    gap = " " if new and text[start - 1] == ":" else ""
    return text[: start if new else colon] + gap + new + text[end:]


def _added(text: str, lines: str, eol: str) -> str:
    """Return *text* with *lines* at its end, or where the end of the document is marked."""
    events: list[Any] = list(yaml.parse(text, Loader=yaml.SafeLoader))
    marks = [one.start_mark for one in events if isinstance(one, yaml.DocumentEndEvent) and one.explicit]
    at = marks[0].index if marks and marks[0] else len(text)
    gap = "" if not at or text[at - 1] == "\n" else eol
    return text[:at] + gap + lines + eol + text[at:]


def _without_lines(text: str, start: int, end: int) -> str:
    rest = text[_line_end(text, end) :]
    return text[: text.rfind("\n", 0, start) + 1] + rest.removeprefix("\r").removeprefix("\n")


def _without_member(text: str, item: Any, key: Any) -> str:
    at = next(at for at, (name, _) in enumerate(item.value) if name.value == key)
    name, node = item.value[at]
    if at and not item.flow_style:
        return _without_lines(text, name.start_mark.index, _end(node))
    if at:
        return text[: _end(item.value[at - 1][1])] + text[_end(node) :]
    return text[: name.start_mark.index] + text[item.value[1][0].start_mark.index :]


def _lines(value: dict[Any, Any], indent: str) -> list[str]:
    lines = [f"{name}: {_plain(one)}" for name, one in value.items()]
    return [f"{indent}{'- ' if at == 0 else '  '}{line}" for at, line in enumerate(lines)]


def _plain(value: Any) -> str:
    # Whatever is JSON is YAML, and what is in quotes is never taken for a number.
    return str(value) if isinstance(value, Written) else json.dumps(value, ensure_ascii=False)


# --- where things stand ----------------------------------------------------------------------------------


def _members(text: str) -> Iterator[tuple[Any, Any]]:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as exc:
        raise Unfit("this is not valid YAML") from exc
    if root is None or _is_empty(root):
        return
    if not isinstance(root, yaml.MappingNode) or root.flow_style:
        raise Unfit("this is not a mapping with a key on each line", (1, 1))
    yield from root.value


def _at_top(text: str, name: str) -> tuple[Any, Any] | None:
    """Return the key called *name* that counts, of several the last, and its value; None if there is none."""
    return next(((key, node) for key, node in reversed([*_members(text)]) if key.value == name), None)


def _item(found: tuple[Any, Any] | None, step: Any) -> Any:
    """Return the item meant by *step* of the list *found* under a key, None if there is none."""
    if found is None or not isinstance(found[1], yaml.SequenceNode):
        return None
    return next((one for one in found[1].value if _is(one, step)), None)


def _member(item: Any, name: Any) -> tuple[Any, Any] | None:
    return next(((key, node) for key, node in reversed(item.value) if key.value == name), None)


def _is(item: Any, step: Any) -> bool:
    if not isinstance(item, yaml.MappingNode):
        return False
    return any(name.value == step[0] and node.value == step[1] for name, node in item.value)


def _is_empty(node: Any) -> bool:
    if isinstance(node, yaml.ScalarNode):
        return bool(node.tag == "tag:yaml.org,2002:null")
    return isinstance(node, yaml.SequenceNode) and not node.value


def _is_block(node: Any) -> bool:
    return not isinstance(node, yaml.ScalarNode) and not node.flow_style


def _is_referred_to(text: str, name: str) -> bool:
    tokens: list[Any] = list(yaml.scan(text, Loader=yaml.SafeLoader))
    return any(isinstance(one, yaml.AliasToken) and one.value == name for one in tokens)


def _colon(text: str, key: Any) -> int:
    """Return where the colon after *key* ends."""
    return text.index(":", key.end_mark.index) + 1


def _dash(text: str, item: Any) -> int:
    """Return where the dash before *item* stands."""
    return text.rfind("-", 0, item.start_mark.index)


def _end(node: Any) -> int:
    """Return where *node* ends, without the blank lines and comments that follow it."""
    if not _is_block(node):
        return int(node.end_mark.index)
    last = node.value[-1]
    return _end(last[1] if isinstance(last, tuple) else last)


def _line_end(text: str, offset: int) -> int:
    if offset and text[offset - 1] == "\n":
        offset -= 1  # a block of text ends after its last line
    found = text.find("\n", offset)
    if found < 0:
        return len(text)
    return found - (text[found - 1] == "\r")
