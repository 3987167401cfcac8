"""The table of clients says what tests show, no more and no less."""

import pytest

from tests.e2e.agents import AGENTS, Call
from tests.e2e.test_clients import NODE, PYTHON
from tests.support import client_table
from tests.support.client_table import ROWS
from tests.support.pages import PAGES, ROOT


def test_the_page_has_the_table_as_it_is_written():
    assert PAGES["docs/clients.md"] == client_table.page(), "run: python -m tests.support.client_table"


@pytest.mark.parametrize(("client", "file", "name"), list(client_table.shown()))
def test_what_the_table_says_is_shown_by_a_test(client, file, name):
    there = client_table.tests(file)
    assert name in there or name.partition(".")[0] in there


def test_every_client_that_is_tried_has_a_row():
    named = {row["client"] for row in ROWS}
    assert {*PYTHON.values(), *NODE.values()} - {"MCP"} <= named
    suites = {row["suite"] for row in ROWS}
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests/e2e/clients").rglob("with_*.py")}
    assert files - {"tests/e2e/clients/with_mcp.py"} <= suites


def test_the_rows_of_agents_are_those_that_their_tests_run():
    said = [
        ("tools" in row, "image" in row, "structured" in row)
        for row in ROWS
        if row["suite"] == "tests/e2e/test_agents.py"
    ]
    tried = [
        (any(isinstance(step, Call) for step in agent.steps(ROOT)), bool(agent.shows), bool(agent.fills))
        for agent in AGENTS.values()
    ]
    assert sorted(said) == sorted(tried)
