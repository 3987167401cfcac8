"""A second candidate starts beside a first that is later than usual; the first of the two to speak wins."""

import asyncio
from typing import Any

import pytest

from freeroute.domain.catalogue import Limit, Scope, Unit
from freeroute.domain.leases import Denied
from freeroute.domain.outcome import Kind, Outcome
from freeroute.domain.speed import USUAL
from freeroute.domain.usage import Usage
from freeroute.engine.attempts import Routing
from freeroute.engine.ports import Answer, Sent
from freeroute.errors import ApiError
from freeroute.stores.memory import MemoryCounters
from tests.support.virtual import LoopClock, run
from tests.support.world import PER_MINUTE, Scripted, ScriptedStream, World, call, model, provider, streamed

TOKENS = Limit(Unit.TOKENS, 1000, 60.0, span="minute")
ONE = Limit(Unit.REQUESTS, 1, 30.0, scope=Scope.MODEL)
SLOT = Limit(Unit.CONCURRENCY, 4)
LIMITS = (PER_MINUTE, TOKENS, SLOT)
SAID = b'{"id":"i","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"one"}}]}'
QUICK = 0.4  # seconds to the first event that "a" usually takes
LATE = 0.6  # from then on it is late: half as much again


class Paced(Scripted):
    """An upstream whose next answers take as many seconds as told, or come at an event, by provider."""

    def __init__(self, clock, **scripts) -> None:
        super().__init__(clock, **scripts)
        self.takes: dict[str, list[float | asyncio.Event]] = {}
        self.left: list[str] = []
        self.lingers = 0.0

    async def send(self, call, candidate, terms):
        times = self.takes.get(candidate.provider.id)
        wait = times.pop(0) if times else QUICK
        try:
            await (wait.wait() if isinstance(wait, asyncio.Event) else asyncio.sleep(wait))
        except asyncio.CancelledError:
            await asyncio.sleep(self.lingers)
            self.asked.append(candidate.id)
            self.left.append(candidate.provider.id)
            raise
        return await super().send(call, candidate, terms)


def hedged(*names, counters=None, **scripts) -> tuple[World, Paced]:
    """Return a world in which "a" is the fastest, and known to be."""
    speeds = {"a": 0.4, "b": 0.6, "c": 0.7}
    places = [
        provider(name, model(first_token=speeds[name]), model("n", auto=False, limits=(ONE,)), limits=LIMITS)
        for name in names or ("a", "b")
    ]
    world = World(*places, clock=LoopClock(), max_wait=60, routing=Routing(hedge=True), counters=counters)
    upstream = world.upstream = Paced(world.clock, **scripts)
    world.gateway.loop.upstreams = {"openai": upstream}
    for name in ("m", "n"):
        known(world, f"a/{name}#k1")
    return world, upstream


def known(world: World, candidate_id: str, seconds: float = QUICK) -> None:
    for _ in range(USUAL):
        speed = world.gateway.standing.speed(world.candidate(candidate_id))
        speed.measured(seconds, 0, 0.0, world.clock.now())


def after(seconds: float) -> asyncio.Event:
    """Return an event that comes in so many seconds."""
    event = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, event.set)
    return event


async def timed(world: World, name="free-fast", **given) -> float:
    began = asyncio.get_running_loop().time()
    served = await world.gateway.chat(_call(name, **given), given.get("context") or world.context())
    took = asyncio.get_running_loop().time() - began
    while await served.next():
        pass
    await served.finish()
    nothing_is_left(world)
    return took


def _call(name, *, stream=True, context=None, **given):
    return call(name, stream=stream, **given)


def nothing_is_left(world: World) -> None:
    assert world.counters.in_flight() == 0
    assert world.gateway.in_flight == 0
    for candidate in world.gateway.catalogue.candidates:
        assert world.gateway.standing.breaker(candidate).permits(world.clock.now())


def scene(test):
    """Run a test in virtual time."""

    def in_virtual_time():
        run(test())

    in_virtual_time.__name__ = test.__name__
    return in_virtual_time


@scene
async def test_a_second_candidate_answers_where_the_first_is_late():
    world, upstream = hedged()
    upstream.takes = {"a": [8.0], "b": [0.5]}
    assert await timed(world) == pytest.approx(LATE + 0.5, abs=0.05)
    assert world.trail == [("b", Kind.SERVED), ("a", Kind.OUTRUN)]
    receipt = world.receipts.last
    assert (receipt.like.provider, receipt.like.status, receipt.like.code) == ("b", 200, None)
    assert receipt.usage == Usage(10, 20)
    assert receipt.overhead == pytest.approx(0, abs=0.01)
    assert upstream.left == ["a"]


