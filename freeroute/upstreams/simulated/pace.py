"""An answer on its way: frames that fall due one by one, under the transport's deadlines."""

import asyncio
import math
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from operator import itemgetter

from msgspec import Struct

from freeroute.upstreams.heads import telling_of
from freeroute.upstreams.simulated.faults import Speed
from freeroute.upstreams.transport import Deadlines, Disconnected, Passing, Phase, TimedOut, Truncated

Headers = Sequence[tuple[bytes, bytes]]
# Longer than any deadline; some event loops cannot sleep for ever.
_LONG = 86_400.0


class Ending(Enum):
    """How a body ends."""

    DONE = "done"
    SILENCE = "silence"
    TRUNCATED = "truncated"


class Frame(Struct, frozen=True):
    """Bytes that leave together.

    *tokens* were made for them; *final* comes after the last token. They are due when their tokens are, or
    *at* so many seconds into the work.
    """

    data: bytes
    tokens: int = 0
    final: bool = False
    at: float | None = None


class Script(Struct):
    """The course of one answer, fixed before its first byte; *head_after* is seconds after the request."""

    status: int
    headers: Headers
    frames: Iterator[Frame]
    speed: Speed = Speed(0.0, 0.0)
    head_after: float = 0.0
    ending: Ending = Ending.DONE


def until_token(frames: Iterator[Frame], tokens: int) -> Iterator[Frame]:
    """Yield the frames of the first *tokens* tokens; never one that says the answer is complete."""
    made = 0
    for frame in frames:
        if frame.final or (frame.tokens and made >= tokens):
            return
        made += frame.tokens
        yield frame


class Timer:
    """The deadlines of one exchange, on the event loop's clock."""

    def __init__(self, deadlines: Deadlines) -> None:
        """Start now."""
        self._loop = asyncio.get_running_loop()
        self._deadlines = deadlines
        self.start = self._loop.time()
        # When the provider took the request up: later than its coming where calls queue for a slot.
        self.begun = self.start
        self._ends = self.start + deadlines.total
        self.answer_by = self.start + deadlines.answer
        self._left = math.inf

    def now(self) -> float:
        """Return the loop's time."""
        return self._loop.time()

    async def slot(self, slots: asyncio.Semaphore) -> None:
        """Wait for a slot, at most as long as the first byte may take."""
        cutoff, late = self._cutoff(Phase.FIRST_BYTE, self.start, self._deadlines.first_byte)
        try:
            async with asyncio.timeout_at(cutoff):
                await slots.acquire()
        except TimeoutError:
            raise late from None
        self.begun = self.now()

    async def head(self, after: float) -> None:
        """Wait for the head, at most as long as the first byte may take."""
        await self._until(self.begun + after, Phase.FIRST_BYTE, self.start, self._deadlines.first_byte)

    async def body(self, due: float) -> None:
        """Wait for more of the body, at most as long as silence may last and is left in all."""
        self._ends += max(self.now() - self._left, 0.0)
        await self._until(due, Phase.IDLE, self.now(), self._deadlines.idle)
        self._left = self.now()

    async def _until(self, due: float, phase: Phase, since: float, seconds: float) -> None:
        cutoff, late = self._cutoff(phase, since, seconds)
        await asyncio.sleep(min(max(0.0, min(due, cutoff) - self.now()), _LONG))
        if due > cutoff:
            raise late

    def _cutoff(self, phase: Phase, since: float, seconds: float) -> tuple[float, TimedOut]:
        """Return when *phase* is too late, and what is raised then."""
        ends = [
            (self.answer_by, Phase.ANSWER, self._deadlines.answer),
            (self._ends, Phase.TOTAL, self._deadlines.total),
            (since + seconds, phase, seconds),
        ]
        cutoff, phase, seconds = min(ends, key=itemgetter(0))
        return cutoff, TimedOut(phase, seconds)


class PacedExchange:
    """An answer whose head is there and whose body arrives at the pace of its script."""

    def __init__(self, script: Script, timer: Timer, closed: Callable[[int, bool], None]) -> None:
        """Play *script*; tell *closed* once how many tokens left and whether the reader gave up."""
        self.sent_in = 0.0
        self.onward: Passing | None = None  # whoever waits is always woken
        self.status = script.status
        self.headers: Headers = script.headers
        self.telling = telling_of(self.headers)
        self._script = script
        self._timer = timer
        self._closed: Callable[[int, bool], None] | None = closed
        self._made = 0
        self._ahead = next(script.frames, None)
        self._aborted = False
        if self._ahead is None and script.ending is Ending.DONE:
            self._close(aborted=False)

    @property
    def answer_by(self) -> float:
        """Return when the answer has to be there."""
        return self._timer.answer_by

    @answer_by.setter
    def answer_by(self, at: float) -> None:
        self._timer.answer_by = at

    def rest(self) -> None:
        """Leave it to ``next``, which knows what is due."""

    async def next(self) -> bytes:
        """Return all bytes that are due, waiting for at least one; ``b""`` at the end."""
        if self._aborted:
            raise Disconnected("the exchange was aborted")
        try:
            return await self._next()
        except (TimedOut, asyncio.CancelledError):
            self.abort()
            raise

    async def _next(self) -> bytes:
        first = self._ahead
        if first is None:
            return await self._end()
        await self._timer.body(self._due(first))
        data = b"".join(self._ready(first))
        if self._ahead is None and self._script.ending is Ending.DONE:
            self._close(aborted=False)
        return data

    def _ready(self, first: Frame) -> Iterator[bytes]:
        now = self._timer.now()
        frame: Frame | None = first
        while frame is not None:
            yield frame.data
            self._made += frame.tokens
            frame = self._ahead = next(self._script.frames, None)
            if frame is not None and self._due(frame) > now:
                return

    async def _end(self) -> bytes:
        if self._script.ending is Ending.SILENCE:
            await self._timer.body(math.inf)
        self._close(aborted=False)
        if self._script.ending is Ending.TRUNCATED:
            raise Truncated("the body ended before its announced length")
        return b""

    def _due(self, frame: Frame) -> float:
        speed = self._script.speed
        at = frame.at
        if at is None:
            at = speed.first_token + speed.lasting(max(0, self._made + frame.tokens - 1))
        return self._timer.begun + at

    def abort(self) -> None:
        """Give up, unless the body is complete."""
        if self._closed is not None:
            self._aborted = True
            self._close(aborted=True)

    def _close(self, *, aborted: bool) -> None:
        closed, self._closed = self._closed, None
        if closed is not None:
            closed(self._made, aborted)
