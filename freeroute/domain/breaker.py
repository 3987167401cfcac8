"""Breakers: a candidate or provider that keeps failing rests, and comes back through a single trial.

State is read off the instant it is asked for; no timer changes it. Only failures that are a provider's
fault belong here: a 429, a bad key or a caller who left say nothing about health.
"""

from collections import deque
from enum import StrEnum

from freeroute.clock import Now
from freeroute.domain.keepsake import KeptCandidate, KeptGate, Rebase

IN_A_ROW = 3
"""Failures in a row that open a candidate. Own design, as all numbers here (docs/architecture.md)."""

SAMPLE = 10
"""Answers within `SAMPLE_SECONDS` from which on half of them failing opens a candidate."""

SAMPLE_SECONDS = 60
"""How far back answers are counted."""

SUSPICION = 60.0
"""Seconds a failure ranks a candidate last, unless a success ends it sooner. While others have room nobody
would ask it again, and its quota would be lost."""

FIRST_REST = 10.0
"""Seconds the first opening lasts; each failed trial doubles it. Calls that had to be made meanwhile do not:
however many callers come during an outage, the rest grows with its length."""

LONGEST_REST = 300.0
"""Seconds no opening outlasts."""

JITTER = 0.25
"""The part of an opening that chance may add, so that candidates do not come back in step."""

TWO_MODELS_WITHIN = 30.0
"""Seconds within which the failures of two models are one failure of their provider."""


