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
    ("cost", "is_dearer", "word"),
    [
        (Cost(1_000_000, 2_000_000, 1_500_000), False, "as before"),
        (Cost(1_049_000, 2_000_000, 1_500_000), False, "as before"),
        (Cost(1_051_000, 2_000_000, 1_500_000), True, "DEARER"),
        (Cost(1_000_000, 2_200_000, 1_500_000), True, "DEARER"),
        (Cost(1_000_000, 2_000_000, 1_600_000), True, "DEARER"),
        (Cost(900_000, 2_000_000, 1_500_000), False, "cheaper"),
    ],
)
def test_a_request_is_too_dear_beyond_the_tolerance(cost, is_dearer, word):
    text, found = judged(cost, Cost(1_000_000, 2_000_000, 1_500_000))
    assert found is is_dearer
    assert word in text


def test_a_build_of_python_without_a_baseline_fails_nothing():
    text, is_dearer = judged(Cost(1, 2, 3), None)
    assert not is_dearer
    assert "nothing to hold that against" in text


def test_the_harness_serves_calls_and_streams_of_every_api_whole():
    seen: list[str] = []
    rounds = [Round(f"{api}, {events}", api, 2, events, 2) for api in APIS for events in (0, 5)]
    with arranged(Upstream((1,), "memory")) as plan:
        asyncio.run(harness.measured(plan, rounds, seen.append))
    assert seen == ["", *(each.name for each in rounds)]


def test_callers_ask_beside_each_other_until_there_were_enough_calls():
    seen: list[str] = []

    async def app(scope, receive, send):
        seen.append("asked")
        await asyncio.sleep(0)
        await send({"status": 200, "body": b" " * 500})
        seen.append("answered")

    callers = [harness.Caller(app, b"POST / HTTP/1.1\r\nhost: here\r\n\r\n{}") for _ in range(4)]
    asyncio.run(harness._asked(callers, 6))
    assert seen[:4] == ["asked"] * 4
    assert seen.count("answered") == 6
