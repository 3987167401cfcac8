"""The database of the records: SQLite beside the state, or PostgreSQL. Batches are written whole and once."""

import asyncio
import math
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Table, create_engine, delete, event, func, select, text
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from freeroute.errors import ConfigError
from freeroute.stores import sqlite_file
from freeroute.stores.records import schema
from freeroute.stores.records.bodies import Keeping
from freeroute.stores.records.rows import Batch
from freeroute.stores.records.storing import store
from freeroute.stores.records.tables import bodies, daily, hourly, receipts, responses, writers

CHUNK = 2000
"""Receipts deleted at once. Own design: some 20 ms, for which a batch may wait."""

BODIES_CHUNK = 200
"""Prompts and answers deleted at once. Own design: some 25 MB at the usual bound of each."""

HOURS_KEPT = 400 * 86400.0
DAYS_KEPT = 10 * 366 * 86400.0
"""Seconds for which usage is kept by the hour and by the day. Own design: a year and a month, so that a year
can be compared; and as long as anybody asks."""

_ANSWER_WAIT = 10.0  # seconds for a database to say which form its tables have
_POSTGRES_WAIT = 5  # seconds for a connection
_SQLITE_WAIT = 5.0  # seconds for somebody else who has the file open, such as a backup
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_OF_SQLITE: dict[str, Any] = {"hide_parameters": True, "connect_args": {"timeout": _SQLITE_WAIT}}
_PRAGMAS = ("auto_vacuum = INCREMENTAL", "journal_mode = WAL", "synchronous = NORMAL")


class BatchRefusedError(Exception):
    """The database will never take this batch."""


def url_of(url: str | None, path: Path) -> URL:
    """Return where the records are: PostgreSQL at *url*, or the SQLite file at *path* if there is none."""
    if url is None:
        return URL.create("sqlite+aiosqlite", database=str(path))
    return make_url(url).set(drivername="postgresql+psycopg")


