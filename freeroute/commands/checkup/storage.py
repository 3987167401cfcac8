"""Can what must outlive the process be kept: the state directory, the files in it, the room on the disk?"""

import contextlib
import fcntl
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from freeroute.clock import mono
from freeroute.commands.checkup.finding import Finding, note, ok, problem, warning
from freeroute.config.load import Settings
from freeroute.errors import ConfigError
from freeroute.recording import records_in
from freeroute.stores import sqlite_file
from freeroute.stores.permissions import reachable
from freeroute.stores.records import spool
from freeroute.stores.records.schema import revision_of

AREA = "storage"
# Own design: what the state file and the spool may take at their bounds, and a tenth of it.
LITTLE_ROOM, HARDLY_ROOM = 512 * 2**20, 64 * 2**20
# Seconds for looking through one file. Own design: a reader waits no longer.
PATIENCE = 10.0
# Bytes of receipts that wait. Own design: what a busy gateway spools while its database is gone for minutes.
BACKLOG = 4 * 2**20
# Steps of SQLite's machine between looks at the clock.
_STEPS = 10_000


def examine(settings: Settings) -> Iterator[Finding]:
    """Return what is to be said of the state directory; nothing in it is changed."""
    directory = settings.state_dir
    if not directory.exists():
        yield from _not_there(directory)
        return
    if not directory.is_dir() or not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        told = f"{directory}: is no directory that can be written to"
        yield problem(AREA, told, "give it to the user that runs freeroute, or set server.state_dir")
        return
    yield ok(AREA, f"{directory} can be written to")
    yield from _permissions(directory)
    yield from _room(directory)
    yield from whole(directory / "state.db")
    if settings.storage.records:
        yield from _records(settings)
    yield from _left_behind(directory)


def held(directory: Path) -> bool:
    """Say whether a gateway runs on the state *directory*."""
    try:
        with (directory / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _not_there(directory: Path) -> Iterator[Finding]:
    above = next(path for path in directory.parents if path.exists())
    if os.access(above, os.W_OK | os.X_OK):
        yield ok(AREA, f"{directory} is not there yet, and can be made")
    else:
        told = f"{directory}: is not there, and {above} is not writable"
        yield problem(AREA, told, "make it for the user that runs freeroute, or set server.state_dir")


def _permissions(directory: Path) -> Iterator[Finding]:
    if found := reachable(directory):
        told = f"others on this machine can use {', '.join(found)}"
        yield warning(AREA, told, f"chmod -R go= {directory}; a key among them may be known")


def _room(directory: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(directory).free
    told = f"{free / 2**20:,.0f} MiB are free on the disk of {directory}"
    if free < HARDLY_ROOM:
        yield problem(AREA, told, "make room: counters and records cannot be saved on a full disk")
    elif free < LITTLE_ROOM:
        yield warning(AREA, told, "make room, or bound the records with storage.max_size")
    else:
        yield ok(AREA, told)


def _records(settings: Settings) -> Iterator[Finding]:
    if settings.storage.url is None:
        path = records_in(settings.state_dir)
        try:
            revision_of(path)
        except ConfigError as exc:
            yield problem(AREA, str(exc), "run the newer freeroute, or move the file away")
        yield from whole(path)
    with contextlib.suppress(FileNotFoundError):
        waiting = (settings.state_dir / "records.spool").stat().st_size
        told = (
            f"{waiting / 2**20:,.1f} MiB of receipts wait for the database, of {spool.BOUND / 2**20:,.0f} MiB"
        )
        if waiting > spool.BOUND // 2:
            yield problem(AREA, told, "bring the database back: beyond that receipts are lost")
        elif waiting > BACKLOG:
            yield warning(AREA, told, "look at the log of `freeroute serve` for why they are not written")


def whole(path: Path, patience: float = PATIENCE) -> Iterator[Finding]:
    """Look through a SQLite file for *patience* seconds, by SQLite and without changing it."""
    if not path.exists():
        return
    until = mono() + patience
    try:
        with contextlib.closing(sqlite_file.reading(path)) as connection:
            connection.set_progress_handler(lambda: mono() > until, _STEPS)
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as exc:
        if getattr(exc, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
            yield ok(AREA, f"{path.name} opens; it is too large to be looked through in {patience:g} s")
            return
        verdict = str(exc)
    if verdict == "ok":
        yield ok(AREA, f"{path.name} is whole")
    else:
        told = f"{path.name}: {verdict}"
        yield problem(AREA, told, "restart freeroute: a damaged file is moved aside, and another is begun")


def _left_behind(directory: Path) -> Iterator[Finding]:
    copies = [path for path in directory.glob("*.corrupt-*") if not path.name.endswith(("-wal", "-shm"))]
    if copies:
        size = sum(path.stat().st_size for path in copies) / 2**20
        names = ", ".join(sorted(path.name for path in copies))
        told = f"damaged files were set aside: {names} ({size:,.1f} MiB)"
        yield note(AREA, told, "nothing reads them: keep them for a look, or remove them")
