"""One provider at one moment: how each of its candidates stands, and each of its counters."""

import math
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from typing import TypeVar

from msgspec import Struct

from freeroute.domain.breaker import State
from freeroute.domain.capacity import Capacity, Offer, calls, is_bounded, offer_of, room
from freeroute.domain.catalogue import Candidate, Catalogue, Pool, Provider
from freeroute.domain.leases import Charges, Reading, actual_amounts, charges_of
from freeroute.domain.standing import Obstacle
from freeroute.engine.view import TYPICAL, TYPICAL_USE, View

T = TypeVar("T")
Steps = Generator[None, None, T]
"""Work in steps: where it yields, others may have their turn."""

AT_ONCE = 25
"""Candidates that are looked at before others have their turn. Own design: a millisecond."""

DAY = 86_400.0
"""Seconds of the day for which capacity is told; it ends at midnight UTC."""

# How a candidate can stand, the best first.
WORDS = ("healthy", "suspect", "half-open", "resting", "open", "held", "off")


class Seat(Struct, frozen=True):
    """How a candidate stands, in one of `WORDS` and at length.

    *asked_at* is when (mono) it may be asked, quota apart; long past where nothing else keeps it.
    """

    candidate: Candidate
    state: str
    breaker: State
    suspect: bool
    obstacle: Obstacle | None
    asked_at: float


class Typical(Struct, frozen=True):
    """What a typical call takes at a candidate: its *charges* beforehand, and what it *offer*s afterwards."""

    charges: Charges
    offer: Offer


def typical_of(candidate: Candidate) -> Typical:
    """Return what a typical call takes at *candidate*."""
    charges = charges_of(candidate, TYPICAL)
    actual = actual_amounts(candidate, TYPICAL_USE)
    charged = zip(charges.pools, charges.amounts, strict=True)
    taken = {pool.id: actual.get(pool.limit.unit, amount) for pool, amount in charged}
    return Typical(charges, offer_of(candidate, taken))


class Survey(Struct):
    """Everything that is told of *provider*, seen at *view*.

    *whole* is the breaker over all of it, *owners* are its pools, each with a candidate that charges it.
    """

    view: View
    provider: Provider
    whole: State
    seats: list[Seat]
    owners: dict[str, tuple[Pool, Candidate]]
    readings: list[Reading]
    capacity: Capacity

    @property
    def state(self) -> str:
        """Sum the provider up in one word, as good as its best candidate."""
        return state_of({seat.state for seat in self.seats}, self.whole)


Look = Callable[[], View]


def at_once(steps: Steps[T]) -> T:
    """Return what comes of *steps* taken without a pause."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            done: T = end.value
            return done


def state_of(words: Collection[str], whole: State) -> str:
    """Return the one word for a provider whose candidates stand in *words*, with this breaker over it."""
    if not words:
        return "no-key"
    if set(words) == {"off"}:
        return "off"
    return whole.value if whole is not State.CLOSED else min(words, key=WORDS.index)


def by_state(seats: Iterable[Seat]) -> dict[str, int]:
    """Return how many of *seats* stand how, the best first."""
    counted = Counter(seat.state for seat in seats)
    return {word: counted[word] for word in WORDS if counted[word]}


def best(seats: Iterable[Seat]) -> Seat:
    """Return the one of *seats* that stands best, or is back first."""
    return min(
        seats, key=lambda one: (WORDS.index(one.state), one.obstacle.back_at if one.obstacle else math.inf)
    )


def by_provider(catalogue: Catalogue) -> dict[str, list[Candidate]]:
    """Return the candidates of each provider, also of one that has none."""
    found: dict[str, list[Candidate]] = {name: [] for name in catalogue.providers}
    for candidate in catalogue.candidates:
        found[candidate.provider.id].append(candidate)
    return found


def survey(
    look: Look,
    provider: Provider,
    candidates: Sequence[Candidate],
    typical: Callable[[Candidate], Typical] = typical_of,
) -> Steps[Survey]:
    """Return how *provider* with its *candidates* stands; each part of it as *look* shows it then."""
    seats: list[Seat] = []
    owners: dict[str, tuple[Pool, Candidate]] = {}
    for some in _batches(candidates):
        view = look()
        for candidate in some:
            owners.update((pool.id, (pool, candidate)) for pool in candidate.pools)
            seats.append(seat_of(view, candidate, typical(candidate)))
        yield
    readings: list[Reading] = []
    for pools in _batches([pool for pool, _ in owners.values()]):
        view = look()
        readings += view.counters.readings(pools, view.now)
        yield
    found = yield from _capacity(look(), seats, readings, typical)
    view = look()
    whole = view.standing.provider_breaker(provider.id).state(view.now)
    return Survey(view, provider, whole, seats, owners, readings, found)


def _capacity(
    view: View, seats: Sequence[Seat], readings: Sequence[Reading], typical: Callable[[Candidate], Typical]
) -> Steps[Capacity]:
    """Return the calls for chat there is room for: today also by those who are asked again before it ends."""
    now, midnight = view.now.mono, view.now.mono + until_midnight(view)
    left = room(readings)
    able = [seat for seat in seats if seat.asked_at < midnight and seat.candidate.model.talks]
    bounded = [seat for seat in able if is_bounded(typical(seat.candidate).offer, left)]
    yield
    at_once = calls((typical(s.candidate).offer for s in bounded if s.asked_at <= now), left)
    yield
    later = calls((typical(s.candidate).offer for s in bounded), room(readings, until_midnight(view)))
    names = {seat.candidate.name for seat in able} - {seat.candidate.name for seat in bounded}
    return Capacity(at_once, later, len(names))


def until_midnight(view: View) -> float:
    """Return the seconds to the end of the day, UTC, in whole minutes: what they grant moves no faster."""
    return (DAY - view.now.wall % DAY) // 60 * 60


def _batches(things: Sequence[T]) -> Iterable[Sequence[T]]:
    return (things[at : at + AT_ONCE] for at in range(0, len(things), AT_ONCE))


def seat_of(view: View, candidate: Candidate, typical: Typical) -> Seat:
    """Return how *candidate* stands for a *typical* call."""
    breaker = view.standing.breaker(candidate).state(view.now)
    suspect = view.standing.suspect(candidate, view.now)
    obstacle = view.standing.obstacle(candidate, typical.charges, view.now)
    blocked = None if obstacle is None else view.standing.blocked(candidate, view.now)
    return Seat(
        candidate=candidate,
        state=_word(breaker, obstacle, suspect),
        breaker=breaker,
        suspect=suspect,
        obstacle=obstacle,
        asked_at=-math.inf if blocked is None else blocked.back_at,
    )


def _word(breaker: State, obstacle: Obstacle | None, suspect: bool) -> str:
    if obstacle is not None and obstacle.kind == "off":
        return "off"
    if breaker is not State.CLOSED:
        return breaker.value
    if obstacle is not None and obstacle.kind != "proving":
        return "held" if obstacle.kind == "held" else "resting"
    return "suspect" if suspect else "healthy"
