import asyncio
import contextlib
import sqlite3

import pytest
import structlog
from sqlalchemy import select

from freeroute.engine.view import Recording
from freeroute.stores.records import recorder as recording
from freeroute.stores.records.database import Database
from freeroute.stores.records.recorder import LAST, QUEUE, Recorder
from freeroute.stores.records.spool import Spool
from freeroute.stores.records.tables import receipts
from tests.support.clocks import ManualClock
from tests.support.patience import PATIENCE
from tests.support.receipts import receipt


class Bench:
    """A recorder over real files, which the test may take away from it."""

    def __init__(self, directory, url=None, **options):
        self.clock = ManualClock()
        self.url = url
        self.path = directory / "records.db"
        self.spool = Spool(directory / "records.spool", **options)
        self.state = Recording()
        self.recorder = self.another()

    def another(self):
        return Recorder(
            self.spool,
            lambda: Database(self.url, self.path),
            clock=self.clock,
            keep=3600.0,
            most=2**30,
            state=self.state,
            begin_after=0.0,
        )

    @contextlib.asynccontextmanager
    async def running(self):
        task = asyncio.create_task(self.recorder.run())
        try:
            yield
        finally:
            self.recorder.stop()
            await asyncio.wait_for(task, 4 * LAST)

    async def until(self, condition):
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110 - it comes about on other threads
                await asyncio.sleep(0.01)

    async def stored(self):
        database = Database(self.url, self.path)
        asked = select(receipts.c.request_id).order_by(receipts.c.id)
        ids = await database.within(lambda connection: list(connection.execute(asked).scalars()))
        await database.close()
        return ids


def numbered(count, first=0):
    return [receipt(request_id=f"req_{number}") for number in range(first, first + count)]


def ids(count):
    return [f"req_{number}" for number in range(count)]


@pytest.fixture(autouse=True)
def log():
    with structlog.testing.capture_logs() as entries:
        yield entries


async def test_what_was_seen_is_stored_in_order_by_the_end_at_the_latest(tmp_path, url):
    bench = Bench(tmp_path, url)
    async with bench.running():
        for one in numbered(600):
            bench.recorder.saw(one)
    assert await bench.stored() == ids(600)
    assert bench.state == Recording(written=600)
    assert bench.spool.size() == 0


async def test_what_was_seen_is_in_the_file_within_a_second_and_outlives_the_process(tmp_path):
    bench = Bench(tmp_path)
    task = asyncio.create_task(bench.recorder.run())
    for one in numbered(3):
        bench.recorder.saw(one)
    await bench.until(lambda: bench.state.written == 3)
    with contextlib.closing(sqlite3.connect(bench.path)) as reader:
        assert reader.execute("SELECT count(*) FROM receipts").fetchone() == (3,)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_a_database_that_is_gone_costs_no_receipt(tmp_path, log):
    bench = Bench(tmp_path)
    bench.path.mkdir()
    async with bench.running():
        for one in numbered(3):
            bench.recorder.saw(one)
        await bench.until(lambda: bench.state.failing and bench.state.spooled)
        assert bench.state.written == 0
        bench.path.rmdir()
        await bench.until(lambda: not bench.state.failing)
        await bench.until(lambda: bench.state.written == 3)
    assert await bench.stored() == ids(3)
    told = [entry["event"] for entry in log]
    assert told == [
        "records cannot be written: requests are served, their receipts wait",
        "records are written again",
    ]


async def test_what_the_database_did_not_take_is_replayed_by_the_next_run(tmp_path, url):
    bench = Bench(tmp_path, "postgresql://nobody@/none?host=/nowhere")
    async with bench.running():
        for one in numbered(3):
            bench.recorder.saw(one)
    assert bench.spool.size() > 0
    assert bench.state.failing
    bench.url = url
    bench.recorder = bench.another()
    async with bench.running():
        for one in numbered(2, first=3):
            bench.recorder.saw(one)
    assert await bench.stored() == ids(5)


async def test_a_batch_that_was_written_but_not_crossed_off_is_written_once(tmp_path, url):
    bench = Bench(tmp_path, url)
    for one in numbered(3):
        bench.recorder.saw(one)
    await bench.recorder.spool()
    before = bench.spool.path.read_bytes()
    async with bench.running():
        await bench.until(lambda: bench.state.written == 3)
    bench.spool.path.write_bytes(before)
    bench.recorder = bench.another()
    async with bench.running():
        await bench.until(lambda: bench.spool.size() == 0)
    assert await bench.stored() == ids(3)


async def test_a_full_spool_loses_what_comes_and_says_so(tmp_path, log):
    bench = Bench(tmp_path, bound=10)
    async with bench.running():
        for one in numbered(3):
            bench.recorder.saw(one)
        await bench.until(lambda: bench.state.lost == 3)
        assert bench.state.failing
    assert log[0]["reason"] == "the spool is full: receipts are lost"


