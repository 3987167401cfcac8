"""A request that has become dearer is told; one that is as before, cheaper or unknown does not fail."""

import asyncio

import pytest

from bench.gateway import arranged
from bench.processes import Upstream
from bench.questions import APIS
from bench.regress import harness
from bench.regress.command import Cost, judged
from bench.regress.harness import Round


@pytest.mark.parametrize(
    ("call", "stream", "is_dearer", "word"),
    [
        (1_000_000, 2_000_000, False, "as before"),
        (1_049_000, 2_000_000, False, "as before"),
        (1_051_000, 2_000_000, True, "DEARER"),
        (1_000_000, 2_200_000, True, "DEARER"),
        (900_000, 2_000_000, False, "cheaper"),
    ],
)
def test_a_request_is_too_dear_beyond_the_tolerance(call, stream, is_dearer, word):
    text, found = judged(Cost(call, stream), Cost(1_000_000, 2_000_000))
    assert found is is_dearer
    assert word in text


def test_a_build_of_python_without_a_baseline_fails_nothing():
    text, is_dearer = judged(Cost(1, 2), None)
    assert not is_dearer
    assert "nothing to hold that against" in text


def test_the_harness_serves_calls_and_streams_of_every_api_whole():
    seen: list[str] = []
    rounds = [Round(f"{api}, {events}", api, 2, events) for api in APIS for events in (0, 5)]
    with arranged(Upstream((1,), "memory")) as plan:
        asyncio.run(harness.measured(plan, rounds, seen.append))
    assert seen == ["", *(each.name for each in rounds)]
