"""What a candidate grants one call: its charges, its slot and, in half-open, the trial. Taken in one step."""

from collections.abc import Awaitable, Generator
from typing import Any

from msgspec import Struct

from freeroute.clock import Clock, Now
from freeroute.domain.catalogue import Candidate
from freeroute.domain.leases import Denied, Lease
from freeroute.domain.selection import Choice
from freeroute.domain.standing import Standing
from freeroute.domain.trials import Trial
from freeroute.engine.ports import Counters, Sent


class Leased(Struct, frozen=True):
    """A candidate that a call may use now, taken at *at*, with the output bound to send.

    As a `Lease`, it is there already for whoever awaits it.
    """

    candidate: Candidate
    lease: Lease
    trial: Trial
    at: Now
    max_output: int | None = None

    def __await__(self) -> Generator[Any, Any, "Leased"]:
        """Wait for nothing."""
        yield from ()
        return self


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

    def take(self, choice: Choice, now: Now) -> Awaitable[Leased | None]:
        """Lease the candidate of *choice* at *now*; None if a rival took the room meanwhile.

        What is leased already, as nearly always, need not be awaited.
        """
        lease = self._counters.acquire(choice.charges, now)
        if isinstance(lease, Lease):
            return self._leased(choice, lease, now)
        return self._later(choice, lease, now)

    def _leased(self, choice: Choice, lease: Lease, now: Now) -> Leased:
        trial = self._standing.begin(choice.candidate, now)
        return Leased(choice.candidate, lease, trial, now, choice.max_output)

    async def _later(self, choice: Choice, answer: Awaitable[Lease | Denied], now: Now) -> Leased | None:
        """Return what is leased by the *answer* of a store that has to be waited for."""
        lease = await answer
        return self._leased(choice, lease, now) if isinstance(lease, Lease) else None

    async def give_back(self, leased: Leased) -> None:
        """End a lease that was never used."""
        self._standing.give_back(leased.candidate, leased.trial)
        await self._counters.cancel(leased.lease, self._clock.now())
