import asyncio
import contextlib
import gc
import sqlite3
import threading

import pytest
from msgspec import structs
from sqlalchemy import select
from sqlalchemy.engine import Dialect

from freeroute.stores.records.database import BatchRefusedError, Database
from freeroute.stores.records.rows import Batch
from freeroute.stores.records.tables import daily, hourly, metadata, receipts, writers
from freeroute.stores.records.tidying import CHUNK, DAYS_KEPT, HOURS_KEPT
from tests.support.clocks import EPOCH
from tests.support.elsewhere import asked, take_log
from tests.support.receipts import row

DAY = 86400.0


async def stored(database, table=receipts):
    asked = select(table).order_by(*table.primary_key)
    return [
        dict(one)
        for one in await database.within(lambda connection: connection.execute(asked).mappings().all())
    ]


@contextlib.asynccontextmanager
async def reading(database):
    """Be in the middle of reading meanwhile."""
    begun, over = threading.Event(), threading.Event()

    def read(connection):
        connection.execute(select(receipts.c.id)).all()
        begun.set()
        over.wait(20)

    task = asyncio.create_task(database.within(read))
    assert await asyncio.to_thread(begun.wait, 20)
    try:
        yield
    finally:
        over.set()
        await task


async def test_a_batch_is_stored_with_every_column(database):
    rows = (row(), row(request_id="req_2", first_event=None, trail="[]", stream=True, caller_left=True))
    assert await database.write(Batch("run", 1, rows), EPOCH)
    found = await stored(database)
    assert [{**structs.asdict(one), "id": number} for number, one in enumerate(rows, 1)] == found


async def test_a_batch_is_stored_once_however_often_it_is_written(database):
    first, second = Batch("run", 1, (row(),)), Batch("run", 2, (row(),))
    written = [await database.write(batch, EPOCH) for batch in (first, first, second, first, second)]
    assert written == [True, False, True, False, False]
    assert await database.write(Batch("another run", 1, (row(),)), EPOCH)
    assert len(await stored(database)) == 3
    assert [found["requests"] for found in await stored(database, hourly)] == [3]


async def test_a_batch_that_is_refused_leaves_nothing_behind(database):
    for bad in (row(prompt=2**63), row(status=None)):
        with pytest.raises(BatchRefusedError):
            await database.write(Batch("run", 1, (row(), bad)), EPOCH)
    assert await stored(database) == await stored(database, writers) == await stored(database, daily) == []


async def test_usage_is_summed_up_by_hour_day_client_provider_and_model(database):
    rows = (
        row(),
        row(at=EPOCH + 3600, total=1.5),
        row(at=EPOCH + 86400, client="bob"),
        row(status=502, code="upstream_failed", provider="", model="", first_event=None),
        row(status=499, caller_left=True, model="other"),
        row(code="stalled"),
    )
    for number, one in enumerate(rows):
        await database.write(Batch("run", number, (one,)), EPOCH)
    hours, days = await stored(database, hourly), await stored(database, daily)
    assert len(hours) == 5
    keys = ("client", "provider", "model", "requests", "failed", "callers_left", "first_events", "total")
    assert sorted(tuple(day[key] for key in keys) for day in days) == [
        ("alice", "", "", 1, 1, 0, 0, 0.5),
        ("alice", "groq", "openai/gpt-oss-120b", 3, 1, 0, 3, 2.5),
        ("alice", "groq", "other", 1, 0, 1, 1, 0.5),
        ("bob", "groq", "openai/gpt-oss-120b", 1, 0, 0, 1, 0.5),
    ]
    assert {day["start"] % 86400 for day in days} == {0}


# --- what is too old or too much --------------------------------------------------------------------------


async def test_what_is_too_old_is_deleted_piece_by_piece(database):
    old, new = row(at=EPOCH - 31 * DAY), row(at=EPOCH - 29 * DAY)
    await database.write(Batch("run", 1, (old,) * (CHUNK + 1) + (new,)), EPOCH)
    more = [await database.tidy(EPOCH, 30 * DAY, 2**30) for _ in range(2)]
    assert more == [True, False]
    assert [found["at"] for found in await stored(database)] == [new.at]
    assert sum(found["requests"] for found in await stored(database, daily)) == CHUNK + 2


async def test_what_is_too_much_is_deleted_oldest_first(database):
    rows = [row(at=EPOCH + second) for second in range(3 * CHUNK)]
    await database.write(Batch("run", 1, tuple(rows)), EPOCH)
    while await database.tidy(EPOCH + 4 * CHUNK, 30 * DAY, 500_000):
        pass
    left = sorted(found["at"] for found in await stored(database))
    assert 0 < len(left) < 3 * CHUNK
    assert left == [one.at for one in rows[-len(left) :]]


async def test_others_find_the_file_free_however_busy_the_loop_is(tmp_path):
    path = tmp_path / "records.db"
    database = Database(None, path)
    rows = tuple(row(at=EPOCH - DAY, request_id=str(number)) for number in range(100))
    await database.write(Batch("run", 1, rows), EPOCH)
    tidying = asyncio.create_task(database.tidy(EPOCH, DAY / 2, 2**30))
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        while not tidying.done():
            # Meanwhile no step of ours can be taken on the loop.
            other.execute("BEGIN EXCLUSIVE")
            other.execute("ROLLBACK")
            await asyncio.sleep(0)
    await tidying
    await database.close()


