"""Providers as chance has them: what they allow, and what became of them. For properties of choosing."""

from collections.abc import Awaitable
from typing import Any

from hypothesis import strategies as st
from msgspec import Struct

from freeroute.domain.catalogue import Limit, LocalRank, Privacy, Scope, Unit, WindowKind, catalogue_of
from freeroute.domain.leases import Lease, charges_of
from freeroute.domain.needs import Need
from freeroute.domain.outcome import Kind
from freeroute.domain.resolve import Names, Target
from freeroute.domain.standing import Standing
from freeroute.domain.usage import Demand
from freeroute.stores.memory import MemoryCounters
from tests.support.clocks import ManualClock
from tests.support.world import model, provider

LIMITS = st.builds(
    Limit,
    unit=st.sampled_from([Unit.REQUESTS, Unit.TOKENS]),
    amount=st.sampled_from([1.0, 3.0, 10.0, 60.0]),
    seconds=st.sampled_from([60.0, 86_400.0]),
    window=st.sampled_from(list(WindowKind)),
    span=st.just("day"),
    scope=st.sampled_from(list(Scope)),
) | st.builds(Limit, unit=st.just(Unit.CONCURRENCY), amount=st.sampled_from([1.0, 2.0]))


class Place(Struct):
    """A provider, and what has become of it."""

    qualities: list[int]
    keys: int
    limits: list[Limit]
    local: LocalRank | None
    first_token: float
    taken: int
    under_way: int
    failures: int
    kind: Kind
    held: str | None


PLACES = st.builds(
    Place,
    # Few values each, so that there are ties.
    qualities=st.lists(st.sampled_from([20, 65, 65, 90]), min_size=1, max_size=2),
    keys=st.integers(1, 2),
    limits=st.lists(LIMITS, max_size=2, unique_by=lambda limit: (limit.label, limit.scope)),
    local=st.none() | st.sampled_from(list(LocalRank)),
    first_token=st.sampled_from([0.1, 0.5, 0.5, 4.0]),
    taken=st.integers(0, 4),
    under_way=st.integers(0, 2),
    failures=st.integers(0, 4),
    kind=st.sampled_from([Kind.FAULT, Kind.UNREACHABLE]),
    held=st.none() | st.sampled_from(["provider", "account", "key", "model"]),
)
NAMES = st.lists(
    st.sampled_from(["free", "free-fast", "free-smart", "m0", "p0/m0", "p1/m0"]),
    min_size=1,
    max_size=2,
    unique=True,
)


def at_once(work: Awaitable[Any]) -> Any:
    """Return what comes of *work*, which waits for nothing: a loop for each step would cost most of all."""
    try:
        work.__await__().send(None)
    except StopIteration as ended:
        return ended.value
    raise AssertionError("it waits")


class Scenery:
    """Providers as drawn, at one instant."""

    def __init__(self, places: list[Place]) -> None:
        self.clock = ManualClock()
        self.counters = MemoryCounters()
        self.standing = Standing(self.counters)
        self.catalogue = catalogue_of([self._provider(f"p{n}", place) for n, place in enumerate(places)], [])
        for place, provider_id in zip(places, self.catalogue.providers, strict=True):
            for candidate in self.catalogue.candidates:
                if candidate.provider.id == provider_id:
                    self._happen(place, candidate)

    def _provider(self, provider_id, place):
        models = [
            model(f"m{n}", quality=quality, first_token=place.first_token)
            for n, quality in enumerate(place.qualities)
        ]
        return provider(
            provider_id,
            *models,
            keys=tuple(f"k{n}" for n in range(place.keys)),
            limits=tuple(place.limits),
            local=place.local,
            privacy=Privacy.LOCAL if place.local else Privacy.UNKNOWN,
        )

    def _happen(self, place, candidate):
        now = self.clock.now()
        for number in range(place.taken):
            lease = at_once(self.counters.acquire(charges_of(candidate, Demand(2)), now))
            trial = self.standing.begin(candidate, now)
            if isinstance(lease, Lease) and number >= place.under_way:
                at_once(self.counters.settle(lease, {}, now))
                self.standing.give_back(candidate, trial)
        for _ in range(place.failures):
            trial = self.standing.begin(candidate, now)
            self.standing.failed(candidate, trial, place.kind, now, jitter=0.5)
        if place.held is not None:
            rest = {
                "provider": ("provider", candidate.provider.id),
                "account": ("account", candidate.provider.id, "default"),
                "key": ("key", candidate.provider.id, "k0"),
                "model": ("model", candidate.provider.id, "m0"),
            }[place.held]
            self.standing.hold(rest, now.mono + 30, "held", quota=place.held == "account")

    def need(self, names: list[str], **given) -> Need:
        found = [Names(self.catalogue).resolve(name) for name in names]
        return Need(targets=tuple(target for target in found if isinstance(target, Target)), **given)
