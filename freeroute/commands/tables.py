"""Columns for a terminal that are still lines for ``grep``: nothing is cut off, nothing is drawn."""

import json
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")

GAP = "  "


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return *rows* under *head*, aligned to the left and fit for a terminal; the last column may be wide."""
    lines = [list(map(plain, line)) for line in (head, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        GAP.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def listed(
    found: Sequence[T], head: Sequence[str], line: Callable[[T], Sequence[str]], none: str, *, as_json: bool
) -> str:
    """Return *found* as JSON, or as a table of a *line* for each; *none* is said where there is nothing."""
    if as_json:
        return json.dumps(found, indent=2)
    return table(head, [line(one) for one in found]) if found else none


def plain(text: str) -> str:
    """Return *text* on one line, fit for a terminal."""
    return "".join(char if char.isprintable() else " " for char in text)


def ago(seconds: float) -> str:
    """Return a length of time as people say it: ``41 s``, ``12 min``, ``5 h``, ``3 d``."""
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0.0):.0f} s"


def tokens(count: int | None) -> str:
    """Return a number of tokens in short: ``131k``, ``1.0M``."""
    if count is None:
        return "-"
    if count >= 999_500:
        return f"{count / 1e6:.1f}M"
    return f"{count / 1000:.0f}k" if count >= 1000 else str(count)
