"""Another process that opens a SQLite file, as a backup, a shell or a command does."""

import subprocess
import sys
from pathlib import Path

_READ = """
import contextlib, sqlite3, sys
with contextlib.closing(sqlite3.connect(sys.argv[1])) as there:
    print(there.execute(sys.argv[2]).fetchone()[0])
"""


def asked(path: Path, question: str) -> str:
    """Return what another process reads from the file at *path*, and then closes it."""
    command = [sys.executable, "-c", _READ, str(path), question]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


def take_log(path: Path) -> None:
    """Take the log beside *path* away, as SQLite does where it knows of nobody who has the file open."""
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink()
