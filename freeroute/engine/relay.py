"""An answer on its way to the caller, whoever tells it."""

from collections.abc import Awaitable, Callable, Sequence
from functools import reduce
from operator import add
from typing import Any

from msgspec import Struct

from freeroute.clock import Clock, Now
from freeroute.domain.leases import Lease
from freeroute.domain.outcome import INTERNAL, STOPPED, Kind, Outcome
from freeroute.domain.usage import Usage
from freeroute.engine.accounting import Ending
from freeroute.engine.continuing import Continuation
from freeroute.engine.course import Course
from freeroute.engine.leasing import Won
from freeroute.engine.parts import LEFT, STALLED, Part, Settling
from freeroute.engine.ports import Answer
from freeroute.engine.served import DONE, Onward
from freeroute.wire.answers import Piece, error_events, inspect, usage_chunk, usage_object
from freeroute.wire.head import Head
from freeroute.wire.transcript import Transcript

_SERVED = Kind.SERVED  # how nearly every answer ends; a member of an enum is looked up at length

Close = Callable[[Awaitable[None], Won, Course, Lease | None, Ending, Now], Awaitable[None]]
"""Records how a request ended, once what its calls used is settled; of several the caller heard this last."""


class Books(Struct, frozen=True):
    """What answers are ended by, all the same: the *clock*, who settles their calls, who records them."""

    clock: Clock
    settling: Settling
    close: Close


class Whole(Struct):
    """An answer in one piece: it is over before anything of it is told. It satisfies ``served.Served``.

    It is the *answer* that *won* brought; *lease* is that of its client.
    """

    headers: Head
    body: bytes | None
    content_type: str | None
    won: Won
    answer: Answer
    course: Course
    lease: Lease | None
    overhead: float
    books: Books
    onward: Onward | None = None
    cut: bool = False
    broke: Outcome | None = None
    finished: bool = False

    async def next(self) -> Sequence[bytes]:
        """Return nothing: it is no stream."""
        return ()

    def fail(self, *, stopped: bool = False) -> Piece | None:
        """Take a fault of the gateway's own for the end; nobody has heard who it is from."""
        self.broke = STOPPED if stopped else INTERNAL
        return None

    def finish(self, *, caller_left: bool = False, stalled: bool = False) -> Awaitable[None]:
        """Settle what the call used and record it; safe to call more than once."""
        if self.finished:
            return DONE
        self.finished = True
        won, course, books, answer = self.won, self.course, self.books, self.answer
        usage, now = answer.usage, books.clock.now()
        if caller_left:
            outcome = STALLED if stalled else LEFT
            settled = books.settling.left(won, usage, now, course, outcome)
        else:
            outcome = self.broke or won.sent.outcome
            settled = books.settling.served(won, usage, now)
        ending = Ending(
            200,
            None if outcome.kind is _SERVED else outcome.kind.value,
            course.notes[won.note],
            usage,
            answer.finish,
            self.overhead,
            won.at.mono - course.context.received.mono,
            caller_left,
        )
        close = books.close
        return close(settled, won, course, self.lease, ending, now)


