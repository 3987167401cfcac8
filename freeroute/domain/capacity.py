"""How many calls there is room for, now and within a while, under limits that calls share."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from freeroute.domain.catalogue import Candidate, Scope, Unit, WindowKind
from freeroute.domain.counters import NOISE
from freeroute.domain.leases import Reading


class Offer(Struct, frozen=True):
    """A candidate, and how much one call takes of each of its pools, by their ids.

    *shared* are the pools beyond its model's own, by scope.
    """

    candidate: Candidate
    amounts: Mapping[str, float]
    shared: tuple[tuple[Scope, str], ...]


def offer_of(candidate: Candidate, amounts: Mapping[str, float]) -> Offer:
    """Return what *candidate* offers; pools of which a call takes nothing bound nothing."""
    taken = {name: each for name, each in amounts.items() if each > 0}
    scopes = ((pool.limit.scope, pool.id) for pool in candidate.pools if pool.id in taken)
    return Offer(candidate, taken, tuple(one for one in scopes if one[0] is not Scope.MODEL))


class Capacity(Struct, frozen=True):
    """Calls there is room for, *now* and *today*; *unlimited* counts models that no known limit bounds."""

    now: int = 0
    today: int = 0
    unlimited: int = 0

    def __add__(self, other: "Capacity") -> "Capacity":
        """Return what two providers have together."""
        return Capacity(self.now + other.now, self.today + other.today, self.unlimited + other.unlimited)


Room = Mapping[str, float]
"""What is left of pools, by their ids; what is not there bounds nothing."""


def room(readings: Iterable[Reading], seconds: float = 0.0) -> Room:
    """Return what of *readings* can be taken within *seconds*; see `within`.

    Limits that nobody knows are left out, and so are slots for calls at once, which are no quota.
    """
    known = (r for r in readings if r.pool.limit.unit is not Unit.CONCURRENCY and math.isfinite(r.limit))
    return {reading.pool.id: within(reading, seconds) for reading in known}


def is_bounded(offer: Offer, room: Room) -> bool:
    """Say whether a known limit bounds how many calls *offer* is good for."""
    return any(name in room for name in offer.amounts)


def within(reading: Reading, seconds: float) -> float:
    """Return how much of a limit can be taken within *seconds*, what is left now included.

    A bucket refills all the time, a calendar's quota is whole again at each boundary that comes before, and
    what is taken of a sliding window comes back after the window's length, again and again. Of what is taken
    already it is told only when the last comes back: none of it is counted on before.
    """
    limit, ceiling = reading.pool.limit, reading.limit
    left, length = max(0.0, ceiling - reading.used), limit.seconds
    if seconds <= 0 or length <= 0:
        return left
    if limit.window is WindowKind.BUCKET:
        return left + ceiling * seconds / length
    again = _times(seconds - reading.resets_in, length)
    if limit.window is WindowKind.CALENDAR:
        return left + ceiling * again
    return left * (1 + math.floor(seconds / length)) + min(reading.used, ceiling) * again


def _times(seconds: float, length: float) -> int:
    """Return how often what comes back first is there within *seconds*, if it does every *length*."""
    return 1 + math.floor(seconds / length) if seconds > 0 else 0


def calls(offers: Iterable[Offer], room: Room) -> int:
    """Return how many calls the *offers* of one provider have *room* for; each is bounded.

    For each model the least room of its own limits counts, summed, and no sum is more than a limit over all
    of it leaves. That is exact where every call takes as much of a limit as any other. Where models take
    different amounts of several limits that they share it may be too much: each limit is filled with the
    calls that take least of it.
    """
    accounts: dict[str, list[_Part]] = defaultdict(list)
    for offer in offers:
        accounts[offer.candidate.key.account].append(_Part(_alone(offer, room), offer))
    models: list[_Part] = []
    total = 0
    for parts in accounts.values():
        of_account = _models(parts, room)
        models += of_account
        total += min(_most(of_account, Scope.ACCOUNT, room), _by_keys(parts, room))
    return min(total, _most(models, Scope.IP, room))


class _Part(Struct, frozen=True):
    """At most so many *calls*, each like *offer*."""

    calls: int
    offer: Offer


def _models(parts: Sequence[_Part], room: Room) -> list[_Part]:
    """Return the models of one account, each with what all of its keys together are bounded by."""
    models: dict[str, list[_Part]] = defaultdict(list)
    for part in parts:
        models[part.offer.candidate.model.id].append(part)
    return [
        same[0] if len(same) == 1 else _Part(_of_model(same, room), same[0].offer) for same in models.values()
    ]


def _of_model(parts: Sequence[_Part], room: Room) -> int:
    """Return what several keys of one model may do: no more than the limits of the model leave."""
    offer = parts[0].offer
    shared = {name for _, name in offer.shared}
    own = [
        math.floor(room[name] / each + NOISE)
        for name, each in offer.amounts.items()
        if name in room and name not in shared
    ]
    return min([sum(part.calls for part in parts), *own])


def _by_keys(parts: Iterable[_Part], room: Room) -> int:
    keys: dict[str, list[_Part]] = defaultdict(list)
    for part in parts:
        keys[part.offer.candidate.key.label].append(part)
    return sum(_most(of_key, Scope.KEY, room) for of_key in keys.values())


def _alone(offer: Offer, room: Room) -> int:
    """Return how many calls an offer has room for if nobody else makes any."""
    least = math.inf
    for name, each in offer.amounts.items():  # for thousands of offers: no generator
        if name in room:
            least = min(least, room[name] / each)
    return math.floor(least + NOISE)


def _most(parts: Sequence[_Part], scope: Scope, room: Room) -> int:
    """Return how many calls of all *parts* fit into the pools of *scope*, which they share."""
    most = sum(part.calls for part in parts)
    for name in {name for part in parts for each, name in part.offer.shared if each is scope}:
        if name in room:
            most = min(most, _filled(parts, name, room[name]))
    return most


def _filled(parts: Sequence[_Part], pool: str, left: float) -> int:
    """Return how many calls of *parts* fit into what is *left* of a pool: those that take least go first."""
    taken = 0
    for each, count in sorted((part.offer.amounts.get(pool, 0.0), part.calls) for part in parts):
        fits = min(count, math.floor(left / each + NOISE)) if each else count
        taken += fits
        left -= fits * each
    return taken
