"""Writes the table of docs/clients.md from what its tests show: ``python -m tests.support.client_table``."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "clients.md"
ROWS: list[dict[str, str]] = tomllib.loads((ROOT / "tests/e2e/clients/table.toml").read_text())["rows"]
COLUMNS = ("chat", "stream", "tools", "image", "structured", "vectors", "error", "cancel")
TABLE = re.compile(r"^\| Client \| API .*?(?=\n\n)", re.DOTALL | re.MULTILINE)

_FAILS = "fails: "
[_SDKS] = re.findall(r"^SDKS := (.*)", (ROOT / "Makefile").read_text(), re.MULTILINE)


def page() -> str:
    """Return the page as it should be."""
    return TABLE.sub(lambda _: "\n".join(_lines()), PAGE.read_text(encoding="utf-8"))


def shown() -> Iterator[tuple[str, str, str]]:
    """Give each client, and the file and the name of every test that is to show something of it."""
    for row in ROWS:
        for cell in filter(None, map(row.get, COLUMNS)):
            if not cell.startswith(_FAILS):
                file, _, name = cell.rpartition("::")
                yield row["client"], file or row["suite"], name


def tests(file: str) -> set[str]:
    """Return the names of the tests in *file*; those of a class that is inherited begin with its name."""
    text = (ROOT / file).read_text(encoding="utf-8")
    if file.endswith(".mjs"):
        return {title for _, title in re.findall(r'\btest\((["`])(.+?)\1', text)}
    nodes = list(ast.walk(ast.parse(text)))
    named = {one.name for one in nodes if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}
    return named | {base.id for one in nodes if isinstance(one, ast.ClassDef) for base in _names(one.bases)}


def _names(bases: list[ast.expr]) -> list[ast.Name]:
    return [base for base in bases if isinstance(base, ast.Name)]


def _lines() -> Iterator[str]:
    yield "| Client | API | " + " | ".join(COLUMNS) + " | run by |"
    yield "|---" * (len(COLUMNS) + 3) + "|"
    for row in ROWS:
        marks = [_mark(row.get(column)) for column in COLUMNS]
        yield f"| {row['client']} | {row['api']} | {' | '.join(marks)} | {_run_by(row['suite'])} |"


def _mark(cell: Any) -> str:
    if cell is None:
        return "-"
    return cell if cell.startswith(_FAILS) else "yes"


def _run_by(suite: str) -> str:
    if not suite.startswith("tests/e2e/"):
        return "`make test`"
    name = Path(suite).stem.removeprefix("with_")
    return "`make sdks`" if name in _SDKS.split() and suite.endswith(".py") else "`make e2e`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
