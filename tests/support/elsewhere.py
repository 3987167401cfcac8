"""Another process that opens a SQLite file, as a backup, a shell or a command does."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_READ = """
import contextlib, sqlite3, sys
with contextlib.closing(sqlite3.connect(sys.argv[1])) as there:
    print(there.execute(sys.argv[2]).fetchone()[0])
"""

_HOLD = """
import sqlite3, sys
there = sqlite3.connect(sys.argv[1], isolation_level=None)
there.execute("PRAGMA journal_mode = WAL")
there.executescript(sys.argv[2])
print("done", flush=True)
sys.stdin.read()
"""


@contextmanager
def held(path: Path, script: str) -> Iterator[None]:
    """Have another process run *script* on the file at *path*, with a log, and hold it open until killed."""
    command = [sys.executable, "-c", _HOLD, str(path), script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        try:
            assert holder.stdout.readline() == b"done\n"
            yield
        finally:
            holder.kill()


def asked(path: Path, question: str) -> str:
    """Return what another process reads from the file at *path*, and then closes it."""
    command = [sys.executable, "-c", _READ, str(path), question]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


def take_log(path: Path) -> None:
    """Take the log beside *path* away, as SQLite does where it knows of nobody who has the file open."""
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink()
