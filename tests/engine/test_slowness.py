"""A provider that becomes slow: callers turn away from it while it still works on its first slow answer."""

import asyncio

import pytest

from freeroute.domain.catalogue import Privacy, Timeouts
from freeroute.domain.outcome import Kind, Outcome
from freeroute.domain.speed import ENOUGH, LEAST_PATIENCE, LONGER
from freeroute.engine.attempts import Routing
from freeroute.engine.ports import Sent
from freeroute.wire.chat import Preferences
from tests.support.virtual import LoopClock, run
from tests.support.world import Scripted, World, model, provider

TIMEOUTS = Timeouts(first_event=20.0)


class Paced(Scripted):
    """An upstream whose first event takes as long as ``seconds`` says of its provider."""

    def __init__(self, clock, seconds) -> None:
        super().__init__(clock)
        self.seconds = seconds

    async def send(self, call, candidate, terms):
        seconds = self.seconds[candidate.provider.id]
        await asyncio.sleep(min(seconds, terms.first_event))
        if seconds > terms.first_event:
            self.asked.append(candidate.id)
            return Sent(Outcome(Kind.TIMED_OUT))
        return await super().send(call, candidate, terms)


def paced(*providers, **seconds) -> tuple[World, Paced]:
    world = World(*providers, clock=LoopClock(), max_wait=60.0)
    upstream = world.upstream = Paced(world.clock, seconds)
    world.gateway.loop.upstreams = {"openai": upstream}
    return world, upstream


def test_few_wait_for_a_provider_that_became_slow():
    async def scene():
        names = ("a", "b", "c")
        quick, upstream = paced(*map(provider, names), a=0.3, b=0.5, c=0.6)
        took: list[float] = []

        async def one():
            began = asyncio.get_running_loop().time()
            await quick.ask("free-fast", stream=True)
            took.append(asyncio.get_running_loop().time() - began)

        async with asyncio.TaskGroup() as callers:
            for number in range(400):
                if number == 100:
                    upstream.seconds["a"] = 8.0
                callers.create_task(one())
                await asyncio.sleep(0.75)
        slow = sum(seconds > 2.0 for seconds in took[103:])
        assert slow / 297 < 0.05

    run(scene())


def test_a_call_under_way_counts_against_a_candidate_before_it_ends():
    async def scene():
        world, _ = paced(provider("a", model(first_token=0.2)), provider("b"), a=60.0, b=1.0)
        hanging = asyncio.create_task(world.ask("free-fast", stream=True))
        await asyncio.sleep(0)
        assert world.gateway.loop.standing.expected(world.candidate("a/m#k1"), 0, world.clock.now()) == 0.2
        await asyncio.sleep(5.2)
        assert world.gateway.loop.standing.expected(world.candidate("a/m#k1"), 0, world.clock.now()) > 5
        await world.ask("free-fast", stream=True)
        assert world.upstream.asked == ["b/m#k1"]
        await hanging
        assert world.gateway.loop.standing.awaited(world.candidate("a/m#k1")).late(world.clock.now()) == 0

    run(scene())


def test_a_long_answer_in_one_piece_is_not_late_while_it_may_be_generating():
    async def scene():
        world, _ = paced(provider("a"), a=15.0)
        under_way = asyncio.create_task(world.ask())
        await asyncio.sleep(14)
        assert world.gateway.loop.standing.awaited(world.candidate("a/m#k1")).late(world.clock.now()) == 0
        await under_way

    run(scene())


async def test_the_first_event_timeout_follows_what_was_measured():
    world = World(provider("a", timeouts=TIMEOUTS))
    for _ in range(ENOUGH):
        await world.ask(stream=True)
    await world.ask(stream=True, prompt=2_000)
    assert world.upstream.terms[ENOUGH - 1].first_event == 20.0
    assert world.upstream.terms[ENOUGH].first_event == LEAST_PATIENCE + 2.0


