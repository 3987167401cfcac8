"""Limits that nobody tells: what refusals and answers show of them.

A refusal that our counters did not foresee, and that names no number, shows where the limit really is: at
what was counted without the refused call. From then on that *level* holds. After a rest it is tried whether
one *step* more is granted, and as long as it is, the level rises to what the settings give.
"""

import math
from collections.abc import Sequence

from msgspec import Struct

from freeroute.clock import Now
from freeroute.domain.catalogue import Limit, Pool, Scope, Unit, WindowKind
from freeroute.domain.keepsake import KeptMeasure, Rebase
from freeroute.domain.leases import Reading
from freeroute.domain.outcome import Outcome

UNKNOWN = Limit(
    Unit.REQUESTS,
    math.inf,
    60.0,
    WindowKind.SLIDING,
    "minute",
    scope=Scope.MODEL,
    confidence="unknown",
)
"""The limit of a model for which nobody gives one: requests a minute, since that is what providers count."""

LONGEST = 3600.0
"""Limits of this many seconds or more are never lowered by a refusal without a number: it tells nothing of a
day, and a mistake would cost the rest of it. Own design."""

PATIENCE = 10
"""Windows after a refusal in which a level is not raised: trying costs one refused call in so many. From the
design of the limits."""

SOME_PATIENCE = 1
"""The same after the first refusal where answers tell of room and count the same calls as we: it may be
about something nobody tells of. Own design: a second one shows."""

STEP = 0.1
"""Share of a level that is tried in addition, at least one call. Own design: a limit found at a third of its
size is back within a dozen windows."""

FLOOR = 0.25
"""Share of a given limit under which a refusal says nothing about the limit: that somebody else spends the
same key is likelier than numbers that wrong. Own design."""

UNKNOWN_SHARE = 0.5
"""How full an unknown limit counts when it is asked which limit refused a call: a known one that is fuller is
likelier. Own design."""

OVERDUE = 1.5
"""Times a window's length that its reset can be off; a longer Retry-After speaks of another. Own design."""

SOON = 2.0
"""Seconds after a slot came back in which a refusal may mean that it came back too early. Own design."""


class Measure(Struct):
    """What calls showed of one limit; its moments are mono.

    *given* is the limit of settings or provider, ``inf`` for none. Up to *level* calls are granted, as far as
    anybody knows; from *step_at* on one step more is tried. While nothing was refused, an unknown limit lets
    *width* calls be under way at once. *excused_at* is when a refusal was last put down to the guard.
    *against_told* says that answers told of room where there was none, and are not heard until it is over.
    """

    given: float
    level: float = math.inf
    step_at: float = math.inf
    width: float = math.inf
    excused_at: float = -math.inf
    against_told: bool = False

    @classmethod
    def unknown(cls) -> "Measure":
        """Return what is known of an unknown limit: one call may be tried."""
        return cls(math.inf, width=1.0)

    def kept(self) -> KeptMeasure:
        """Return what outlives the process: all of it."""
        return KeptMeasure(
            self.given, self.level, self.step_at, self.width, self.excused_at, self.against_told
        )

    @classmethod
    def restored(cls, kept: KeptMeasure, rebase: Rebase) -> "Measure":
        """Return what was *kept*."""
        step_at, excused_at = rebase.mono(kept.step_at), rebase.mono(kept.excused_at)
        return cls(kept.given, kept.level, step_at, kept.width, excused_at, kept.against_told)

    def amount(self, now: Now) -> float:
        """Return how much is to be taken at most."""
        if now.mono < self.step_at:
            return min(self.level, self.given)
        return min(self.level + self._step, self.given)

    def served(self, reached: float, sent_at: float, seconds: float, now: Now) -> bool:
        """Note that a call was granted, as the *reached*-th; say whether more may go now.

        It was sent at *sent_at* (mono): of what was sent before a refusal nobody knows the place, and it
        proves no step. *seconds* is the window's length, which has to pass before the next step.
        """
        wider = self.width < math.inf
        if wider:
            self.width += 1
        if sent_at >= self.step_at and reached >= self.amount(now):
            self.level, self.step_at = self.amount(now), now.mono + seconds
        return wider

    def refused(self, counted: float, seconds: float, now: Now, patience: float = PATIENCE) -> bool:
        """Lower the level, since only *counted* were granted; False if that cannot be the limit.

        It is not raised for *patience* windows of so many *seconds*.

        An unknown limit that refuses although nothing was counted is none of this window: it is forgotten.
        """
        counted = min(counted, self.amount(now) - 1)
        if counted < 1 and self.given == math.inf:
            self.level, self.step_at, self.width = math.inf, math.inf, 1.0
            return False
        if counted < max(1.0, FLOOR * self.given if self.given < math.inf else 1.0):
            return False
        self.level, self.width = counted, math.inf
        self.step_at = now.mono + patience * seconds
        return True

    def excuse(self, seconds: float, now: Now) -> bool:
        """Say whether a refusal soon after a slot came back may be put down to the guard, and note it.

        Once: the next one within two windows is the limit's. Nor is it, where the limit is itself a guess.
        """
        if self.level < self.given or now.mono - self.excused_at < 2 * seconds:
            return False
        self.excused_at = now.mono
        return True

    @property
    def is_over(self) -> bool:
        """Say whether the limit that was given is granted again."""
        return self.given <= self.level < math.inf

    @property
    def _step(self) -> float:
        return max(1.0, math.floor(self.level * STEP)) if self.level < math.inf else 0.0


def pool_blamed(outcome: Outcome, readings: Sequence[Reading]) -> Pool | None:
    """Return which of the pools read refused a call with *outcome*, if it may be lowered for that.

    It is the fullest of those that the answer may mean: a short window of requests.
    """
    if outcome.unit not in (None, Unit.REQUESTS) or outcome.window not in (None, "minute"):
        return None
    meant = [reading for reading in readings if _may_mean(outcome, reading.pool.limit)]
    named = [reading for reading in meant if reading.pool.limit.scope.value == outcome.scope]
    fullest = max(named or meant, key=_fullness, default=None)
    return fullest.pool if fullest is not None and fullest.pool.limit.unit is Unit.REQUESTS else None


def _may_mean(outcome: Outcome, limit: Limit) -> bool:
    if not 0 < limit.seconds < LONGEST or (outcome.window == "minute" and limit.seconds > 60):
        return False
    if outcome.unit is not None and limit.unit is not Unit.REQUESTS:
        return False
    return outcome.retry_after is None or outcome.retry_after <= OVERDUE * limit.seconds


def _fullness(reading: Reading) -> float:
    return reading.used / reading.limit if 0 < reading.limit < math.inf else UNKNOWN_SHARE
