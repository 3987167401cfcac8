"""The file that outlives the process: names and bytes in SQLite. See docs/decisions/0006-sqlite.md."""

import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from freeroute.errors import ConfigError
from freeroute.stores import sqlite_file

FORMAT = 1
"""The format of the file, as its ``user_version``."""

BOUND = 256 * 1024 * 1024
"""Bytes the file may grow to. Own design: ten times what 2,000 busy counters take."""

PATIENCE = 1.0
"""Seconds a writer waits for somebody else who has the file open, such as a backup. Own design."""

_PAGE = 4096
# What the system refuses; any other error of SQLite means that the file is not what we wrote.
_REFUSALS = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
    }
)


class StateFileError(Exception):
    """The file cannot be read or written; *damaged* if it never will be."""

    def __init__(self, reason: str, *, damaged: bool) -> None:
        """Keep why."""
        super().__init__(reason)
        self.damaged = damaged


class StateFileReplacedError(StateFileError):
    """The file, or the log beside it, was removed or replaced: what was written may not be in it."""

    def __init__(self) -> None:
        """Say so."""
        super().__init__("it was removed or replaced while it was open", damaged=False)


class StateFile:
    """A table of names and bytes, changed by whole batches. Any thread may use it, one at a time."""

    def __init__(self, path: Path, bound: int = BOUND) -> None:
        """Keep things in *path*, of at most *bound* bytes; nothing is opened yet."""
        self.path = path
        self._bound = bound
        self._connection: sqlite3.Connection | None = None
        self._opened_files: sqlite_file.Inodes = ()
        self._lock = threading.Lock()

    def read(self) -> dict[str, bytes]:
        """Return everything; raises StateFileError, or ConfigError if a newer freeroute wrote the file."""
        with self._using() as connection:
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                raise StateFileError(verdict, damaged=True)
            rows = connection.execute("SELECT name, state FROM kept").fetchall()
        # SQLite takes any type in any column.
        if not all(isinstance(name, str) and isinstance(state, bytes) for name, state in rows):
            raise StateFileError("it holds rows that freeroute did not write", damaged=True)
        return dict(rows)

    def write(self, states: Mapping[str, bytes | None], *, anew: bool = False) -> None:
        """Set *states*, all or nothing; None deletes one, *anew* all others. Raises StateFileError.

        A StateFileReplacedError asks for everything *anew*: the next use opens what is there then.
        """
        there = [(name, state) for name, state in states.items() if state is not None]
        gone = [(name,) for name, state in states.items() if state is None]
        with self._using() as connection:
            connection.execute("BEGIN IMMEDIATE")
            if anew:
                connection.execute("DELETE FROM kept")
            connection.executemany("DELETE FROM kept WHERE name = ?", gone)
            connection.executemany("INSERT OR REPLACE INTO kept VALUES (?, ?)", there)
            connection.execute("COMMIT")

    def set_aside(self, stamp: str) -> Path:
        """Move the file out of the way, and return where it is now; raises StateFileError."""
        self.close()
        aside = self.path.with_name(f"{self.path.name}.corrupt-{stamp}")
        try:
            self.path.replace(aside)
            for suffix in ("-wal", "-shm"):
                beside = Path(f"{self.path}{suffix}")
                if beside.exists():
                    beside.replace(f"{aside}{suffix}")
        except OSError as exc:
            raise StateFileError(str(exc.strerror), damaged=False) from exc
        return aside

    def close(self) -> None:
        """Let go of the file; what was written is in it alone, without files beside it."""
        with self._lock:
            self._drop()

    @contextlib.contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = self._opened()
                elif sqlite_file.was_replaced(self.path, self._opened_files):
                    raise StateFileReplacedError
                yield self._connection
            except sqlite3.Error as exc:
                # What went wrong may have to do with this connection: the next use opens another one.
                self._drop()
                code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
                raise StateFileError(str(exc), damaged=code not in _REFUSALS) from exc
            except BaseException:
                self._drop()
                raise

    def _opened(self) -> sqlite3.Connection:
        try:
            sqlite_file.make(self.path)
        except OSError as exc:
            raise StateFileError(str(exc.strerror), damaged=False) from exc
        connection = sqlite3.connect(
            self.path, timeout=PATIENCE, isolation_level=None, check_same_thread=False
        )
        try:
            self._set_up(connection)
        except BaseException:
            connection.close()
            raise
        self._opened_files = sqlite_file.inodes(self.path)
        return connection

    def _set_up(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > FORMAT:
            raise ConfigError(
                f"{self.path}: was written by a newer freeroute (format {version}, this one knows {FORMAT}); "
                "run that one, or move the file away to start without what it remembers"
            )
        # Once committed, a write outlives this process; a power failure may take the last seconds, no more.
        for setting in (
            "journal_mode = WAL",
            "synchronous = NORMAL",
            f"max_page_count = {max(1, self._bound // _PAGE)}",
            "journal_size_limit = 4194304",
        ):
            connection.execute(f"PRAGMA {setting}")
        if version < FORMAT:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, state BLOB NOT NULL) WITHOUT ROWID"
            )
            connection.execute(f"PRAGMA user_version = {FORMAT}")

    def _drop(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