async def test_receipts_wait_in_memory_while_the_spool_cannot_be_written_and_no_more_than_so_many(tmp_path):
    bench = Bench(tmp_path)
    bench.spool.path.mkdir()
    for one in numbered(QUEUE + 7):
        bench.recorder.saw(one)
    await bench.recorder.spool()
    assert (bench.state.failing, bench.state.lost, bench.state.queued) == (True, 7, QUEUE)
    bench.spool.path.rmdir()
    await bench.recorder.spool()
    assert (bench.state.failing, bench.state.lost, bench.state.queued) == (False, 7, 0)
    async with bench.running():
        pass
    assert await bench.stored() == ids(QUEUE)


async def test_a_damaged_file_is_moved_aside_and_costs_no_receipt(tmp_path, log):
    bench = Bench(tmp_path)
    bench.path.write_bytes(b"nonsense" * 1_000)
    async with bench.running():
        for one in numbered(3):
            bench.recorder.saw(one)
        await bench.until(lambda: bench.state.written == 3)
    assert await bench.stored() == ids(3)
    assert [path.name for path in tmp_path.glob("*.corrupt-*")] == ["records.db.corrupt-20260921T141320Z"]


async def test_a_batch_that_the_database_refuses_holds_up_no_other(tmp_path, url, log):
    bench = Bench(tmp_path, url)
    bench.recorder.saw(receipt(continued=2**70))
    await bench.recorder.spool()
    for one in numbered(2):
        bench.recorder.saw(one)
    async with bench.running():
        await bench.until(lambda: bench.state.written == 2)
    assert bench.state.lost == 1
    assert await bench.stored() == ids(2)
    assert [entry["event"] for entry in log] == ["receipts were lost: the database refuses them"]


async def test_what_is_too_old_goes_while_others_come(tmp_path):
    bench = Bench(tmp_path)
    bench.recorder.saw(receipt(at=bench.clock.now().later(-7200), request_id="old"))
    bench.recorder.saw(receipt(at=bench.clock.now(), request_id="new"))
    async with bench.running():
        await bench.until(lambda: bench.state.written == 2)
        bench.clock.advance(recording.TIDY_EVERY)
        bench.recorder.saw(receipt(at=bench.clock.now(), request_id="newer"))
        await bench.until(lambda: bench.state.written == 3)
        async with asyncio.timeout(PATIENCE):
            while "old" in await bench.stored():  # noqa: ASYNC110 - the same
                await asyncio.sleep(0.01)
    assert await bench.stored() == ["new", "newer"]


async def test_a_short_run_without_receipts_opens_no_database(tmp_path):
    bench = Bench(tmp_path)
    async with bench.running():
        pass
    assert list(tmp_path.iterdir()) == []


async def test_lines_that_make_no_sense_are_told_and_hold_up_nothing(tmp_path, log):
    bench = Bench(tmp_path)
    bench.spool.path.write_bytes(b"nonsense\n" * 3)
    bench.recorder.saw(receipt(request_id="req_0"))
    async with bench.running():
        await bench.until(lambda: bench.state.written == 1)
    assert await bench.stored() == ids(1)
    assert [(entry["log_level"], entry["lines"]) for entry in log] == [("warning", 3)]


async def test_a_receipt_that_cannot_be_stored_costs_no_other(tmp_path, log):
    bench = Bench(tmp_path)
    for one in (receipt(usage="none"), *numbered(2)):
        bench.recorder.saw(one)
    async with bench.running():
        pass
    assert (await bench.stored(), bench.state.lost) == (ids(2), 1)
    assert [entry["event"] for entry in log] == ["a receipt cannot be stored"]


async def test_a_text_that_cannot_be_written_costs_no_other(tmp_path, log):
    bench = Bench(tmp_path)
    for one in (receipt(client="\ud800"), *numbered(2), receipt(request_id="\udfff")):
        bench.recorder.saw(one)
    async with bench.running():
        pass
    assert (await bench.stored(), bench.state.lost) == (ids(2), 2)
    assert [entry["event"] for entry in log] == ["what cannot be written is left out of a batch"]


async def test_what_comes_while_old_records_are_deleted_is_stored_by_the_end(tmp_path):
    bench, tidying, go_on = Bench(tmp_path), asyncio.Event(), asyncio.Event()

    class Slow(Database):
        async def tidy(self, *given):
            tidying.set()
            await go_on.wait()
            return await super().tidy(*given)

    bench.recorder._make = lambda: Slow(None, bench.path)
    async with bench.running():
        await tidying.wait()
        bench.recorder.saw(receipt(request_id="req_0"))
        bench.recorder.stop()
        await bench.until(lambda: bench.recorder._ended)
        go_on.set()
    assert (await bench.stored(), bench.state.written) == (["req_0"], 1)


async def test_what_even_the_end_could_not_write_is_told(tmp_path, log):
    bench = Bench(tmp_path)
    bench.spool.path.mkdir()
    for one in numbered(3):
        bench.recorder.saw(one)
    async with bench.running():
        pass
    assert bench.state.lost == 3
    assert [entry["receipts"] for entry in log if "receipts" in entry] == [3]


async def test_an_end_in_the_middle_of_trouble_comes_soon(tmp_path):
    bench = Bench(tmp_path)
    bench.path.mkdir()
    bench.spool.path.mkdir()
    async with bench.running():
        bench.recorder.saw(receipt())
        await bench.until(lambda: bench.state.failing)
