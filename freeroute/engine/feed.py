"""Tells any number of watchers how the gateway stands: looked at once for all of them, and only while one is.

Everybody whom the same is told to is one audience. What it is told next is written once, and all its
watchers send the same bytes. A watcher that missed one is told the whole anew: nothing is kept for it.
"""

import asyncio
from collections.abc import Callable
from functools import cache
from typing import Protocol, TypeVar

import msgspec
import structlog
from msgspec import structs

from freeroute.clock import worked
from freeroute.domain.catalogue import Catalogue
from freeroute.domain.clients import Client
from freeroute.domain.receipt import Receipt
from freeroute.engine import live, status
from freeroute.engine.live import Card, Document
from freeroute.engine.survey import Steps, at_once, by_provider, survey, typical_of
from freeroute.engine.view import View
from freeroute.errors import Unavailable

T = TypeVar("T")

EVERY = 1.0
"""Seconds from one look to the next, at least. Own design: what people follow with their eyes."""

SHARE = 0.02
"""Share of a core that looking may take: after a look that took long the next one comes later. Own design."""

SILENCE = 15.0
"""Seconds after which something is told although nothing changed, so that a dead connection is noticed. Own
design: proxies close silent ones after 30 s and more."""

WRITING = 0.0001
"""Seconds that one watcher's write takes, about: measured over TCP."""

WOKEN = 20
"""Watchers that write before others have their turn. Own design: two milliseconds."""

MOST = 500
"""Watchers at once. Own design: each costs a connection and some KB, and no team has as many screens."""


class Watched(Protocol):
    """What a feed needs of the gateway."""

    def view(self) -> View:
        """Return a look at everything."""
        ...


class Feed:
    """The status of a gateway, as it goes on."""

    def __init__(self, gateway: Watched, stopwatch: Callable[[], float] = worked) -> None:
        """Look at *gateway*; *stopwatch* tells what looking costs, in seconds."""
        self._gateway = gateway
        self._stopwatch = stopwatch
        self._audiences: dict[str | None, Audience] = {}
        self._cards: list[Card] = []
        self._lines: dict[int, tuple[Receipt, Document]] = {}
        self._catalogue: Catalogue | None = None
        self._typical = typical_of  # remembered, as long as the catalogue is the same
        self._due = 0.0  # on the loop's clock
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self._log = structlog.get_logger("freeroute.feed")

    def provider(self, name: str, client: Client | None) -> Document:
        """Return the whole of one provider, as the status tells it; raises NotFound."""
        return status.one_provider(self._gateway.view(), name, client)

    def watch(self, client: Client | None) -> "Watcher":
        """Return a new watcher, who has to leave; raises Unavailable if there are too many, or at the end."""
        if self._closed:
            raise Unavailable("The gateway is stopping.")
        if self._watchers >= MOST:
            raise Unavailable(f"{MOST} dashboards watch already; ask /v1/status instead, now and then.")
        holder = None if client is None else client.holder
        audience = self._audiences.get(holder)
        if audience is None:
            audience = self._audiences[holder] = Audience(client)
            if asyncio.get_running_loop().time() < self._due:
                self._tell(audience)  # what was seen a moment ago
        audience.watchers += 1
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return Watcher(audience, lambda: self._left(holder, audience))

    @property
    def _watchers(self) -> int:
        return sum(audience.watchers for audience in self._audiences.values())

    def close(self) -> None:
        """End all watching, now and for good."""
        self._closed = True
        self._end()

    def _end(self) -> None:
        for audience in self._audiences.values():
            audience.end()
        self._audiences = {}
        self._stop()

    def _left(self, holder: str | None, audience: "Audience") -> None:
        audience.watchers -= 1
        if not audience.watchers and self._audiences.get(holder) is audience:
            del self._audiences[holder]
            if not self._audiences:
                self._stop()

    def _stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()

    async def _run(self) -> None:
        try:
            while True:
                await asyncio.sleep(max(self._due - asyncio.get_running_loop().time(), 0.0))
                await self._turn()
        except Exception:
            # Whoever watches is told by the end of its stream, and asks again.
            self._log.exception("watching failed")
            self._task = None
            self._end()

    async def _turn(self) -> None:
        self._cards, looking = await self._taken(self._look())
        self._rest(looking)  # before anybody is told, who might leave and be the last
        _, telling = await self._taken(self._tell_all())
        self._rest(looking + telling + WRITING * self._watchers)

    def _rest(self, cost: float) -> None:
        self._due = asyncio.get_running_loop().time() + max(EVERY, cost / SHARE)

    async def _taken(self, steps: Steps[T]) -> tuple[T, float]:
        """Return what comes of *steps*, others having their turns between them, and the seconds they took."""
        cost = 0.0
        while True:
            began = self._stopwatch()
            try:
                next(steps)
            except StopIteration as end:
                return end.value, cost + self._stopwatch() - began
            cost += self._stopwatch() - began
            await asyncio.sleep(0)

    def _look(self) -> Steps[list[Card]]:
        """Look at every provider, some candidates at a time."""
        catalogue = self._gateway.view().catalogue
        if catalogue is not self._catalogue:
            self._catalogue, self._typical = catalogue, cache(typical_of)
        candidates = by_provider(catalogue)
        cards = []
        for name, entry in catalogue.providers.items():
            seen = yield from survey(self._steady, entry, candidates[name], self._typical)
            cards.append(live.card(seen))
            yield
        return cards

    def _tell_all(self) -> Steps[None]:
        recent = {id(receipt) for receipt in self._gateway.view().tally.recent}
        self._lines = {key: line for key, line in self._lines.items() if key in recent}
        for audience in list(self._audiences.values()):
            if self._tell(audience):
                yield from audience.wake()
            yield

    def _tell(self, audience: "Audience") -> bool:
        view = self._steady()
        return audience.turn(live.document(view, audience.client, self._cards, self._line), view.now.wall)

    def _steady(self) -> View:
        return structs.replace(self._gateway.view(), steady=True)

    def _line(self, receipt: Receipt) -> Document:
        """Return the line of *receipt*, made once. Both are kept, so that no other receipt gets its id."""
        kept = self._lines.get(id(receipt))
        if kept is None:
            kept = self._lines[id(receipt)] = receipt, status.request(receipt)
        return kept[1]


