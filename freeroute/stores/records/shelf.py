"""Responses that callers may come back to: found at once, in the database soon after."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from freeroute.clock import Clock
from freeroute.domain.clients import Client
from freeroute.engine.ports import KeptResponse
from freeroute.errors import RecordsUnavailable
from freeroute.stores.records.bodies import AT_ONCE, WAITING, Keeping
from freeroute.stores.records.reader import NothingStored, RecordsReader

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from freeroute.stores.records.database import Database

LONGEST = 4 * 2**20
"""Bytes of a response with all that was said before it. Own design: a long context of any model; what is
longer holds images, and would be stored again with every turn."""

ASKING = 32
"""Responses looked up at once. Own design: each is one row by its key."""

LAST = 5.0
"""Seconds that the end waits for the database; what it does not take then is lost. Own design."""

RETRY = 0.5
"""Seconds until a database that takes nothing is tried again. Own design: a restart of it takes no longer."""

_LONGEST_RETRY = 30.0


class ResponseShelf:
    """Keeps responses in one database; satisfies `engine.ports.ResponseStore`.

    What is kept waits in memory until it is written, and is found there until then: no request waits for a
    database unless it asks for what another one was told.
    """

    def __init__(
        self, make: "Callable[[], Database]", clock: Clock, keeping: Keeping, retry: float = RETRY
    ) -> None:
        """Keep what *keeping* means in the database that *make* gives.

        One that takes nothing is tried again after *retry* seconds, and twice as many each time.
        """
        self._retry = retry
        self._records = RecordsReader(make, clock, at_once=ASKING)
        self._keeping = keeping
        self._pending: dict[str, KeptResponse] = {}
        self._waiting = 0
        self._writing = asyncio.Lock()
        self._more = asyncio.Event()
        self._stopping = asyncio.Event()

    def __len__(self) -> int:
        """Return how many wait to be written."""
        return len(self._pending)

    def keeps(self, client: Client | None) -> bool:
        """Say whether responses to *client* are kept."""
        return self._keeping.means(client)

    def keep(self, kept: KeptResponse) -> bool:
        """Keep *kept* unless it is too long, or too much waits already; say so."""
        if kept.size > LONGEST or self._waiting + kept.size > WAITING:
            return False
        self._pending[kept.id] = kept
        self._waiting += kept.size
        self._more.set()
        return True

    async def find(self, response_id: str, holder: str) -> KeptResponse | None:
        """Return what *holder* was told as *response_id*, None if nothing; raises RecordsUnavailable."""
        waiting = self._pending.get(response_id)
        if waiting is not None:
            return waiting if waiting.holder == holder else None

        async def ask(engine: "AsyncEngine") -> KeptResponse | None:
            from freeroute.stores.records import responses

            return await responses.find(engine, response_id, holder)

        try:
            return await self._records.answered(ask)
        except NothingStored:
            return None

    async def forget(self, response_id: str, holder: str) -> bool:
        """Keep it no longer, and say whether it was there; raises RecordsUnavailable."""

        async def ask(engine: "AsyncEngine") -> bool:
            from freeroute.stores.records import responses

            return await responses.forget(engine, response_id, holder)

        async with self._writing:  # what is being written is forgotten once it is
            waiting = self._pending.get(response_id)
            was_waiting = waiting is not None and waiting.holder == holder
            if waiting is not None and was_waiting:
                self._drop(waiting)
            try:
                # Of a write that was given up nobody knows whether it was done.
                return await self._records.answered(ask) or was_waiting
            except NothingStored:
                return was_waiting

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write what is kept meanwhile, and what is left at the end."""
        writing = asyncio.create_task(self._write_all())
        try:
            yield
        finally:
            self._stopping.set()
            self._more.set()
            await asyncio.wait({writing}, timeout=LAST)
            writing.cancel()
            await self._records.close()

    # --- writing -------------------------------------------------------------------------------------

    async def _write_all(self) -> None:
        pause = self._retry
        while self._pending or not self._stopping.is_set():
            if not self._pending:
                self._more.clear()
                await self._more.wait()
                continue
            try:
                await self._write()
                pause = self._retry
            except RecordsUnavailable:  # the log has it
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._stopping.wait()
                if self._stopping.is_set():
                    return
                pause = min(pause * 2, _LONGEST_RETRY)

    async def _write(self) -> None:
        async with self._writing:
            batch: list[KeptResponse] = []
            room = AT_ONCE
            for kept in self._pending.values():
                if batch and kept.size > room:
                    break
                batch.append(kept)
                room -= kept.size

            async def ask(engine: "AsyncEngine") -> None:
                from freeroute.stores.records import responses

                await responses.write(engine, batch)

            await self._records.answered(ask)
            for kept in batch:
                self._drop(kept)

    def _drop(self, kept: KeptResponse) -> None:
        del self._pending[kept.id]
        self._waiting -= kept.size
