"""The promises around the code: what is declared, what is locked, and what the documents point at."""

import ast
import importlib.metadata
import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
LOCKS = (
    "requirements.lock",
    "requirements-build.lock",
    "requirements-dev.lock",
    *(path.relative_to(ROOT).as_posix() for path in sorted(ROOT.glob("tests/e2e/clients/*.lock"))),
)
# What extras bring is imported where it is asked for alone.
EXTRAS = {"opentelemetry"}
PIN = re.compile(r"^(?P<name>[a-z0-9._-]+)==(?P<version>[^ ;]+)", re.MULTILINE)
LINK = re.compile(r"\[[^\]\[]*\]\((?P<target>[^)\s]+)\)")
MAKE = re.compile(r"`make (?P<target>[a-z0-9-]+)")


def test_every_import_of_the_package_is_a_declared_dependency():
    declared = {_normal(re.split(r"[^\w.-]", line)[0]) for line in _project()["dependencies"]}
    distributions = importlib.metadata.packages_distributions()
    undeclared = {
        name
        for name in _imported(ROOT / "freeroute")
        if name not in {*sys.stdlib_module_names, *EXTRAS, "freeroute"}
        and declared.isdisjoint(_normal(dist) for dist in distributions.get(name, [name]))
    }
    assert undeclared == set()


def test_every_declared_dependency_is_locked():
    extras = [line for lines in _project()["optional-dependencies"].values() for line in lines]
    declared = {_normal(re.split(r"[^\w.-]", line)[0]) for line in [*_project()["dependencies"], *extras]}
    assert declared <= _pins("requirements.lock").keys()


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_index_and_no_local_file_and_hashes_every_pin(lock):
    text = (ROOT / lock).read_text()
    assert not re.search(r"://|--index|--find-links|^[-/.]", text, re.MULTILINE)
    blocks = re.split(r"\n(?=[a-z])", text)
    assert [block for block in blocks if PIN.match(block) and "--hash=sha256:" not in block] == []


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-build.lock"])
def test_the_locks_agree(lock):
    assert _pins(lock).items() <= _pins("requirements-dev.lock").items()


def test_the_page_on_clients_names_the_versions_that_are_locked():
    page = (ROOT / "docs/clients.md").read_text()
    named = re.findall(r"`([\w@/-]+)` (\d+\.[\d.]*\d)", page)
    packages = [json.loads(path.read_text()) for path in ROOT.glob("tests/e2e/clients/*/package.json")]
    node = [
        one | package.get("optionalDependencies", {})
        for package in packages
        for one in [package["dependencies"]]
    ]
    locked = {pin for pins in [*node, *map(_pins, LOCKS)] for pin in pins.items()}
    assert len(named) > 6
    assert set(named) <= locked


@pytest.mark.parametrize("page", sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("*.md")))
def test_the_links_of_a_page_lead_somewhere(page):
    assert _broken_links(ROOT / page) == []


def test_the_links_of_the_docs_lead_somewhere():
    assert [broken for page in sorted((ROOT / "docs").rglob("*.md")) for broken in _broken_links(page)] == []


def test_every_make_target_that_a_page_names_exists():
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    named = {match["target"] for page in pages for match in MAKE.finditer(page.read_text())}
    assert named <= targets


def _project() -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _pins(lock: str) -> dict[str, str]:
    return {match["name"]: match["version"] for match in PIN.finditer((ROOT / lock).read_text())}


def _imported(package: Path) -> set[str]:
    names: set[str] = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(), str(path))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names.add(node.module.split(".")[0])
    return names


def _broken_links(page: Path) -> list[str]:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    return [
        f"{page.relative_to(ROOT)}: {target}"
        for target in (match["target"] for match in LINK.finditer(text))
        if not re.match(r"[a-z]+:", target) and not _leads_somewhere(page, target)
    ]


def _leads_somewhere(page: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    file = (page.parent / path) if path else page
    return file.exists() and (not anchor or file.is_dir() or anchor in _anchors(file))


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ +(.+?) *$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
