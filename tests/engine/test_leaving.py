"""A caller leaves at each point at which its request waits for something: nothing of it stays behind."""

import asyncio

import pytest

from freeroute.domain.breaker import State
from freeroute.domain.catalogue import Limit, Pool, Unit
from freeroute.domain.clients import Client
from freeroute.domain.outcome import Kind, Outcome
from freeroute.domain.speed import USUAL
from freeroute.engine.attempts import Routing
from freeroute.engine.ports import Sent
from freeroute.errors import ApiError
from tests.support.leaving import leaving
from tests.support.virtual import LoopClock, run
from tests.support.world import ScriptedStream, World, call, model, provider

ONE = Limit(Unit.REQUESTS, 1, 60.0, span="minute")
TOKENS = Limit(Unit.TOKENS, 1_000, 60.0, span="minute")
SLOT = Limit(Unit.CONCURRENCY, 1)
CLIENT = Client("alice", b"h", limits=(SLOT, TOKENS))
LIMITED = Outcome(Kind.RATE_LIMITED, 429, retry_after=5)
LIMITS = (SLOT, TOKENS)


class SlowStream(ScriptedStream):
    """A stream that keeps whoever reads it waiting."""

    async def next(self):
        await asyncio.sleep(1)
        return await super().next()


def slow(ending: Kind = Kind.SERVED) -> Sent:
    stream = SlowStream([[b"one"], [b"two"]], Outcome(ending), None)
    return Sent(Outcome(Kind.SERVED), stream=stream)


def world(*providers, continues: bool = False, hedge: bool = False, **given) -> World:
    routing = Routing(deadline=600, max_wait_cap=600, continue_streams=continues, hedge=hedge)
    return World(*providers, clock=LoopClock(), seconds=1.0, max_wait=200.0, routing=routing, **given)


async def served() -> World:
    return world(provider("a", limits=LIMITS), a=[slow()])


async def cut() -> World:
    return world(provider("a", limits=LIMITS), a=[slow(Kind.TRUNCATED)])


def slowly(*texts: str, ending: Kind = Kind.SERVED) -> Sent:
    """Return a stream that another candidate can go on with."""
    chunks = [b'{"id":"i","choices":[{"index":0,"delta":{"content":"%s"}}]}' % t.encode() for t in texts]
    stream = SlowStream([[chunk] for chunk in chunks], Outcome(ending), None)
    return Sent(Outcome(Kind.SERVED), stream=stream)


def three(**given) -> World:
    """Return a world of three providers in which streams that die are continued."""
    quality = {"a": 90, "b": 70, "c": 50}
    places = [provider(name, model(quality=each), limits=LIMITS) for name, each in quality.items()]
    return world(*places, continues=True, **given)


async def continued() -> World:
    return three(a=[slowly("one", ending=Kind.STALLED)], b=[Kind.FAULT], c=[slowly("o", "ne two")])


async def continued_by_another_answer() -> World:
    broken = slowly("one", ending=Kind.TRUNCATED)
    return three(a=[broken], b=[slowly("another")], c=[slowly("on", ending=Kind.STALLED)])


def late(**given) -> World:
    """Return a world in which the first candidate is soon late, and another one may start beside it."""
    seconds = {"a": 0.2, "b": 3}
    places = [provider(name, model(first_token=each), limits=LIMITS) for name, each in seconds.items()]
    place = world(*places, hedge=True, **given)
    speed = place.gateway.standing.speed(place.candidate("a/m#k1"))
    for _ in range(USUAL):
        speed.measured(0.2, 0, 0.0, place.clock.now())
    place.asked = "free-fast"  # type: ignore[attr-defined]
    return place


async def hedged() -> World:
    return late(a=[slow()], b=[slow()])


async def hedged_and_failed() -> World:
    return late(a=[Kind.FAULT, slow()], b=[Kind.EMPTY, slow()])


async def waiting_for_quota() -> World:
    place = world(provider("a", limits=(ONE, *LIMITS)))
    await place.ask()
    return place


async def waiting_for_a_slot() -> World:
    place = world(provider("a", limits=LIMITS))
    place.upstream.scripts["a"] = [Kind.SERVED, slow()]
    busy = asyncio.create_task(place.ask())
    await asyncio.sleep(0)
    place.others = [busy]  # type: ignore[attr-defined]
    return place


async def waiting_among_others() -> World:
    place = world(provider("a", limits=(ONE, SLOT)), provider("b", limits=(ONE,)))
    await asyncio.gather(place.ask(), place.ask())
    others = [asyncio.create_task(place.ask(context=place.context(queue=name))) for name in "xy"]
    await asyncio.sleep(0)
    place.others = others  # type: ignore[attr-defined]
    return place


async def refused_elsewhere() -> World:
    return world(provider("a", limits=LIMITS), provider("b", limits=LIMITS), a=[LIMITED], b=[slow()])


async def refused_and_waited_out() -> World:
    return world(provider("a", limits=LIMITS), a=[LIMITED, slow()])


async def failed_elsewhere() -> World:
    return world(
        provider("a", limits=LIMITS), provider("b", limits=LIMITS), a=[Kind.FAULT], b=[Kind.EMPTY, slow()]
    )


async def failed_everywhere() -> World:
    return world(provider("a", limits=LIMITS), a=[Kind.UNREACHABLE])


