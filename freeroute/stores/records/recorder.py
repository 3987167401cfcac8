"""Receipts on their way to the database, behind the back of the requests.

Queue, spool, database: a request appends to the queue in memory; twice a second that goes to the spool, a
file, which outlives the process; from there batches are written to the database, whenever it takes them.
They stay in the spool until the database has them for good: what it lost with its log is written again.
"""

import asyncio
import contextlib
import datetime as dt
import math
import secrets
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
import structlog

from freeroute.clock import Clock
from freeroute.domain.receipt import Receipt
from freeroute.engine.view import Recording
from freeroute.stores.records.bodies import Bodies
from freeroute.stores.records.gathering import Gathering, writable
from freeroute.stores.records.rows import Batch, Body
from freeroute.stores.records.spool import BOUND, Spool, SpoolFullError

if TYPE_CHECKING:
    from freeroute.stores.records.connections import Connections
    from freeroute.stores.records.database import Database

PAUSE = 0.5
"""Seconds between two visits to the spool: with the visit itself, a second at most is lost to a crash."""

QUEUE = 10_000
"""Receipts that wait in memory while the spool cannot be written. Own design: 20 MB."""

BATCH = 250
"""Receipts written at once. Own design: a few milliseconds of the loop in several pieces."""

TIDY_EVERY = 600.0
"""Seconds between two looks for what is too old or too much. Own design."""

SETTLE = 10.0
"""Seconds after which what was written is brought from the database's log into its file. Own design: a few
writes to the disk, and some megabytes of the spool at the busiest."""

LOOK = 1.0
"""Seconds between two looks, while nothing comes, for whether the database is still the one that was opened:
whoever reads it otherwise may fail for so long. Own design: some calls of the system."""

PATIENCE = 10.0
"""Seconds that the database may take for a batch. Own design: one that takes longer is as good as gone."""

LAST = 5.0
"""Seconds that the end waits for the database; what it does not take then waits in the spool. Own design."""

_ROOM_FOR_BODIES = BOUND // 2  # bytes of the spool; the rest is for receipts, which are worth more
_RETRY, _LONGEST_RETRY = 0.5, 30.0
_SLICE = 50  # receipts gathered before others have their turn on the loop
_BEGIN_AFTER = 1.0  # seconds after the start: the first callers do not wait for the libraries to load


