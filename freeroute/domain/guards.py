"""How long a call to one provider may be under way before it is counted: learned from what calls show."""

import math

from msgspec import Struct

from freeroute.clock import Now
from freeroute.domain.keepsake import KeptGuard, Rebase

LONGEST = 8.0
"""Times the ordinary guard that a learned one is at most. Own design: with half a second, 4 s; a line that is
slower than that has other troubles."""

SLOW = 1.6
"""Times the ordinary guard that slow answers alone make of it. Own design: an answer's head may be late
because the model is, so it is believed up to 0.8 s only, which costs half a percent of a minute's quota."""

ONE_WAY = 0.5
"""Share of a round trip after which a call has arrived. Own design: lines are about alike both ways."""

HALF_LIFE = 3600.0
"""Seconds after which half of what was added is gone. Own design: a line seldom changes faster, and each try
with too short a guard costs a refused call."""

DRIFT = 0.1
"""Share by which the fastest round trip follows slower ones; it follows faster ones at once. Own design."""


class Guard(Struct):
    """The guard of one provider, in seconds.

    *ordinary* is where it starts and what it never falls below. *added* is what refusals showed to be missing
    at *at* (mono); *trip* is about the fastest that an answer began after its call was sent. Until it has
    *moved* it was never anything but ordinary.
    """

    ordinary: float
    added: float = 0.0
    at: float = -math.inf
    trip: float = 0.0
    moved: bool = False

    def kept(self) -> KeptGuard:
        """Return what outlives the process."""
        return KeptGuard(self.added, self.at, self.trip)

    @classmethod
    def restored(cls, ordinary: float, kept: KeptGuard, rebase: Rebase) -> "Guard":
        """Return the guard that was *kept*, over one that is *ordinary* now."""
        added = min(kept.added, (LONGEST - 1) * ordinary)
        moved = added > 0.0 or kept.trip * ONE_WAY > ordinary
        return cls(ordinary, added, rebase.mono(kept.at), kept.trip, moved)

    def seconds(self, now: Now) -> float:
        """Return the guard at *now*."""
        usual = self.ordinary
        if self.added:
            usual += self.added * 0.5 ** ((now.mono - self.at) / HALF_LIFE)
        if self.trip * ONE_WAY <= usual:  # as nearly always
            return usual
        return max(usual, min(ONE_WAY * self.trip, SLOW * self.ordinary))

    def answered(self, seconds: float) -> None:
        """Note that an answer began *seconds* after its call was sent."""
        if self.trip and seconds > self.trip:
            self.trip += DRIFT * (seconds - self.trip)
        else:
            self.trip = seconds
        if self.trip * ONE_WAY > self.ordinary:
            self.moved = True

    def too_short(self, now: Now) -> None:
        """Double the guard: a slot came back too early by it."""
        longer = min(2 * self.seconds(now), LONGEST * self.ordinary)
        self.added, self.at, self.moved = longer - self.ordinary, now.mono, True
