"""Responses that callers may come back to: found at once, in the database soon after."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from typing import TYPE_CHECKING, Generic, TypeVar

from freeroute.clock import Clock
from freeroute.domain.clients import Client
from freeroute.engine.ports import KeptResponse
from freeroute.errors import RecordsUnavailable
from freeroute.stores.records.bodies import AT_ONCE, WAITING, Keeping
from freeroute.stores.records.reader import NothingStored, RecordsReader

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from freeroute.stores.records.database import Database
    from freeroute.stores.records.responses import Key

T = TypeVar("T")

LONGEST = 4 * 2**20
"""Bytes of a response with all that was said before it. Own design: a long context of any model; what is
longer holds images, and would be stored again with every turn."""

TOGETHER = 32
"""Responses looked up, or forgotten, by one question to the database. Own design: 128 MiB of the longest."""

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
        records = RecordsReader(make, clock)
        self._finding = _Together(records, _find)
        self._forgetting = _Together(records, _forget)
        self._asked = records
        self._own = RecordsReader(make, clock)  # what is written does not wait for those who look
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
        return await self._finding.answer((response_id, holder))

    async def forget(self, response_id: str, holder: str) -> bool:
        """Keep it no longer, and say whether it was there; raises RecordsUnavailable."""
        was_waiting = await self._taken_back(response_id, holder)
        # Of a write that was given up nobody knows whether it was done.
        return bool(await self._forgetting.answer((response_id, holder))) or was_waiting

    async def _taken_back(self, response_id: str, holder: str) -> bool:
        """Have it wait no more to be written, and say whether it did; what is being written is first."""
        if response_id not in self._pending:
            return False
        async with self._writing:
            waiting = self._pending.get(response_id)
            if waiting is None or waiting.holder != holder:
                return False
            self._drop(waiting)
            return True

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
            await self._asked.close()
            await self._own.close()

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

            def ask(connection: "Connection") -> None:
                from freeroute.stores.records import responses

                responses.write(connection, batch)

            await self._own.answered(ask)
            for kept in batch:
                self._drop(kept)

    def _drop(self, kept: KeptResponse) -> None:
        del self._pending[kept.id]
        self._waiting -= kept.size


class _Together(Generic[T]):
    """One question to the database for all who ask while it answers others: each wants its own, by a key."""

    def __init__(
        self,
        records: RecordsReader,
        ask: "Callable[[Connection, Collection[Key]], Mapping[Key, T]]",
    ) -> None:
        self._records = records
        self._ask = ask
        self._wanted: set[Key] = set()  # those of the question that waits for its turn
        self._answer: asyncio.Task[Mapping[Key, T]] | None = None

    async def answer(self, key: "Key") -> T | None:
        """Return what there is by *key*, None if nothing; raises RecordsUnavailable."""
        if self._answer is None or len(self._wanted) >= TOGETHER:
            self._wanted = set()
            self._answer = asyncio.create_task(self._answered(self._wanted))
        self._wanted.add(key)
        return (await asyncio.shield(self._answer)).get(key)

    async def _answered(self, wanted: "set[Key]") -> "Mapping[Key, T]":
        def ask(connection: "Connection") -> "Mapping[Key, T]":
            return self._ask(connection, wanted)

        try:
            return await self._records.answered(ask, at_turn=lambda: self._close(wanted))
        except NothingStored:
            return {}
        finally:
            self._close(wanted)

    def _close(self, wanted: "set[Key]") -> None:
        """Let nobody join the question for those *wanted* any more."""
        if wanted is self._wanted:
            self._answer = None


def _find(connection: "Connection", wanted: "Collection[Key]") -> "Mapping[Key, KeptResponse]":
    from freeroute.stores.records import responses

    return responses.find(connection, wanted)


def _forget(connection: "Connection", wanted: "Collection[Key]") -> "Mapping[Key, bool]":
    from freeroute.stores.records import responses

    return responses.forget(connection, wanted)