@scene
async def test_the_first_still_wins_if_it_speaks_before_the_second():
    world, upstream = hedged()
    upstream.takes = {"a": [0.7], "b": [5.0]}
    assert await timed(world) == pytest.approx(0.7)
    assert world.trail == [("a", Kind.SERVED), ("b", Kind.OUTRUN)]
    assert upstream.left == ["b"]
    assert world.receipts.last.overhead == pytest.approx(0, abs=0.01)


@scene
async def test_whoever_is_in_time_is_not_raced():
    world, upstream = hedged()
    assert await timed(world) == pytest.approx(QUICK)
    assert upstream.providers_asked == ["a"]


@scene
async def test_the_loser_is_charged_as_if_the_caller_had_left_and_blamed_for_nothing():
    world, upstream = hedged()
    upstream.takes = {"a": [8.0], "b": [0.5]}
    await timed(world, prompt=100)
    assert (world.used("a"), world.used("b")) == ([1, 100, 0], [1, 30, 0])
    assert not world.is_suspect("a/m#k1")
    tally = world.gateway.tally.providers["a"]
    assert (tally.requests, tally.failed) == (1, 0)


@scene
async def test_one_that_loses_is_asked_less_from_then_on():
    world, upstream = hedged()
    upstream.takes = {"a": [8.0] * 3}
    for _ in range(4):
        await timed(world)
    assert upstream.providers_asked[-2:] == ["b", "b"]


@scene
async def test_of_two_that_speak_at_once_the_first_wins_and_the_other_is_dropped():
    world, upstream = hedged(b=[sent := streamed()])
    both = after(1.0)
    upstream.takes = {"a": [both], "b": [both]}
    await timed(world)
    assert dict(world.trail) == {"a": Kind.SERVED, "b": Kind.OUTRUN}
    assert isinstance(sent.stream, ScriptedStream)
    assert sent.stream.aborted


@scene
async def test_a_whole_answer_that_comes_too_late_is_dropped():
    answer = Sent(Outcome(Kind.SERVED), answer=Answer(b"{}", Usage(10, 40)))
    world, upstream = hedged(b=[answer])
    both = after(LATE + 100 / 25 + 1.0)  # nothing is seen of a hundred tokens, at half the usual rate
    upstream.takes = {"a": [both], "b": [both]}
    await timed(world, stream=False, max_output=100)
    assert dict(world.trail) == {"a": Kind.SERVED, "b": Kind.OUTRUN}
    assert world.used("b") == [1, 50, 0]


@scene
async def test_a_failure_of_one_leaves_it_to_the_other():
    for failing, serving in (("a", "b"), ("b", "a")):
        world, upstream = hedged(**{failing: [Kind.FAULT]})
        upstream.takes = {"a": [1.5], "b": [0.5 if failing == "b" else 4.0]}
        await timed(world)
        assert dict(world.trail) == {failing: Kind.FAULT, serving: Kind.SERVED}
        assert world.is_suspect(f"{failing}/m#k1")


@scene
async def test_if_both_fail_a_third_is_asked_and_not_hedged():
    world, upstream = hedged("a", "b", "c", a=[Kind.FAULT], b=[Kind.RATE_LIMITED])
    known(world, "c/m#k1", 0.7)
    upstream.takes = {"a": [1.5], "b": [2.0], "c": [9.0]}
    await timed(world)
    assert world.trail == [("a", Kind.FAULT), ("b", Kind.RATE_LIMITED), ("c", Kind.SERVED)]


@scene
async def test_a_refusal_that_concerns_the_request_ends_it():
    world, upstream = hedged(a=[Kind.FILTERED], b=[Kind.FAULT])
    upstream.takes = {"a": [1.5], "b": [0.5]}
    with pytest.raises(ApiError, match="refused"):
        await timed(world)
    assert world.trail == [("b", Kind.FAULT), ("a", Kind.FILTERED)]
    nothing_is_left(world)


@scene
async def test_a_fault_of_ours_calls_the_other_off():
    world, upstream = hedged(b=[RuntimeError("ours")])
    upstream.takes = {"a": [8.0], "b": [0.5]}
    with pytest.raises(RuntimeError, match="ours"):
        await timed(world)
    assert upstream.left == ["a"]
    nothing_is_left(world)


@scene
async def test_whoever_leaves_once_more_while_calls_are_ended_leaves_nothing_behind():
    world, upstream = hedged()
    upstream.takes, upstream.lingers = {"a": [8.0], "b": [9.0]}, 0.5
    asking = asyncio.create_task(timed(world))
    for _ in range(2):
        await asyncio.sleep(1.1 - 0.8 * asking.cancelling())
        asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await asyncio.sleep(1)
    assert sorted(upstream.left) == ["a", "b"]
    nothing_is_left(world)


