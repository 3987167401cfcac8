"""Whose turn it is among those who wait, and when a turn may come."""

import heapq
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Generic, TypeVar

from msgspec import Struct

from freeroute.clock import Now
from freeroute.domain.clients import LEAST_WEIGHT, MOST_WEIGHT
from freeroute.domain.leases import Charges, charges_of
from freeroute.domain.needs import Fit, Need, Tried
from freeroute.domain.selection import demand_at
from freeroute.domain.standing import Room, Standing
from freeroute.domain.usage import Demand

T = TypeVar("T")


CREDIT = 2.0
"""Turns that whoever was away goes before the others by, at most as many as it has left them. Own design: a
client's next calls get the next slots there are, and an idle one cannot save up more than that."""

DIGITS = 9  # of a turn that count: the rest is noise of thirds and tenths

MOST_AWAY = 1024
"""Clients whose turns are remembered while none of their calls waits. Own design: more than a team has."""


class _Queue(Generic[T]):
    """The waiters of one client, and how far it is served: one turn costs 1 / weight.

    Weights are held to their bounds: a file of a former freeroute may have others.
    """

    def __init__(self, weight: float, served: float) -> None:
        self.weigh(weight)
        self.served = served
        self.waiters: deque[T] = deque()

    def weigh(self, weight: float) -> None:
        """Go by another *weight*."""
        self.weight = min(max(LEAST_WEIGHT, weight), MOST_WEIGHT)

    def turn(self, place: int) -> float:
        """Return the moment, in served turns, at which the waiter at *place* is due."""
        return round(self.served + (place + 1) / self.weight, DIGITS)

    def before(self, turn: float, mine: int) -> int:
        """Return how many are due before *turn*, or with it unless *mine* are fewer."""
        due = math.floor((turn - self.served) * self.weight + 0.1**DIGITS * self.weight)
        return max(0, due - (len(self.waiters) > mine and self.turn(due - 1) == turn))


class Turns(Generic[T]):
    """Waiters in queues: first come first served within one, by weight between them.

    A client's one request is not behind another's five hundred. A queue that was empty starts a little
    before where the others are, unless it had those turns already: whoever comes now and then gets the next
    slots there are, and being away saves nothing more up. Of equals, the one with fewer waiting goes first.
    *count* are waiting.
    """

    def __init__(self) -> None:
        """Start with nobody waiting."""
        self._queues: dict[str, _Queue[T]] = {}
        self._away: dict[str, float] = {}
        self._served = 0.0
        self.count = 0

    def __len__(self) -> int:
        """Return how many wait."""
        return self.count

    def join(self, queue: str, weight: float, waiter: T) -> None:
        """Put *waiter* at the end of *queue*."""
        found = self._queues.get(queue)
        if found is None:
            found = self._queues[queue] = self._returned(queue, weight)
        found.weigh(weight)
        found.waiters.append(waiter)
        self.count += 1

    def leave(self, queue: str, waiter: T, *, served: bool) -> None:
        """Take *waiter* out; a turn that was *served* is charged to its queue."""
        found = self._queues[queue]
        found.waiters.remove(waiter)
        self.count -= 1
        if served:
            found.served += 1 / found.weight
            self._served = max(self._served, found.served)
        if not found.waiters:
            del self._queues[queue]
            self._away.pop(queue, None)
            self._away[queue] = found.served
            if len(self._away) > MOST_AWAY:
                del self._away[next(iter(self._away))]

    def _returned(self, queue: str, weight: float) -> _Queue[T]:
        """Return the queue of a client of which nobody waits. Without others there is nobody to go before."""
        least = self._served - (CREDIT if self._queues else 0.0)
        return _Queue(weight, max(least, self._away.get(queue, least)))

    def in_order(self) -> Iterator[T]:
        """Return all waiters in the order of their turns, as things stand when asked."""
        due = [
            (queue.turn(0), len(queue.waiters), came, name, 0)
            for came, (name, queue) in enumerate(self._queues.items())
        ]
        heapq.heapify(due)
        queues = {name: tuple(queue.waiters) for name, queue in self._queues.items()}
        while due:
            _, length, came, name, place = heapq.heappop(due)
            yield queues[name][place]
            if place + 1 < len(queues[name]):
                heapq.heappush(due, (self._queues[name].turn(place + 1), length, came, name, place + 1))

    def ahead_of(self, queue: str, weight: float, rivals: Callable[[T], bool]) -> list[T]:
        """Return the *rivals* whose turns come before that of one more waiter of *queue*."""
        own = self._queues.get(queue) or self._returned(queue, weight)
        mine = len(own.waiters)
        turn = own.turn(mine)
        ahead: list[T] = []
        for name, other in self._queues.items():
            earlier = mine if name == queue else other.before(turn, mine + 1)
            ahead += filter(rivals, islice(other.waiters, earlier))
        return ahead


