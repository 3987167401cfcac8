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
from freeroute.engine.ports import Counters, EventStream
from freeroute.engine.served import DONE, Onward

_SERVED = Kind.SERVED  # how nearly every attempt ends; a member of an enum is looked up at length

# An answer this short says nothing about a candidate's rate.
RATE_SAMPLE = 8
LEFT = Outcome(Kind.CALLER_LEFT)
STALLED = Outcome(Kind.CALLER_STALLED, detail="the caller read nothing any more")


class Settling:
    """Ends attempts that were won: judges and measures their candidates, and settles what they used."""

    def __init__(self, standing: Standing, counters: Counters, dice: Callable[[], float]) -> None:
        """Tell *standing* and *counters*; *dice* give random numbers in [0, 1)."""
        self._standing = standing
        self._counters = counters
        self._dice = dice

    def served(self, won: Won, usage: Usage | None, now: Now, unread: float = 0.0) -> Awaitable[None]:
        """End *won*, all told by *now*; for *unread* seconds of that nobody asked for more."""
        leased = won.leased
        trial = leased.trial
        self._standing.succeeded(leased.candidate, trial, now)
        first_event = won.at.mono - leased.at.mono
        tokens = 0 if usage is None else usage.completion
        if won.whole:
            trial.known.speed.measured_whole(leased.candidate.model, first_event, tokens, RATE_SAMPLE, now)
        else:
            generating = now.mono - won.at.mono - unread
            trial.known.speed.measured(first_event, tokens if tokens >= RATE_SAMPLE else 0, generating, now)
        return self._settle(won, usage, now)

    def left(self, won: Won, usage: Usage | None, now: Now, course: Course, left: Outcome) -> Awaitable[None]:
        """End *won* at *now*, whose caller *left* like that: nobody is to blame."""
        course.became(won.note, left)
        self._standing.give_back(won.leased.candidate, won.leased.trial)
        return self._settle(won, usage, now)

    def failed(
        self, won: Won, usage: Usage | None, now: Now, course: Course, outcome: Outcome
    ) -> Awaitable[None]:
        """End *won* at *now*, which came to another *outcome* than it began with."""
        leased = won.leased
        course.became(won.note, outcome)
        jitter = self._dice()
        effects.apply(outcome, leased.candidate, self._standing, leased.trial, now, jitter=jitter)
        return self._settle(won, usage, now)

    def _settle(self, won: Won, usage: Usage | None, now: Now) -> Awaitable[None]:
        """Settle what was leased to *usage*, and learn how far the prompt was estimated right."""
        leased = won.leased
        actual: Mapping[Unit, float] = AS_CHARGED
        if usage is not None:
            if not usage.estimated:
                self._standing.learn_size(leased.candidate, won.estimated, usage.prompt)
            actual = actual_amounts(leased.candidate, usage)
        return self._counters.settle(leased.lease, actual, now)


class Part:
    """A won stream while it is relayed: the one owner of it, of its lease and its trial.

    *spoke* says whether the caller got anything of it.
    """

    def __init__(self, won: Won, stream: EventStream, course: Course, settling: Settling) -> None:
        """Take over *won*, which brought *stream*."""
        self.won = won
        self.stream = stream
        self.spoke = False
        self._course = course
        self._settling = settling
        won.leased.trial.known.awaited.streams += 1
        self._failed: Outcome | None = None
        self._over = False
        self._ended = False

    @property
    def outcome(self) -> Outcome:
        """Return how the attempt ended, as far as it has."""
        return self._failed or self.stream.outcome or self.won.sent.outcome

    @property
    def is_over(self) -> bool:
        """Say whether nothing more comes of it."""
        return self._over

    async def next(self, onward: Onward | None = None) -> Sequence[bytes]:
        """Return the payloads that are ready, but for what *onward* takes; empty at the end, good or bad."""
        if self._over:
            return ()
        self.stream.onward = onward
        payloads = await self.stream.next()
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
            return DONE
        self._ended = True
        won, stream, course = self.won, self.stream, self._course
        won.leased.trial.known.awaited.streams -= 1
        stream.abort()
        if lost := stream.lost:
            course.dropped |= frozenset(lost)
        usage, outcome = stream.usage, self.outcome
        course.lasted(won.note, now.mono - won.leased.at.mono, usage)
        if outcome.kind is not _SERVED:
            return self._settling.failed(won, usage, now, course, outcome)
        if left is None and self._over:
            return self._settling.served(won, usage, now, stream.unread)
        return self._settling.left(won, usage, now, course, left or LEFT)
