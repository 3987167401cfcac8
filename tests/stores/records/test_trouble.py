"""SQLite on a bad day: locked by somebody else, on a disk that is full, in a directory that became read-only.

Requests know nothing of any of it; here it is that the recorder says so, and that all is there afterwards.
"""

import contextlib
import sqlite3
from collections.abc import Iterator

import pytest
import structlog

from freeroute.stores.records.recorder import QUEUE
from tests.stores.records.test_recorder import Bench, ids, numbered
from tests.support.disks import full, read_only


@pytest.fixture(autouse=True)
def _log():
    # What is logged meanwhile goes to a file too, where the disk is full for all of this process.
    with structlog.testing.capture_logs():
        yield


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
def locked(path) -> Iterator[None]:
    """Hold the file as a backup that takes its time does."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
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
