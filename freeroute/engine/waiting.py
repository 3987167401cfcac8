"""The waiting room: callers whose turn has not come, in fair order, woken the moment capacity appears.

The room chooses and leases on behalf of those who wait, so that nobody who comes later takes what they
were woken for.
"""

import asyncio
import contextlib
import math
from collections.abc import Iterable

from freeroute.clock import Clock, Now
from freeroute.domain.catalogue import Candidate
from freeroute.domain.hopes import Hopes
from freeroute.domain.needs import Fit, Need, Tried
from freeroute.domain.openings import Openings, Wish
from freeroute.domain.promises import Promise, promise_of
from freeroute.domain.selection import Refusal, choose
from freeroute.domain.standing import Standing
from freeroute.domain.turns import Turns, projected, soonest
from freeroute.engine.leasing import Leased, Leasing

# However far off the next known change is, the room looks again after this many seconds: a slot that a
# call of unknown length holds, or a counter shared with another process, gives no notice.
LONGEST_PAUSE = 1.0
SHORTEST_PAUSE = 0.001
# Others go on after so many looks at candidates, about 10 ms: a thousand may come to their turn at once.
LOOKS = 500
# Promises are made to so many callers in one pass. Own design: each costs a look at all candidates.
MOST_PROMISES = 4
# Different sets of candidates that are remembered.
MOST_SETS = 64


class Overtaken(Exception):
    """All that a request waited for is gone, and other things may be there: it is to be asked anew."""


class Ticket(Wish, eq=False, kw_only=True):
    """One caller's place.

    *promise* is what is kept for it now, *kept_until* (mono) for how long at most. It came in the *era* of
    one catalogue, and its candidates are those of the era *seen* last.
    """

    queue: str
    weight: float
    turn: "asyncio.Future[Leased | None]"
    promise: Promise | None = None
    kept_until: float | None = None
    era: int = 0
    seen: int = 0


