"""Quota holds that have ended: whether the quota is really back, one call finds out before others follow."""

from collections.abc import Iterable

from freeroute.clock import Now

ALONE = 3.0
"""Seconds the first call keeps others off. Own design, as for the first call on a key: a refusal comes before
anything is generated, so that a call still under way after this was granted."""

Place = tuple[str, ...]
"""What a hold was laid on."""


class Returning:
    """The first calls after quota holds.

    So a provider that is still out of quota costs one call, however many callers waited for the same moment.
    """

    def __init__(self) -> None:
        """Start with no *first* call under way at any place: its number, and when it began."""
        self.first: dict[Place, tuple[int, float]] = {}

    def busy_until(self, places: Iterable[Place], now: Now) -> float | None:
        """Return until when (mono) a first call keeps others off one of *places*, or None."""
        ends = [self.first[place][1] + ALONE for place in places if place in self.first]
        latest = max(ends, default=now.mono)
        return latest if latest > now.mono else None

    def began(self, place: Place, call: int, now: Now) -> None:
        """Note that *call* began where a hold has ended: it is the first, or one of those that follow."""
        self.first.setdefault(place, (call, now.mono))

    def ended(self, call: int) -> None:
        """Note that *call* ended without being granted: the next one is first."""
        if not self.first:
            return
        for place in [place for place, first in self.first.items() if first[0] == call]:
            del self.first[place]

    def granted(self, place: Place, call: int) -> bool:
        """Say whether *call* shows that *place* has quota again: not if it began before the hold ended."""
        if place not in self.first or call < self.first[place][0]:
            return False
        del self.first[place]
        return True

    def forget(self) -> None:
        """Start anew: holds were lifted."""
        self.first.clear()
