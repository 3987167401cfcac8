"""YAML edited as text: keys at the top, and items of lists there. Where things stand, the parser tells."""

import json
from collections.abc import Iterator
from typing import Any

import yaml

from freeroute.commands.connecting.trees import Path, Unfit, place_of

EMPTY = ""


def read(text: str) -> dict[str, Any]:
    """Return the content of *text*; raises Unfit."""
    try:
        value = yaml.safe_load(text)
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark
        raise Unfit("this is not valid YAML", (mark.line + 1, mark.column + 1) if mark else None) from exc
    except (yaml.YAMLError, RecursionError, ValueError) as exc:
        raise Unfit("this is not valid YAML") from exc
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Unfit("this is not a mapping", (1, 1))
    return value


def put(text: str, path: Path, value: Any) -> str:
    """Return *text* with *value* at *path*: a plain value at the top, or an item of a list there."""
    eol = "\r\n" if "\r\n" in text else "\n"
    key = str(path[0])
    node = _at_top(text, key)
    if len(path) == 1:
        return _with_line(text, f"{key}: {_plain(value)}", eol) if node is None else _over(text, node, value)
    if node is None or _is_empty(node):
        text = text if node is None else drop(text, (key,))
        return _with_line(text, eol.join([f"{key}:", *_item(value, "  ")]), eol)
    if not isinstance(node, yaml.SequenceNode) or node.flow_style:
        raise Unfit(f"{key} is not a list with an item on each line", place_of(text, node.start_mark.index))
    item = next((one for one in node.value if _is(one, path[1])), None)
    dash = _dash(text, node.value[0])
    indent = text[text.rfind("\n", 0, dash) + 1 : dash]
    lines = eol.join(_item(value, indent))
    if item is None:
        at = _line_end(text, _end(node.value[-1]))
        return text[:at] + eol + lines + text[at:]
    start = text.rfind("\n", 0, _dash(text, item)) + 1
    return text[:start] + lines + text[_line_end(text, _end(item)) :]


def drop(text: str, path: Path) -> str:
    """Return *text* without what is at *path*, which has to be there."""
    node = _at_top(text, str(path[0]))
    assert node is not None
    if len(path) == 1:
        start = text.rfind("\n", 0, _key_at(text, str(path[0])).start_mark.index) + 1
        end = _line_end(text, _end(node))
    else:
        item = next(one for one in node.value if _is(one, path[1]))
        start, end = text.rfind("\n", 0, _dash(text, item)) + 1, _line_end(text, _end(item))
    rest = text[end:]
    rest = rest[2:] if rest.startswith("\r\n") else rest[1:]
    if len(path) == 2 and len(node.value) == 1:
        key = text.rfind("\n", 0, _key_at(text, str(path[0])).end_mark.index) + 1
        return text[:key] + f"{path[0]}: []\n" + rest
    return text[:start] + rest


def _members(text: str) -> Iterator[tuple[Any, Any]]:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as exc:
        raise Unfit("this is not valid YAML") from exc
    if root is None:
        return
    if not isinstance(root, yaml.MappingNode) or root.flow_style:
        raise Unfit("this is not a mapping with a key on each line", (1, 1))
    yield from root.value


def _at_top(text: str, key: str) -> Any:
    return next((node for name, node in _members(text) if name.value == key), None)


def _key_at(text: str, key: str) -> Any:
    return next(name for name, _ in _members(text) if name.value == key)


def _is(item: Any, step: Any) -> bool:
    if not isinstance(item, yaml.MappingNode):
        return False
    return any(name.value == step[0] and node.value == step[1] for name, node in item.value)


def _is_empty(node: Any) -> bool:
    if isinstance(node, yaml.ScalarNode):
        return node.tag == "tag:yaml.org,2002:null"
    return isinstance(node, yaml.SequenceNode) and not node.value


def _over(text: str, node: Any, value: Any) -> str:
    if not isinstance(node, yaml.ScalarNode) or node.style in {"|", ">"}:
        raise Unfit("a plain value should stand here", place_of(text, node.start_mark.index))
    start, end = node.start_mark.index, node.end_mark.index
    gap = " " if start == end and text[start - 1 : start] == ":" else ""
    return text[:start] + gap + _plain(value) + text[end:]


def _with_line(text: str, line: str, eol: str) -> str:
    gap = "" if not text or text.endswith("\n") else eol
    return text + gap + line + eol


def _item(value: dict[str, Any], indent: str) -> list[str]:
    lines = [f"{name}: {_plain(one)}" for name, one in value.items()]
    return [f"{indent}{'- ' if at == 0 else '  '}{line}" for at, line in enumerate(lines)]


def _dash(text: str, item: Any) -> int:
    """Return where the dash before *item* stands."""
    return text.rfind("-", 0, item.start_mark.index)


def _end(node: Any) -> int:
    """Return where *node* ends, without the blank lines and comments that follow it."""
    if isinstance(node, yaml.ScalarNode) or node.flow_style:
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


def _plain(value: Any) -> str:
    # Whatever is JSON is YAML, and what is in quotes is never taken for a number.
    return json.dumps(value, ensure_ascii=False)
