"""Makes what stores receipts, without loading what speaks to databases."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from freeroute.clock import Clock
from freeroute.config.specs import BodiesSpec, StorageSpec
from freeroute.engine.view import Recording
from freeroute.stores.records.bodies import Bodies, Keeping
from freeroute.stores.records.reader import RecordsReader
from freeroute.stores.records.recorder import Recorder
from freeroute.stores.records.schema import revision_of
from freeroute.stores.records.shelf import ResponseShelf
from freeroute.stores.records.spool import Spool

if TYPE_CHECKING:
    from freeroute.stores.records.database import Database


def records_in(directory: Path) -> Path:
    """Return where records are kept in the state *directory*, if not in PostgreSQL."""
    return directory / "records.db"


def recorder_of(storage: StorageSpec, directory: Path, clock: Clock) -> Recorder | None:
    """Return what stores receipts as *storage* says, None if nothing does.

    Raises ConfigError if a newer freeroute wrote the file in the state *directory*.
    """
    if not storage.records:
        return None
    path = records_in(directory)
    if storage.url is None:
        revision_of(path)

    state = Recording()
    return Recorder(
        Spool(directory / "records.spool"),
        partial(_database, storage.url, path, migrates=True),
        clock=clock,
        keep=storage.keep,
        most=storage.max_size,
        state=state,
        bodies=_bodies(storage.bodies, state),
    )


def reader_of(storage: StorageSpec, directory: Path, clock: Clock) -> RecordsReader | None:
    """Return what reads what `recorder_of` stores, None if nothing is."""
    if not storage.records:
        return None
    return RecordsReader(partial(_database, storage.url, records_in(directory), migrates=False), clock)


def shelf_of(storage: StorageSpec, directory: Path, clock: Clock) -> ResponseShelf | None:
    """Return what keeps responses for those who come back to them, None if no prompts and answers are."""
    if not storage.records or storage.bodies is None:
        return None
    make = partial(_database, storage.url, records_in(directory), migrates=False)
    return ResponseShelf(make, clock, _keeping(storage.bodies))


def _database(url: str | None, path: Path, *, migrates: bool) -> "Database":
    from freeroute.stores.records.database import Database

    return Database(url, path, migrates=migrates)


def _bodies(spec: BodiesSpec | None, state: Recording) -> Bodies | None:
    if spec is None:
        return None
    told = "prompts and answers are stored, as storage.bodies says"
    structlog.get_logger("freeroute.records").info(told, days=round(spec.keep / 86400, 1))
    return Bodies(_keeping(spec), state)


def _keeping(spec: BodiesSpec) -> Keeping:
    clients = frozenset(spec.clients) if spec.clients is not None else None
    return Keeping(spec.keep, spec.max_size, spec.longest, clients)


@contextlib.asynccontextmanager
async def recorded(recorder: Recorder) -> AsyncIterator[None]:
    """Store receipts meanwhile, and what is left at the end."""
    running = asyncio.create_task(recorder.run())
    try:
        yield
    finally:
        recorder.stop()
        await running