@scene
async def test_a_stop_calls_both_off_and_is_neither_provider_s_nor_the_caller_s_doing():
    world, upstream = hedged()
    upstream.takes = {"a": [8.0], "b": [9.0]}
    asking = asyncio.create_task(timed(world))
    await asyncio.sleep(1)
    world.gateway.cut_short()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    told = world.receipts.last
    assert (told.like.status, told.like.code, told.like.caller_left) == (503, "shutting_down", False)
    assert [(note.provider, note.kind) for note in told.attempts] == [
        ("a", Kind.SHUTTING_DOWN),
        ("b", Kind.SHUTTING_DOWN),
    ]
    first, second = (note.usage for note in told.attempts)
    assert first is not None
    assert second is not None
    assert told.usage == first + second
    assert not any(world.is_suspect(f"{name}/m#k1") for name in "ab")
    nothing_is_left(world)


@scene
async def test_a_stop_in_the_stream_of_who_won_changes_nothing_about_who_lost():
    world, upstream = hedged(b=[streamed([SAID], [SAID])])
    upstream.takes = {"a": [8.0], "b": [0.5]}
    served = await world.gateway.chat(_call("free-fast"), world.context())
    await served.next()
    served.fail(stopped=True)
    await served.finish()
    assert dict(world.trail) == {"a": Kind.OUTRUN, "b": Kind.SHUTTING_DOWN}
    nothing_is_left(world)


def without_setting(world, upstream, given):
    world.gateway.loop.routing = Routing()


def another_strategy(world, upstream, given):
    given["name"] = "free-smart"


def pinned(world, upstream, given):
    given["name"] = "a/m"


def strict(world, upstream, given):
    given["context"] = world.context(strict=True)


def on_its_last_attempt(world, upstream, given):
    world.gateway.loop.routing = Routing(hedge=True, max_attempts=1)


def of_unknown_speed(world, upstream, given):
    world.gateway.standing.speed(world.candidate("a/m#k1")).samples = USUAL - 1


def beside_a_suspect(world, upstream, given):
    candidate = world.candidate("b/m#k1")
    trial = world.gateway.standing.begin(candidate, world.clock.now())
    world.gateway.standing.failed(candidate, trial, Kind.FAULT, world.clock.now(), jitter=0.0)


def beside_one_that_is_held(world, upstream, given):
    world.gateway.standing.hold(("provider", "b"), world.clock.now().mono + 60, "told so")


@pytest.mark.parametrize(
    "case",
    [
        without_setting,
        another_strategy,
        pinned,
        strict,
        on_its_last_attempt,
        of_unknown_speed,
        beside_a_suspect,
        beside_one_that_is_held,
    ],
    ids=lambda case: case.__name__,
)
def test_a_request_is_not_hedged(case):
    async def alone():
        world, upstream = hedged()
        given: dict[str, Any] = {}
        case(world, upstream, given)
        upstream.takes = {"a": [3.0]}
        assert await timed(world, given.pop("name", "free-fast"), **given) == 3.0
        assert upstream.providers_asked == ["a"]

    run(alone())


class Rivalled(MemoryCounters):
    """Counters of which somebody else takes what "b" has, in the moment before we do."""

    async def acquire(self, charges, now):
        if charges.pools[0].id.startswith("b/"):
            return Denied(now.mono + 1, charges.pools[0])
        return await super().acquire(charges, now)


def test_nor_if_a_rival_takes_the_room():
    async def rivalled():
        world, upstream = hedged(counters=Rivalled())
        upstream.takes = {"a": [3.0]}
        assert await timed(world) == 3.0
        assert upstream.providers_asked == ["a"]

    run(rivalled())


def test_nor_while_quota_is_scarce_elsewhere():
    async def scarce():
        world, upstream = hedged(b=[streamed(usage=Usage(10, 500))])  # of 1000 tokens
        await world.ask("b/m", stream=True)
        upstream.takes = {"a": [3.0]}
        assert await timed(world) == 3.0
        assert upstream.providers_asked == ["b", "a"]

    run(scarce())


def test_nor_while_somebody_waits_for_a_turn():
    async def contested():
        world, upstream = hedged()
        await world.ask("b/n")
        waiting = asyncio.create_task(world.ask("b/n"))
        await asyncio.sleep(1)
        upstream.takes = {"a": [3.0]}
        served = await world.gateway.chat(call("free-fast", stream=True), world.context())
        assert upstream.providers_asked == ["b", "a"]
        await served.finish()
        await waiting

    run(contested())
