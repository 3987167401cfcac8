"""Which form the tables have, and how an older one becomes the present one."""

import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from freeroute.errors import ConfigError
from freeroute.stores import sqlite_file

if TYPE_CHECKING:
    from sqlalchemy import Connection

REVISIONS = ("0001", "0002", "0003", "0004")
"""The forms that this freeroute knows, the present one last; one file each in `migrations/versions`."""

_LOCK_NUMBER = 0x66726565  # of PostgreSQL: gateways that share a database do not migrate it side by side
_VERSION_TABLE = (  # as Alembic makes it
    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL,"
    " CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)


class NotMadeError(ConfigError):
    """There are no tables: nothing was ever stored."""


def checked(found: Sequence[str], shown: str) -> str | None:
    """Return the revision among those *found* in the table, None if there is none.

    Raises ConfigError if it is one that only a newer freeroute knows; *shown* names the database.
    """
    for revision in found:
        if revision not in REVISIONS:
            raise ConfigError(
                f"{shown}: was written by a newer freeroute (schema {revision[:32]!r}, this one knows "
                f"{REVISIONS[-1]}); run that one, or give this one another database (storage.url)"
            )
    return found[0] if found else None


def revision_of(path: Path) -> str | None:
    """Return the revision of the SQLite file at *path*, None if it has none; raises ConfigError.

    With the standard library alone, for it is asked before anything else starts. Nothing in the file is
    changed, and one that cannot be read is left to those who write it.
    """
    if not path.exists():
        return None
    try:
        with contextlib.closing(sqlite_file.reading(path)) as connection:
            rows = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    except sqlite3.Error:
        return None
    return checked([str(row[0]) for row in rows], str(path))


def back_up(path: Path, revision: str) -> Path:
    """Copy the SQLite file at *path*, whose tables are of *revision*, to a file beside it, and return that.

    Raises sqlite3.Error or OSError.
    """
    copy = path.with_name(f"{path.name}.before-{REVISIONS[-1]}-was-{revision}")
    copy.unlink(missing_ok=True)
    sqlite_file.make(copy)
    with (
        contextlib.closing(sqlite3.connect(path, timeout=5.0)) as old,
        contextlib.closing(sqlite3.connect(copy)) as new,
    ):
        old.backup(new)
    return copy


def found_in(connection: "Connection") -> list[str]:
    """Return the revisions that the database behind *connection* says its tables have: one, or none yet."""
    from sqlalchemy import inspect

    if not inspect(connection).has_table("alembic_version"):
        return []
    return [str(row[0]) for row in connection.exec_driver_sql("SELECT version_num FROM alembic_version")]


def make(connection: "Connection") -> list[str]:
    """Make the tables behind *connection* in their present form, and return the revisions found after that.

    It is what all migrations together come to, without loading what runs them: 10 MiB, and a tenth of a
    second. Where another gateway was first, nothing is made.
    """
    from freeroute.stores.records.tables import metadata

    _lock(connection)
    if found := found_in(connection):
        return found
    metadata.create_all(connection, checkfirst=False)  # tables that are somebody else's are no place for ours
    connection.exec_driver_sql(_VERSION_TABLE)
    connection.exec_driver_sql(f"INSERT INTO alembic_version (version_num) VALUES ('{REVISIONS[-1]}')")
    return [REVISIONS[-1]]


def upgrade(connection: "Connection", to: str = REVISIONS[-1]) -> None:
    """Bring the tables behind *connection* to revision *to*, in its transaction."""
    from alembic import command
    from alembic.config import Config

    _lock(connection)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, to)


def _lock(connection: "Connection") -> None:
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK_NUMBER})")
