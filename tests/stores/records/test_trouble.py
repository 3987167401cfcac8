"""SQLite on a bad day: locked by somebody else, on a disk that is full, in a directory that became read-only.

Requests know nothing of any of it; here it is that the recorder says so, and that all is there afterwards.
"""

import contextlib
import sqlite3
from collections.abc import Iterator

import pytest
import structlog

from freeroute.stores.records.database import Database
from freeroute.stores.records.recorder import QUEUE, SETTLE
from tests.stores.records.test_database import reading
from tests.stores.records.test_recorder import Bench, ids, numbered
from tests.support.disks import full, read_only
from tests.support.elsewhere import asked, take_log


@pytest.fixture(autouse=True)
def log():
    # What is logged meanwhile goes to a file too, where the disk is full for all of this process.
    with structlog.testing.capture_logs() as lines:
        yield lines


@pytest.fixture
async def bench(tmp_path):
    """Give a recorder that runs and has stored one receipt."""
    bench = Bench(tmp_path)
    async with bench.running():
        [first] = numbered(1)
        bench.recorder.saw(first)
        await bench.until(lambda: bench.state.written == 1)
        yield bench


async def goes_on(bench, trouble) -> None:
    """See that *trouble* costs nothing: 599 receipts come meanwhile, one after it."""
    with trouble:
        for one in numbered(300, first=1):
            bench.recorder.saw(one)
        await bench.until(lambda: bench.state.failing)
        for one in numbered(299, first=301):
            bench.recorder.saw(one)
        await bench.recorder.spool()
        assert bench.state.written < 600
    bench.recorder.saw(*numbered(1, first=600))
    await bench.until(lambda: bench.state.written == 601)
    await bench.until(lambda: not bench.state.failing and bench.spool.size() == 0)
    assert bench.state.lost == 0
    assert sorted(await bench.stored()) == sorted(ids(601))


@contextlib.contextmanager
def locked(path, kind="EXCLUSIVE") -> Iterator[None]:
    """Hold the file as a backup that takes its time does."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute(f"BEGIN {kind}")
        yield
        other.execute("ROLLBACK")


async def test_a_file_that_somebody_else_locks_costs_nothing(bench):
    await goes_on(bench, locked(bench.path))


async def test_a_lock_that_is_short_is_waited_for_and_is_no_trouble(bench):
    with locked(bench.path):
        for one in numbered(3, first=1):
            bench.recorder.saw(one)
        await bench.until(lambda: bench.spool.size() > 0)
        assert not bench.state.failing
    await bench.until(lambda: bench.state.written == 4)
    assert not bench.state.failing


async def test_a_full_disk_costs_nothing_that_the_spool_has_room_for(bench):
    # What there is may be written over: the spool has room for its lines, the database for no page more.
    wal = bench.path.with_name("records.db-wal")
    await goes_on(bench, full(max(wal.stat().st_size, bench.path.stat().st_size)))


async def test_where_even_the_spool_finds_no_room_what_comes_waits_in_memory(bench):
    with full(10):
        for one in numbered(QUEUE + 5, first=1):
            bench.recorder.saw(one)
        assert bench.state.lost == 5
        await bench.until(lambda: bench.state.failing)
        assert bench.state.written == 1
    await bench.until(lambda: bench.state.written == QUEUE + 1)
    assert (await bench.stored())[:3] == ids(3)


async def test_a_directory_that_became_read_only_costs_nothing(bench, tmp_path):
    with read_only(tmp_path):
        for one in numbered(20, first=1):
            bench.recorder.saw(one)
        await bench.until(lambda: bench.state.failing)
    await bench.until(lambda: not bench.state.failing)
    await bench.until(lambda: bench.state.written == 21)
    assert await bench.stored() == ids(21)


# --- taken away ---------------------------------------------------------------------------------------------


async def test_a_log_that_is_taken_away_with_what_was_written_costs_nothing(bench):
    bench.recorder.saw(*numbered(1, first=1))
    await bench.until(lambda: bench.state.written == 2)
    take_log(bench.path)
    bench.recorder.saw(*numbered(1, first=2))
    await bench.until(lambda: bench.state.written == 3 and bench.spool.size() == 0)
    assert asked(bench.path, "SELECT count(*), group_concat(request_id) FROM receipts") == "3"
    assert await bench.stored() == ids(3)
    assert (bench.state.lost, bench.state.failing) == (0, False)


async def test_a_file_that_was_replaced_gets_what_was_not_settled_and_what_comes(bench, log):
    bench.clock.advance(SETTLE + 1)
    bench.recorder.saw(*numbered(1, first=1))  # before this is written, what was there is settled
    await bench.until(lambda: bench.state.written == 2)
    for path in bench.path.parent.glob("records.db*"):
        path.unlink()
    bench.recorder.saw(*numbered(1, first=2))
    await bench.until(lambda: bench.state.written == 3 and bench.spool.size() == 0)
    assert await bench.stored() == ["req_1", "req_2"]
    assert [line["log_level"] for line in log if "removed or replaced" in line["event"]] == ["warning"]


async def test_a_log_that_is_taken_away_is_noticed_while_nothing_comes(bench, log):
    take_log(bench.path)
    await bench.until(lambda: any("removed or replaced" in line["event"] for line in log))
    await bench.until(lambda: bench.spool.size() == 0)
    assert asked(bench.path, "SELECT count(*) FROM receipts") == "1"


async def test_a_lock_that_ends_leaves_the_file_locked_by_us(bench):
    reader = Database(None, bench.path, migrates=False)
    async with reading(reader):
        with locked(bench.path, "IMMEDIATE"):
            bench.recorder.saw(*numbered(1, first=1))
            await bench.until(lambda: bench.state.failing)
        await bench.until(lambda: not bench.state.failing and bench.state.written == 2)
        assert asked(bench.path, "SELECT count(*) FROM receipts") == "2"
        assert bench.path.with_name("records.db-wal").exists()
    await reader.close()


async def test_the_end_settles_what_was_written(tmp_path):
    bench = Bench(tmp_path)
    async with bench.running():
        bench.recorder.saw(*numbered(1))
        await bench.until(lambda: bench.state.written == 1)
        assert bench.spool.path.stat().st_size > 0
    assert bench.spool.path.stat().st_size == 0
    assert not bench.path.with_name("records.db-wal").exists()
