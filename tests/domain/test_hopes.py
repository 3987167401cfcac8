"""Hopes: for whom of those who wait something may still come free in time, and who is looked at for that."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from freeroute.domain.catalogue import Limit, Scope, Unit, catalogue_of
from freeroute.domain.hopes import Hopes
from freeroute.domain.leases import AS_CHARGED, Lease, charges_of
from freeroute.domain.limits import RELOOK
from freeroute.domain.needs import Need, Tried
from freeroute.domain.openings import Wish
from freeroute.domain.resolve import Target
from freeroute.domain.standing import Standing
from freeroute.domain.usage import Demand
from freeroute.stores.memory import MemoryCounters
from tests.support.clocks import ManualClock
from tests.support.scenery import at_once
from tests.support.world import model, provider

DAY = 86_400.0


class Scene:
    """Candidates of providers with so many tokens a day each, and those who wish for them."""

    def __init__(self, *amounts: float, models: int = 1, **more) -> None:
        named = tuple(model(f"m{n}") for n in range(models))
        places = [
            provider(f"p{n}", *named, limits=(Limit(Unit.TOKENS, amount, DAY, **more),))
            for n, amount in enumerate(amounts)
        ]
        self.candidates = catalogue_of(places, []).candidates
        self.counters = MemoryCounters()
        self.standing = Standing(self.counters)
        self.clock = ManualClock()
        self.hopes = Hopes(self.standing)

    @property
    def now(self):
        return self.clock.now()

    def wish(self, prompt=10, output=None, *, seconds=20.0, out=(), outputs=None, clamp=False) -> Wish:
        demand = Demand(prompt, output)
        need = Need(targets=(Target("free", "free", self.candidates),), demand=demand, clamp=clamp)
        return Wish(
            need=need,
            fit=[(0, candidate) for candidate in self.candidates],
            tried=Tried(candidates=frozenset(out), outputs=outputs or {}),
            until=self.now.mono + seconds,
            names=frozenset(c.id for c in self.candidates if c.id not in out),
        )

    def join(self, *wishes: Wish) -> None:
        for wish in wishes:
            self.hopes.join(wish, self.now)

    def told(self, *wishes: Wish) -> list[bool]:
        """Look once, as a pass over *wishes* does; return for whom it is in vain."""
        self.hopes.look(self.now)
        told = [self.hopes.is_vain(wish, self.now) for wish in wishes]
        self.hopes.settle()
        return told

    def take(self, place: int, amount: int):
        candidate = self.candidates[place]
        lease = at_once(self.counters.acquire(charges_of(candidate, Demand(amount)), self.now))
        assert isinstance(lease, Lease)
        return lease

    def spend(self, place: int, amount: int) -> None:
        self.counters.settle(self.take(place, amount), AS_CHARGED, self.now)


def test_while_a_hope_stands_none_of_those_who_share_it_is_looked_at():
    scene = Scene(1000)
    wishes = [scene.wish(n + 1, seconds=100 - n) for n in range(50)]
    scene.join(*reversed(wishes))
    scene.hopes.looks = 0
    assert not any(scene.told(*wishes))
    assert scene.hopes.looks == 1


def test_of_two_hopes_for_one_candidate_the_lesser_is_part_of_the_other():
    scene = Scene(1000)
    scene.join(scene.wish(10), scene.wish(100), scene.wish(50), scene.wish(100, seconds=10))
    scene.hopes.looks = 0
    scene.hopes.look(scene.now)
    assert scene.hopes.looks == 1


def test_those_whose_hope_has_gone_find_another_or_wait_in_vain():
    scene = Scene(1000, 500)
    small, large, other = scene.wish(100), scene.wish(800), scene.wish(100, out={"p1/m0#k1"})
    scene.join(small, large, other)
    scene.spend(0, 950)
    assert scene.told(small, large, other) == [False, True, True]
    assert scene.told(small) == [False]
    scene.spend(1, 450)
    assert scene.told(small) == [True]


def test_with_less_output_or_another_bound_there_may_be_hope():
    scene = Scene(1000)
    wishes = [scene.wish(10), scene.wish(10, 100), scene.wish(10, 50, clamp=True)]
    wishes.append(scene.wish(10, outputs={"p0/m0#k1": 5}))
    scene.join(*wishes)
    scene.hopes.looks = 0
    assert not any(scene.told(*wishes))
    assert scene.hopes.looks == 4


def test_what_nobody_hopes_for_any_more_is_forgotten():
    scene = Scene(1000)
    scene.join(scene.wish(seconds=5.0))
    scene.clock.advance(6)
    scene.spend(0, 1000)
    for _ in range(2):
        assert scene.told() == []
    scene.hopes.looks = 0
    assert scene.told() == []
    assert scene.hopes.looks == 0


def test_whoever_s_time_is_over_is_told_by_that():
    scene = Scene(1000)
    wish = scene.wish(seconds=5.0)
    scene.join(wish)
    scene.spend(0, 1000)
    scene.clock.advance(5)
    assert scene.told(wish) == [False]


def test_who_is_doubted_in_the_middle_of_a_pass_is_looked_at_in_the_next():
    scene = Scene(1000)
    wish = scene.wish()
    scene.join(wish)
    scene.hopes.look(scene.now)
    assert not scene.hopes.is_vain(wish, scene.now)
    scene.standing.switch({"p0"})
    scene.hopes.doubt()
    scene.hopes.settle()
    assert scene.told(wish) == [True]


def test_a_look_that_is_to_be_repeated_soon_is_a_hope():
    scene = Scene(1000)
    slots = Limit(Unit.CONCURRENCY, 1)
    [candidate] = catalogue_of([provider("a", limits=(slots,))], []).candidates
    scene.candidates = (candidate,)
    scene.take(0, 1)
    wish = scene.wish(seconds=RELOOK / 2)
    scene.join(wish)
    scene.hopes.doubt()
    assert scene.told(wish) == [False]


def test_a_candidate_that_rests_is_a_hope_while_it_has_quota():
    scene = Scene(1000)
    wish = scene.wish()
    scene.join(wish)
    scene.standing.provider_breaker("p0").failure(scene.now, model="m0", unreachable=True, jitter=0.0)
    scene.hopes.doubt()
    assert scene.told(wish) == [False]
    scene.spend(0, 1000)
    assert scene.told(wish) == [True]


def test_calls_under_way_may_give_back_what_they_took_of_a_shared_limit_only():
    for scope, back in ((Scope.ACCOUNT, True), (Scope.MODEL, False)):
        scene = Scene(1000, models=2, scope=scope)
        _, second = scene.candidates
        wish = scene.wish(100, out={second.id})
        scene.join(wish)
        scene.spend(0, 1000)
        awaited = scene.standing.awaited(second)
        awaited.began(1, math.inf)
        assert scene.told(wish) == [not back]
        awaited.ended(1)
        awaited.streams += 1
        if back:
            assert scene.told(wish) == [False]
            awaited.streams -= 1
            assert scene.told(wish) == [True]


@settings(max_examples=150, deadline=None)
@given(
    wishes=st.lists(
        st.tuples(
            st.integers(1, 120),
            st.sampled_from([None, 1, 80]),
            st.sampled_from([5.0, 20.0, 70.0]),
            st.sets(st.sampled_from(["p0/m0#k1", "p1/m0#k1", "p2/m0#k1"])),
        ),
        min_size=1,
        max_size=8,
    ),
    amounts=st.lists(st.integers(60, 200), min_size=3, max_size=3),
    events=st.lists(
        st.one_of(
            st.tuples(st.just("spend"), st.integers(0, 2), st.integers(1, 150)),
            st.tuples(st.just("hold"), st.integers(0, 2), st.sampled_from([10, 60])),
            st.tuples(st.just("off"), st.integers(0, 2), st.just(0)),
            st.tuples(st.just("pass"), st.just(0), st.integers(0, 15)),
        ),
        max_size=8,
    ),
)
def test_who_is_told_is_who_has_nothing_to_hope_for(wishes, amounts, events):
    scene = Scene(*amounts)
    waiting = [scene.wish(p, o, seconds=s, out=out) for p, o, s, out in wishes]
    standing = scene.standing

    def hopeless(wish: Wish) -> bool:
        now = scene.now
        return all(
            wish.tried.covers(c, standing)
            or max(
                standing.free_at(c, now),
                scene.counters.fits_at(charges_of(c, standing.sized(c, wish.need.demand)), now),
            )
            > wish.until
            for _, c in wish.fit
        )

    waiting = [wish for wish in waiting if not hopeless(wish)]
    scene.join(*waiting)
    for kind, place, number in events:
        if kind == "spend" and number <= amounts[place]:
            try:
                scene.spend(place, number)
            except AssertionError:  # there was no room
                continue
        elif kind == "hold":
            standing.hold(("provider", f"p{place}"), scene.now.mono + number, "why")
        elif kind == "off":
            standing.switch({*standing.off, f"p{place}"})
        else:
            scene.clock.advance(number)
        waiting = [wish for wish in waiting if wish.until > scene.now.mono]
        told = scene.told(*waiting)
        assert told == [hopeless(wish) for wish in waiting]
        waiting = [wish for wish, gone in zip(waiting, told, strict=True) if not gone]
