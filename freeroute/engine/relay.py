"""An answer on its way to the caller, whoever tells it."""

from collections.abc import Awaitable, Callable, Sequence
from functools import reduce
from operator import add
from typing import Any

from freeroute.clock import Clock, Now
from freeroute.domain.outcome import INTERNAL, Kind, Outcome
from freeroute.domain.usage import Usage
from freeroute.engine.accounting import Ending
from freeroute.engine.continuing import Continuation
from freeroute.engine.course import Course
from freeroute.engine.parts import LEFT, STALLED, Part
from freeroute.engine.served import Onward
from freeroute.wire.answers import Piece, error_events, inspect, usage_chunk, usage_object
from freeroute.wire.head import Head
from freeroute.wire.transcript import Transcript

_SERVED = Kind.SERVED  # how nearly every answer ends; a member of an enum is looked up at length


class Serving:
    """An answer: one part, or several if its stream died and may be gone on with.

    It satisfies ``served.Served``. *done* is told once that it ended, how its caller left if it did, and
    when, and returns what is to be awaited of that. The *teller* is the part that the caller heard last.
    """

    def __init__(
        self,
        part: Part,
        headers: Head,
        clock: Clock,
        done: Callable[["Serving", Outcome | None, Now], Awaitable[None] | None],
        continuation: Continuation | None = None,
    ) -> None:
        """Begin with *part*; it ends by *clock*."""
        answer = part.won.sent.answer
        self.headers = headers
        self.body = answer.body if answer is not None else None
        self.content_type = answer.content_type if answer is not None else part.won.sent.content_type
        self.teller = part
        self._parts = [part]
        self._clock = clock
        self._done = done
        self._continuation = continuation
        self.onward: Onward | None = None
        self._first = b""  # who the stream said it was; an error in it says so too
        self._over = False
        self._broke = False
        self._finished = False
        self.first_event_at = part.won.at

    @property
    def outcome(self) -> Outcome:
        """Return how the answer ended, as far as it has."""
        return INTERNAL if self._broke else self.teller.outcome

    @property
    def cut(self) -> bool:
        """Say whether a stream of bytes ended before its end."""
        return self._over and self.content_type is not None and self.outcome.kind is not Kind.SERVED

    @property
    def usage(self) -> Usage | None:
        """Return the tokens so far, of all parts."""
        if len(self._parts) == 1:
            return self._parts[0].usage
        known = [part.usage for part in self._parts if part.usage is not None]
        return reduce(add, known) if known else None

    @property
    def skipped(self) -> int:
        """Return how many events could not be read."""
        if len(self._parts) == 1:
            return self._parts[0].skipped
        return sum([part.skipped for part in self._parts])

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
        stream, usage = self._parts[-1].won.sent.stream, self.usage
        if stream is None or usage is None or not stream.owes_usage:
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

    def fail(self) -> Piece | None:
        """Take a fault of the gateway's own for the end; return the identity of the stream, if it has one."""
        self._over = self._broke = True
        if not self._parts[-1].is_over:
            self._parts[-1].fail(INTERNAL)
        return self._like

    async def finish(self, *, caller_left: bool = False, stalled: bool = False) -> None:
        """Settle what the calls used and record it; safe to call more than once.

        A caller that left has *stalled* if it only read nothing any more.
        """
        if self._finished:
            return
        self._finished = True
        left = None
        if caller_left or (self.body is None and not self._over):
            left = STALLED if stalled else LEFT
        now = self._clock.now()
        for part in self._parts:
            await part.end(now, left=left)
        if (settling := self._done(self, left, now)) is not None:
            await settling


class Overheard(Serving):
    """An answer that is taken down as it is told."""

    def __init__(self, transcript: Transcript, part: Part, *given: Any) -> None:
        """Tell what `Serving` does, and let *transcript* hear it."""
        super().__init__(part, *given)
        self._transcript = transcript
        if self.body is not None:
            transcript.hear((self.body,))

    async def next(self) -> Sequence[bytes]:
        """Return the payloads that are ready, as they were heard."""
        self.onward = None  # nothing passes unheard
        payloads = await super().next()
        self._transcript.hear(payloads)
        return payloads


def ending_of(serving: Serving, course: Course, overhead: float, left: Outcome | None) -> Ending:
    """Return how *serving* ended towards its caller, who *left* like that if it did."""
    outcome, teller = left or serving.outcome, serving.teller
    streamed = serving.body is None  # nothing of a whole answer was skipped, or gone on with
    return Ending(
        200,
        None if outcome.kind is _SERVED else outcome.kind.value,
        course.notes[teller.won.note],
        serving.usage,
        teller.finish_reason,
        overhead,
        serving.first_event_at.mono - course.context.received.mono,
        left is not None,
        serving.skipped if streamed else 0,
        serving.continued if streamed else 0,
    )


def _why(outcome: Outcome) -> str:
    """Say why a stream ended as it did, by *outcome*."""
    if outcome.kind in (Kind.NONCONFORMING, Kind.CALLER_STALLED):
        return outcome.detail
    return f"the provider stopped in the middle of its answer: {outcome.kind.value}"
