"""Every scenario of the capacity benchmark, compressed: what freeroute must show, it shows here too."""

import pytest
import structlog.testing

from bench.capacity.command import COMPRESSED, compressed
from bench.capacity.scenarios import SCENARIOS


@pytest.fixture(autouse=True)
def unlogged():
    """Keep the gateway's log out of what a failed test shows: there is a line for every call."""
    with structlog.testing.capture_logs():
        yield


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_what_freeroute_must_show(scenario):
    result = compressed(scenario, COMPRESSED, ["freeroute"])
    assert not [must for must in result.musts if not must.met]


def test_the_ideal_scheduler_reaches_the_theory_without_a_refusal_and_the_naive_proxy_does_not():
    result = compressed(SCENARIOS[0], COMPRESSED, ["naive", "ideal"])
    ideal, naive = result.figures["ideal"], result.figures["naive"]
    assert ideal.refused == 0
    assert 0.99 < ideal.share <= 1
    assert naive.refused > 0
    assert naive.share < 0.8
