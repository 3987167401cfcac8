"""What judges the gateway: the providers' counters, the theory, and the loop of virtual time."""

import asyncio
import math
import random
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.capacity import words
from bench.capacity.callers import burst, in_order, steady
from bench.capacity.providers import DELAY, Key, Phase, Pool, running
from bench.capacity.quotas import MINUTE, Limit, Quota, zone_at_noon
from bench.capacity.scenarios import KNOWN, SCENARIOS, four, requests, tokens
from bench.capacity.theory import Offered, deliverable_calls, deliverable_tokens
from bench.capacity.virtual import NOON, VirtualLoop, wall
from bench.capacity.web import asked

HOUR = 3600.0


def virtually(coroutine):
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)


@given(st.lists(st.floats(0.0, 200.0), max_size=120), st.integers(1, 20))
def test_no_minute_ever_holds_more_than_its_limit(arrivals, amount):
    quota = Quota(Limit("requests", amount), "UTC")
    counted: list[float] = []
    for at in sorted(arrivals):
        if quota.fits_in(1, at, NOON) == 0:
            quota.take(1, at, NOON)
            counted.append(at)
        assert sum(at - MINUTE < other <= at for other in counted) <= amount


@given(st.lists(st.floats(0.0, 50.0), min_size=5, max_size=5), st.floats(50.0, 59.0))
def test_a_slot_is_free_one_minute_after_the_call_that_took_it_arrived(arrivals, now):
    quota = Quota(Limit("requests", 5), "UTC")
    for at in sorted(arrivals):
        quota.take(1, at, NOON)
    wait = quota.fits_in(1, now, NOON)
    assert now + wait == pytest.approx(min(arrivals) + MINUTE)
    assert quota.fits_in(1, now + wait + 1e-6, NOON) == 0


def test_a_day_ends_at_midnight_of_its_zone():
    quota = Quota(Limit("requests", 1, "day"), "Etc/GMT-2")
    quota.take(1, 0.0, NOON)
    wait = quota.fits_in(1, 0.0, NOON)
    assert (NOON + wait + 2 * HOUR) % (24 * HOUR) == pytest.approx(0)
    assert quota.fits_in(1, wait, NOON + wait) == 0


def test_calls_at_once_are_freed_by_their_end():
    quota = Quota(Limit("concurrency", 1, ""), "UTC")
    entry = quota.take(1, 0.0, NOON)
    assert quota.fits_in(1, 1e6, NOON) == math.inf
    quota.end(entry)
    assert quota.fits_in(1, 1e6, NOON) == 0


@given(st.floats(0, 4e9))
def test_it_is_about_noon_wherever_a_run_counts_its_days(at):
    quota = Quota(Limit("requests", 1, "day"), zone_at_noon(at))
    quota.take(1, 0.0, at)
    assert 11 * HOUR <= quota.fits_in(1, 0.0, at) <= 12 * HOUR


def offered(arrivals):
    return [Offered(arrival.at, arrival.tokens) for arrival in arrivals]


def test_theory_serves_as_many_as_fit_into_the_windows_that_somebody_waits_through():
    pools = four(KNOWN)
    assert deliverable_calls(pools, offered(steady(160, 300))) == 480
    assert deliverable_calls(pools, offered(steady(40, 300))) == 200
    assert deliverable_calls(pools, offered(burst(70, 0))) == 70
    assert deliverable_calls(pools, offered(burst(200, 0))) == 160  # the second window comes just in time
    assert deliverable_calls(pools, offered(burst(90, 0) + burst(90, 100)), since=50) == 90


def test_theory_spends_a_day_last():
    pools = (Pool(name="scarce", limits=requests(30, 10)), Pool(name="steady", limits=requests(10)))
    assert deliverable_calls(pools, offered(in_order(*(burst(15, at) for at in (0, 70))))) == 30
    assert deliverable_calls(pools, offered(steady(60, 600))) == 10 + 10 * 11
    keyless = (Pool(name="keyless", limits=requests(30), keys=(Key("k", "invalid"),)),)
    assert deliverable_calls(keyless, offered(burst(5, 0))) == 0


def test_theory_counts_only_tokens_of_calls_that_fit_somewhere():
    pools = four([tokens(1000)] * 4)
    assert deliverable_tokens(pools, [Offered(0, 900), Offered(0, 1100)]) == 900
    assert deliverable_tokens(pools, [Offered(0, 1000)] * 9) == 2 * 4 * 1000
    assert deliverable_tokens(pools, [Offered(at, 1000) for at in range(61)]) == 3 * 4 * 1000
    assert deliverable_tokens(pools, [Offered(0, 1100)]) == 0


def test_no_scenario_offers_less_than_it_promises():
    assert [scenario.name for scenario in SCENARIOS if not scenario.traffic(180.0)] == []
    for scenario in SCENARIOS:
        arrivals = scenario.traffic(180.0)
        assert list(arrivals) == sorted(arrivals, key=lambda arrival: arrival.at)


