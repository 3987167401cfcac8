"""Makes what stores receipts, without loading what speaks to databases."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from freeroute.clock import Clock
from freeroute.config.specs import BodiesSpec, StorageSpec
from freeroute.engine.view import Recording
from freeroute.stores.records.bodies import Bodies, Keeping
from freeroute.stores.records.recorder import Recorder
from freeroute.stores.records.schema import revision_of
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

    def database() -> "Database":
        from freeroute.stores.records.database import Database

        return Database(storage.url, path)

    state = Recording()
    return Recorder(
        Spool(directory / "records.spool"),
        database,
        clock=clock,
        keep=storage.keep,
        most=storage.max_size,
        state=state,
        bodies=_bodies(storage.bodies, state),
    )


def _bodies(spec: BodiesSpec | None, state: Recording) -> Bodies | None:
    if spec is None:
        return None
    told = "prompts and answers are stored, as storage.bodies says"
    structlog.get_logger("freeroute.records").info(told, days=round(spec.keep / 86400, 1))
    clients = frozenset(spec.clients) if spec.clients is not None else None
    return Bodies(Keeping(spec.keep, spec.max_size, spec.longest, clients), state)


@contextlib.asynccontextmanager
async def recorded(recorder: Recorder) -> AsyncIterator[None]:
    """Store receipts meanwhile, and what is left at the end."""
    running = asyncio.create_task(recorder.run())
    try:
        yield
    finally:
        recorder.stop()
        await running
