"""The waiting room: callers whose turn has not come, in fair order, woken the moment capacity appears.

The room chooses and leases on behalf of those who wait, so that nobody who comes later takes what they
were woken for.
"""

import asyncio
import contextlib
import math

from msgspec import Struct

from freeroute.clock import Clock, Now
from freeroute.domain.selection import Choice, Fit, Need, Refusal, Tried, choose
from freeroute.domain.standing import Standing
from freeroute.domain.turns import Turns, projected
from freeroute.engine.leasing import Leased, Leasing

# However far off the next known change is, the room looks again after this many seconds: a slot that a
# call of unknown length holds, or a counter shared with another process, gives no notice.
LONGEST_PAUSE = 1.0
SHORTEST_PAUSE = 0.001


class Ticket(Struct, eq=False, kw_only=True):
    """One caller's place. *until* (mono) is how long it waits at most; *names* are its candidates' ids."""

    queue: str
    weight: float
    need: Need
    fit: Fit
    tried: Tried
    until: float
    names: frozenset[str]
    turn: "asyncio.Future[Leased]"


class WaitingRoom:
    """Room for *size* callers. One task serves them while there are any."""

    def __init__(self, *, standing: Standing, leasing: Leasing, clock: Clock, size: int) -> None:
        """Start empty."""
        self.size = size
        self._standing = standing
        self._leasing = leasing
        self._clock = clock
        self._turns: Turns[Ticket] = Turns()
        self._stirred = asyncio.Event()
        self._next_at = math.inf
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._turns)

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
            names=names,
            turn=turn,
        )

    def projected(self, ticket: Ticket) -> float:
        """Return when (mono) the turn of *ticket* would come; ``inf`` if it cannot be let in."""
        if len(self._turns) >= self.size:
            return math.inf
        ahead = self._turns.ahead_of(
            ticket.queue, ticket.weight, lambda other: not other.names.isdisjoint(ticket.names)
        )
        now = self._clock.now()
        return projected(ahead, ticket.need, ticket.fit, self._standing, ticket.tried, now)

    async def serve(self) -> None:
        """Give those who wait what is theirs by now. Costs nothing while nothing can have changed."""
        if len(self._turns) and (self._stirred.is_set() or self._clock.now().mono >= self._next_at):
            self._stirred.clear()
            self._next_at = await self._grant()

    async def wait(self, ticket: Ticket) -> Leased | None:
        """Wait for the turn of *ticket*; None if its time is over. Whoever is cancelled is gone at once."""
        self._turns.join(ticket.queue, ticket.weight, ticket)
        self.stir()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        try:
            async with asyncio.timeout(max(ticket.until - self._clock.now().mono, 0.0)):
                return await ticket.turn
        except TimeoutError:
            return None if ticket.turn.cancelled() else ticket.turn.result()
        except asyncio.CancelledError:
            if not ticket.turn.cancelled() and ticket.turn.done():
                await self._leasing.give_back(ticket.turn.result())
                self.stir()
            raise
        finally:
            if ticket.turn.cancelled():
                self._turns.leave(ticket.queue, ticket, served=False)

    def stir(self) -> None:
        """Look again: capacity may have appeared before its time."""
        self._stirred.set()

    async def _run(self) -> None:
        try:
            while len(self._turns):
                await self.serve()
                await self._pause()
        except Exception as exc:
            # A fault of ours must not leave anybody waiting for a turn that nobody gives.
            for ticket in [ticket for ticket in self._turns.in_order() if not ticket.turn.done()]:
                self._turns.leave(ticket.queue, ticket, served=False)
                ticket.turn.set_exception(exc)

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

        One pass in the order of turns: whoever finds no room leaves it to those behind who fit.
        """
        now = self._clock.now()
        next_at = math.inf
        refused: dict[frozenset[str], list[Need]] = {}
        for ticket in list(self._turns.in_order()):
            if ticket.turn.done():
                continue
            if any(_asks_less(need, ticket.need) for need in refused.get(ticket.names, ())):
                continue
            found = await self._try(ticket, now)
            if isinstance(found, Refusal):
                next_at = min(next_at, found.back_at)
                refused.setdefault(ticket.names, []).append(ticket.need)
        return next_at

    async def _try(self, ticket: Ticket, now: Now) -> Choice | Refusal:
        choice = choose(ticket.need, ticket.fit, self._standing, ticket.tried, now, patience=ticket.until)
        if isinstance(choice, Refusal):
            return choice
        leased = await self._leasing.take(choice)
        if leased is None:
            return Refusal(now.mono)
        if ticket.turn.done():  # it left while a shared store was asked
            await self._leasing.give_back(leased)
            return choice
        self._turns.leave(ticket.queue, ticket, served=True)
        ticket.turn.set_result(leased)
        return choice


def _asks_less(refused: Need, need: Need) -> bool:
    """Say whether what was *refused* asked for no more than *need*, of the same candidates."""
    first, second = refused.demand, need.demand
    return first.prompt <= second.prompt and (first.max_output or 0) <= (second.max_output or 0)
