"""The database of the records: SQLite beside the state, or PostgreSQL. Batches are written whole and once."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from freeroute.errors import ConfigError
from freeroute.stores import sqlite_file
from freeroute.stores.records import schema, tidying
from freeroute.stores.records.bodies import Keeping
from freeroute.stores.records.connections import Connections, SqliteConnections, postgres_at
from freeroute.stores.records.rows import Batch
from freeroute.stores.records.storing import store

T = TypeVar("T")

_ANSWER_WAIT = 10.0  # seconds for a database to say which form its tables have
_REFUSED = (sqlite3.DataError, sqlite3.IntegrityError, OverflowError)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class BatchRefusedError(Exception):
    """The database will never take this batch."""


def connections_to(url: str | None, path: Path, *, pooled: bool = True) -> Connections:
    """Return connections to PostgreSQL at *url*, or to the SQLite file at *path* if there is none.

    Nothing is connected yet. *pooled* is about SQLite, as `SqliteConnections` says.
    """
    return SqliteConnections(path, pooled=pooled) if url is None else postgres_at(_url_of(url))


def _url_of(url: str) -> URL:
    return make_url(url).set(drivername="postgresql+psycopg")


class Database:
    """One database of records; what fails may be tried again, for connections are made anew."""

    def __init__(self, url: str | None, path: Path, *, migrates: bool = True) -> None:
        """Use PostgreSQL at *url*, or the SQLite file at *path*; nothing is opened yet.

        Who only reads *migrates* nothing and makes no file: tables of another form are refused.
        """
        self._url = url
        self._path = path if url is None else None
        self._migrates = migrates
        self._connections: Connections | None = None
        self._opened_files: sqlite_file.Inodes = ()
        self.shown = str(path) if url is None else _url_of(url).render_as_string(hide_password=True)

    # --- opening and closing -------------------------------------------------------------------------

    async def opened(self) -> Connections:
        """Return what to read and write with; the tables have their present form.

        It is another one once the file, or the log beside it, was removed or replaced. Raises ConfigError if
        the tables have a form that may not be changed.
        """
        if self._connections is None or self._was_replaced():
            await self.close()
            self._connections = await self._open()
        return self._connections

    async def within(self, work: Callable[[Connection], T]) -> T:
        """Do *work* in one transaction, and return what it returns; raises what `opened` does."""
        return await (await self.opened()).within(work)

    async def close(self) -> None:
        """Let go of all connections."""
        connections, self._connections = self._connections, None
        if connections is not None:
            await connections.close()

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

    async def _open(self) -> Connections:
        if not self._migrates and self._path is not None and not self._path.exists():
            raise self._not_made()
        # Drivers are imported here: not on the loop, where requests would wait for it.
        connections = await asyncio.to_thread(self._made)
        try:
            async with asyncio.timeout(_ANSWER_WAIT):
                found = await connections.within(schema.found_in)
            if (revision := schema.checked(found, self.shown)) != schema.REVISIONS[-1]:
                if not self._migrates:
                    if revision is None:
                        raise self._not_made()
                    raise ConfigError(
                        f"{self.shown}: has an older form (schema {revision}, not {schema.REVISIONS[-1]}); "
                        "`freeroute serve` brings it up to date"
                    )
                await self._upgrade(connections, revision)
            if self._path is not None:
                self._opened_files = sqlite_file.inodes(self._path)
        except BaseException:
            await connections.close()
            raise
        return connections

    def _not_made(self) -> ConfigError:
        told = f"there are no records at {self.shown} yet; `freeroute serve` makes them"
        return schema.NotMadeError(told)

    def _made(self) -> Connections:
        if self._path is not None and self._migrates:  # made by us, it is for its owner alone
            sqlite_file.make(self._path)
        return connections_to(self._url, self._path or Path(), pooled=self._migrates)

    async def _upgrade(self, connections: Connections, revision: str | None) -> None:
        if revision is None:
            revision = schema.checked(await connections.within(schema.make), self.shown)
        if revision is None or revision == schema.REVISIONS[-1]:
            return
        if self._path is not None:
            await asyncio.to_thread(schema.back_up, self._path, revision)
        await asyncio.to_thread(_load_migrations)
        await connections.within(schema.upgrade)

    def _was_replaced(self) -> bool:
        return self._path is not None and sqlite_file.was_replaced(self._path, self._opened_files)

    # --- writing -------------------------------------------------------------------------------------

    async def write(self, batch: Batch, now: float) -> bool:
        """Write *batch*, all of it or nothing; say whether that was new. *now* is Unix time.

        It goes where those before it went; that the file is still there is looked after by `opened`. Raises
        BatchRefusedError if it never can be written, and other exceptions if it may later.
        """
        connections = self._connections or await self.opened()
        try:
            return await connections.within(lambda connection: store(connection, batch, now))
        except (*_REFUSED, DataError, IntegrityError) as exc:
            raise BatchRefusedError(str(getattr(exc, "orig", exc))) from exc

    async def settled(self) -> bool:
        """Say whether all that was written since `opened` is in the database, whatever becomes of its log.

        SQLite's log is brought into the file for that, as far as those who read it let go of it.
        """
        connections = self._connections
        if not isinstance(connections, SqliteConnections):
            return connections is not None
        return await connections.outside(_has_no_log) and not self._was_replaced()

    # --- what becomes too old or too much --------------------------------------------------------------

    async def tidy(self, now: float, keep: float, most: int, keeping: Keeping | None = None) -> bool:
        """Delete some of what is older than *keep* (seconds) or beyond *most* bytes; say if more is left.

        Prompts and answers go by *keeping*; without it none are kept.
        """
        connections = await self.opened()
        freed, is_more = await connections.within(
            lambda connection: tidying.tidy(connection, now, keep, most, keeping)
        )
        if freed and isinstance(connections, SqliteConnections):
            await connections.outside(tidying.shrink)
        return is_more


def _has_no_log(driver: sqlite3.Connection) -> bool:
    """Bring the log of a SQLite file into the file, and say whether all of it is there now."""
    busy, logged, moved = driver.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    return not busy and bool(logged == moved)


def _load_migrations() -> None:
    import alembic.command
    import alembic.config  # noqa: F401