class State(StrEnum):
    """Healthy, resting, or due for its one trial."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class _Gate:
    """Closed, open or half-open, and whose answer may change that.

    Every change of state begins a new generation. A call notes the generation it was begun in; its answer
    counts only while that generation lasts; a call without one, begun while closed, counts while closed.
    """

    def __init__(self) -> None:
        """Start closed; *opened* counts how often it opened, *openings* how often since the last success.

        *generation* is what a call begins in while it is closed.
        """
        self.opened = 0
        self.generation = 0
        self.openings = 0
        self._until = 0.0
        self._trial = False

    @property
    def opens_until(self) -> float:
        """Return the mono instant at which the rest ends; 0 if closed."""
        return self._until

    def state(self, now: Now) -> State:
        """Return the state at *now*."""
        if not self.openings:
            return State.CLOSED
        return State.OPEN if now.mono < self._until else State.HALF_OPEN

    def permits(self, now: Now) -> bool:
        """Say whether a call may begin: any while closed, one while half-open."""
        if not self.openings:  # closed, as nearly always
            return True
        return self.state(now) is State.HALF_OPEN and not self._trial

    def begin_trial(self, now: Now) -> int | None:
        """Return the generation of a call that begins now, or None if none may.

        While closed that is any call and no trial is spent; in half-open it is the one trial.
        """
        if not self.openings:
            return self.generation
        if self.state(now) is State.HALF_OPEN and not self._trial:
            self._trial = True
            self.generation += 1
            return self.generation
        return None

    def forced_trial(self, now: Now) -> int:
        """Return the generation of a call that begins now, whether it may or not.

        That is for the least bad of candidates that all rest. It shares a trial under way; while open it is
        none, so that its success closes and its failure changes nothing.
        """
        self.begin_trial(now)
        return self.generation

    def end_trial(self, generation: int) -> None:
        """Give a trial back that told nothing (the caller left, a 429); its late answer does not count."""
        if self._trial and generation == self.generation:
            self._trial = False
            self.generation += 1

    def reset(self) -> None:
        """Close, and forget everything; answers of calls under way do not count."""
        self.generation += 1
        self.openings = 0
        self._until = 0.0
        self._trial = False

    def kept(self) -> KeptGate | None:
        """Return what outlives the process; None while closed. A trial under way ends with the process."""
        return KeptGate(self.openings, self._until) if self.openings else None

    def restore(self, kept: KeptGate | None, rebase: Rebase) -> None:
        """Rest as long as was left when this was *kept*."""
        if kept is not None:
            self.openings = kept.openings
            self._until = rebase.mono(kept.until, rebase.now.mono + LONGEST_REST)

    def _opens(self, *, healthy: bool) -> bool:
        """Say whether a failure opens: that of the trial, else one that leaves it not *healthy*."""
        return self._trial if self.openings else not healthy

    def _counts(self, generation: int | None) -> bool:
        return not self.openings if generation is None else generation == self.generation

    def _open(self, now: Now, jitter: float) -> None:
        doublings = min(self.openings, 30)  # far past the cap, and no overflow after years of failures
        rest = FIRST_REST * 2**doublings * (1 + JITTER * jitter)
        self.opened += 1
        self.generation += 1
        self.openings += 1
        self._until = now.mono + min(LONGEST_REST, rest)
        self._trial = False


class Breaker(_Gate):
    """The health of one candidate."""

    def __init__(self) -> None:
        """Start closed and above suspicion."""
        super().__init__()
        self._in_a_row = 0
        self._failed_at = 0.0
        self._seconds: deque[list[float]] = deque()  # [second, answers, failures of them], oldest first

    @property
    def in_a_row(self) -> int:
        """Return how many failures there were since the last success."""
        return self._in_a_row

    def kept_health(self) -> KeptCandidate | None:
        """Return what outlives the process; None while nothing is wrong. Answers are not counted on."""
        gate = self.kept()
        if gate is None and not self._in_a_row:
            return None
        return KeptCandidate(gate, self._in_a_row, self._failed_at)

    def restore_health(self, kept: KeptCandidate, rebase: Rebase) -> None:
        """Go on as it was when this was *kept*."""
        self.restore(kept.gate, rebase)
        self._in_a_row, self._failed_at = kept.in_a_row, rebase.mono(kept.failed_at)

    def suspect(self, now: Now) -> bool:
        """Say whether the last answer was a failure, and lately: it is then ranked last."""
        return self._in_a_row > 0 and now.mono - self._failed_at < SUSPICION

    def success(self, now: Now, generation: int | None = None) -> None:
        """Note a success of a call begun in *generation*; it closes the breaker."""
        if generation is not None and generation != self.generation:
            return
        if self.openings:
            if generation is not None:
                self.reset()
            return
        self._in_a_row = 0
        self._note(now, 0)

    def failure(self, now: Now, generation: int | None = None, *, jitter: float) -> None:
        """Note a failure of a call begun in *generation*; *jitter* is a number in [0, 1)."""
        if not self._counts(generation):
            return
        self._in_a_row += 1
        self._failed_at = now.mono
        self._note(now, 1)
        if self._opens(healthy=self._in_a_row < IN_A_ROW and not self._half_fail()):
            self._open(now, jitter)

    def reset(self) -> None:
        """Close, and forget everything; answers of calls under way do not count."""
        super().reset()
        self._in_a_row = 0
        self._seconds.clear()

    def _note(self, now: Now, failures: int) -> None:
        second, seconds = now.mono // 1.0, self._seconds
        if not seconds or seconds[-1][0] < second:
            while seconds and seconds[0][0] <= second - SAMPLE_SECONDS:
                seconds.popleft()
            seconds.append([second, 0, 0])
        last = seconds[-1]
        last[1] += 1
        last[2] += failures

    def _half_fail(self) -> bool:
        answers = sum(entry[1] for entry in self._seconds)
        return answers >= SAMPLE and 2 * sum(entry[2] for entry in self._seconds) >= answers


class ProviderBreaker(_Gate):
    """The health of a whole provider: it opens if it cannot be reached, or if two of its models fail.

    Two failures tell of the provider only if nothing succeeded between them.
    """

    def __init__(self) -> None:
        """Start closed."""
        super().__init__()
        self._last: tuple[str, float] | None = None  # the model that failed last, and when

    def success(self, now: Now, generation: int | None = None) -> None:
        """Note a success of a call begun in *generation*; it closes the breaker."""
        if self._last is None and not self.openings:  # as nearly always
            return
        if not self._counts(generation):
            return
        self._last = None
        if self.openings:
            self.reset()

    def failure(
        self, now: Now, generation: int | None = None, *, model: str, unreachable: bool, jitter: float
    ) -> None:
        """Note a failure of *model*, *unreachable* if no connection came about (refused, DNS, TLS)."""
        if not self._counts(generation):
            return
        before, self._last = self._last, (model, now.mono)
        if self._opens(healthy=not unreachable and not _two(before, self._last)):
            self._open(now, jitter)

    def reset(self) -> None:
        """Close, and forget everything; answers of calls under way do not count."""
        super().reset()
        self._last = None


def _two(before: tuple[str, float] | None, last: tuple[str, float]) -> bool:
    return before is not None and before[0] != last[0] and last[1] - before[1] <= TWO_MODELS_WITHIN
