"""Openings: who among many waiters is worth asking, and where."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from freeroute.domain.catalogue import Limit, Precharge, Unit, catalogue_of
from freeroute.domain.leases import Lease, charges_of
from freeroute.domain.needs import Need, Tried
from freeroute.domain.openings import Openings, Wish
from freeroute.domain.outcome import Kind
from freeroute.domain.resolve import Target
from freeroute.domain.selection import Choice, Refusal, choose
from freeroute.domain.standing import Standing
from freeroute.domain.usage import Demand
from freeroute.stores.memory import MemoryCounters
from tests.support.clocks import ManualClock
from tests.support.scenery import at_once
from tests.support.world import model, provider

PLAIN = Precharge()


class Place:
    """Candidates with token limits, one a provider, and wishes for them."""

    def __init__(self, *amounts: float, precharge: Precharge = PLAIN) -> None:
        places = [
            provider(f"p{n}", model(), limits=(Limit(Unit.TOKENS, amount, 60.0),), precharge=precharge)
            for n, amount in enumerate(amounts)
        ]
        self.candidates = catalogue_of(places, []).candidates
        self.counters = MemoryCounters()
        self.standing = Standing(self.counters)
        self.clock = ManualClock()

    def wish(self, prompt: int, output: int | None = None, *, until=1e9, out=(), clamp=False, outputs=None):
        tried = Tried(candidates=frozenset(out), outputs=outputs or {})
        need = Need(
            targets=(Target("free", "free", self.candidates),), demand=Demand(prompt, output), clamp=clamp
        )
        fit = [(0, candidate) for candidate in self.candidates]
        names = frozenset(candidate.id for candidate in self.candidates if candidate.id not in out)
        return Wish(need=need, fit=fit, tried=tried, until=until, names=names)

    def choose(self, wish: Wish, fit=None) -> Choice | Refusal:
        fit = wish.fit if fit is None else fit
        return choose(wish.need, fit, self.standing, wish.tried, self.clock.now(), wish.until)

    def take(self, choice: Choice) -> None:
        assert isinstance(at_once(self.counters.acquire(choice.charges, self.clock.now())), Lease)


def test_whoever_may_use_no_opening_is_not_asked():
    place = Place(100, 1000)
    place.take(Choice(place.candidates[1], charges_of(place.candidates[1], Demand(1000))))
    some, none = place.wish(90), place.wish(60, out={"p0/m#k1"})
    found, now = Openings(place.standing), place.clock.now()
    assert found.worth_asking(some, now)
    assert [candidate.provider.id for _, candidate in found.fit(some)] == ["p0"]
    assert not found.worth_asking(none, now)
    assert 60 <= found.next_at - now.mono <= 61


def test_a_bound_of_ours_says_nothing_about_a_caller_s_smaller_one():
    place = Place(2000, precharge=Precharge(output=True, default=1800))
    place.take(Choice(place.candidates[0], charges_of(place.candidates[0], Demand(100, 900))))
    ours, small = place.wish(100), place.wish(100, 200)
    found, now = Openings(place.standing), place.clock.now()
    refusal = place.choose(ours)
    assert isinstance(refusal, Refusal)
    assert found.worth_asking(ours, now)
    found.refused(ours, ours.fit, refusal)
    assert not found.worth_asking(place.wish(100), now)
    assert found.worth_asking(small, now)


def test_less_patience_is_asked_again_where_patience_was_the_reason():
    place = Place(100, 100)
    resting, full = place.candidates
    now = place.clock.now()
    for _ in range(3):
        place.standing.failed(resting, place.standing.begin(resting, now), Kind.FAULT, now, jitter=0.0)
    place.take(Choice(full, charges_of(full, Demand(100))))
    later = now.mono + 100
    patient, hasty = place.wish(50, until=later), place.wish(50, until=later - 90)
    found = Openings(place.standing)
    refusal = place.choose(patient)
    assert isinstance(refusal, Refusal)
    assert refusal.patient
    assert found.worth_asking(patient, now)
    assert found.fit(patient) is patient.fit
    found.refused(patient, patient.fit, refusal)
    assert not found.worth_asking(place.wish(60, until=later + 1), now)
    assert found.worth_asking(hasty, now)
    assert isinstance(place.choose(hasty), Choice)


wishes = st.lists(
    st.tuples(
        st.integers(1, 120),
        st.sampled_from([None, 1, 20, 80]),
        st.sets(st.sampled_from(["p0/m#k1", "p1/m#k1", "p2/m#k1"])),
        st.booleans(),
        st.sampled_from([{}, {}, {"p0/m#k1": 10}]),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=200, deadline=None)
@given(
    wishes=wishes,
    amounts=st.lists(st.integers(20, 200), min_size=3, max_size=3),
    counts_output=st.booleans(),
)
def test_nobody_who_would_find_room_is_passed_over(wishes, amounts, counts_output):
    place = Place(*amounts, precharge=Precharge(output=counts_output, default=60))
    asked = [
        place.wish(prompt, output, out=out, clamp=clamp, outputs=outputs)
        for prompt, output, out, clamp, outputs in wishes
    ]
    found, now = Openings(place.standing), place.clock.now()
    for wish in asked:
        plain = place.choose(wish)
        if not found.worth_asking(wish, now):
            assert isinstance(plain, Refusal)
            assert math.isinf(plain.back_at) or found.next_at > now.mono
            continue
        fit = found.fit(wish)
        choice = place.choose(wish, fit)
        if isinstance(plain, Refusal):
            assert isinstance(choice, Refusal)
            found.refused(wish, fit, choice)
        else:
            assert choice == plain
            place.take(plain)
