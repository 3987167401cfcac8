"""Receipts and usage as people take them away: JSON, one a line, and CSV."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec


def plain(receipt: Mapping[str, Any]) -> dict[str, Any]:
    """Return *receipt* with its trail as JSON, not as a text of it."""
    return {**receipt, "trail": msgspec.Raw(receipt["trail"].encode() or b"[]")}


def json_line(receipt: Mapping[str, Any]) -> str:
    """Return *receipt* as one line of JSON."""
    return msgspec.json.encode(plain(receipt)).decode() + "\n"


def csv_writer() -> Callable[[Mapping[str, Any]], str]:
    """Return what makes a line of CSV, the first with the names above it."""
    named = False

    def write(line: Mapping[str, Any]) -> str:
        nonlocal named
        text = io.StringIO()
        rows = csv.DictWriter(text, list(line), lineterminator="\n")
        if not named:
            rows.writeheader()
            named = True
        rows.writerow({name: _inert(value) for name, value in line.items()})
        return text.getvalue()

    return write


def csv_text(lines: Iterable[Mapping[str, Any]]) -> str:
    """Return *lines* as CSV."""
    return "".join(map(csv_writer(), lines))


def _inert(value: object) -> object:
    """Return *value* so that no spreadsheet takes a text from outside for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value
