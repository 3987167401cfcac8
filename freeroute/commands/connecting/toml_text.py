"""TOML edited as text: keys at the top, and whole tables. Reading it shows how it came out."""

import json
import re
import tomllib
from typing import Any

from freeroute.commands.connecting.trees import Path, Unfit, look_up

EMPTY = ""

_HEADER = re.compile(r"^[ \t]*\[", re.MULTILINE)
_AT = re.compile(r"\(at line (\d+), column (\d+)\)")


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
    """Return *text* with *value* at *path*: a table of plain values, or one of these at the top."""
    eol = "\r\n" if "\r\n" in text else "\n"
    if isinstance(value, dict):
        start, end = _table(text, path)
        lines = [f"[{_dotted(path)}]", *(f"{_key(name)} = {_dumped(one)}" for name, one in value.items())]
        table = eol.join(lines) + eol
        if start < 0:
            gap = "" if not text else eol if text.endswith("\n") else eol * 2
            return text + gap + table
        return text[:start] + table + text[end:]
    line = _line(text, path)
    if line is not None:
        return f"{text[: line.start('value')]}{_dumped(value)}{text[line.end('value') :]}"
    at = _top_end(text)
    new = f"{_key(str(path[0]))} = {_dumped(value)}{eol}"
    gap = eol if at and not text[:at].endswith("\n") else ""
    return f"{text[:at]}{gap}{new}{text[at:]}"


def drop(text: str, path: Path) -> str:
    """Return *text* without what is at *path*, which has to be there."""
    if isinstance(look_up(read(text), path), dict):
        start, end = _table(text, path)
        if start < 0:
            raise Unfit(f"{_dotted(path)} is not written as a table of its own")
        before, after = text[:start], text[end:]
        if not after.strip():
            return before.rstrip() + ("\n" if before.strip() else "")
        return before + (after.lstrip("\r\n") if not before or before.endswith(("\n\n", "\n\r\n")) else after)
    line = _line(text, path)
    if line is None:
        raise Unfit(f"{_dotted(path)} is written in a way that is not understood")
    return text[: line.start()] + text[line.end() :]


def _table(text: str, path: Path) -> tuple[int, int]:
    """Return where the table at *path* begins and ends; -1 if it is not there. Comments after it stay."""
    names = r"[ \t]*\.[ \t]*".join(f'(?:{re.escape(str(one))}|"{re.escape(str(one))}")' for one in path)
    found = re.compile(rf"^[ \t]*\[[ \t]*{names}[ \t]*\][^\n]*(?:\n|\Z)", re.MULTILINE).search(text)
    if found is None:
        return -1, -1
    following = _HEADER.search(text, found.end())
    end = len(text) if following is None else following.start()
    lines = text[found.end() : end].splitlines(keepends=True)
    while lines and (not lines[-1].strip() or lines[-1].lstrip().startswith("#")):
        end -= len(lines.pop())
    return found.start(), end


def _top(text: str) -> str:
    """Return what stands before the first table."""
    first = _HEADER.search(text)
    return text if first is None else text[: first.start()]


def _line(text: str, path: Path) -> re.Match[str] | None:
    """Return the line that gives the key at *path* at the top, with its value."""
    key = re.escape(str(path[0]))
    value = r"(?P<value>\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'|[^#\"'\s\[{][^#\n\r]*?)"
    pattern = rf"^[ \t]*(?:{key}|\"{key}\")[ \t]*=[ \t]*{value}[ \t]*(?:#[^\n]*)?\r?(?:\n|\Z)"
    return re.compile(pattern, re.MULTILINE).search(_top(text))


def _top_end(text: str) -> int:
    """Return where a key at the top can be added: after the last that there is, else before everything."""
    ends = [line.end() for line in re.finditer(r"^[ \t]*[^#\s][^\n]*(?:\n|\Z)", _top(text), re.MULTILINE)]
    return ends[-1] if ends else 0


def _dotted(path: Path) -> str:
    return ".".join(_key(str(step)) for step in path)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[\w-]+", name, re.ASCII) else json.dumps(name)


def _dumped(value: Any) -> str:
    # Strings, numbers and booleans of JSON are those of TOML.
    return json.dumps(value, ensure_ascii=False)