@given(st.integers(5, 3000), st.integers(0, 10_000))
def test_a_prompt_has_as_many_tokens_as_wanted_and_tells_its_call(size, call):
    text = words.prompt(call, size, random.Random(call))
    assert words.tokens_of(text) == size
    body = words.question("free", text, 5, stream=True)
    assert words.call_of(body) == call


def test_an_hour_of_virtual_time_takes_none():
    async def hour():
        began, at = asyncio.get_running_loop().time(), wall()
        await asyncio.sleep(HOUR)
        return asyncio.get_running_loop().time() - began, wall() - at

    began = time.process_time()
    assert virtually(hour()) == pytest.approx((HOUR, HOUR))
    assert time.process_time() - began < 5


def test_threads_take_no_virtual_time_and_nobody_waits_for_what_never_comes():
    async def threaded():
        began = asyncio.get_running_loop().time()
        await asyncio.to_thread(sum, range(100_000))
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 / 0)
        return asyncio.get_running_loop().time() - began

    assert virtually(threaded()) == 0
    with pytest.raises(RuntimeError, match="never happen"):
        virtually(asyncio.Event().wait())


async def asked_once(fleet, body, key="key-1"):
    provider = fleet.providers["one"]
    headers = {"authorization": f"Bearer {key}"}
    async with asked(provider.server.port, body, headers) as exchange:
        said = b"".join([piece async for piece in exchange.pieces()])
    return exchange.status, exchange.headers, said


def play(pool, script):
    async def run():
        async with running([pool], "UTC", wall, "seed") as fleet:
            return await script(fleet), fleet.seen

    return virtually(run())


def question(call=1, model="chat", stream=False):
    return words.question(model, words.prompt(call, 20, random.Random(1)), 10, stream=stream)


def test_a_provider_counts_a_call_when_it_arrives_and_refuses_one_too_many():
    pool = Pool(name="one", limits=requests(1), headers=True)

    async def script(fleet):
        return [await asked_once(fleet, question(call)) for call in range(2)]

    (first, second), (counted, refused) = play(pool, script)
    assert (first[0], second[0]) == (200, 429)
    assert msgspec.json.decode(first[2])["usage"]["total_tokens"] == 30
    assert DELAY[0] <= counted.counted - counted.received <= DELAY[1]
    assert refused.refused
    assert refused.counted is None
    left = float(second[1]["retry-after"]) - (counted.counted + MINUTE - refused.received)
    assert -DELAY[1] <= left <= 1
    assert second[1]["x-ratelimit-remaining-requests-minute"] == "0"


def test_tokens_are_counted_with_the_answer():
    pool = Pool(name="one", limits=tokens(50), retry_after=False)

    async def script(fleet):
        return [await asked_once(fleet, question(call)) for call in range(2)]

    (first, second), _ = play(pool, script)
    assert (first[0], second[0]) == (200, 200)

    async def third(fleet):
        await script(fleet)
        return await asked_once(fleet, question(3))

    (status, headers, _), _ = play(pool, third)
    assert status == 429
    assert "retry-after" not in headers


@pytest.mark.parametrize(
    ("state", "status"), [("good", 200), ("invalid", 401), ("unpaid", 402), ("spent", 429)]
)
def test_a_key_has_its_own_answer(state, status):
    pool = Pool(name="one", limits=requests(5), keys=(Key("key-1", state),))
    answer, _ = play(pool, lambda fleet: asked_once(fleet, question()))
    assert answer[0] == status


def test_a_retired_model_is_gone():
    pool = Pool(name="one", limits=requests(5), gone={"old": 410})
    assert play(pool, lambda fleet: asked_once(fleet, question(model="old")))[0][0] == 410


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("fault", ["error", "cut", "reset", "hang"])
def test_faults_show_before_the_first_text(fault, stream):
    pool = Pool(name="one", limits=requests(5), phases=(Phase(math.inf, fault),))

    async def script(fleet):
        try:
            async with asyncio.timeout(5):
                return (await asked_once(fleet, question(stream=stream)))[0]
        except (OSError, asyncio.IncompleteReadError) as exc:
            return type(exc)

    found, (seen,) = play(pool, script)
    expected = {
        "error": 500,
        "cut": asyncio.IncompleteReadError,
        "reset": ConnectionResetError,
        "hang": TimeoutError,
    }
    assert found == expected[fault]
    assert seen.fault == fault


def test_a_phase_follows_the_other_and_begins_anew():
    pool = Pool(name="one", limits=(), phases=(Phase(10), Phase(5, "error")))
    assert [pool.phase(at)[0] for at in (0, 9.9, 10, 14.9, 15, 26)] == [0, 0, 1, 1, 2, 3]
    assert pool.phase(26)[1].fault == "error"