async def test_a_file_shrinks_with_what_is_deleted(tmp_path):
    database = Database(None, tmp_path / "records.db")
    rows = tuple(row(at=EPOCH - DAY, request_id=str(number)) for number in range(2 * CHUNK))
    await database.write(Batch("run", 1, rows), EPOCH)
    while await database.tidy(EPOCH, 3600.0, 2**30):
        pass
    await database.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "records.db")) as connection:
        assert connection.execute("PRAGMA freelist_count").fetchone() == (0,)


async def test_usage_outlives_receipts_but_not_for_ever(database):
    ages = (HOURS_KEPT - DAY, HOURS_KEPT + DAY, DAYS_KEPT + 2 * DAY)
    for number, age in enumerate(ages):
        await database.write(Batch("run", number, (row(at=EPOCH - age),)), EPOCH)
    await database.write(Batch("old", 1, (row(),)), EPOCH - HOURS_KEPT - DAY)
    await database.tidy(EPOCH, 30 * DAY, 2**30)
    assert (len(await stored(database, hourly)), len(await stored(database, daily))) == (2, 3)
    assert [found["origin"] for found in await stored(database, writers)] == ["run"]


# --- the form of the tables ---------------------------------------------------------------------------------


async def test_the_tables_are_what_the_migrations_make(database):
    def difference(connection):
        from alembic.autogenerate import compare_metadata
        from alembic.migration import MigrationContext

        return compare_metadata(MigrationContext.configure(connection), metadata)

    assert await database.within(difference) == []


# --- trouble ------------------------------------------------------------------------------------------------


async def test_a_file_that_was_removed_is_made_anew(tmp_path):
    database = Database(None, tmp_path / "records.db")
    await database.write(Batch("run", 1, (row(),)), EPOCH)
    for path in tmp_path.iterdir():
        path.unlink()
    await database.opened()
    assert await database.write(Batch("run", 2, (row(request_id="req_2"),)), EPOCH)
    assert [found["request_id"] for found in await stored(database)] == ["req_2"]
    await database.close()


async def test_a_writer_that_is_opened_anew_takes_no_lock_from_a_reader(tmp_path):
    path = tmp_path / "records.db"
    writer, reader = Database(None, path), Database(None, path, migrates=False)
    await writer.write(Batch("run", 1, (row(),)), EPOCH)
    async with reading(reader):
        await writer.close()
        await writer.write(Batch("run", 2, (row(),)), EPOCH)
        assert asked(path, "SELECT count(*) FROM receipts") == "2"
        assert (tmp_path / "records.db-wal").exists()
    await reader.close()
    await writer.close()


async def test_what_was_written_is_settled_once_it_is_in_the_database_itself(database, tmp_path):
    assert not await database.settled()
    await database.write(Batch("run", 1, (row(),)), EPOCH)
    assert await database.settled()


async def test_what_is_only_in_a_log_that_somebody_reads_or_took_away_is_not_settled(tmp_path):
    path = tmp_path / "records.db"
    database = Database(None, path)
    await database.write(Batch("run", 1, (row(),)), EPOCH)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM receipts").fetchone()
        await database.write(Batch("run", 2, (row(),)), EPOCH)
        assert not await database.settled()
    assert await database.settled()
    before = await database.opened()
    take_log(path)
    assert not await database.settled()
    assert await database.opened() is not before
    await database.close()


async def test_a_damaged_file_is_told_and_can_be_moved_aside(tmp_path):
    (tmp_path / "records.db").write_bytes(b"nonsense" * 1_000)
    database = Database(None, tmp_path / "records.db")
    with pytest.raises(Exception, match="not a database") as caught:
        await database.write(Batch("run", 1, (row(),)), EPOCH)
    assert database.is_damage(caught.value)
    aside = database.set_aside("20261121T000000Z")
    assert aside is not None
    assert aside.read_bytes().startswith(b"nonsense")
    assert await database.write(Batch("run", 1, (row(),)), EPOCH)
    await database.close()


async def test_only_the_owner_can_read_the_file(tmp_path):
    database = Database(None, tmp_path / "records.db")
    await database.write(Batch("run", 1, (row(),)), EPOCH)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    await database.close()


async def test_no_password_is_shown(tmp_path):
    database = Database("postgresql://me:secret@nowhere.invalid/records", tmp_path / "records.db")
    assert database.shown == "postgresql+psycopg://me:***@nowhere.invalid/records"
    assert database.set_aside("now") is None
    with pytest.raises(Exception, match=r"^(?!.*secret)") as caught:
        await database.write(Batch("run", 1, (row(),)), EPOCH)
    assert not database.is_damage(caught.value)


async def test_a_file_that_is_opened_again_and_again_leaves_nothing_behind(tmp_path):
    def dialects() -> int:
        gc.collect()
        return sum(issubclass(type(one), Dialect) for one in gc.get_objects())

    database = Database(None, tmp_path / "records.db")
    before = dialects()
    for number in range(1, 21):
        assert await database.write(Batch("run", number, (row(),)), EPOCH)
        await database.close()
    assert dialects() - before < 10
