"""How fast candidates are: decaying estimates that start from the catalogue's priors, and calls overdue."""

import math

from msgspec import Struct

from freeroute.clock import Now
from freeroute.domain.catalogue import Model
from freeroute.domain.keepsake import KeptSpeed, Rebase

# Weight of one new measurement; the last ten calls make up 90 % of the estimate.
BLEND = 0.2
# A failure or a 429 costs what a caller would lose by it, and is forgotten by half every minute.
FAILURE_SECONDS = 10.0
FAILURE_HALF_LIFE = 60.0
# An estimate drifts back to its prior while nobody asks: after ten minutes half of the difference is left,
# so that a provider once slow gets another chance.
DRIFT_HALF_LIFE = 600.0
# What loading a model of a few gigabytes from disk takes, for the choice between it and others. Own design.
COLD_SECONDS = 15.0
# Rates under this are treated as this, so that one odd measurement cannot make a candidate unpickable.
SLOWEST_RATE = 1.0
# Nor can one be believed above this: what the catalogue may expect at most.
FASTEST_RATE = 1e6

ENOUGH = 5
"""Answers from which on the time to the first event is known well enough to bound it. Own design, as all
numbers here (docs/routing.md)."""

PATIENCE = 4.0
"""How many times the slowest first event of late a call may take."""

LEAST_PATIENCE = 5.0
"""Seconds to the first event that every call may take, however fast the candidate is."""

LONGEST = 3600.0
"""Seconds of a first event, or of an answer, that are believed at most, after however many timeouts: settings
bound calls earlier. Own design."""

FORGETTING = 0.05
"""The part of the slowest first event of late that each quicker answer takes away; so for the longest."""

PREFILL = 1000.0
"""Tokens of a prompt that a slow provider reads in a second: a long prompt may take longer."""

USUAL = 20
"""Answers from which on it is known what a late first event is: one of so many is."""

DEVIATIONS = 3.0
"""A first event is late after the mean and so many mean deviations. With the tails that times have, one of
twenty is: 6 % where they are spread exponentially, 2 % as a bell (measured)."""

LATE = 1.5
"""Nor is it late before it takes so many times the mean: answers of even pace are not hedged for a trifle."""

UNBOUNDED_OUTPUT = 2000.0
"""Tokens of an answer without an output bound that is waited for although nothing of it is seen, at half of
the expected rate."""

LONGER = 1.5
"""How many times the longest answer of late the next may take, where somebody else can be asked instead."""

STALE = 600.0
"""Seconds without an answer after which the history bounds nothing any more."""


Outlook = tuple[float, float, float, float, float]
"""How many seconds an answer may take: *first*, *patience*, *pressed*, *whole*, *expected*.

Its first event is expected after *first*, and is waited for up to *patience*. What is seen only at its end
may take so many beyond that: *pressed* where somebody else can be asked, else *whole*. A usual one is
*expected* to take so many in all. No struct: each call takes it apart at once.
"""


