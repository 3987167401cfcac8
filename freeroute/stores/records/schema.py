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

REVISIONS = ("0001", "0002", "0003")
"""The forms that this freeroute knows, the present one last; one file each in `migrations/versions`."""

_LOCK = 0x66726565  # of PostgreSQL: gateways that share a database do not migrate it side by side


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

    With the standard library alone, for it is asked before anything else starts. A file that cannot be read
    is left to those who write it.
    """
    if not path.exists():
        return None
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=1.0)) as connection:
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


def upgrade(connection: "Connection", to: str = REVISIONS[-1]) -> None:
    """Bring the tables behind *connection* to revision *to*, in its transaction."""
    from alembic import command
    from alembic.config import Config

    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, to)
