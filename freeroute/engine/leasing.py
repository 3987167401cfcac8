"""What a candidate grants one call: its charges, its slot and, in half-open, the trial. Taken in one step."""

from msgspec import Struct

from freeroute.clock import Clock, Now
from freeroute.domain.catalogue import Candidate
from freeroute.domain.leases import Lease
from freeroute.domain.selection import Choice
from freeroute.domain.standing import Standing
from freeroute.domain.trials import Trial
from freeroute.engine.ports import Counters, Sent


class Leased(Struct, frozen=True):
    """A candidate that a call may use now, taken at *at*, with the output bound to send."""

    candidate: Candidate
    lease: Lease
    trial: Trial
    at: Now
    max_output: int | None = None


class Won(Struct):
    """An attempt that brought an answer; what was *leased* for it is still held.

    Its first event came *at* this instant. Its prompt was *estimated* at so many tokens, 0 where that says
    nothing. *whole* says that nothing of it was seen before its end. *note* is its place among the notes of
    its course.
    """

    leased: Leased
    sent: Sent
    at: Now
    estimated: int
    whole: bool
    note: int


class Leasing:
    """Takes and gives back leases."""

    def __init__(self, standing: Standing, counters: Counters, clock: Clock) -> None:
        """Lease from *counters* and *standing*."""
        self._standing = standing
        self._counters = counters
        self._clock = clock

    async def take(self, choice: Choice, now: Now) -> Leased | None:
        """Lease the candidate of *choice* at *now*; None if a rival took the room meanwhile."""
        lease = self._counters.acquire(choice.charges, now)
        if not isinstance(lease, Lease):  # which nearly always it is, at once
            lease = await lease
            if not isinstance(lease, Lease):
                return None
        trial = self._standing.begin(choice.candidate, now)
        return Leased(choice.candidate, lease, trial, now, choice.max_output)

    async def give_back(self, leased: Leased) -> None:
        """End a lease that was never used."""
        self._standing.give_back(leased.candidate, leased.trial)
        await self._counters.cancel(leased.lease, self._clock.now())