class Speed:
    """Expected seconds to the first event and output tokens a second.

    *slowest* is the slowest first event of late, *spread* the decaying mean deviation of first events, and
    *longest* are the seconds of the longest whole answer of late.
    """

    # Every answer sets them all: no Struct, of which that costs four times as much.
    __slots__ = ("first_token", "longest", "measured_at", "rate", "samples", "slowest", "spread")

    def __init__(
        self,
        first_token: float,
        rate: float,
        measured_at: float = -math.inf,
        samples: int = 0,
        slowest: float = 0.0,
        spread: float = 0.0,
        longest: float = 0.0,
    ) -> None:
        """Expect what was measured at *measured_at* (mono), after so many *samples*."""
        self.first_token = first_token
        self.rate = rate
        self.measured_at = measured_at
        self.samples = samples
        self.slowest = slowest
        self.spread = spread
        self.longest = longest

    @classmethod
    def prior(cls, model: Model) -> "Speed":
        """Return what the catalogue expects of *model*."""
        return cls(model.first_token, model.tokens_per_second)

    def kept(self) -> KeptSpeed | None:
        """Return what outlives the process; None if it is all prior."""
        if not self.samples and not self.slowest:
            return None
        return KeptSpeed(
            self.first_token,
            self.rate,
            self.measured_at,
            self.samples,
            self.slowest,
            self.spread,
            self.longest,
        )

    @classmethod
    def restored(cls, kept: KeptSpeed, rebase: Rebase) -> "Speed":
        """Return the estimate that was *kept*."""
        return cls(
            _within(kept.first_token, LONGEST),
            _within(kept.rate, FASTEST_RATE),
            rebase.mono(kept.measured_at),
            kept.samples,
            _within(kept.slowest, LONGEST),
            _within(kept.spread, LONGEST),
            _within(kept.longest, LONGEST),
        )

    def measured(self, first_event: float, tokens: int, seconds: float, now: Now) -> None:
        """Take in an answer: *first_event* seconds to its first event, *tokens* in *seconds* after it."""
        self._blend(first_event)
        slower = first_event - self.slowest
        self.slowest += slower if slower > 0.0 else FORGETTING * slower
        longer = first_event + seconds - self.longest
        self.longest += longer if longer > 0.0 else FORGETTING * longer
        if tokens > 1 and seconds > 0:
            rate = tokens / seconds
            if rate > FASTEST_RATE:
                rate = FASTEST_RATE
            self.rate += BLEND * (rate - self.rate)
        self.measured_at = now.mono
        self.samples += 1

    def measured_whole(self, model: Model, seconds: float, tokens: int, least: int, now: Now) -> None:
        """Take in an answer of *tokens* in one piece, which shows nothing before its end.

        Its *seconds* are split as the catalogue expects of *model*. What was measured so far must not decide:
        it would be held against itself, and run away. An answer of under *least* tokens tells no rate.
        """
        rate = model.tokens_per_second
        if rate < SLOWEST_RATE:  # without `max` and `min`: this is on the way of every call
            rate = SLOWEST_RATE
        generating = tokens / rate
        if tokens:
            generating *= seconds / (model.first_token + generating)
        self.measured(seconds - generating, tokens if tokens >= least else 0, generating, now)

    def outrun(self, seconds: float) -> None:
        """Take in that no first event came in *seconds*, after which nobody waited for it any more."""
        if seconds > self.first_token:
            self._blend(seconds)

    def timed_out(self) -> None:
        """Take in that no first event came in time: it may just be slow now, so the next call gets longer."""
        self.slowest = min(max(2 * self.slowest, LEAST_PATIENCE), LONGEST)

    def outlook(
        self, model: Model, prompt: int, bound: int | None, usual: int, ceiling: float, now: Now
    ) -> Outlook:
        """Return how long an answer to *prompt* tokens may take, its first event at most *ceiling* seconds.

        It has *bound* tokens at most; *usual* are so many. Where somebody else can be asked, what took much
        longer than the answers of late is given up; the last one to ask has the time for a long answer.
        """
        first, rate = self._drifted(model, now)
        if rate < SLOWEST_RATE:
            rate = SLOWEST_RATE
        least = rate / 2
        if least < SLOWEST_RATE:
            least = SLOWEST_RATE
        whole = UNBOUNDED_OUTPUT / least if bound is None else bound / least
        expected = first + usual / rate
        if model.cold:
            expected += COLD_SECONDS
        if self.samples < ENOUGH or now.mono - self.measured_at > STALE:
            return first, ceiling, whole, whole, expected
        patience = PATIENCE * self.slowest
        if patience < LEAST_PATIENCE:
            patience = LEAST_PATIENCE
        patience += prompt / PREFILL
        if patience > ceiling:
            patience = ceiling
        pressed, longest = whole, LONGER * self.longest
        if 0.0 < longest < whole:
            pressed = longest
        elif longest > whole and bound is None:
            pressed = whole = longest
        return first, patience, pressed, whole, expected

    def late(self, prompt: int, now: Now) -> float:
        """Return after how many seconds a first event after *prompt* tokens is late; ``inf`` if not known."""
        if self.samples < USUAL or now.mono - self.measured_at > STALE:
            return math.inf
        mean = self.first_token
        return max(mean + DEVIATIONS * self.spread, LATE * mean) + prompt / PREFILL

    def expected(self, model: Model, output: int, now: Now) -> float:
        """Return the expected seconds until *output* tokens have come."""
        first, rate = self._drifted(model, now)
        if rate < SLOWEST_RATE:  # on the way of every choice
            rate = SLOWEST_RATE
        seconds = first + output / rate
        return seconds + COLD_SECONDS if model.cold else seconds

    def _drifted(self, model: Model, now: Now) -> tuple[float, float]:
        """Return the seconds to the first event and the tokens a second that are expected by *now*."""
        if not self.samples:
            return self.first_token, self.rate
        first, rate = model.first_token, model.tokens_per_second
        pull = 0.5 ** ((now.mono - self.measured_at) / DRIFT_HALF_LIFE)
        return first + pull * (self.first_token - first), rate + pull * (self.rate - rate)

    def _blend(self, first_event: float) -> None:
        off = first_event - self.first_token
        self.spread += BLEND * (abs(off) - self.spread)
        self.first_token += BLEND * off


def _within(kept: float, most: float) -> float:
    """Return what was *kept*, *most* in place of what is endless or no number, as earlier versions saved."""
    return min(kept, most) if math.isfinite(kept) else most


class Awaited:
    """Calls under way, and when something of each should have come.

    What is late by now is known before the first slow answer ends. Calls end about as they began, so the one
    that is due first is looked for among the others only once it may be late. *streams* are the answers that
    have begun and are not over.
    """

    def __init__(self) -> None:
        """Start with no call."""
        self.streams = 0
        self._due: dict[int, float] = {}
        self._earliest = math.inf  # nothing is due before
        self._is_known = True  # it is the earliest of those that are left

    def began(self, call: int, due: float) -> None:
        """Expect something of *call* by *due* (mono)."""
        self._due[call] = due
        if due < self._earliest:
            self._earliest = due

    def ended(self, call: int) -> None:
        """Note that something of *call* came, or that it failed."""
        due = self._due.pop(call, math.inf)
        if not self._due:
            self._earliest, self._is_known = math.inf, True
        elif due <= self._earliest:
            self._is_known = False

    @property
    def is_any(self) -> bool:
        """Say whether there is any call of which nothing has come."""
        return bool(self._due)

    def late(self, now: Now) -> float:
        """Return by how many seconds the latest of the calls is late."""
        if now.mono < self._earliest:  # as nearly always
            return 0.0
        if not self._is_known:
            self._earliest = min(self._due.values())
            self._is_known = True
        return max(now.mono - self._earliest, 0.0)


class Lapses(Struct):
    """Recent failures and 429s, each half forgotten after a while."""

    count: float = 0.0
    at: float = 0.0

    def add(self, now: Now) -> None:
        """Take in one more."""
        self.count = self._left(now) + 1.0
        self.at = now.mono

    def seconds(self, now: Now) -> float:
        """Return what a caller may lose by them."""
        return self._left(now) * FAILURE_SECONDS

    def _left(self, now: Now) -> float:
        return float(self.count * 0.5 ** ((now.mono - self.at) / FAILURE_HALF_LIFE))
