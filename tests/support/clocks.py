"""Clocks for tests: time moves only when told to."""

from freeroute.clock import Now

EPOCH = 1_790_000_000.0  # 2026-09-21T14:13:20Z: an ordinary Monday


class ManualClock:
    """A clock a test moves by hand, both hands at once."""

    def __init__(self, mono: float = 1_000.0, wall: float = EPOCH) -> None:
        self._now = Now(mono, wall)

    def now(self) -> Now:
        return self._now

    def advance(self, seconds: float) -> Now:
        self._now = self._now.later(seconds)
        return self._now

    def set_wall(self, by: float) -> None:
        """Set the wall clock forward or back, as a person or NTP does: no time passes."""
        self._now = Now(self._now.mono, self._now.wall + by)

    async def spend(self, seconds: float) -> None:
        """Let *seconds* pass at once."""
        self.advance(seconds)
