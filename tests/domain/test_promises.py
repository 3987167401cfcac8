"""Promises: what is kept for a larger call, for how long, and who may go ahead of it all the same."""

import pytest

from freeroute.domain.catalogue import Limit, Unit, WindowKind, candidates_of
from freeroute.domain.leases import Lease, charges_of
from freeroute.domain.promises import Promise, promise_of
from freeroute.domain.standing import Standing
from freeroute.domain.usage import Demand
from freeroute.stores.memory import MemoryCounters
from tests.support.clocks import ManualClock
from tests.support.scenery import at_once
from tests.support.world import model, provider

REQUESTS = Limit(Unit.REQUESTS, 100, 60.0)
SLOTS = Limit(Unit.CONCURRENCY, 9)


def minute(amount: float, **given) -> Limit:
    return Limit(Unit.TOKENS, amount, 60.0, **given)


class Place:
    """One candidate, its counters, and calls into them."""

    def __init__(self, *limits: Limit) -> None:
        (self.candidate,) = candidates_of(provider("a", model(), limits=limits))
        self.counters = MemoryCounters(guard=0.0)
        self.standing = Standing(self.counters)
        self.clock = ManualClock()

    def take(self, prompt: int) -> None:
        charges = charges_of(self.candidate, Demand(prompt))
        lease = at_once(self.counters.acquire(charges, self.clock.now()))
        assert isinstance(lease, Lease)
        self.counters.settle(lease, {}, self.clock.now())

    def promise(self, prompt: int, ends: float | None = None) -> Promise:
        charges, now = charges_of(self.candidate, Demand(prompt)), self.clock.now()
        promise = promise_of(charges, self.counters.fits_at(charges, now), now, ends)
        assert promise is not None
        assert self.standing.promises.give(promise)
        return promise

    def back_in(self, prompt: int) -> float:
        """Return in how many seconds a call of *prompt* may be made; 0 for now."""
        now = self.clock.now()
        obstacle = self.standing.obstacle(self.candidate, charges_of(self.candidate, Demand(prompt)), now)
        return 0.0 if obstacle is None else obstacle.back_at - now.mono


def test_small_calls_do_not_take_what_a_larger_one_waits_for():
    place = Place(minute(6000), REQUESTS, SLOTS)
    for _ in range(20):
        place.take(200)
        place.clock.advance(1)
    assert place.back_in(200) == 0
    place.promise(3000)
    assert place.back_in(200) == pytest.approx(44)


def test_whoever_does_not_delay_it_may_go_ahead():
    place = Place(minute(6000))
    place.take(1000)
    place.clock.advance(10)
    place.take(4000)
    place.promise(3000)  # fits in 60 s, when 4,000 come back: 2,000 are over
    assert place.back_in(1000) == 0
    assert place.back_in(2000) == pytest.approx(50)


def test_a_bucket_is_kept_altogether():
    place = Place(minute(6000, window=WindowKind.BUCKET))
    place.take(5000)
    place.promise(3000)
    assert place.back_in(1) == pytest.approx(20)


def test_a_promise_lasts_one_window_at_most():
    place = Place(minute(6000))
    place.take(5000)
    place.clock.advance(1)
    promise = place.promise(3000)
    assert promise.ends - place.clock.now().mono == pytest.approx(60.5)
    place.clock.advance(60)
    place.take(4900)
    assert place.back_in(200) == pytest.approx(0.5)
    place.clock.advance(0.5)
    assert place.back_in(200) == 0
    place.standing.promises.forget()
    assert place.promise(3000, ends=promise.ends).ends == promise.ends


def test_a_promise_withdrawn_is_others_to_use():
    place = Place(minute(6000))
    place.take(5000)
    promise = place.promise(5900)
    assert place.back_in(200) > 0
    place.standing.promises.withdraw(promise)
    assert place.back_in(200) == 0
    assert not place.standing.promises.by_pool


def test_there_is_one_promise_for_a_pool():
    place = Place(minute(6000))
    place.promise(3000)
    second = promise_of(charges_of(place.candidate, Demand(9)), 0.0, place.clock.now(), None)
    assert second is not None
    assert not place.standing.promises.give(second)


def test_other_pools_are_not_concerned():
    place = Place(minute(6000))
    (other,) = candidates_of(provider("b", limits=(minute(500),)))
    place.promise(3000)
    assert place.standing.obstacle(other, charges_of(other, Demand(400)), place.clock.now()) is None


def test_where_calls_are_alike_nothing_has_to_be_promised():
    place = Place(REQUESTS, SLOTS)
    assert promise_of(charges_of(place.candidate, Demand(10)), 0.0, place.clock.now(), None) is None