async def test_after_a_timeout_the_next_call_may_take_longer():
    world = World(provider("a", timeouts=TIMEOUTS), provider("b"))
    for _ in range(ENOUGH):
        await world.ask("a/m", stream=True)
    world.upstream.scripts["a"] = [Kind.TIMED_OUT]
    await world.ask("a/m", models=("b/m",), stream=True)
    await world.ask("a/m", stream=True)
    assert world.upstream.terms[-1].first_event == 20.0


async def test_a_local_server_may_always_take_as_long_as_the_settings_say():
    world = World(provider("a", timeouts=Timeouts(first_event=300.0), privacy=Privacy.LOCAL))
    for _ in range(ENOUGH + 1):
        await world.ask(stream=True)
    assert {terms.first_event for terms in world.upstream.terms} == {300.0}


async def timed(world: World, **given) -> float:
    """Ask once; return how long it took."""
    began = asyncio.get_running_loop().time()
    await world.ask(**given)
    return asyncio.get_running_loop().time() - began


HANGS = 10_000.0
ORDER = Preferences(order=("a", "b", "c"))


def test_two_hanging_providers_cost_a_caller_of_a_whole_answer_seconds():
    async def scene():
        world, upstream = paced(*map(provider, "abc"), a=0.15, b=0.15, c=0.15)
        for name in "abc":
            for _ in range(ENOUGH):
                await world.ask(f"{name}/m")
        upstream.seconds |= {"a": HANGS, "b": HANGS}
        assert await timed(world, preferences=ORDER) < 2 * LEAST_PATIENCE + 1.5
        assert upstream.providers_asked[-3:] == ["a", "b", "c"]

    run(scene())


@pytest.mark.parametrize("stream", [False, True])
def test_providers_that_hang_leave_time_for_the_one_that_answers(stream):
    async def scene():
        slow = Timeouts(first_event=200.0)
        names = ("a", "b", "c")
        world, upstream = paced(*(provider(name, timeouts=slow) for name in names), a=HANGS, b=HANGS, c=0.15)
        assert await timed(world, preferences=ORDER, stream=stream) == pytest.approx(60 + 30 + 0.15)
        assert upstream.providers_asked == ["a", "b", "c"]

    run(scene())


def test_an_answer_far_longer_than_those_before_is_given_up_only_while_somebody_else_can_be_asked():
    async def scene():
        world, upstream = paced(*map(provider, "ab"), a=0.5, b=0.5)
        for name in "ab":
            for _ in range(ENOUGH):
                await world.ask(f"{name}/m")
        upstream.seconds |= {"a": 40.0, "b": 40.0}
        given_up = LEAST_PATIENCE + LONGER * 0.5
        assert await timed(world, preferences=ORDER) == pytest.approx(given_up + 40.0, abs=0.1)
        assert upstream.providers_asked[-2:] == ["a", "b"]
        assert await timed(world, name="b/m") == 40.0

    run(scene())


async def test_the_last_attempt_there_may_be_has_the_time_for_a_long_answer():
    world = World(provider("a"), provider("b"), routing=Routing(max_attempts=1))
    for _ in range(ENOUGH + 1):
        await world.ask("a/m", models=("b/m",))
    assert world.upstream.terms[-1].first_event > 80.0


async def test_each_timeout_of_a_request_gives_the_next_whole_answer_more_time():
    world = World(*map(provider, "abc"), seconds=10.0)
    for name in "abc":
        for _ in range(ENOUGH):
            await world.ask(f"{name}/m")
    world.upstream.scripts |= {"a": [Kind.TIMED_OUT]}
    await world.ask(preferences=ORDER)
    first, second = (terms.first_event for terms in world.upstream.terms[-2:])
    assert second - first == pytest.approx(LONGER * 10.0)


async def test_an_output_bound_bounds_what_a_whole_answer_may_take():
    world = World(provider("a", model(tokens_per_second=50.0), timeouts=TIMEOUTS), provider("b"))
    await world.ask("a/m", max_output=100)
    assert world.upstream.terms[-1].first_event == 20.0 + 100 / 25
