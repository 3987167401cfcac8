"""Reading the records of a running gateway: pages, files to take away, and never a hang."""

import asyncio
import contextlib
import csv
import io
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest
from structlog.testing import capture_logs

from freeroute.engine.records import ReceiptsWanted, UsageWanted
from freeroute.errors import InvalidRequest, RecordsUnavailable
from freeroute.stores.records.database import Database
from freeroute.stores.records.reader import AT_ONCE, LINE, PAGE, PATIENCE, RecordsReader
from freeroute.stores.records.rows import Batch
from tests.support import postgres
from tests.support.clocks import EPOCH, ManualClock
from tests.support.live import alone
from tests.support.receipts import row

WEEK = 7 * 86400.0


class Records:
    """A database, and a reader of it."""

    def __init__(self, url: str | None, path: Path, patience: float = PATIENCE) -> None:
        self.database = Database(url, path)
        self.reader = RecordsReader(lambda: Database(url, path, migrates=False), ManualClock(), patience)

    async def write(self, *rows) -> None:
        await self.database.write(Batch("run", 1, rows), EPOCH)


@pytest.fixture
async def records(url, tmp_path) -> AsyncIterator[Records]:
    records = Records(url, tmp_path / "records.db")
    yield records
    await records.reader.close()
    await alone()
    await records.database.close()


def rows(count: int):
    return [row(at=EPOCH - count + n, request_id=str(n), trail='[{"kind":"fault"}]') for n in range(count)]


async def text_of(pieces: AsyncIterator[bytes]) -> str:
    return b"".join([piece async for piece in pieces]).decode()


async def test_usage_is_summed_up(records):
    await records.write(row(at=EPOCH - 10), row(at=EPOCH - 10, client="=bob"))
    found = await records.reader.usage(UsageWanted(EPOCH - WEEK, by=("client",)))
    assert [(line["client"], line["requests"]) for line in found["lines"]] == [("=bob", 1), ("alice", 1)]
    assert found["since"] <= EPOCH - WEEK
    assert found["until"] > EPOCH - 1
    table = list(
        csv.DictReader(
            io.StringIO((await records.reader.usage_csv(UsageWanted(EPOCH - WEEK, ("client",)))).decode())
        )
    )
    assert [line["client"] for line in table] == ["'=bob", "alice"]


async def test_receipts_are_read_page_by_page(records):
    await records.write(*rows(5))
    first = await records.reader.receipts(ReceiptsWanted(EPOCH - WEEK, EPOCH, most=3))
    assert [line["request_id"] for line in first["receipts"]] == ["4", "3", "2"]
    rest = await records.reader.receipts(ReceiptsWanted(EPOCH - WEEK, EPOCH, most=3, after=first["next"]))
    assert [line["request_id"] for line in rest["receipts"]] == ["1", "0"]
    assert rest["next"] is None


@pytest.mark.parametrize("most", [None, PAGE + 3, 1])
async def test_an_export_is_whole_and_read_in_pieces(records, most):
    count = PAGE + 7
    await records.write(*rows(count))
    wanted = ReceiptsWanted(EPOCH - WEEK, EPOCH, most=most, newest=False)
    pieces = [piece async for piece in records.reader.export(wanted, "jsonl")]
    lines = [json.loads(line) for line in b"".join(pieces).splitlines()]
    assert [line["request_id"] for line in lines] == [str(n) for n in range(most or count)]
    assert lines[0]["trail"] == [{"kind": "fault"}]
    assert len(pieces) == (1 if most == 1 else 2)
    table = list(csv.DictReader(io.StringIO(await text_of(records.reader.export(wanted, "csv")))))
    assert [line["request_id"] for line in table] == [line["request_id"] for line in lines]


async def test_nothing_stored_is_an_empty_export(records):
    await records.write(row(at=EPOCH - 2 * WEEK))
    assert await text_of(records.reader.export(ReceiptsWanted(EPOCH - WEEK, EPOCH), "csv")) == ""


async def test_what_cannot_be_asked_is_the_callers_mistake(records):
    await records.write(row(at=EPOCH - 1))
    with pytest.raises(InvalidRequest, match="kept for 400 days") as usage:
        await records.reader.usage(UsageWanted(EPOCH - 1000 * 86400.0, step=3600))
    assert usage.value.param == "since"
    with pytest.raises(InvalidRequest, match="mark of a page") as receipts:
        await records.reader.receipts(ReceiptsWanted(EPOCH - WEEK, EPOCH, after="never"))
    assert receipts.value.param == "after"


async def test_records_that_were_never_written_are_not_made_by_reading(tmp_path):
    records = Records(None, tmp_path / "records.db")
    with pytest.raises(RecordsUnavailable, match="there are no records"):
        await records.reader.usage(UsageWanted(EPOCH - WEEK))
    assert not (tmp_path / "records.db").exists()
    await records.write(row(at=EPOCH - 1))
    assert (await records.reader.usage(UsageWanted(EPOCH - WEEK)))["lines"]
    await records.reader.close()
    await records.database.close()


