"""Whose turn it is among those who wait, and when a turn may come."""

import heapq
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Generic, TypeVar

from freeroute.clock import Now
from freeroute.domain.catalogue import Candidate
from freeroute.domain.leases import Charge, charges_of
from freeroute.domain.selection import Fit, Need, Tried, demand_at
from freeroute.domain.standing import Standing

T = TypeVar("T")


class _Queue(Generic[T]):
    """The waiters of one client, and how far it is served: one turn costs 1 / weight.

    *begun* says that it had a turn since its first waiter came.
    """

    def __init__(self, weight: float, served: float) -> None:
        self.weight = weight
        self.served = served
        self.begun = False
        self.waiters: deque[T] = deque()

    def turn(self, place: int) -> float:
        """Return the moment, in served turns, at which the waiter at *place* is due."""
        return self.served + (place + 1) / self.weight

    def before(self, turn: float, *, fresh: bool) -> int:
        """Return how many are due before *turn*, or with it unless that is of a *fresh* queue."""
        due = math.floor((turn - self.served) * self.weight)
        yields = fresh and (self.begun or len(self.waiters) > 1) and self.turn(due - 1) == turn
        return max(0, due - yields)


class Turns(Generic[T]):
    """Waiters in queues: first come first served within one, by weight between them.

    A client's one request is not behind another's five hundred. A queue that was empty starts where the
    others are: being away saves nothing up. Of equals, one that has had no turn yet goes first, and then the
    one with fewer waiting: whoever comes now and then gets the next slot there is.
    """

    def __init__(self) -> None:
        """Start with nobody waiting."""
        self._queues: dict[str, _Queue[T]] = {}
        self._served = 0.0
        self._count = 0

    def __len__(self) -> int:
        """Return how many wait."""
        return self._count

    def join(self, queue: str, weight: float, waiter: T) -> None:
        """Put *waiter* at the end of *queue*."""
        found = self._queues.get(queue)
        if found is None:
            found = self._queues[queue] = _Queue(weight, self._served)
        found.weight = weight
        found.waiters.append(waiter)
        self._count += 1

    def leave(self, queue: str, waiter: T, *, served: bool) -> None:
        """Take *waiter* out; a turn that was *served* is charged to its queue."""
        found = self._queues[queue]
        found.waiters.remove(waiter)
        self._count -= 1
        if served:
            found.served += 1 / found.weight
            found.begun = True
            self._served = max(self._served, found.served)
        if not found.waiters:
            del self._queues[queue]

    def in_order(self) -> Iterator[T]:
        """Return all waiters in the order of their turns, as things stand when asked."""
        due = [
            (queue.turn(0), queue.begun, len(queue.waiters), came, name, 0)
            for came, (name, queue) in enumerate(self._queues.items())
        ]
        heapq.heapify(due)
        queues = {name: tuple(queue.waiters) for name, queue in self._queues.items()}
        while due:
            _, _, length, came, name, place = heapq.heappop(due)
            yield queues[name][place]
            if place + 1 < len(queues[name]):
                heapq.heappush(due, (self._queues[name].turn(place + 1), True, length, came, name, place + 1))

    def ahead_of(self, queue: str, weight: float, rivals: Callable[[T], bool]) -> int:
        """Return how many turns of *rivals* come before that of one more waiter of *queue*."""
        own = self._queues.get(queue)
        mine = len(own.waiters) if own else 0
        turn = (own or _Queue[T](weight, self._served)).turn(mine)
        ahead = 0
        for name, other in self._queues.items():
            earlier = mine if name == queue else other.before(turn, fresh=own is None)
            ahead += sum(map(rivals, islice(other.waiters, earlier)))
        return ahead


def projected(
    turns_ahead: int,
    need: Need,
    fit: Fit,
    standing: Standing,
    tried: Tried,
    now: Now,
) -> float:
    """Return when (mono) a call comes to its turn, if *turns_ahead* like it go first; ``inf`` if never.

    Slots are counted candidate by candidate, as if none shared a counter: rather too early than too late,
    since who is let in too early still waits no longer than it allowed.
    """
    slots: list[tuple[float, int, int]] = []
    usable = [candidate for _, candidate in fit if not tried.covers(candidate, standing)]
    charges = [charges_of(candidate, demand_at(candidate, need, tried)) for candidate in usable]
    for place, candidate in enumerate(usable):
        slots.append((_slot(1, candidate, charges[place], standing, now), place, 1))
    heapq.heapify(slots)
    for _ in range(turns_ahead):
        if not slots or slots[0][0] == math.inf:
            return math.inf
        _, place, number = slots[0]
        following = _slot(number + 1, usable[place], charges[place], standing, now)
        heapq.heapreplace(slots, (following, place, number + 1))
    return slots[0][0] if slots else math.inf


def _slot(
    number: int, candidate: Candidate, charges: Sequence[Charge], standing: Standing, now: Now
) -> float:
    """Return when (mono) the *number*-th of such calls fits at *candidate*."""
    blocked = standing.blocked(candidate, now)
    free_at = now.mono if blocked is None else blocked.back_at
    times = [_times(charge, standing, now) for charge in charges]
    at_once = min(times, default=math.inf)
    if at_once < 1:
        return math.inf
    if at_once == math.inf:
        return max(free_at, standing.room.fits_at(charges, now))
    period = max(c.pool.limit.seconds for c, often in zip(charges, times, strict=True) if often == at_once)
    rounds, within = divmod(number - 1, int(at_once))
    several = [Charge(charge.pool, charge.amount * (within + 1)) for charge in charges]
    return max(free_at, standing.room.fits_at(several, now)) + rounds * period


def _times(charge: Charge, standing: Standing, now: Now) -> float:
    """Return how often *charge* fits into its pool at once, by the limit as it is known now."""
    ceiling = standing.room.ceiling(charge.pool, now)
    return math.inf if charge.amount <= 0 or ceiling == math.inf else ceiling // charge.amount
