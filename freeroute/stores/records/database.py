"""The database of the records: SQLite beside the state, or PostgreSQL. Batches are written whole and once."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import create_engine, event
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from freeroute.errors import ConfigError
from freeroute.stores import sqlite_file
from freeroute.stores.records import schema, tidying
from freeroute.stores.records.bodies import Keeping
from freeroute.stores.records.rows import Batch
from freeroute.stores.records.storing import store

T = TypeVar("T")

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
        # A transaction in SQLite is one call on a thread: each statement by itself would be two turns of the
        # loop and of Python's lock, which requests are in want of, and others would find the file locked for
        # as long as the loop is busy.
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
        if self._engine is None:
            await self.engine()
        try:
            return await self._within(lambda connection: store(connection, batch, now))
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
        await self.engine()
        freed, is_more = await self._within(
            lambda connection: tidying.tidy(connection, now, keep, most, keeping)
        )
        if freed and self._writer is not None:
            await asyncio.to_thread(tidying.shrink, self._writer)
        return is_more

    async def _within(self, work: Callable[[Connection], T]) -> T:
        """Do *work* in one transaction, and return what it returns."""
        if self._writer is not None:
            return await asyncio.to_thread(_done_within, self._writer, work)
        async with (await self.engine()).begin() as connection:
            return await connection.run_sync(work)


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


def _done_within(engine: Engine, work: Callable[[Connection], T]) -> T:
    with engine.begin() as connection:
        return work(connection)


def _load_migrations() -> None:
    import alembic.command
    import alembic.config  # noqa: F401
