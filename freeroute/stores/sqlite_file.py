"""What is to be known of a SQLite file besides what SQLite knows: how it is made, and if it is still there.

Nobody but SQLite may open a file that this process has a connection to: POSIX locks belong to a process and
a file, and closing any descriptor drops them all (https://www.sqlite.org/howtocorrupt.html, 2.2). Another
process then believes to be the last one, and removes the log beside the file while we go on writing to it.
"""

import os
from pathlib import Path

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
