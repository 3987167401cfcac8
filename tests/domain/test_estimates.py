"""Estimates of prompts: how they follow what providers count, and how careful they stay."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.domain.catalogue import candidates_of
from freeroute.domain.estimates import OFF_BY, Estimate
from freeroute.domain.standing import Standing
from freeroute.domain.usage import Demand
from freeroute.stores.memory import MemoryCounters
from tests.support.world import model, provider


def told(*ratios: float) -> Estimate:
    estimate = Estimate()
    for ratio in ratios:
        estimate.told(1000, round(1000 * ratio))
    return estimate


def test_prompts_that_turn_out_shorter_are_trusted_little_by_little():
    assert told().factor == 1
    assert told(0.75).factor == pytest.approx(1)
    assert told(*[0.75] * 4).factor == pytest.approx(0.855, abs=0.01)
    assert told(*[0.75] * 20).factor == pytest.approx(0.75, abs=0.01)


def test_prompts_that_turn_out_longer_are_charged_more_at_once():
    assert told(1.4).factor == pytest.approx(1.8)
    assert told(*[1.4] * 20).factor == pytest.approx(1.4, abs=0.01)


def test_few_prompts_of_changing_density_take_more_than_was_charged():
    dice, estimate, over = random.Random(3), Estimate(), 0
    for _ in range(500):
        real = 1000 * dice.gauss(0.8, 0.05)
        over += estimate.samples > 20 and real > estimate.of(1000)
        estimate.told(1000, round(real))
    assert over / 500 < 0.1


def test_short_prompts_and_empty_counts_teach_nothing():
    estimate = Estimate()
    estimate.told(20, 90)
    estimate.told(1000, 0)
    assert estimate.samples == 0


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(-5, 10**9)), max_size=20))
def test_whatever_is_told_an_estimate_stays_within_bounds(pairs):
    estimate = Estimate()
    for estimated, real in pairs:
        estimate.told(estimated, real)
    assert 1 / OFF_BY <= estimate.factor <= OFF_BY
    assert estimate.of(0) >= 1


def test_each_model_has_its_own_and_a_reload_forgets_those_that_are_gone():
    one, other = candidates_of(provider("a", model("m"), model("n")))
    standing = Standing(MemoryCounters())
    for _ in range(20):
        standing.learn_size(one, 1000, 500)
    assert standing.sized(one, Demand(1000)).prompt < 510
    assert standing.sized(other, Demand(1000)).prompt == 1000
    assert standing.likely(one, Demand(1000)) == pytest.approx(500, rel=0.05)
    assert standing.likely(other, Demand(1000)) == 1000
    standing.keep([other])
    assert standing.sized(one, Demand(1000)).prompt == 1000