class Serving:
    """A stream: one part, or several if it died and may be gone on with. It satisfies ``served.Served``.

    The *teller* is the part that the caller heard last.
    """

    body: bytes | None = None

    def __init__(
        self,
        part: Part,
        course: Course,
        lease: Lease | None,
        overhead: float,
        headers: Head,
        books: Books,
        continuation: Continuation | None = None,
    ) -> None:
        """Begin with *part*; *lease* is that of its client."""
        self.headers = headers
        self.content_type = part.won.sent.content_type
        self.teller = part
        self._parts = [part]
        self._course = course
        self._lease = lease
        self._overhead = overhead
        self._books = books
        self._continuation = continuation
        self.onward: Onward | None = None
        self._first = b""  # who the stream said it was; an error in it says so too
        self._over = False
        self._broke: Outcome | None = None
        self._finished = False

    @property
    def outcome(self) -> Outcome:
        """Return how the answer ended, as far as it has."""
        return self._broke or self.teller.outcome

    @property
    def cut(self) -> bool:
        """Say whether a stream of bytes ended before its end."""
        return self._over and self.content_type is not None and self.outcome.kind is not Kind.SERVED

    @property
    def usage(self) -> Usage | None:
        """Return the tokens so far, of all parts."""
        if len(self._parts) == 1:
            return self._parts[0].stream.usage
        known = [usage for part in self._parts if (usage := part.stream.usage) is not None]
        return reduce(add, known) if known else None

    @property
    def skipped(self) -> int:
        """Return how many events could not be read."""
        return sum([part.stream.skipped for part in self._parts])

    @property
    def continued(self) -> int:
        """Return how often another candidate went on with it."""
        return self._continuation.count if self._continuation is not None else 0

    async def next(self) -> Sequence[bytes]:
        """Return the payloads that are ready; empty at the end. A death is told in-band, then it is over."""
        while not self._over:
            part = self._parts[-1]
            # What came first is kept; and what another may have to go on with is looked at.
            is_free = self._continuation is None and part.spoke
            payloads = await part.next(self.onward if is_free else None)
            if self._continuation is not None:
                payloads = self._continuation.fitted(part, payloads)
            if payloads:
                part.spoke = True
                self.teller = part
                self._first = self._first or payloads[0]
                return payloads
            if not part.is_over or await self._passed_on(part):
                continue
            self._over = True
            if part.outcome.kind is not Kind.SERVED and self.content_type is None:
                why = error_events(_why(self.outcome), code="upstream_failed", like=self._like)
                return (*self._owed(), *why)
        return ()

    @property
    def _like(self) -> Piece | None:
        return inspect(self._first)

    def _owed(self) -> tuple[bytes, ...]:
        """Return the usage, if the caller asked for it and was not told: what broke off counts as well."""
        usage = self.usage
        if usage is None or not self._parts[-1].stream.owes_usage:
            return ()
        return (usage_chunk(usage_object(usage), self._like),)

    async def _passed_on(self, part: Part) -> bool:
        """Let another candidate go on where *part* died, if that may be; say whether one does."""
        if self._continuation is None or part.outcome.kind is Kind.SERVED:
            return False
        another = await self._continuation.after(part, self.usage)
        if another is not None:
            self._parts.append(another)
        return another is not None

    def fail(self, *, stopped: bool = False) -> Piece | None:
        """Take a fault of the gateway's own, or that it *stopped*, for the end; return who the stream was."""
        self._over, self._broke = True, STOPPED if stopped else INTERNAL
        if stopped:
            self._course.stopped()
        if not self._parts[-1].is_over:
            self._parts[-1].fail(self._broke)
        return self._like

    def finish(self, *, caller_left: bool = False, stalled: bool = False) -> Awaitable[None]:
        """Settle what the calls used and record it; safe to call more than once.

        A caller that left has *stalled* if it only read nothing any more.
        """
        if self._finished:
            return DONE
        self._finished = True
        left = None if self._over and not caller_left else STALLED if stalled else LEFT
        now = self._books.clock.now()
        settled = [part.end(now, left=left) for part in self._parts]
        won, ending = self.teller.won, self._ending(left)
        return self._books.close(_together(settled), won, self._course, self._lease, ending, now)

    def _ending(self, left: Outcome | None) -> Ending:
        """Return how it ended towards its caller, who *left* like that if it did."""
        outcome, teller, course = left or self.outcome, self.teller, self._course
        return Ending(
            200,
            None if outcome.kind is _SERVED else outcome.kind.value,
            course.notes[teller.won.note],
            self.usage,
            teller.stream.finish,
            self._overhead,
            self._parts[0].won.at.mono - course.context.received.mono,
            left is not None,
            self.skipped,
            self.continued,
        )


def _together(works: Sequence[Awaitable[None]]) -> Awaitable[None]:
    """Return all of *works* as one."""
    waiting = [work for work in works if work is not DONE]
    return _all(waiting) if waiting else DONE


async def _all(works: Sequence[Awaitable[None]]) -> None:
    for work in works:
        await work


class Overheard(Serving):
    """A stream that is taken down as it is told."""

    def __init__(self, transcript: Transcript, part: Part, *given: Any) -> None:
        """Tell what `Serving` does, and let *transcript* hear it."""
        super().__init__(part, *given)
        self._transcript = transcript

    async def next(self) -> Sequence[bytes]:
        """Return the payloads that are ready, as they were heard."""
        self.onward = None  # nothing passes unheard
        payloads = await super().next()
        self._transcript.hear(payloads)
        return payloads


def _why(outcome: Outcome) -> str:
    """Say why a stream ended as it did, by *outcome*."""
    if outcome.kind in (Kind.NONCONFORMING, Kind.CALLER_STALLED):
        return outcome.detail
    return f"the provider stopped in the middle of its answer: {outcome.kind.value}"
