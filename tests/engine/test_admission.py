"""Limits of a client's own: who is let in, who waits for that, and what is told."""

import asyncio

import pytest
from msgspec import structs

from freeroute.domain.catalogue import Limit, Unit, WindowKind
from freeroute.domain.clients import Client
from freeroute.domain.outcome import Kind
from freeroute.domain.usage import Usage
from freeroute.engine.admission import MOST_KEPT, Admission
from freeroute.engine.attempts import Routing
from freeroute.errors import CapacityExhausted, InvalidRequest, RateLimited, UpstreamFailed
from freeroute.stores.memory import MemoryCounters
from freeroute.wire.head import Head
from tests.support.clocks import ManualClock
from tests.support.virtual import LoopClock, run
from tests.support.world import World, provider

WINDOW = 60.0
PER_MINUTE = Limit(Unit.REQUESTS, 1, WINDOW, span="minute")
SLOT = Limit(Unit.CONCURRENCY, 1)


def alice(*limits: Limit, **given) -> Client:
    return Client("alice", b"a", limits=limits, **given)


def world(*providers, **given) -> World:
    return World(*(providers or [provider("a")]), clock=LoopClock(), **given)


async def timed(place: World, **context) -> float:
    began = place.clock.now().mono
    await place.ask(context=place.context(**context))
    return place.clock.now().mono - began


def test_a_spent_limit_is_not_waited_for_unless_the_request_says_so():
    async def scene():
        place = world(max_wait=300.0)
        client = alice(PER_MINUTE)
        await place.ask(context=place.context(client=client))
        refused = await place.fails(RateLimited, context=place.context(client=client))
        assert refused.code == "rate_limit_exceeded"
        assert refused.retry_after == pytest.approx(WINDOW, abs=1.0)
        assert refused.metadata == {"limit": "requests/minute", "amount": 1}

    run(scene())


def test_a_request_that_says_so_waits_for_its_own_limit():
    async def scene():
        place = world()
        client = alice(PER_MINUTE)
        await place.ask(context=place.context(client=client))
        waited = await timed(place, client=client, max_wait=90.0)
        assert waited == pytest.approx(WINDOW, abs=1.0)
        assert place.receipts.last.queued == pytest.approx(waited)

    run(scene())


def test_nobody_waits_for_a_limit_that_is_whole_again_too_late():
    async def scene():
        place = world()
        client = alice(PER_MINUTE)
        await place.ask(context=place.context(client=client))
        began = place.clock.now().mono
        await place.fails(RateLimited, context=place.context(client=client, max_wait=WINDOW / 2))
        assert place.clock.now().mono == began

    run(scene())


def test_a_slot_that_frees_lets_the_next_request_of_the_client_in():
    async def scene():
        place = world(seconds=7.0)
        client = alice(SLOT)
        first = asyncio.create_task(place.ask(context=place.context(client=client)))
        await asyncio.sleep(1)
        assert await timed(place, client=client, max_wait=30.0) == pytest.approx(13, abs=0.5)
        await first

    run(scene())


def test_so_many_wait_for_limits_of_their_own_at_once_and_no_more():
    async def scene():
        place = world(routing=Routing(waiting_room=1))
        client = alice(PER_MINUTE)
        await place.ask(context=place.context(client=client))
        waits = asyncio.create_task(timed(place, client=client, max_wait=90.0))
        await asyncio.sleep(1)
        await place.fails(RateLimited, context=place.context(client=client, max_wait=90.0))
        assert await waits > 50

    run(scene())


def test_a_caller_that_leaves_while_it_waits_leaves_its_place():
    async def scene():
        place = world(routing=Routing(waiting_room=1))
        client = alice(PER_MINUTE)
        await place.ask(context=place.context(client=client))
        leaves = asyncio.create_task(timed(place, client=client, max_wait=90.0))
        await asyncio.sleep(1)
        leaves.cancel()
        await asyncio.gather(leaves, return_exceptions=True)
        assert await timed(place, client=client, max_wait=90.0) > 50
        assert place.gateway.in_flight == 0

    run(scene())