async def asked_again() -> World:
    return world(provider("a", limits=LIMITS), a=[Kind.MISGENERATED, slow()])


async def walked_over_keys() -> World:
    place = provider("a", keys=("k1", "k2"), limits=LIMITS)
    return world(place, a=[Kind.KEY_INVALID, slow()])


async def broken_by_us() -> World:
    return world(provider("a", limits=LIMITS), a=[RuntimeError("ours")])


async def making_a_trial() -> World:
    place = world(provider("a", limits=LIMITS), a=[Kind.FAULT] * 3)
    for _ in range(3):
        await place.fails(ApiError, context=place.context(max_wait=0.0))
    await asyncio.sleep(15)
    place.upstream.scripts["a"] = [slow()]
    return place


async def making_a_provider_s_trial() -> World:
    place = world(provider("a", limits=LIMITS), a=[Kind.UNREACHABLE])
    await place.fails(ApiError, context=place.context(max_wait=0.0))
    await asyncio.sleep(15)
    place.upstream.scripts["a"] = [slow(Kind.STALLED)]
    return place


async def connecting() -> World:
    place = world(provider("a", limits=LIMITS), a=[slow()])
    place.upstream.connecting = 2.0
    return place


async def connecting_side_by_side() -> World:
    place = late(a=[slow()], b=[slow()])
    place.upstream.connecting = 0.5
    return place


SCENES = [
    served,
    connecting,
    connecting_side_by_side,
    cut,
    continued,
    continued_by_another_answer,
    hedged,
    hedged_and_failed,
    waiting_for_quota,
    waiting_for_a_slot,
    waiting_among_others,
    refused_elsewhere,
    refused_and_waited_out,
    failed_elsewhere,
    failed_everywhere,
    asked_again,
    walked_over_keys,
    broken_by_us,
    making_a_trial,
    making_a_provider_s_trial,
]


async def request(place: World, *, stream: bool, client: Client | None) -> None:
    """Ask as a surface does: whatever happens, what is served is finished."""
    asked = getattr(place, "asked", "free-smart")
    serving = await place.gateway.chat(call(asked, stream=stream), place.context(client=client))
    left = True
    try:
        while await serving.next():
            pass
        left = False
    finally:
        await serving.finish(caller_left=left)


async def left_at(scene, at: int, *, stream: bool, client: Client | None) -> bool:
    """Let a caller of *scene* leave as it waits for the time number *at*; say whether it waited so often."""
    place = await scene()
    asking = asyncio.create_task(_as_task(leaving(request(place, stream=stream, client=client), at)))
    left = False
    try:
        await asking
    except asyncio.CancelledError:
        left = True
        nothing_stays_behind(place, client, others=getattr(place, "others", ()))
    except (ApiError, RuntimeError):
        pass
    await asyncio.gather(*getattr(place, "others", ()))
    nothing_stays_behind(place, client)
    await asyncio.sleep(400)  # every hold of these scenes is over, and every window
    place.upstream.scripts.clear()
    await place.ask(context=place.context(client=client))
    nothing_stays_behind(place, client)
    return left


async def _as_task(awaitable):
    return await awaitable


def nothing_stays_behind(place: World, client: Client | None, others=()) -> None:
    if all(other.done() for other in others):
        assert place.counters.in_flight() == 0
        assert place.gateway.in_flight == 0
        assert len(place.gateway.loop.room) == 0
        for reading in place.counters.readings(_slots(place, client), place.clock.now()):
            assert reading.used == 0
    now = place.clock.now()
    for candidate in place.gateway.catalogue.candidates:
        for breaker in (
            place.gateway.standing.breaker(candidate),
            place.gateway.standing.provider_breaker(candidate.provider.id),
        ):
            assert breaker.state(now) is State.OPEN or breaker.permits(now)  # no trial is lost


def _slots(place: World, client: Client | None) -> list[Pool]:
    pools = [pool for candidate in place.gateway.catalogue.candidates for pool in candidate.pools]
    pools += client.pools if client is not None else ()
    return [pool for pool in pools if pool.limit.unit is Unit.CONCURRENCY]


@pytest.mark.parametrize("client", [None, CLIENT], ids=["anybody", "client"])
@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_a_caller_that_leaves_at_any_await_leaves_nothing_behind(scene, stream, client):
    at = 1
    while run(left_at(scene, at, stream=stream, client=client)):
        at += 1
        assert at < 50
    assert at > 1


@pytest.mark.parametrize(("after", "charged"), [(0.5, 0), (1.5, 100)])
def test_a_caller_that_leaves_is_charged_only_for_what_may_have_gone_out(after, charged):
    async def go() -> float:
        place = world(provider("a", limits=LIMITS), a=[slow()])
        place.upstream.connecting = 1.0
        asking = asyncio.create_task(place.gateway.chat(call(prompt=100), place.context()))
        await asyncio.sleep(after)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        assert place.receipts.last.like.caller_left
        nothing_stays_behind(place, None)
        [candidate] = place.gateway.catalogue.candidates
        readings = place.counters.readings(candidate.pools, place.clock.now())
        return next(reading.used for reading in readings if reading.pool.limit.unit is Unit.TOKENS)

    assert run(go()) == charged