async def test_a_damaged_database_is_unavailable_and_its_words_are_for_the_log(tmp_path):
    (tmp_path / "records.db").write_bytes(b"this is no database" * 100)
    records = Records(None, tmp_path / "records.db")
    with capture_logs() as logs, pytest.raises(RecordsUnavailable, match="log says why"):
        await records.reader.usage(UsageWanted(EPOCH - WEEK))
    assert "not a database" in logs[0]["reason"]


async def test_a_postgres_that_is_not_there_is_unavailable_and_tells_no_password(tmp_path):
    url = "postgresql://ann:secret-word@127.0.0.1:9/freeroute"
    records = Records(url, tmp_path / "none")
    with capture_logs() as logs, pytest.raises(RecordsUnavailable) as caught:
        await records.reader.usage(UsageWanted(EPOCH - WEEK))
    assert "secret-word" not in caught.value.message + str(logs)


@pytest.mark.e2e
async def test_a_postgres_that_is_silent_costs_bounded_time_and_is_read_once_it_speaks(tmp_path):
    with postgres.server() as server:
        records = Records(server.url, tmp_path / "none", patience=0.5)
        await records.write(row(at=EPOCH - 1))
        wanted = ReceiptsWanted(EPOCH - WEEK, EPOCH)
        assert (await records.reader.receipts(wanted))["receipts"]
        server.pause()
        for _ in range(2):
            async with asyncio.timeout(5):
                with pytest.raises(RecordsUnavailable, match="does not answer in time"):
                    await records.reader.receipts(wanted)
        server.resume()
        found = None
        async with asyncio.timeout(30):
            while found is None:
                with contextlib.suppress(RecordsUnavailable):
                    found = await records.reader.receipts(wanted)
        assert len(found["receipts"]) == 1
        await records.reader.close()
        await records.database.close()


class Hanging:
    """A database that never answers, and does not let go either."""

    def __init__(self) -> None:
        self.asked = 0
        self.over = asyncio.Event()

    async def opened(self) -> None:
        self.asked += 1
        while not self.over.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await self.over.wait()

    async def close(self) -> None:
        await self.over.wait()


async def test_a_database_that_hangs_costs_bounded_time_and_few_hang_at_once():
    hanging = Hanging()
    hung = RecordsReader(lambda: cast("Database", hanging), ManualClock(), patience=0.01)
    said = []
    for _ in range(3 * AT_ONCE):
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(RecordsUnavailable) as caught:
                await hung.usage(UsageWanted(EPOCH - WEEK))
        said.append((caught.value.status, caught.value.code, caught.value.message))
    assert {code for _, code, _ in said} == {"records_unavailable"}
    assert "does not answer in time" in said[0][2]
    assert "Too many" in said[-1][2]
    assert hanging.asked <= AT_ONCE
    hanging.over.set()
    await hung.close()


async def test_a_file_that_hangs_costs_bounded_time_and_no_more_threads_than_there_are_turns(tmp_path):
    records = Records(None, tmp_path / "records.db", patience=0.05)
    await records.write(row(at=EPOCH - 1))
    over, hung = threading.Event(), 0

    def hangs(_: object) -> None:
        nonlocal hung
        hung += 1
        over.wait(PATIENCE)

    for _ in range(2 * AT_ONCE):
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(RecordsUnavailable):
                await records.reader.answered(hangs)
    assert 0 < hung <= AT_ONCE
    over.set()
    async with asyncio.timeout(PATIENCE):
        while not await is_read(records):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await records.reader.close()
    await records.database.close()


async def is_read(records: Records) -> bool:
    with contextlib.suppress(RecordsUnavailable):
        return bool((await records.reader.receipts(ReceiptsWanted(EPOCH - WEEK, EPOCH)))["receipts"])
    return False


async def test_many_have_their_turn_one_after_the_other_and_no_more_wait_than_there_are_places_for(records):
    await records.write(row(at=EPOCH - 1))
    every = AT_ONCE + LINE
    asked = [records.reader.usage(UsageWanted(EPOCH - WEEK)) for _ in range(every + 1)]
    found = await asyncio.gather(*asked, return_exceptions=True)
    [refused] = [one for one in found if isinstance(one, RecordsUnavailable)]
    assert ("Too many" in refused.message, refused.retry_after) == (True, 1)
    assert [len(one["lines"]) for one in found if isinstance(one, dict)] == [1] * every


async def test_libraries_are_loaded_beside_the_loop(tmp_path):
    threads = []

    def make() -> Database:
        threads.append(threading.current_thread())
        return Database(None, tmp_path / "records.db", migrates=False)

    with pytest.raises(RecordsUnavailable):
        await RecordsReader(make, ManualClock()).usage(UsageWanted(EPOCH - WEEK))
    assert threads != [threading.main_thread()]