class Database:
    """One database of records; what fails may be tried again, for connections are made anew."""

    def __init__(self, url: str | None, path: Path, *, migrates: bool = True) -> None:
        """Use PostgreSQL at *url*, or the SQLite file at *path*; nothing is opened yet.

        Who only reads *migrates* nothing and makes no file: tables of another form are refused.
        """
        self._url = url_of(url, path)
        self._path = path if url is None else None
        self._migrates = migrates
        self._engine: AsyncEngine | None = None
        # To SQLite a batch is written by one call on a thread: each statement by itself would be two turns of
        # the loop and of Python's lock, which requests are in want of.
        self._writer: Engine | None = None
        self._opened_files: sqlite_file.Inodes = ()
        self.shown = self._url.render_as_string(hide_password=True) if url else str(path)

    # --- opening and closing -------------------------------------------------------------------------

    async def engine(self) -> AsyncEngine:
        """Return the engine to read and write with; the tables have their present form.

        It is another one once the file, or the log beside it, was removed or replaced. Raises ConfigError if
        the tables have a form that may not be changed.
        """
        if self._engine is None or self._was_replaced():
            await self.close()
            self._engine = await self._opened()
            if self._path is not None and self._migrates:
                url = URL.create("sqlite", database=str(self._path))
                self._writer = _set_up(create_engine(url, **_OF_SQLITE))
        return self._engine

    async def close(self) -> None:
        """Let go of all connections."""
        engine, self._engine = self._engine, None
        writer, self._writer = self._writer, None
        if writer is not None:
            await asyncio.to_thread(writer.dispose)
        if engine is not None:
            await engine.dispose()

    def set_aside(self, stamp: str) -> Path | None:
        """Move a damaged SQLite file out of the way, and return where it is now; raises OSError."""
        if self._path is None:
            return None
        aside = self._path.with_name(f"{self._path.name}.corrupt-{stamp}")
        self._path.replace(aside)
        for suffix in ("-wal", "-shm"):
            Path(f"{self._path}{suffix}").unlink(missing_ok=True)
        return aside

    @staticmethod
    def is_damage(exc: BaseException) -> bool:
        """Say whether *exc* means that a SQLite file is none, or not whole."""
        cause = exc.orig if isinstance(exc, DBAPIError) else exc
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF in _DAMAGED

    async def _opened(self) -> AsyncEngine:
        if not self._migrates and self._path is not None and not self._path.exists():
            raise self._not_made()
        # Drivers are imported here: not on the loop, where requests would wait for it.
        engine = await asyncio.to_thread(self._made)
        try:
            async with asyncio.timeout(_ANSWER_WAIT), engine.connect() as connection:
                found = await connection.run_sync(schema.found_in)
            if (revision := schema.checked(found, self.shown)) != schema.REVISIONS[-1]:
                if not self._migrates:
                    if revision is None:
                        raise self._not_made()
                    raise ConfigError(
                        f"{self.shown}: has an older form (schema {revision}, not {schema.REVISIONS[-1]}); "
                        "`freeroute serve` brings it up to date"
                    )
                await self._upgrade(engine, revision)
            if self._path is not None:
                self._opened_files = sqlite_file.inodes(self._path)
        except BaseException:
            await engine.dispose()
            raise
        return engine

    def _not_made(self) -> ConfigError:
        told = f"there are no records at {self.shown} yet; `freeroute serve` makes them"
        return schema.NotMadeError(told)

    def _made(self) -> AsyncEngine:
        if self._path is not None and self._migrates:  # made by us, it is for its owner alone
            sqlite_file.make(self._path)
        return engine_for(self._url, pooled=self._migrates)

    async def _upgrade(self, engine: AsyncEngine, revision: str | None) -> None:
        if revision is None:
            async with engine.begin() as connection:
                revision = schema.checked(await connection.run_sync(schema.make), self.shown)
        if revision is None or revision == schema.REVISIONS[-1]:
            return
        if self._path is not None:
            await asyncio.to_thread(schema.back_up, self._path, revision)
        await asyncio.to_thread(_load_migrations)
        async with engine.begin() as connection:
            await connection.run_sync(schema.upgrade)

    def _was_replaced(self) -> bool:
        return self._path is not None and sqlite_file.was_replaced(self._path, self._opened_files)

    # --- writing -------------------------------------------------------------------------------------

    async def write(self, batch: Batch, now: float) -> bool:
        """Write *batch*, all of it or nothing; say whether that was new. *now* is Unix time.

        It goes where those before it went; that the file is still there is looked after by `engine`. Raises
        BatchRefusedError if it never can be written, and other exceptions if it may later.
        """
        engine = self._engine or await self.engine()
        try:
            if self._writer is not None:
                return await asyncio.to_thread(_stored, self._writer, batch, now)
            async with engine.begin() as connection:
                return await connection.run_sync(store, batch, now)
        except (DataError, IntegrityError, OverflowError) as exc:
            raise BatchRefusedError(str(getattr(exc, "orig", exc))) from exc

    async def settled(self) -> bool:
        """Say whether all that was written since `engine` is in the database, whatever becomes of its log.

        SQLite's log is brought into the file for that, as far as those who read it let go of it.
        """
        engine = self._engine
        if self._path is None or engine is None:
            return engine is not None
        async with engine.connect() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            async with driver.execute("PRAGMA wal_checkpoint(PASSIVE)") as cursor:
                busy, logged, moved = await cursor.fetchone()
        return not busy and logged == moved and not self._was_replaced()

    # --- what becomes too old or too much --------------------------------------------------------------

    async def tidy(self, now: float, keep: float, most: int, keeping: Keeping | None = None) -> bool:
        """Delete some of what is older than *keep* (seconds) or beyond *most* bytes; say if more is left.

        Prompts and answers go by *keeping*; without it none are kept.
        """
        engine = await self.engine()
        async with engine.begin() as connection:
            texts = await _tidied(connection, now, keeping)
            gone = await _deleted(connection, receipts, now - keep, CHUNK)
            if gone < CHUNK and await _size(connection) > most:
                gone = await _deleted(connection, receipts, math.inf, CHUNK)
        if (texts or gone) and self._path is not None:
            await _shrink(engine)
        if gone == CHUNK or texts == BODIES_CHUNK:
            return True
        async with engine.begin() as connection:
            for table, kept in ((hourly, HOURS_KEPT), (daily, DAYS_KEPT)):
                await connection.execute(delete(table).where(table.c.start < now - kept))
            await connection.execute(delete(writers).where(writers.c.at < now - HOURS_KEPT))
        return False


