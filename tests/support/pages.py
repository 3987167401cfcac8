"""The documentation as tests read it: its pages, tables and code blocks, and what they are compared with."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from freeroute.config.entries import read_catalogue
from freeroute.resources import config_dir
from freeroute.surfaces.operator import openapi_document

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
}
CONFIGURATION = PAGES["docs/configuration.md"]
ROUTING = PAGES["docs/routing.md"]
ADDING = PAGES["docs/adding-a-provider.md"]
MODULES = {path: path.read_text(encoding="utf-8") for path in (ROOT / "freeroute").rglob("*.py")}
SOURCE = "\n".join(MODULES.values())
# The simulated providers answer with codes of their own.
OWN_SOURCE = "\n".join(text for path, text in MODULES.items() if not path.name.startswith("simulated"))
OPENAPI = json.loads(openapi_document())
CATALOGUE = read_catalogue(config_dir() / "providers")

Row = list[str]


def prose(page: str) -> str:
    """Return *page* without its code blocks."""
    return re.sub(r"^```.*?^```", "", page, flags=re.DOTALL | re.MULTILINE)


def rows(page: str) -> Iterator[Row]:
    """Give the rows of all tables of *page* as cells."""
    for line in prose(page).splitlines():
        if line.startswith("| ") and line.endswith(" |"):
            yield [cell.strip() for cell in line[1:-1].split("|")]


def codes(text: str) -> list[str]:
    """Return what stands in backticks in *text*."""
    return re.findall(r"`([^`]+)`", text)


def blocks(page: str, *languages: str) -> list[str]:
    """Return the code blocks of *page* in one of *languages*."""
    found = re.findall(r"^```(\w*)[^\n]*\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    return [text for language, text in found if language in languages]


def section(page: str, heading: str) -> str:
    """Return the part of *page* under *heading*."""
    found = re.search(rf"^(#+) {re.escape(heading)}\n(.*?)(?=^#{{1,3}} |\Z)", page, re.DOTALL | re.MULTILINE)
    assert found, heading
    return found[2]