class WaitingRoom:
    """Room for *size* callers, whose *turns* are to come. One task serves them while there are any."""

    def __init__(self, *, standing: Standing, leasing: Leasing, clock: Clock, size: int) -> None:
        """Start empty."""
        self.size = size
        self._standing = standing
        self._leasing = leasing
        self._clock = clock
        self.turns: Turns[Ticket] = Turns()
        self._stirred = asyncio.Event()
        self._next_at = math.inf
        self._task: asyncio.Task[None] | None = None
        self._passing = asyncio.Lock()
        self._sets: dict[frozenset[str], frozenset[str]] = {}
        self._hopes = Hopes(standing)
        self._era = 0
        self._candidates: dict[str, Candidate] = {}

    def __len__(self) -> int:
        """Return how many wait."""
        return self.turns.count

    def ticket(
        self, queue: str, weight: float, need: Need, fit: Fit, tried: Tried, *, until: float
    ) -> Ticket:
        """Return a ticket for a caller that would wait until *until* (mono)."""
        names = frozenset(c.id for _, c in fit if not tried.covers(c, self._standing))
        turn = asyncio.get_running_loop().create_future()
        return Ticket(
            queue=queue,
            weight=weight,
            need=need,
            fit=fit,
            tried=tried,
            until=until,
            names=self._shared(names),
            turn=turn,
            era=self._era,
            seen=self._era,
        )

    def _shared(self, names: frozenset[str]) -> frozenset[str]:
        """Return one set for all who wait for the same candidates: comparing is quick then."""
        if len(self._sets) >= MOST_SETS:
            self._sets.clear()
        return self._sets.setdefault(names, names)

    def projected(self, ticket: Ticket) -> float:
        """Return when (mono) the turn of *ticket* would come; ``inf`` if it cannot be let in."""
        if self.turns.count >= self.size:
            return math.inf
        rivals = self.turns.ahead_of(
            ticket.queue, ticket.weight, lambda other: not other.names.isdisjoint(ticket.names)
        )
        now, ahead = self._clock.now(), [other.need.demand for other in rivals]
        return projected(ahead, ticket.need, ticket.fit, self._standing, ticket.tried, now)

    async def serve(self) -> None:
        """Give those who wait what is theirs by now. Costs nothing while nothing can have changed."""
        if not self.turns.count:
            return
        async with self._passing:  # whoever comes in the middle of a long pass comes after it
            if not self._stirred.is_set() and self._clock.now().mono < self._next_at:
                return
            self._stirred.clear()
            try:
                self._next_at = await self._grant()
            except BaseException:
                self.stir()  # the caller on whose time it ran has left: the rest is still to be served
                raise

    async def wait(self, ticket: Ticket) -> Leased | None:
        """Wait for the turn of *ticket*; None if its time is over, or none can come in its time any more.

        Whoever is cancelled is gone at once. Raises Overtaken if all that it waited for is there no more.
        """
        self.turns.join(ticket.queue, ticket.weight, ticket)
        self._hopes.join(ticket, self._clock.now())
        self.stir()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
            self._task.add_done_callback(self._ended)
        try:
            async with asyncio.timeout(max(ticket.until - self._clock.now().mono, 0.0)):
                return await ticket.turn
        except TimeoutError:
            return None if ticket.turn.cancelled() else ticket.turn.result()
        except asyncio.CancelledError:
            if (leased := _given(ticket.turn)) is not None:
                await self._leasing.give_back(leased)
                self.stir()
            raise
        finally:
            if ticket.turn.cancelled():
                self._leave(ticket)

    def _leave(self, ticket: Ticket) -> None:
        """Let *ticket* go without its turn; what was kept for it is others'."""
        self.turns.leave(ticket.queue, ticket, served=False)
        if ticket.promise is not None:
            self._standing.promises.withdraw(ticket.promise)
        if ticket.promise is not None or not self.turns.count:
            self._stirred.set()  # others get what was kept, or nobody is left to be served

    def _dismiss(self, ticket: Ticket) -> None:
        """Tell *ticket* that it waits in vain."""
        self._leave(ticket)
        if ticket.era == self._era:
            ticket.turn.set_result(None)
        else:
            ticket.turn.set_exception(Overtaken())

    def renew(self, candidates: Iterable[Candidate]) -> None:
        """Go on with *candidates* as they are now, by whose limits those who wait already go too."""
        self._era += 1
        self._candidates = {candidate.id: candidate for candidate in candidates}
        self._hopes.doubt()
        self.stir()

    def _renewed(self, ticket: Ticket) -> None:
        present = self._candidates
        ticket.fit = [(group, present.get(candidate.id, candidate)) for group, candidate in ticket.fit]
        ticket.seen = self._era

    def stir(self) -> None:
        """Look again: capacity may have appeared before its time. Of nobody who waits it is no news."""
        if self.turns.count:
            self._stirred.set()

    async def _run(self) -> None:
        while self.turns.count:
            await self.serve()
            await self._pause()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        """End every wait with a fault of ours: nobody may wait for a turn that nobody gives."""
        fault = None if task.cancelled() else task.exception()
        if fault is None:
            return
        for ticket in [ticket for ticket in self.turns.in_order() if not ticket.turn.done()]:
            self._leave(ticket)
            ticket.turn.set_exception(fault)

    async def _pause(self) -> None:
        """Wait until something may have changed."""
        pause = self._next_at - self._clock.now().mono
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(min(pause, LONGEST_PAUSE), SHORTEST_PAUSE)):
                await self._stirred.wait()
        if pause > LONGEST_PAUSE:
            self.stir()

    async def _grant(self) -> float:
        """Serve all whose turn it is; return when (mono) the next may be.

        One pass in the order of turns: whoever finds no room leaves it to those behind who fit, apart from
        what is kept for it. A long pass lets others go on in between.
        """
        now = self._clock.now()
        self._standing.promises.forget()
        order = [ticket for ticket in self.turns.in_order() if not ticket.turn.done()]
        found = Openings(self._standing)
        next_at, looks, promises = math.inf, 0, 0
        hopes = self._hopes
        hopes.look(now)
        for ticket in order:
            if looks + found.looks + hopes.looks > LOOKS:
                await asyncio.sleep(0)
                now, looks, found.looks, hopes.looks = self._clock.now(), 0, 0, 0
            looks += 1
            if ticket.turn.done():
                continue
            if ticket.seen != self._era:
                self._renewed(ticket)
                looks += len(ticket.fit) // 20
            if hopes.is_vain(ticket, now):
                self._dismiss(ticket)
                continue
            if not found.worth_asking(ticket, now):
                continue
            fit = found.fit(ticket)
            looks += len(fit)
            refused = await self._try(ticket, fit, now)
            if refused is None:
                continue
            next_at = min(next_at, refused.back_at)
            found.refused(ticket, fit, refused)
            if promises < MOST_PROMISES:
                promises += 1
                looks += len(ticket.fit)
                self._promise(ticket, now)
        hopes.settle()
        return min(next_at, found.next_at)

    def _promise(self, ticket: Ticket, now: Now) -> None:
        """Keep for *ticket* what it waits for, where that comes first, if it comes in its time."""
        ticket.promise = None
        charges, at = soonest(ticket.need, ticket.fit, self._standing, ticket.tried, now)
        if at > ticket.until or (ticket.kept_until is not None and ticket.kept_until <= now.mono):
            return
        promise = promise_of(charges, at, now, ticket.kept_until)
        if promise is not None and self._standing.promises.give(promise):
            ticket.promise, ticket.kept_until = promise, promise.ends

    async def _try(self, ticket: Ticket, fit: Fit, now: Now) -> Refusal | None:
        """Lease for *ticket* and wake it; return why not."""
        choice = choose(ticket.need, fit, self._standing, ticket.tried, now, patience=ticket.until)
        if isinstance(choice, Refusal):
            return choice
        leased = await self._leasing.take(choice, now)
        if leased is None:
            return Refusal(now.mono)
        if ticket.turn.done():  # it left while a shared store was asked
            await self._leasing.give_back(leased)
            return None
        self.turns.leave(ticket.queue, ticket, served=True)
        ticket.promise = None
        ticket.turn.set_result(leased)
        return None


def _given(turn: "asyncio.Future[Leased | None]") -> Leased | None:
    """Return what *turn* has brought so far, if anything."""
    return turn.result() if turn.done() and not turn.cancelled() and turn.exception() is None else None