def engine_for(url: URL, *, pooled: bool = True) -> AsyncEngine:
    """Return an engine for *url*; connections are made when they are needed.

    Those to a SQLite file end with their use unless they are *pooled*: a log that was removed under the
    process is let go of once no connection has it, and only then a writer finds the new one.
    """
    if url.get_backend_name() == "postgresql":
        told = {"connect_timeout": _POSTGRES_WAIT}
        return create_async_engine(url, hide_parameters=True, pool_size=2, connect_args=told)
    pool: dict[str, Any] = {} if pooled else {"poolclass": NullPool}
    engine = create_async_engine(url, **_OF_SQLITE, **pool)
    _set_up(engine.sync_engine)
    return engine


def _set_up(engine: Engine) -> Engine:
    """Let connections of *engine* to SQLite, with or without a loop, behave as we need it."""

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _: object) -> None:
        # The driver's own transactions would leave changes of tables out.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in _PRAGMAS:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def _stored(engine: Engine, batch: Batch, now: float) -> bool:
    with engine.begin() as connection:
        return store(connection, batch, now)


def _load_migrations() -> None:
    import alembic.command
    import alembic.config  # noqa: F401


async def _tidied(connection: AsyncConnection, now: float, keeping: Keeping | None) -> int:
    """Delete some of the prompts and answers that *keeping* does not want; return how many of either kind."""
    before = now - keeping.keep if keeping is not None else math.inf
    most = 0
    for table in (bodies, responses):
        gone = await _deleted(connection, table, before, BODIES_CHUNK)
        if keeping is not None and gone < BODIES_CHUNK and await _size_of(connection, table) > keeping.most:
            gone = await _deleted(connection, table, math.inf, BODIES_CHUNK)
        most = max(most, gone)
    return most


async def _deleted(connection: AsyncConnection, table: Table, before: float, most: int) -> int:
    """Delete the oldest rows of *table* from *before*, so many at *most*; return how many."""
    at, number = table.c.at, table.c.id
    oldest = select(number).where(at < before).order_by(at, number).limit(most)
    return (await connection.execute(delete(table).where(number.in_(oldest)))).rowcount


async def _shrink(engine: AsyncEngine) -> None:
    """Give the pages that nothing is in any more back to the file system."""
    async with engine.connect() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        # It goes on for each page that it frees, which only the execution of a script follows to the end.
        await driver.executescript("PRAGMA incremental_vacuum")


async def _size_of(connection: AsyncConnection, texts: Table) -> int:
    return int((await connection.execute(select(func.coalesce(func.sum(texts.c.size), 0)))).scalar_one())


async def _size(connection: AsyncConnection) -> int:
    """Return the bytes that records take, without texts; of PostgreSQL those of the receipts, estimated."""
    if connection.dialect.name == "sqlite":
        pages, free, each = [
            (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar_one()
            for name in ("page_count", "freelist_count", "page_size")
        ]
        texts = await _size_of(connection, bodies) + await _size_of(connection, responses)
        return int((pages - free) * each) - texts
    newest = "SELECT avg(pg_column_size(r.*)) FROM (SELECT * FROM receipts ORDER BY id DESC LIMIT 1000) r"
    count = (await connection.execute(select(func.count()).select_from(receipts))).scalar_one()
    return int(count * float((await connection.execute(text(newest))).scalar() or 0))