def test_a_client_at_its_limit_keeps_nobody_else_waiting():
    async def scene():
        place = world()
        client = alice(PER_MINUTE)
        await place.ask(context=place.context(client=client))
        waits = asyncio.create_task(timed(place, client=client, max_wait=90.0))
        await asyncio.sleep(1)
        assert await timed(place, client=Client("bob", b"b")) == 0
        await waits

    run(scene())


@pytest.mark.parametrize(("asked", "waits"), [(None, 30.0), (10.0, 10.0), (100.0, 30.0)])
def test_a_client_s_own_bound_says_how_long_its_requests_wait_and_at_most(asked, waits):
    async def scene():
        place = world(provider("a", limits=(SLOT,)), seconds=waits - 1, max_wait=5.0)
        long = asyncio.create_task(place.ask())
        await asyncio.sleep(0)
        client = alice(max_wait=30.0)
        assert await timed(place, client=client, max_wait=asked) == pytest.approx(2 * waits - 2, abs=0.1)
        await long

    run(scene())


@pytest.mark.parametrize(("asked", "waits"), [(None, 30.0), (10.0, 10.0), (100.0, 30.0)])
def test_beyond_its_own_bound_no_request_of_a_client_waits(asked, waits):
    async def scene():
        place = world(provider("a", limits=(SLOT,)), seconds=200.0, max_wait=5.0)
        long = asyncio.create_task(place.ask())
        await asyncio.sleep(0)
        began = place.clock.now().mono
        await place.fails(
            CapacityExhausted, context=place.context(client=alice(max_wait=30.0), max_wait=asked)
        )
        assert place.clock.now().mono - began <= waits + 0.1
        await long

    run(scene())


def test_a_month_is_the_calendar_s():
    month = Limit(Unit.TOKENS, 100, 30 * 86400.0, window=WindowKind.CALENDAR, span="month")

    async def scene():
        place = world()
        client = alice(month)
        await place.ask(prompt=90, context=place.context(client=client))
        [reading] = place.counters.readings(client.pools, place.clock.now())
        assert reading.used == 30
        await place.fails(RateLimited, prompt=90, context=place.context(client=client))

    run(scene())


def test_errors_tell_a_client_its_limits_as_answers_do():
    async def scene():
        place = world(a=[Kind.FAULT])
        client = alice(Limit(Unit.REQUESTS, 5, WINDOW, span="minute"))
        context = place.context(client=client)
        place.gateway.refuse(context, "", error := InvalidRequest("bad"))
        assert error.headers["x-ratelimit-remaining-requests"] == "5"
        failed = await place.fails(UpstreamFailed, context=context)
        assert failed.headers["x-ratelimit-remaining-requests"] == "4"

    run(scene())


def test_a_limit_that_is_raised_while_it_is_used_goes_on_from_there():
    async def scene():
        place = world()
        place.gateway.enrol([alice(PER_MINUTE)])
        await place.ask(context=place.context(client=alice(PER_MINUTE)))
        roomier = alice(structs.replace(PER_MINUTE, amount=2))
        place.gateway.enrol([roomier])
        answer = await place.ask(context=place.context(client=roomier))
        assert answer.headers["x-ratelimit-limit-requests"] == "2"
        assert answer.headers["x-ratelimit-remaining-requests"] == "0"
        await place.fails(RateLimited, context=place.context(client=roomier))

    run(scene())


