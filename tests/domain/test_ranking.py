"""A ranking goes on from what it read before, and comes to the same order as reading everything."""

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from freeroute.clock import Now
from freeroute.domain.catalogue import Candidate
from freeroute.domain.leases import Lease, charges_of
from freeroute.domain.needs import Need
from freeroute.domain.outcome import Kind
from freeroute.domain.ranking import READ_AGAIN, Ranking
from freeroute.domain.rankings import sorted_fit
from freeroute.domain.rates import RateFact
from freeroute.domain.standing import Standing
from freeroute.domain.usage import Demand
from freeroute.stores.memory import MemoryCounters
from tests.support.fields import DAY, Field, per, tokens
from tests.support.scenery import NAMES, PLACES, Scenery, at_once
from tests.support.world import model, provider

ALL = 1000
# What makes the one it happens to no better in any order.
WORSE = ["taken", "failed", "lapsed", "timed out", "held"]
# What may make it better, besides.
ANY = [*WORSE, "settled", "told less", "told more", "quick", "slow", "overdue", "shown", "reset", "lifted"]


class Story(Scenery):
    """Candidates to whom things happen, one after the other."""

    def __init__(self, places) -> None:
        super().__init__(places)
        self.under_way: list[Lease] = []

    def fit(self, need: Need):
        found: dict[str, tuple[int, Candidate]] = {}
        for group, target in enumerate(need.targets):
            for candidate in target.candidates:
                found.setdefault(candidate.id, (group, candidate))
        return list(found.values())

    def ranking(self, need: Need, **given) -> Ranking:
        anybody = structs.replace(need, preferred=None)
        return Ranking(anybody, self.fit(need), self.standing, self.clock.now(), **given)

    def orders(self, need: Need, fit, ranking: Ranking):
        """Return who comes in which place: by the ranking, and by reading everything."""
        now = self.clock.now()
        kept = [candidate.id for _, candidate in ranking.best_first(need, now)]
        fresh = [candidate.id for _, candidate in sorted_fit(need, fit, self.standing, now)]
        return kept, fresh

    def happen(self, event: str, number: int) -> None:
        now, everyone = self.clock.now(), self.catalogue.candidates
        candidate, standing = everyone[number % len(everyone)], self.standing
        match event:
            case "taken":
                lease = at_once(self.counters.acquire(charges_of(candidate, Demand(3)), now))
                if isinstance(lease, Lease):
                    self.under_way.append(lease)
                standing.begin(candidate, now)
            case "failed" | "timed out":
                kind = Kind.FAULT if event == "failed" else Kind.TIMED_OUT
                standing.failed(candidate, standing.begin(candidate, now), kind, now, jitter=0.5)
            case "lapsed":
                standing.lapsed(candidate, now)
            case "held":
                standing.hold(("provider", candidate.provider.id), now.mono + 5, "held")
            case "settled" if self.under_way:
                lease = self.under_way.pop()
                charged = zip(lease.charges.pools, lease.charges.amounts, strict=True)
                actual = {pool.limit.unit: amount * (number % 3) for pool, amount in charged}
                at_once(self.counters.settle(lease, actual, now))
            case "told less" | "told more" if self.under_way:
                lease = self.under_way[-1]
                limit = 1.0 if event == "told less" else 90.0
                pools = [pool.limit for pool in lease.charges.pools]
                facts = [RateFact(pool.unit, pool.seconds, limit, limit - 1) for pool in pools]
                at_once(self.counters.learn(lease, facts, now))
            case "quick" | "slow":
                seconds = 0.05 if event == "quick" else 9.0
                standing.speed(candidate).measured(seconds, 100, seconds, now)
            case "overdue":
                standing.awaited(candidate).began(number, now.mono - 3)
            case "shown":
                standing.awaited(candidate).ended(number)
            case "reset":
                standing.reset(candidate.provider.id)
            case "lifted":
                standing.lift_holds([place for place, _ in standing.holds(now)])


def happenings(names):
    return st.lists(st.tuples(st.sampled_from(names), st.integers(0, 15)), max_size=12)