def projected(
    ahead: Sequence[Demand],
    need: Need,
    fit: Fit,
    standing: Standing,
    tried: Tried,
    now: Now,
) -> float:
    """Return when (mono) a call comes to its turn, if calls of demand *ahead* go first; ``inf`` if never.

    Those are taken to be all of their mean size. Slots are counted candidate by candidate, as if none shared
    a counter: rather too early than too late, since who is let in too early still waits no longer than it
    allowed.
    """
    mean, room = _mean(ahead), standing.room
    places: list[_Place] = []
    for _, candidate in fit:
        if not tried.covers(candidate, standing):
            free_at = standing.free_at(candidate, now)
            own = charges_of(candidate, demand_at(candidate, need, standing, tried))
            ceilings = tuple(room.ceiling(pool, now) for pool in own.pools)
            places.append(
                _Place(free_at, own, charges_of(candidate, standing.sized(candidate, mean)), ceilings)
            )
    slots = [(place.at(1, place.before, room, now), number, 1) for number, place in enumerate(places)]
    heapq.heapify(slots)
    taken = [0] * len(places)
    for _ in ahead:
        if not slots or slots[0][0] == math.inf:
            break
        _, number, count = slots[0]
        taken[number] = count
        following = places[number].at(count + 1, places[number].before, room, now)
        heapq.heapreplace(slots, (following, number, count + 1))
    turns = (place.at(taken[number] + 1, place.own, room, now) for number, place in enumerate(places))
    return min(turns, default=math.inf)


def _mean(demands: Sequence[Demand]) -> Demand:
    named = [demand.max_output for demand in demands if demand.max_output is not None]
    prompt = sum(demand.prompt for demand in demands) // max(len(demands), 1)
    return Demand(prompt, sum(named) // len(named) if named else None)


class _Place(Struct, frozen=True):
    """A candidate that may be used from *free_at* (mono): what the call takes there, and each *before* it."""

    free_at: float
    own: Charges
    before: Charges
    ceilings: tuple[float, ...]

    def at(self, number: int, last: Charges, room: Room, now: Now) -> float:
        """Return when (mono) *last* fits as the *number*-th call, after such as go *before*."""
        rounds, period = 0, 0.0
        all_of_them = zip(last.amounts, self.before.amounts, strict=True)
        amounts = [amount + (number - 1) * each for amount, each in all_of_them]
        for pool, own, amount, ceiling in zip(last.pools, last.amounts, amounts, self.ceilings, strict=True):
            if own > ceiling or ceiling <= 0:
                return math.inf
            if amount > (rounds + 1) * ceiling:
                rounds, period = math.ceil(amount / ceiling) - 1, pool.limit.seconds
        if rounds:
            left = zip(last.amounts, amounts, self.ceilings, strict=True)
            amounts = [max(own, amount - rounds * ceiling) for own, amount, ceiling in left]
        several = Charges(last.pools, amounts)
        return max(self.free_at, room.fits_at(several, now)) + rounds * period


def soonest(need: Need, fit: Fit, standing: Standing, tried: Tried, now: Now) -> tuple[Charges, float]:
    """Return the charges of *need* where they fit first, and when (mono); ``inf`` if nowhere."""
    best = Charges((), ()), math.inf
    for _, candidate in fit:
        if tried.covers(candidate, standing):
            continue
        charges = charges_of(candidate, demand_at(candidate, need, standing, tried))
        blocked = standing.blocked(candidate, now)
        free_at = now.mono if blocked is None else blocked.back_at
        at = max(free_at, standing.room.fits_at(charges, now)) if free_at < best[1] else math.inf
        if at < best[1]:
            best = charges, at
    return best
