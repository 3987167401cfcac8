"""Work on a thread for each connection to a SQLite file, which ends when nobody waits for it."""

import asyncio
import threading

import pytest
from sqlalchemy.exc import OperationalError

from freeroute.stores.records.connections import THREADS, SqliteConnections

PATIENCE = 20.0  # seconds of real time for what takes milliseconds
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"


@pytest.fixture
async def connections(tmp_path):
    connections = SqliteConnections(tmp_path / "records.db")
    await connections.within(lambda connection: connection.exec_driver_sql("CREATE TABLE told (what)"))
    yield connections
    await connections.close()


def told(connection):
    return list(connection.exec_driver_sql("SELECT what FROM told").scalars())


async def test_work_is_done_whole_or_not_at_all(connections):
    def half(connection):
        connection.exec_driver_sql("INSERT INTO told VALUES ('half')")
        raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        await connections.within(half)
    assert await connections.within(told) == []


async def test_what_nobody_waits_for_is_broken_off_and_holds_up_nobody(connections):
    begun, ended = threading.Event(), threading.Semaphore(0)

    def endless(connection):
        connection.exec_driver_sql("INSERT INTO told VALUES ('half')")
        begun.set()
        try:
            connection.exec_driver_sql(ENDLESS).all()
        except OperationalError:
            ended.release()
            raise

    for _ in range(THREADS + 1):
        begun.clear()
        task = asyncio.create_task(connections.within(endless))
        assert await asyncio.to_thread(begun.wait, PATIENCE)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(ended.acquire, timeout=PATIENCE)
    async with asyncio.timeout(PATIENCE):
        assert await connections.within(told) == []


async def test_what_nobody_waits_for_is_not_stored_however_short_it_is(connections):
    begun, on, ended = threading.Event(), threading.Event(), threading.Event()

    def short(connection):
        begun.set()
        on.wait(PATIENCE)
        connection.exec_driver_sql("INSERT INTO told VALUES ('late')")
        ended.set()

    task = asyncio.create_task(connections.within(short))
    assert await asyncio.to_thread(begun.wait, PATIENCE)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    on.set()
    assert await asyncio.to_thread(ended.wait, PATIENCE)
    await connections.within(lambda other: other.exec_driver_sql("INSERT INTO told VALUES ('next')"))
    assert await connections.within(told) == ["next"]


async def test_what_is_closed_leaves_no_thread(connections):
    await connections.within(told)
    await connections.close()
    async with asyncio.timeout(PATIENCE):
        while any(thread.name.startswith("records") for thread in threading.enumerate()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