DRAWN = {
    "places": st.lists(PLACES, min_size=1, max_size=4),
    "names": NAMES,
    "ties": st.sampled_from(["balanced", "round_robin"]),
    "dice": st.sampled_from([0.0, 0.5]),
    "order": st.lists(st.sampled_from(["p0", "p1"]), max_size=2, unique=True).map(tuple),
    "preferred": st.none() | st.sampled_from(["p0/m0#k0", "p1/m0#k1", "p9/gone#k0"]),
}


@settings(max_examples=200, deadline=None)
@given(**DRAWN, events=happenings(WORSE), wait=st.sampled_from([0.0, 3.0, 70.0, DAY / 3]))
def test_who_got_worse_is_never_taken_for_what_it_was(names, places, events, wait, **given_need):
    story = Story(places)
    story.clock.advance(wait)
    need = story.need(names, demand=Demand(1), **given_need)
    fit = story.fit(need)
    ranking = story.ranking(need, least_read=0)
    for event, number in events:
        story.happen(event, number)
        kept, fresh = story.orders(need, fit, ranking)
        assert kept == fresh


@settings(max_examples=200, deadline=None)
@given(
    **DRAWN,
    events=happenings(ANY),
    steps=st.lists(st.sampled_from([0.0, 0.02, 1.0, 31.0, 61.0, DAY / 2]), min_size=12, max_size=12),
)
def test_where_all_are_read_each_time_the_order_is_exact_whatever_happens(
    names, places, events, steps, **given_need
):
    story = Story(places)
    need = story.need(names, demand=Demand(1), **given_need)
    fit = story.fit(need)
    ranking = story.ranking(need, least_read=ALL)
    for (event, number), step in zip(events, steps, strict=False):
        story.happen(event, number)
        story.clock.advance(step)
        kept, fresh = story.orders(need, fit, ranking)
        assert kept == fresh


@settings(max_examples=200, deadline=None)
@given(
    **DRAWN,
    before=happenings(ANY),
    least_read=st.integers(0, 3),
    steps=st.lists(st.sampled_from([0.02, 1.0, 4.0]), min_size=1, max_size=8),
)
def test_who_got_better_is_found_by_choosing_on_for_a_while(
    names, places, before, least_read, steps, **given_need
):
    story = Story(places)
    need = story.need(names, demand=Demand(1), **given_need)
    fit = story.fit(need)
    ranking = story.ranking(need, least_read=least_read)
    for (event, number), step in zip(before, steps * 12, strict=False):
        story.happen(event, number)
        story.clock.advance(step)
        kept, fresh = story.orders(need, fit, ranking)
        assert sorted(kept) == sorted(fresh)  # nobody is lost, and nobody comes twice
    story.clock.advance(READ_AGAIN)
    kept, fresh = story.orders(need, fit, ranking)
    assert kept == fresh


class Watched(MemoryCounters):
    """Counts how often a pool's lead is asked for."""

    asked = 0

    def lead(self, pools, now):
        self.asked += 1
        return super().lead(pools, now)


def _crowd():
    """Return what ranks 80 candidates of two providers, each with a limit of its own and one they share."""
    models = [model(f"m{n}", quality=30 + n, limits=(tokens(1000),)) for n in range(40)]
    field = Field(provider("a", *models, limits=(per(100),)), provider("b", *models, limits=(per(100),)))
    counters = Watched()
    standing = Standing(counters)
    need = field.need("free")
    ranking = Ranking(need, [(0, c) for c in field.catalogue.candidates], standing, field.clock.now())
    counters.asked = 0
    return field, counters, ranking, need


def _first(ranking: Ranking, need: Need, now: Now):
    return next(ranking.best_first(need, now))[1]


def test_few_are_looked_at_although_all_share_what_was_charged():
    field, counters, ranking, need = _crowd()
    now = field.clock.now()
    taken = []
    for _ in range(20):
        candidate = _first(ranking, need, now)
        at_once(counters.acquire(charges_of(candidate, need.demand), now))
        taken.append(candidate.id)
    assert taken[:4] == ["a/m39#k1", "b/m39#k1"] * 2
    assert counters.asked < 20 * 16


def test_who_is_passed_over_costs_no_more_than_a_look():
    field, counters, ranking, need = _crowd()
    walk = ranking.best_first(need, field.clock.now())
    assert [next(walk)[1].id for _ in range(3)] == ["a/m39#k1", "b/m39#k1", "a/m38#k1"]
    assert counters.asked < 16
