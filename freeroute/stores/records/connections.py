"""Connections to either database, for plain functions that are given one and wait for it."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sqlalchemy import create_engine, event
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.pool import NullPool

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

T = TypeVar("T")

THREADS = 4
"""Threads on which a SQLite file is waited for, at most. Own design: as many as may read it at once."""

_POSTGRES_WAIT = 5  # seconds for a connection
_SQLITE_WAIT = 5.0  # seconds for somebody else who has the file open, such as a backup
_STEPS = 100_000  # of SQLite's machine, some milliseconds, between two looks for whether anybody waits
_PRAGMAS = ("auto_vacuum = INCREMENTAL", "journal_mode = WAL", "synchronous = NORMAL")


class _GivenUpError(Exception):
    """Nobody waits for this work any more: nothing of it may stay."""


class Connections(Protocol):
    """Connections to one database, made when they are needed."""

    async def within(self, work: Callable[[Connection], T]) -> T:
        """Do *work* with one of them, in one transaction, and return what it returns."""

    async def close(self) -> None:
        """Let go of all that are not in use."""


class SqliteConnections:
    """Connections to a SQLite file, each used on a thread.

    What is done with one is a single call there: each statement by itself would be two turns of the loop and
    of Python's lock, which requests are in want of, and others would find the file locked for as long as the
    loop is busy.
    """

    def __init__(self, path: Path, *, pooled: bool = True) -> None:
        """Connect to the file at *path*; connections end with their use unless they are *pooled*.

        A log that was removed under the process is let go of once no connection has it, and only then a
        writer finds the new one. So who gives up what it asked of one that is not pooled gets its end too:
        no more ever hang than are asked at once, however often the file is opened anew.
        """
        pool: dict[str, Any] = {} if pooled else {"poolclass": NullPool}
        wait = {"timeout": _SQLITE_WAIT}
        url = URL.create("sqlite", database=str(path))
        self._engine = create_engine(url, hide_parameters=True, connect_args=wait, **pool)
        self._pooled = pooled
        self._threads = ThreadPoolExecutor(THREADS, "records")
        _set_up(self._engine)

    async def within(self, work: Callable[[Connection], T]) -> T:
        """Do *work* in one transaction; what is waited for no longer is broken off, and not stored."""
        given_up = threading.Event()

        def done() -> T:
            with self._engine.begin() as connection:
                driver = _driver(connection)
                driver.set_progress_handler(given_up.is_set, _STEPS)
                try:
                    found = work(connection)
                finally:
                    driver.set_progress_handler(None, _STEPS)
                if given_up.is_set():  # work of few steps is never looked at
                    raise _GivenUpError
                return found

        doing = self._threads.submit(done)
        try:
            return await asyncio.wrap_future(doing)
        finally:
            given_up.set()
            if doing.running() and not self._pooled:
                await asyncio.gather(asyncio.wrap_future(doing), return_exceptions=True)

    async def outside(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do *work* with the driver's own connection, in no transaction."""

        def done() -> T:
            with self._engine.connect() as connection:
                return work(_driver(connection))

        return await asyncio.get_running_loop().run_in_executor(self._threads, done)

    async def close(self) -> None:
        """Let go of all that are not in use."""
        self._threads.shutdown(wait=False)
        await asyncio.to_thread(self._engine.dispose)


class PostgresConnections:
    """Connections to PostgreSQL, used on the loop: a server that is silent holds up no thread."""

    def __init__(self, engine: "AsyncEngine") -> None:
        """Use those of *engine*."""
        self._engine = engine

    async def within(self, work: Callable[[Connection], T]) -> T:
        """Do *work* in one transaction."""
        async with self._engine.begin() as connection:
            return await connection.run_sync(work)

    async def close(self) -> None:
        """Let go of all that are not in use."""
        await self._engine.dispose()


def postgres_at(url: URL) -> PostgresConnections:
    """Return connections to PostgreSQL at *url*."""
    from sqlalchemy.ext.asyncio import create_async_engine  # 6 MiB that SQLite does not need

    told = {"connect_timeout": _POSTGRES_WAIT}
    return PostgresConnections(create_async_engine(url, hide_parameters=True, pool_size=2, connect_args=told))


def sqlite_driver(connection: Connection) -> sqlite3.Connection | None:
    """Return SQLite's own connection behind *connection*, None if it is one to PostgreSQL."""
    return _driver(connection) if connection.dialect.name == "sqlite" else None


def _driver(connection: Connection) -> sqlite3.Connection:
    driver: Any = connection.connection.driver_connection
    return driver  # type: ignore[no-any-return]


def _set_up(engine: Engine) -> None:
    """Let connections of *engine* behave as we need it."""

    @event.listens_for(engine, "connect")
    def connected(connection: sqlite3.Connection, _: object) -> None:
        # The driver's own transactions would leave changes of tables out.
        connection.isolation_level = None
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        _driver(connection).execute("BEGIN").close()