@pytest.mark.parametrize("heavy", [1.0, 3.0])
def test_a_client_that_queues_hundreds_keeps_the_one_of_another_waiting_for_a_few_turns(heavy):
    async def scene():
        slow = Limit(Unit.REQUESTS, 60, WINDOW, span="minute")
        place = world(provider("a", limits=(slow,)), max_wait=120.0)
        await asyncio.gather(*(place.ask(context=place.context(queue="-")) for _ in range(60)))
        flood = Client("flood", b"f", weight=heavy)
        flooding = [
            asyncio.create_task(place.ask(context=place.context(queue="flood", client=flood)))
            for _ in range(100)
        ]
        await asyncio.sleep(1)
        began = place.clock.now().mono
        await place.ask(context=place.context(queue="bob", client=Client("bob", b"b")))
        assert place.clock.now().mono - began <= WINDOW
        for task in flooding:
            task.cancel()
        await asyncio.gather(*flooding, return_exceptions=True)

    run(scene())


def test_an_unused_share_goes_to_the_others():
    async def scene():
        slow = Limit(Unit.REQUESTS, 10, WINDOW, span="minute")
        place = world(provider("a", limits=(slow,)), max_wait=120.0)
        clients = [
            Client(name, name.encode(), weight=weight) for name, weight in (("idle", 9.0), ("busy", 1.0))
        ]
        place.gateway.enrol(clients)
        asked = [place.ask(context=place.context(queue="busy", client=clients[1])) for _ in range(20)]
        began = place.clock.now().mono
        await asyncio.gather(*asked)
        assert place.clock.now().mono - began == pytest.approx(WINDOW, abs=1.0)

    run(scene())


@pytest.mark.parametrize(("after", "usage"), [(0.5, None), (1.5, Usage(10, estimated=True))])
def test_a_caller_that_leaves_is_charged_its_question_once_that_went_out(after, usage):
    async def scene():
        place = world(seconds=1.0)
        place.upstream.connecting = 1.0
        client = alice(Limit(Unit.TOKENS, 1000, WINDOW))
        asking = asyncio.create_task(place.ask(context=place.context(client=client)))
        await asyncio.sleep(after)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        told = place.receipts.last
        assert (told.like.status, told.like.code, told.like.caller_left) == (499, "caller_left", True)
        assert (told.usage, [note.usage for note in told.attempts]) == (usage, [usage])
        [reading] = place.counters.readings(client.pools, place.clock.now())
        assert reading.used == (usage.total if usage else 0)

    run(scene())


def test_a_whole_answer_is_told_with_what_it_took_itself():
    async def scene():
        place = world()
        client = alice(Limit(Unit.TOKENS, 100, WINDOW, span="minute"), PER_MINUTE)
        served = await place.ask(context=place.context(client=client))
        assert served.headers["x-ratelimit-remaining-tokens"] == "70"
        assert served.headers["x-ratelimit-remaining-requests"] == "0"
        limits = place.gateway.key(client)["data"]["freeroute"]["limits"]
        assert [limit["remaining"] for limit in limits] == [70, 0]

    run(scene())


def test_a_stream_is_told_with_what_its_prompt_took():
    async def scene():
        place = world()
        client = alice(Limit(Unit.TOKENS, 100, WINDOW, span="minute"))
        served = await place.ask(stream=True, context=place.context(client=client))
        assert served.headers["x-ratelimit-remaining-tokens"] == "90"

    run(scene())


def test_what_a_client_is_told_follows_its_limits():
    counters, clock = MemoryCounters(), ManualClock()
    admission = Admission(counters, clock, room=1)

    def told(client: Client) -> list[str | None]:
        counters.adopt(client.pools, clock.now())
        head = Head(admission.told(client, clock.now()))
        return [head.get(f"x-ratelimit-limit-{unit}") for unit in ("requests", "tokens")]

    tokens, slower = Limit(Unit.TOKENS, 100, WINDOW), structs.replace(PER_MINUTE, amount=7)
    assert told(alice(PER_MINUTE, SLOT)) == ["1", None]
    assert told(alice(slower, tokens)) == ["7", "100"]
    assert told(alice(SLOT)) == [None, None]
    assert told(alice()) == [None, None]
    for number in range(MOST_KEPT):
        client = Client(f"client-{number}", b"", limits=(tokens,))
        assert b"limit-tokens: 100" in admission.told(client, clock.now())
    assert told(alice(slower)) == ["7", None]
