"""What one attempt has a part in an answer: its stream until that ends, and the bookkeeping at its end."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from freeroute.clock import Now
from freeroute.domain import effects
from freeroute.domain.catalogue import Unit
from freeroute.domain.leases import AS_CHARGED, actual_amounts
from freeroute.domain.outcome import Kind, Outcome
from freeroute.domain.standing import Standing
from freeroute.domain.usage import Usage
from freeroute.engine.course import Course
from freeroute.engine.leasing import Won
from freeroute.engine.ports import Counters
from freeroute.engine.served import Onward

_SERVED = Kind.SERVED  # how nearly every attempt ends; a member of an enum is looked up at length

# An answer this short says nothing about a candidate's rate.
RATE_SAMPLE = 8
LEFT = Outcome(Kind.CALLER_LEFT)
STALLED = Outcome(Kind.CALLER_STALLED, detail="the caller read nothing any more")


class Part:
    """A won attempt while it is relayed: the one owner of its stream, lease and trial.

    *spoke* says whether the caller got anything of it.
    """

    def __init__(
        self, won: Won, course: Course, standing: Standing, counters: Counters, dice: Callable[[], float]
    ) -> None:
        """Take over *won*; *dice* give random numbers in [0, 1)."""
        self.won = won
        self.spoke = False
        self._course = course
        self._standing = standing
        self._counters = counters
        self._dice = dice
        self._failed: Outcome | None = None
        self._over = won.sent.stream is None
        self._ended = False

    @property
    def outcome(self) -> Outcome:
        """Return how the attempt ended, as far as it has."""
        stream = self.won.sent.stream
        return self._failed or (stream.outcome if stream is not None else None) or self.won.sent.outcome

    @property
    def usage(self) -> Usage | None:
        """Return the tokens so far."""
        source = self.won.sent.answer or self.won.sent.stream
        return source.usage if source is not None else None

    @property
    def finish_reason(self) -> str | None:
        """Return why the model stopped, once it has."""
        source = self.won.sent.answer or self.won.sent.stream
        return source.finish if source is not None else None

    @property
    def skipped(self) -> int:
        """Return how many events of the stream could not be read."""
        stream = self.won.sent.stream
        return stream.skipped if stream is not None else 0

    @property
    def held(self) -> bool:
        """Say whether its last words may have begun a tool call."""
        stream = self.won.sent.stream
        return stream is not None and stream.held

    @property
    def is_over(self) -> bool:
        """Say whether nothing more comes of it."""
        return self._over

    async def next(self, onward: Onward | None = None) -> Sequence[bytes]:
        """Return the payloads that are ready, but for what *onward* takes; empty at the end, good or bad."""
        stream = self.won.sent.stream
        if stream is None or self._over:
            return ()
        stream.onward = onward
        payloads = await stream.next()
        self._over = not payloads
        return payloads

    def fail(self, outcome: Outcome) -> None:
        """Take it for over, with *outcome*, whatever its provider would still say."""
        self._failed, self._over = outcome, True

    def end(self, now: Now, *, left: Outcome | None) -> Awaitable[None]:
        """Judge its candidate, once, at *now*, and return what settles what the call used.

        *left* is how the caller did, if so.
        """
        if self._ended:
            return _settled()
        self._ended = True
        left = left or (None if self._over else LEFT)
        won, course = self.won, self._course
        candidate, trial = won.leased.candidate, won.leased.trial
        stream = won.sent.stream
        if stream is not None:
            stream.abort()
            course.dropped |= frozenset(stream.lost)
            course.lasted(won.note, now.mono - won.leased.at.mono, stream.usage)
        usage, outcome = self.usage, self.outcome
        if outcome.kind is not _SERVED:
            course.became(won.note, outcome)
            effects.apply(outcome, candidate, self._standing, trial, now, jitter=self._dice())
        elif left is not None:
            course.became(won.note, left)
            self._standing.give_back(candidate, trial)
        else:
            self._standing.succeeded(candidate, trial, now)
            self._measure(usage, now)
        return self._counters.settle(won.leased.lease, self._actual(usage), now)

    def _measure(self, usage: Usage | None, now: Now) -> None:
        leased, stream = self.won.leased, self.won.sent.stream
        tokens = usage.completion if usage is not None else 0
        speed = leased.trial.known.speed
        first_event = self.won.at.mono - leased.at.mono
        if self.won.whole:
            speed.measured_whole(leased.candidate.model, first_event, tokens, RATE_SAMPLE, now)
            return
        generating = now.mono - self.won.at.mono - (stream.unread if stream is not None else 0.0)
        speed.measured(first_event, tokens if tokens >= RATE_SAMPLE else 0, generating, now)

    def _actual(self, usage: Usage | None) -> Mapping[Unit, float]:
        """Return what *usage* is to the counters, and learn how far its prompt was estimated right."""
        if usage is None:
            return AS_CHARGED
        leased = self.won.leased
        if not usage.estimated:
            self._standing.learn_size(leased.candidate, self.won.estimated, usage.prompt)
        return actual_amounts(leased.candidate, usage)


async def _settled() -> None:
    """Have nothing left to settle."""
