"""The plan and the choice are one comparison: in any field, its first line is what is taken."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from freeroute.domain.fitness import eligible
from freeroute.domain.needs import Tried
from freeroute.domain.plans import plan
from freeroute.domain.rankings import Rankings
from freeroute.domain.selection import Choice, choose
from freeroute.domain.usage import Demand
from tests.support.scenery import NAMES, PLACES, Scenery


@settings(max_examples=300, deadline=None)
@given(
    places=st.lists(PLACES, min_size=1, max_size=4),
    names=NAMES,
    ties=st.sampled_from(["balanced", "round_robin", "random"]),
    dice=st.sampled_from([0.0, 0.01, 0.5, 0.99]),
    demand=st.builds(Demand, st.sampled_from([1, 10, 50]), st.none() | st.just(20)),
    order=st.lists(st.sampled_from(["p0", "p1", "p2"]), max_size=2, unique=True).map(tuple),
    ignore=st.sampled_from([(), (), ("p0",)]),
    wait=st.sampled_from([0.0, 5.0, 11.0, 29.0, 31.0, 61.0, 90_000.0]),
)
def test_the_plan_begins_with_what_choose_takes_in_any_field(
    places, names, ties, dice, demand, order, ignore, wait
):
    field = Scenery(places)
    now = field.clock.advance(wait)
    need = field.need(names, demand=demand, ties=ties, dice=dice, order=order, ignore=ignore)
    lines = plan(need, field.standing, now)
    fit, rest = eligible(need, field.standing, now)
    able = Rankings(field.standing).able(need, now)
    assert list(able) == fit
    assert len(lines) == len(fit) + len(rest)
    usable = [line.candidate for line in lines if line.reason is None]
    tried = Tried()
    while usable:  # nor does what follows differ from what would be taken next
        choice = choose(need, able, field.standing, tried, now)
        assert choice == choose(need, fit, field.standing, tried, now)
        assert isinstance(choice, Choice)
        assert choice.candidate is usable.pop(0)
        tried = tried.also(candidates={choice.candidate.id})
    last = choose(need, able, field.standing, tried, now, patience=math.inf)
    back = [line.reason.back_at for line in lines if line.reason is not None and line.reason.kind != "unfit"]
    if not isinstance(last, Choice):
        assert last.back_at == min(back, default=math.inf)
