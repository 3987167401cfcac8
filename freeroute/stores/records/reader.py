"""Reads the records for those who ask a running gateway: in bounded time, and a page at a time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import structlog
from msgspec import structs

from freeroute.clock import Clock
from freeroute.engine.records import ReceiptsWanted, UsageWanted
from freeroute.errors import ConfigError, InvalidRequest, RecordsUnavailable
from freeroute.stores.records import writing
from freeroute.stores.records.schema import NotMadeError

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from freeroute.stores.records.connections import Connections
    from freeroute.stores.records.database import Database
    from freeroute.stores.records.queries import Page

T = TypeVar("T")

PATIENCE = 10.0
"""Seconds that a question may wait for its turn, and that the database may take for its answer then. Own
design: whoever looks at a page waits no longer."""

AT_ONCE = 4
"""Questions at once, with those that were given up and are not over yet. Own design: no more ever hang."""

LINE = 100
"""Questions that wait for their turn. Own design: some seconds' worth."""

LINES = 10_000
"""Lines of usage in one answer. Own design: some megabytes."""

PAGE = 500
"""Receipts read at once for an export. Own design: half a megabyte."""


def _nothing() -> None:
    pass


class NothingStored(RecordsUnavailable):
    """There is no database yet: nothing was ever stored."""


class RecordsReader:
    """Reads one database with connections of its own; satisfies `engine.records.Records`."""

    def __init__(self, make: "Callable[[], Database]", clock: Clock, patience: float = PATIENCE) -> None:
        """Read the database that *make* gives, on a thread; no answer takes more than *patience* seconds.

        For its turn a question waits no longer than that either.
        """
        self._turns = _Turns(AT_ONCE, LINE, patience)
        self._make = make
        self._clock = clock
        self._patience = patience
        self._database: Database | None = None
        self._asking: set[asyncio.Task[Any]] = set()
        self._opening = asyncio.Lock()
        self._log = structlog.get_logger("freeroute.records")

    async def usage(self, wanted: UsageWanted) -> dict[str, Any]:
        """Return ``since``, ``until`` and ``lines`` of usage."""
        now = self._clock.now().wall

        def ask(connection: "Connection") -> Any:
            from freeroute.stores.records import queries

            return queries.usage(
                connection,
                wanted.by,
                wanted.since,
                now,
                client=wanted.client,
                step=wanted.step,
                most=LINES,
            )

        try:
            return structs.asdict(await self.answered(ask))
        except ValueError as exc:
            raise InvalidRequest(f"{exc}.", param="since") from exc

    async def usage_csv(self, wanted: UsageWanted) -> bytes:
        """Return the lines of usage as CSV."""
        return writing.csv_text((await self.usage(wanted))["lines"]).encode()

    async def receipts(self, wanted: ReceiptsWanted) -> dict[str, Any]:
        """Return ``receipts``, and the mark ``next`` after which there are more, or None."""
        page = await self._page(wanted, wanted.after, wanted.most or PAGE)
        return {"receipts": [writing.plain(line) for line in page.lines], "next": page.after}

    async def export(self, wanted: ReceiptsWanted, form: Literal["csv", "jsonl"]) -> AsyncIterator[bytes]:
        """Give receipts in pieces of whole lines; between two of them no connection is held."""
        write = writing.csv_writer() if form == "csv" else writing.json_line
        left, after = wanted.most, wanted.after
        while left is None or left > 0:
            page = await self._page(wanted, after, PAGE if left is None else min(left, PAGE))
            if page.lines:
                yield "".join(map(write, page.lines)).encode()
            if page.after is None:
                return
            after, left = page.after, None if left is None else left - len(page.lines)

    async def close(self) -> None:
        """Let go of the database, without waiting for what it does not answer."""
        for task in self._asking:
            task.cancel()
        self._drop()

    # --- asking ------------------------------------------------------------------------------------

    async def _page(self, wanted: ReceiptsWanted, after: str | None, most: int) -> "Page":
        def ask(connection: "Connection") -> "Page":
            from freeroute.stores.records import queries

            return queries.page(
                connection,
                wanted.since,
                wanted.until,
                most=most,
                newest=wanted.newest,
                client=wanted.client,
                outcome=wanted.outcome,
                request_id=wanted.request_id,
                after=after,
            )

        try:
            return await self.answered(ask)
        except ValueError as exc:
            raise InvalidRequest(f"{exc}.", param="after") from exc

    async def answered(self, ask: "Callable[[Connection], T]", at_turn: Callable[[], None] = _nothing) -> T:
        """Return what the database answers to *ask*; raises RecordsUnavailable and ValueError.

        *at_turn* is called on the loop just before it is asked. What is not answered in time is not waited
        for, not even until it has been cancelled.
        """
        await self._turns.take()
        task = asyncio.create_task(self._ask(ask, at_turn))
        self._asking.add(task)
        task.add_done_callback(self._over)
        task.add_done_callback(self._turns.over)
        try:
            await asyncio.wait({task}, timeout=self._patience)
        finally:
            task.cancel()
        if not task.done():
            self._drop()
            self._log.error("records cannot be read", reason="the database does not answer in time")
            raise RecordsUnavailable("The records' database does not answer in time.")
        return task.result()

    async def _ask(self, ask: "Callable[[Connection], T]", at_turn: Callable[[], None]) -> T:
        try:
            connections = await self._opened()
            at_turn()
            return await connections.within(ask)
        except ValueError:
            raise
        except NotMadeError as exc:
            raise NothingStored(f"The records cannot be read: {exc}") from exc
        except ConfigError as exc:
            raise RecordsUnavailable(f"The records cannot be read: {exc}") from exc
        except Exception as exc:
            # Whatever a driver raises: its words are for the log, since they may name hosts and users.
            self._log.error("records cannot be read", reason=" ".join(str(exc).split())[:500])
            raise RecordsUnavailable("The records cannot be read; the gateway's log says why.") from exc

    async def _opened(self) -> "Connections":
        async with self._opening:
            if self._database is None:
                self._database = await asyncio.to_thread(self._loaded)
            return await self._database.opened()

    def _loaded(self) -> "Database":
        # The libraries take a while to load: not on the loop, where requests would wait for it.
        import freeroute.stores.records.queries  # noqa: F401

        return self._make()

    def _over(self, task: "asyncio.Task[Any]") -> None:
        self._asking.discard(task)
        if not task.cancelled():
            task.exception()  # whoever asked may be gone

    def _drop(self) -> None:
        """Let go of a database that does not answer; the next question opens it anew and waits for nobody."""
        self._opening = asyncio.Lock()
        database, self._database = self._database, None
        if database is not None:
            task = asyncio.create_task(_closed(database))
            self._asking.add(task)
            task.add_done_callback(self._over)


class _Turns:
    """*at_once* have their turn, others wait for theirs: in order, *line* at most, for *patience* seconds."""

    def __init__(self, at_once: int, line: int, patience: float) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._line = line
        self._patience = patience
        self._waiting = 0

    async def take(self) -> None:
        """Wait for a turn; raises RecordsUnavailable."""
        if self._waiting >= self._line:
            raise _too_many()
        self._waiting += 1
        try:
            async with asyncio.timeout(self._patience):
                await self._free.acquire()
        except TimeoutError:
            raise _too_many() from None
        finally:
            self._waiting -= 1

    def over(self, _: object) -> None:
        """Let the next one have its turn."""
        self._free.release()


def _too_many() -> RecordsUnavailable:
    return RecordsUnavailable("Too many look at the records at once; ask again.", retry_after=1)


async def _closed(database: "Database") -> None:
    async with asyncio.timeout(PATIENCE):
        await database.close()