class Audience:
    """Everybody whom the same is told to."""

    def __init__(self, client: Client | None) -> None:
        """Tell operators, or what is *client*'s."""
        self.client = client
        self.watchers = 0
        self.version = 0
        self.over = False
        self._waiting: set[asyncio.Future[None]] = set()
        self._document: Document | None = None
        self._news = self._whole = b""
        self._told_at = 0.0

    def turn(self, document: Document, wall: float) -> bool:
        """Go on to *document* and say whether there is something to tell; *wall* is the time now (Unix)."""
        before, self._document, self._whole = self._document, document, b""
        changed = {} if before is None else live.change(before, document)
        if before is not None and not changed and wall - self._told_at < SILENCE:
            return False
        self._told_at = wall
        self._news = _event(b"change", {"now": document["now"], **changed})
        self.version += 1
        return True

    def since(self, version: int) -> bytes:
        """Return what brings a watcher who knows *version* up to date; it knows nothing at 0."""
        if version and version == self.version - 1:
            return self._news
        if not self._whole:
            assert self._document is not None
            self._whole = _event(b"status", self._document)
        return self._whole

    def end(self) -> None:
        """Tell nothing more."""
        self.over = True
        at_once(self.wake())

    async def news(self) -> None:
        """Wait until there is something to tell."""
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        try:
            await waiting
        finally:
            self._waiting.discard(waiting)

    def wake(self) -> Steps[None]:
        """Let all who wait go on, some at a time."""
        waiting, self._waiting = list(self._waiting), set()
        for number, one in enumerate(waiting, 1):
            if not one.done():
                one.set_result(None)
            if number % WOKEN == 0:
                yield


class Watcher:
    """One who is told what happens, at the speed it reads."""

    def __init__(self, audience: Audience, leave: Callable[[], None]) -> None:
        """Listen among *audience*; *leave* says that nobody listens here any more."""
        self.leave = leave
        self._audience = audience
        self._known = 0

    async def next(self) -> bytes | None:
        """Return the events that tell what is new, waiting until something is; None at the end of it all."""
        audience = self._audience
        while audience.version == self._known and not audience.over:
            await audience.news()
        if audience.over:
            return None
        news, self._known = audience.since(self._known), audience.version
        return news


def _event(name: bytes, document: Document) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name, msgspec.json.encode(document))
