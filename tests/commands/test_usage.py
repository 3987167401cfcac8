"""``freeroute usage`` and ``freeroute receipts`` over a database as the gateway leaves it."""

import asyncio
import csv
import io
import json
from pathlib import Path

import pytest
from sqlalchemy import text

from freeroute.clock import SystemClock
from freeroute.stores.records.database import Database
from freeroute.stores.records.rows import Batch
from tests.support.receipts import body, row

NOW = SystemClock().now().wall
TRAIL = '[{"provider":"gemini","kind":"rate_limited"}]'
ROWS = (
    row(at=NOW - 7200),
    row(at=NOW - 3600, client="bob", provider="gemini", model="m", first_event=None, trail=TRAIL),
    row(at=NOW - 60, client="bob", provider="", model="", status=502, code="upstream_failed", prompt=5000),
    row(at=NOW - 300 * 86400),
)


def path() -> Path:
    return Path.home() / ".local/state/freeroute/records.db"


def change(statement: str) -> None:
    async def run() -> None:
        database = Database(None, path())
        await database.within(lambda connection: connection.execute(text(statement)))
        await database.close()

    asyncio.run(run())


@pytest.fixture
def records():
    async def write() -> None:
        database = Database(None, path())
        said = body(
            at=ROWS[1].at, client="bob", question='[{"role":"user","content":"=1+1"}]', answer="=2", cut=True
        )
        await database.write(Batch("run", 1, ROWS, (said,)), NOW)
        await database.close()

    path().parent.mkdir(parents=True)
    asyncio.run(write())


@pytest.mark.usefixtures("records")
class TestWithRecords:
    """A gateway was here."""

    def test_usage_is_a_table_with_the_busiest_first(self, run):
        result = run("usage", "--by", "client", "--since", "24h")
        assert [line.split() for line in result.stdout.splitlines()] == [
            ["CLIENT", "REQUESTS", "FAILED", "PROMPT", "COMPLETION", "FIRST", "EVENT", "TOTAL"],
            ["bob", "2", "1", "5k", "40", "0.25", "s", "0.50", "s"],
            ["alice", "1", "0", "10", "20", "0.25", "s", "0.50", "s"],
        ]

    def test_who_answered_is_told_apart_by_itself(self, run):
        lines = run("usage").stdout.splitlines()
        assert {line.split("  ")[0] for line in lines} == {"PROVIDER", "(none)", "gemini", "groq"}
        assert " -  " in next(line for line in lines if line.startswith("gemini"))

    def test_time_is_told_apart_where_it_is_asked_for(self, run):
        result = run("usage", "--per", "day", "--since", "52w")
        head, first, *_ = result.stdout.splitlines()
        assert head.startswith("TIME (UTC)")
        assert first.split()[1:3] == ["00:00", "1"]

    def test_one_client_may_be_looked_at_alone(self, run):
        result = run("usage", "--by", "model", "--client", "alice", "--json", "--since", "24h")
        found = json.loads(result.stdout)
        assert [(line["model"], line["requests"], line["prompt"]) for line in found["lines"]] == [
            ("openai/gpt-oss-120b", 1, 10)
        ]
        assert found["since"] % 3600 == found["until"] % 3600 == 0

    def test_usage_comes_as_csv(self, run):
        result = run("usage", "--by", "client", "--by", "provider", "--csv", "--since", "24h")
        lines = list(csv.DictReader(io.StringIO(result.stdout)))
        assert [(line["client"], line["provider"], line["requests"]) for line in lines] == [
            *(("alice", "groq", "1"), ("bob", "", "1"), ("bob", "gemini", "1")),
        ]

    def test_nothing_in_a_time_is_said(self, run):
        assert run("usage", "--client", "nobody").stdout == "nothing was asked for in this time\n"
        assert run("usage", "--client", "nobody", "--csv").stdout == ""

    def test_receipts_come_as_lines_of_json_the_oldest_first(self, run):
        lines = [json.loads(line) for line in run("receipts", "--since", "24h").stdout.splitlines()]
        assert [(line["client"], line["status"]) for line in lines] == [
            *(("alice", 200), ("bob", 200), ("bob", 502)),
        ]
        assert [line["trail"] for line in lines] == [[], json.loads(TRAIL), []]

    def test_prompts_and_answers_come_only_if_they_are_asked_for(self, run):
        assert "=1+1" not in run("receipts").stdout
        lines = [
            json.loads(line) for line in run("receipts", "--bodies", "--since", "24h").stdout.splitlines()
        ]
        assert [line["answer"] for line in lines] == [None, "=2", None]
        assert (lines[1]["question"], lines[1]["cut"]) == ('[{"role":"user","content":"=1+1"}]', True)
        _, second, _ = csv.DictReader(
            io.StringIO(run("receipts", "--bodies", "--csv", "--since", "24h").stdout)
        )
        assert second["answer"] == "'=2"

    def test_receipts_come_as_csv(self, run):
        result = run("receipts", "--since", "52w", "--client", "alice", "--csv")
        lines = list(csv.DictReader(io.StringIO(result.stdout)))
        assert [float(line["at"]) for line in lines] == [ROWS[3].at, ROWS[0].at]

    def test_no_spreadsheet_takes_a_text_for_a_formula(self, run):
        change("UPDATE receipts SET asked = '=1+1', code = '-2'")
        lines = list(csv.DictReader(io.StringIO(run("receipts", "--csv").stdout)))
        assert {(line["asked"], line["code"]) for line in lines} == {("'=1+1", "'-2")}

    def test_what_cannot_be_asked_is_one_line_and_exit_2(self, run):
        for arguments in (["--since", "soon"], ["--by", "key"], ["--per", "hour", "--since", "500d"]):
            result = run("usage", *arguments)
            assert (result.exit_code, result.stdout) == (2, "")

    def test_records_of_another_form_are_left_alone(self, run):
        change("UPDATE alembic_version SET version_num = '0001'")
        result = run("usage")
        assert result.exit_code == 2
        assert "has an older form (schema 0001" in result.stderr
        assert "`freeroute serve` brings it up to date" in result.stderr

    def test_a_table_that_is_missing_is_one_line_and_exit_1(self, run):
        change("DROP TABLE usage_hourly")
        result = run("usage")
        assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
        assert "no such table: usage_hourly" in result.stderr


def test_without_records_no_file_is_made(run):
    result = run("usage")
    assert (result.exit_code, result.stderr) == (
        1,
        f"freeroute: there are no records at {path()} yet; `freeroute serve` makes them\n",
    )
    assert not path().exists()


def test_a_database_elsewhere_that_does_not_answer_is_one_line_and_hides_its_password(run):
    url = "postgresql://me:of-the-database@/records?host=/nowhere"
    result = run("receipts", env={"FREEROUTE_STORAGE__URL": url})
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "of-the-database" not in result.stderr
