"""What is to be known of a SQLite file besides what SQLite knows: how it is made, read, and seen to be gone.

Nobody but SQLite may open a file that this process has a connection to: POSIX locks belong to a process and
a file, and closing any descriptor drops them all (https://www.sqlite.org/howtocorrupt.html, 2.2). Another
process then believes to be the last one, and removes the log beside the file while we go on writing to it.
"""

import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

from freeroute.stores.permissions import open_to_others

BESIDE = ("-wal", "-shm")
"""What SQLite keeps beside a file while it is open."""

Inodes = tuple[tuple[int, int] | None, ...]


def make(path: Path) -> None:
    """Make an empty file at *path*, unless there is one, that its owner alone can use; raises OSError."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        if open_to_others(path):
            path.chmod(0o600)
    else:
        os.close(descriptor)


def reading(path: Path) -> sqlite3.Connection:
    """Return a connection that reads the file at *path* and changes nothing in it; raises sqlite3.Error.

    It waits a second for others. A reader makes the files beside it that are not there, and leaves them.
    While nobody has it open, and nobody was killed with it open, there are none, and all is in the file
    itself.
    """
    alone = not Path(f"{path}-wal").exists()
    how = "immutable=1" if alone else "mode=ro"
    return sqlite3.connect(f"file:{quote(os.fsencode(path))}?{how}", uri=True, timeout=1.0)


def inodes(path: Path) -> Inodes:
    """Return which files are at *path* and beside it; while one is open its number is given to no other."""
    return tuple(_inode(f"{path}{suffix}") for suffix in ("", *BESIDE))


def was_replaced(path: Path, opened: Inodes) -> bool:
    """Say whether one of those that were *opened* at *path* is gone: what is written to it, nobody reads."""
    return any(then not in (None, now) for then, now in zip(opened, inodes(path), strict=True))


def _inode(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - several times a second
    except OSError:
        return None
    return found.st_dev, found.st_ino