class Recorder:
    """An observer that stores receipts. Nothing about a database reaches a request."""

    def __init__(
        self,
        spool: Spool,
        database: Callable[[], "Database"],
        *,
        clock: Clock,
        keep: float,
        most: int,
        state: Recording,
        bodies: Bodies | None = None,
        begin_after: float = _BEGIN_AFTER,
    ) -> None:
        """Write to *database*, made on a thread; keep receipts for *keep* seconds and in *most* bytes.

        *state* is kept up to date for those who report. What *bodies* holds is written too.
        """
        self._spool = spool
        self._make = database
        self._database: Database | None = None
        self._connections: Connections | None = None
        self._clock = clock
        self._keep = keep
        self._most = most
        self.state = state
        self.bodies = bodies
        self._begin_after = begin_after
        self._origin = secrets.token_hex(8)
        self._number = 0
        self._queue: deque[Receipt] = deque()
        self._held: tuple[bytes, Batch] | None = None  # a batch that the spool did not take, and its line
        self._tidy_at = clock.now().mono
        self._settle_at = math.inf  # nothing was written since the last time
        self._seen: dict[str, int] = {}  # by run the last batch that was counted
        self._stopping = asyncio.Event()
        self._more = asyncio.Event()
        self._ended = False
        self._failing: set[str] = set()
        self._log = structlog.get_logger("freeroute.records")

    def saw(self, receipt: Receipt) -> None:
        """Take note of a finished request."""
        if len(self._queue) < QUEUE:
            self._queue.append(receipt)
            self.state.queued += 1
        else:
            self.state.lost += 1

    async def run(self) -> None:
        """Store what comes, until `stop`, and then what is left."""
        writing = asyncio.create_task(self._write_all())
        try:
            while not self._stopping.is_set():
                await self._rest(PAUSE)
                await self.spool()
            await self.spool()
            self._count_what_is_left()
            self._ended = True
            self._more.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST):
                    await asyncio.shield(writing)
        finally:
            writing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writing
            await self._close()

    def stop(self) -> None:
        """Let `run` end."""
        self._stopping.set()

    async def _rest(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    # --- from the queue to the spool -------------------------------------------------------------------

    async def spool(self) -> None:
        """Bring the queue to the spool."""
        while self._held is not None or self._queue or self.bodies:
            self._held = line, batch = self._held or await self._encoded()
            try:
                await asyncio.to_thread(self._spool.append, line, batch)
            except SpoolFullError:
                self.state.lost += batch.count
                self.state.bodies_lost += len(batch.bodies)
                self._troubled("spool", "the spool is full: receipts are lost")
            except OSError as exc:
                self._troubled("spool", f"the spool cannot be written: {exc.strerror}")
                return
            else:
                self._well("spool")
            self._held = None
            self.state.queued = len(self._queue)
            self._more.set()

    def _count_what_is_left(self) -> None:
        left = len(self._queue)
        if self._held is not None:
            _, batch = self._held
            left += batch.count
            self.state.bodies_lost += len(batch.bodies)
        if self.bodies is not None:
            self.bodies.drop()
        if left:
            self.state.lost += left
            self._log.error("receipts are lost: the spool could not be written until the end", receipts=left)

    async def _encoded(self) -> tuple[bytes, Batch]:
        found, queue = Gathering(), self._queue
        while queue and found.count < BATCH:
            try:
                found.add(queue.popleft())
            except Exception:
                # Our own fault, and no reason not to store the others.
                self.state.lost += 1
                self._log.exception("a receipt cannot be stored")
            if found.count % _SLICE == 0:
                await asyncio.sleep(0)
        self._number += 1
        batch = Batch(self._origin, self._number, bodies=await self._texts(), alike=found.alike())
        try:
            return msgspec.json.encode(batch), batch
        except Exception:
            self._log.exception("what cannot be written is left out of a batch")
            batch, lost, bodies_lost = writable(batch)
            self.state.lost += lost
            self.state.bodies_lost += bodies_lost
            return msgspec.json.encode(batch), batch

    async def _texts(self) -> tuple[Body, ...]:
        """Return the prompts and answers that are written next; those that there is no room for are lost."""
        if not self.bodies:
            return ()
        with contextlib.suppress(OSError):
            if await asyncio.to_thread(self._spool.size) > _ROOM_FOR_BODIES:
                self.bodies.drop()
        return tuple(self.bodies.taken())

    # --- from the spool to the database ------------------------------------------------------------------

    async def _write_all(self) -> None:
        await self._rest(self._begin_after)
        pause = _RETRY
        while True:
            self._more.clear()
            ended = self._ended  # what came while a step was under way is still to be looked for
            try:
                busy = await self._step()
            except Exception as exc:
                await self._went_wrong(exc)
                if self._ended:
                    return
                await self._rest(pause)
                pause = min(pause * 2, _LONGEST_RETRY)
                continue
            pause = _RETRY
            self._well("database")
            if not busy:
                if ended:
                    return
                await self._until_more()

    async def _until_more(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK):
                await self._more.wait()

    async def _step(self) -> bool:
        """Write a batch or tidy up a little; say whether there is more to do."""
        batch = self._spool.at_hand() or await asyncio.to_thread(self._first)
        ending = batch is None and self._stopping.is_set()
        if self._database is None:
            if ending:
                return False
            self._database = await asyncio.to_thread(self._make)
        # As long as it takes: tables may have to be given another form.
        if (connections := await self._database.opened()) is not self._connections:
            await self._go_back(connections)
            return await self._step()
        async with asyncio.timeout(PATIENCE):
            if ending or self._clock.now().mono >= self._settle_at:
                await self._settle(self._database)
            if batch is not None:
                await self._write(self._database, batch)
                if self.state.spooled or self._stopping.is_set():
                    return True
            return not ending and await self._tidy(self._database)

    async def _go_back(self, connections: "Connections") -> None:
        """Go on with *connections*, from where the database surely has all: it may be another file."""
        if self._connections is not None:
            self._log.warning(
                "the records' file, or the log beside it, was removed or replaced while it was open:"
                " it was opened anew, and what it may lack is written again"
            )
        self._connections = connections
        await asyncio.to_thread(self._spool.again)

    async def _write(self, database: "Database", batch: Batch) -> None:
        from freeroute.stores.records.database import BatchRefusedError  # loaded by now

        is_ours = batch.origin == self._origin
        counts = batch.number > self._seen.get(batch.origin, 0)
        try:
            is_new = await database.write(batch, self._clock.now().wall)
            self._settle_at = min(self._settle_at, self._clock.now().mono + SETTLE)
            if (is_new or is_ours) and counts:
                self.state.written += batch.count
        except BatchRefusedError as exc:
            self.state.lost += batch.count if counts else 0
            self._log.error("receipts were lost: the database refuses them", reason=str(exc))
        self._seen[batch.origin] = max(batch.number, self._seen.get(batch.origin, 0))
        left = self._spool.done_at_once()
        self.state.spooled = await asyncio.to_thread(self._spool.done) if left is None else left

    async def _settle(self, database: "Database") -> None:
        """Let the spool forget what the database has for good."""
        self._settle_at = self._clock.now().mono + SETTLE
        if await database.settled():
            await asyncio.to_thread(self._spool.settled)
            self._settle_at = math.inf

    def _first(self) -> Batch | None:
        batch = self._spool.first()
        if self._spool.strange:
            told = "lines of the spool make no sense and are passed over"
            self._log.warning(told, lines=self._spool.strange)
            self._spool.strange = 0
        return batch

    async def _tidy(self, database: "Database") -> bool:
        now = self._clock.now()
        if now.mono < self._tidy_at:
            return False
        keeping = self.bodies.keeping if self.bodies is not None else None
        more = await database.tidy(now.wall, self._keep, self._most, keeping)
        if not more:
            self._tidy_at = now.mono + TIDY_EVERY
        return more

    # --- when it does not work ---------------------------------------------------------------------------

    async def _went_wrong(self, exc: Exception) -> None:
        reason = "it does not answer in time" if isinstance(exc, TimeoutError) else str(exc)
        database, self._connections = self._database, None
        await self._close()
        if database is not None and database.is_damage(exc):
            reason = self._moved_aside(database) or reason
        with contextlib.suppress(OSError):
            self.state.spooled = await asyncio.to_thread(self._spool.size)
        self._troubled("database", reason)

    def _moved_aside(self, database: "Database") -> str:
        """Move a damaged file aside; return why that cannot be, if it cannot."""
        stamp = dt.datetime.fromtimestamp(self._clock.now().wall, dt.UTC).strftime("%Y%m%dT%H%M%SZ")
        try:
            aside = database.set_aside(stamp)
        except OSError as stuck:
            return str(stuck)
        self._log.error("the records are damaged and were moved aside", moved_to=str(aside))
        return ""

    async def _close(self) -> None:
        if self._database is not None:
            with contextlib.suppress(Exception):  # it may be what is broken
                async with asyncio.timeout(PATIENCE):
                    await self._database.close()

    def _troubled(self, part: str, reason: str) -> None:
        if part not in self._failing:
            self._failing.add(part)
            self.state.failing = True
            self._log.error(
                "records cannot be written: requests are served, their receipts wait",
                part=part,
                reason=reason.splitlines()[0] if reason else "",
            )

    def _well(self, part: str) -> None:
        if part in self._failing:
            self._failing.remove(part)
            self.state.failing = bool(self._failing)
            self._log.info("records are written again", part=part)
