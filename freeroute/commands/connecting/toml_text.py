"""TOML edited as text: keys at the top, tables, and keys in these. Reading it shows how it came out."""

import json
import re
import tomllib
from typing import Any

from freeroute.commands.connecting.trees import ABSENT, Path, Unfit, Written, look_up, place_of

EMPTY = ""

_HEADER = re.compile(r"^[ \t]*\[", re.MULTILINE)
_AT = re.compile(r"\(at line (\d+), column (\d+)\)")
_TOKEN = re.compile(
    r"""(?s:\"{3}(?:[^\\]|\\.)*?\"{3,5}|'{3}.*?'{3,5})"""
    r"""|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|\#[^\n]*|[\[\]{}\n]"""
)


def read(text: str) -> dict[str, Any]:
    """Return the content of *text*; raises Unfit."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        found = _AT.search(str(exc))
        place = (int(found[1]), int(found[2])) if found else None
        raise Unfit("this is not valid TOML", place) from exc
    except RecursionError as exc:
        raise Unfit("this is nested too deeply") from exc


def put(text: str, path: Path, value: Any) -> str:
    """Return *text* with *value* at *path*: a table of plain values, or one of these in it or at the top."""
    eol = "\r\n" if "\r\n" in text else "\n"
    if isinstance(value, dict):
        return _with_table(text, path, value, eol)
    line = _line(text, path)
    if line is not None:
        return f"{text[: line.start('value')]}{_dumped(value)}{text[line.end('value') :]}"
    if look_up(read(text), path) is not ABSENT:
        raise Unfit(f"the value of {_dotted(path)} is not written on one line of its own", _told(text, path))
    if len(path) > 1 and _header(text, path[:-1]) is None:
        return _with_table(text, path[:-1], {path[-1]: value}, eol)
    at = _last_line_end(text, *_body(text, path[:-1]))
    new = f"{_key(str(path[-1]))} = {_dumped(value)}{eol}"
    gap = eol if at and not text[:at].endswith("\n") else ""
    return f"{text[:at]}{gap}{new}{text[at:]}"


def source(text: str, path: Path) -> str | None:
    """Return how the plain value at *path* is written, None if that is not on one line of its own."""
    line = _line(text, path)
    return None if line is None else text[line.start("value") : line.end("value")]


def drop(text: str, path: Path) -> str:
    """Return *text* without what is at *path*, which has to be there."""
    value = look_up(read(text), path)
    if not isinstance(value, dict):
        line = _line(text, path)
        if line is None:
            raise Unfit(f"{_dotted(path)} is not written on one line of its own", _told(text, path))
        return text[: line.start()] + text[line.end() :]
    inner = [(*path, name) for name, one in value.items() if isinstance(one, dict)]
    for table in inner:
        text = drop(text, table)
    if _header(text, path) is None:
        if not inner or look_up(read(text), path):
            raise Unfit(f"{_dotted(path)} is not written as a table of its own", _told(text, path))
        return text
    return _without_table(text, path)


def _with_table(text: str, path: Path, value: dict[Any, Any], eol: str) -> str:
    lines = [f"[{_dotted(path)}]", *(f"{_key(name)} = {_dumped(one)}" for name, one in value.items())]
    gap = "" if not text else eol if text.endswith("\n") else eol * 2
    made = text + gap + eol.join(lines) + eol
    try:
        read(made)
    except Unfit as exc:
        raise Unfit(f"{path[0]} is not written as tables of their own", _told(text, path)) from exc
    return made


def _without_table(text: str, path: Path) -> str:
    header = _header(text, path)
    assert header is not None
    before, after = text[: header.start()], text[_last_line_end(text, *_body(text, path)) :]
    if not after.strip():
        return before.rstrip() + ("\n" if before.strip() else "")
    return before + (after.lstrip("\r\n") if not before or before.endswith(("\n\n", "\n\r\n")) else after)


# --- where things stand ----------------------------------------------------------------------------------


def _flat(text: str) -> str:
    """Return *text* with no end of a line inside of a value: what begins a line begins something."""
    flat, depth = list(text), 0
    for token in _TOKEN.finditer(text):
        word = token[0]
        if word in "[{":
            depth += 1
        elif word in "]}":
            depth -= 1
        elif (word == "\n" and depth) or word.startswith(('"""', "'''")):
            flat[token.start() : token.end()] = re.sub(r"[\r\n]", " ", word)
        elif depth and word.startswith("#"):
            flat[token.start() : token.end()] = " " * len(word)
    return "".join(flat)


def _header(text: str, path: Path) -> re.Match[str] | None:
    """Return the line that begins the table at *path*."""
    pattern = rf"^[ \t]*\[[ \t]*{_names(path)}[ \t]*\][^\n]*(?:\n|\Z)"
    return re.compile(pattern, re.MULTILINE).search(_flat(text))


def _body(text: str, path: Path) -> tuple[int, int]:
    """Return where what is in the table at *path* begins and ends; no path is what comes before tables."""
    header = _header(text, path) if path else None
    start = header.end() if header else 0
    following = _HEADER.search(_flat(text), start)
    return start, len(text) if following is None else following.start()


def _line(text: str, path: Path) -> re.Match[str] | None:
    """Return the line that gives the key at *path*, with its value."""
    if len(path) > 1 and _header(text, path[:-1]) is None:
        return None
    value = r"(?P<value>\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'|[^#\"'\s\[{][^#\n\r]*?)"
    pattern = rf"^[ \t]*{_names(path[-1:])}[ \t]*=[ \t]*{value}[ \t]*(?:#[^\n]*)?\r?(?:\n|\Z)"
    return re.compile(pattern, re.MULTILINE).search(_flat(text), *_body(text, path[:-1]))


def _last_line_end(text: str, start: int, end: int) -> int:
    """Return where the last line between *start* and *end* ends that is not blank and no comment."""
    lines = re.compile(r"^[ \t]*[^#\s][^\n]*(?:\n|\Z)", re.MULTILINE).finditer(_flat(text), start, end)
    return max((line.end() for line in lines), default=start)


def _told(text: str, path: Path) -> tuple[int, int] | None:
    """Return where that is written which *path* leads to, or what is around it."""
    for at in reversed(range(len(path))):
        if at and _header(text, path[:at]) is None:
            continue
        pattern = rf"^[ \t]*{_names(path[at : at + 1])}[ \t]*[=.]"
        found = re.compile(pattern, re.MULTILINE).search(_flat(text), *_body(text, path[:at]))
        if found:
            return place_of(text, found.start())
    return None


def _names(path: Path) -> str:
    each = (re.escape(str(one)) for one in path)
    return r"[ \t]*\.[ \t]*".join(f"(?:{one}|\"{one}\"|'{one}')" for one in each)


def _dotted(path: Path) -> str:
    return ".".join(_key(str(step)) for step in path)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[\w-]+", name, re.ASCII) else json.dumps(name)


def _dumped(value: Any) -> str:
    # Strings, numbers and booleans of JSON are those of TOML.
    return str(value) if isinstance(value, Written) else json.dumps(value, ensure_ascii=False)
