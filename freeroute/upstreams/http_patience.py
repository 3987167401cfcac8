"""How long each phase of an exchange may take, and what rings when it has taken longer."""

import asyncio
import math
from collections.abc import Awaitable
from typing import TypeVar

from freeroute.clock import mono
from freeroute.upstreams.http_alarm import Alarm
from freeroute.upstreams.http_connection import Answer
from freeroute.upstreams.transport import Deadlines, Phase, TimedOut

T = TypeVar("T")

# Members of an enum are looked up at length.
_FIRST_BYTE, _IDLE, _TOTAL, _ANSWER = Phase.FIRST_BYTE, Phase.IDLE, Phase.TOTAL, Phase.ANSWER


class Awaited(Answer):
    """An answer with its deadlines, and which of them runs; its *alarm* is that of its connection."""

    __slots__ = (
        "_due",
        "_left_at",
        "_phase",
        "_seconds",
        "_waiting",
        "_waits_since",
        "alarm",
        "answer_by",
        "deadlines",
        "ends_at",
        "loop",
        "sent_in",
    )

    def __init__(self, deadlines: Deadlines, loop: asyncio.AbstractEventLoop, now: float) -> None:
        """Expect it from *now* on, by the time of *loop*."""
        Answer.__init__(self, loop)  # a `super()` costs twice as much
        self.loop = loop
        self.deadlines = deadlines
        self._waits_since = 0.0  # the machine's time, once anything is awaited before all is sent
        self.sent_in = 0.0
        self.ends_at = now + deadlines.total
        self.answer_by = now + deadlines.answer
        self._left_at = math.inf  # when the reader of the body went away with a piece of it
        self.alarm: Alarm | None = None
        self._waiting: asyncio.Future[None] | None = None
        self._due = math.inf  # when whoever waits has waited long enough

    def until(self, phase: Phase, seconds: float, now: float) -> float:
        """Make *phase* the one that is timed and return when it ends; what bounds it all may come first."""
        at = now + seconds
        if at > self.ends_at:
            phase, seconds, at = _TOTAL, self.deadlines.total, self.ends_at
        if at >= self.answer_by:
            phase, seconds, at = _ANSWER, self.deadlines.answer, self.answer_by
        self._phase, self._seconds = phase, seconds
        return at

    async def admitted(self, turn: Awaitable[None], by: float) -> float:
        """Await our own *turn*, *by* then, and return now.

        That is no time of the peer's: what bounds it starts here.
        """
        deadlines = self.deadlines
        self._waits_since = self._waits_since or mono()
        try:
            async with asyncio.timeout_at(by):
                await turn
        except TimeoutError:
            raise TimedOut(Phase.POOL, deadlines.pool) from None
        finally:
            self.sent_in = mono() - self._waits_since
        now = self.loop.time()
        self.ends_at = now + deadlines.total
        self.answer_by = now + deadlines.answer
        return now

    async def within(self, phase: Phase, seconds: float, awaited: Awaitable[T]) -> T:
        """Await something, for at most *seconds* and what is left of the whole."""
        self._waits_since = self._waits_since or mono()
        timer = asyncio.timeout_at(self.until(phase, seconds, self.loop.time()))
        try:
            async with timer:
                return await awaited
        except TimeoutError:
            raise TimedOut(self._phase, self._seconds) from None
        finally:
            self.sent_in = mono() - self._waits_since

    def expected(self, alarm: Alarm, now: float) -> None:
        """Begin the wait for the head *now*, on a connection with this *alarm*."""
        self.alarm = alarm
        self._watch(self.head, _FIRST_BYTE, self.deadlines.first_byte, now)

    async def sending(self, sending: Awaitable[None]) -> None:
        """Await that a large body is sent, which the wait for the head ends."""
        self._waits_since = self._waits_since or mono()
        await sending
        self.sent_in = mono() - self._waits_since

    def waiting(self) -> "asyncio.Future[None]":
        """Return what is done once more of the body has come; raise if all time is spent."""
        now = self.read_on()
        waiter = self.waiter = self.loop.create_future()
        self._watch(waiter, _IDLE, self.deadlines.idle, now)
        return waiter

    def wait_on(self, now: float) -> None:
        """Begin the silence anew for whoever waits, who was not woken by what came."""
        due = now + self.deadlines.idle
        self._due = due if due <= self.ends_at else self.until(_IDLE, self.deadlines.idle, now)

    def came(self) -> None:
        """Note that nobody waits any more: with what has come, whoever reads it goes away."""
        self._waiting = self.waiter = None
        self._left_at = self.loop.time()

    def read_on(self) -> float:
        """Let the total go on, which stood still while nobody read; raise if all time is spent. Returns now.

        A body that never pauses meets no other timer.
        """
        now = self.loop.time()
        if now > self._left_at:
            self.ends_at += now - self._left_at
        self._left_at = now
        if now >= self.ends_at:
            raise TimedOut(_TOTAL, self.deadlines.total)
        if now >= self.answer_by:
            raise TimedOut(_ANSWER, self.deadlines.answer)
        return now

    def rung(self, at: float) -> None:
        """Let whoever waits fail if that has taken long enough."""
        if self._waiting is None or self._waiting.done() or self.alarm is None:
            return
        if self._due > at:
            self.alarm.set(self, self._due)
        else:
            self._waiting.set_exception(TimedOut(self._phase, self._seconds))

    def _watch(self, waiting: "asyncio.Future[None]", phase: Phase, seconds: float, now: float) -> None:
        """Let *waiting* fail when *phase* has taken so many *seconds*, unless it is done by then."""
        self._waiting = waiting
        self._due = due = self.until(phase, seconds, now)
        if self.alarm is not None:
            self.alarm.set(self, due)
