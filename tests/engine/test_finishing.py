"""The end of a request: what has nothing to wait for is done at once, and a receipt comes last."""

import asyncio
import math
from collections.abc import Mapping

import pytest

from freeroute.clock import Now
from freeroute.domain.catalogue import Limit, Unit
from freeroute.domain.clients import Client, hash_key
from freeroute.domain.leases import Lease
from freeroute.domain.outcome import Kind
from freeroute.domain.usage import Usage
from freeroute.engine.attempts import Routing
from freeroute.engine.relay import Serving
from freeroute.engine.served import DONE
from freeroute.errors import NotFound
from freeroute.stores.memory import MemoryCounters
from freeroute.wire.chat import CallContext
from tests.support.world import ScriptedStream, World, call, provider, read, streamed

TOKENS = Limit(Unit.TOKENS, 1000, 60.0, span="minute")
ALICE = Client("alice", hash_key("key"), limits=(Limit(Unit.TOKENS, 5000, 60.0, span="minute"),))
SAID = b'{"id":"i","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"one"}}]}'


class Shared(MemoryCounters):
    """Counters of several gateways: who settles has to wait for them."""

    async def settle(self, lease: Lease, actual: Mapping[Unit, float], now: Now) -> None:
        await asyncio.sleep(0)
        await super().settle(lease, actual, now)


@pytest.mark.parametrize("stream", [False, True])
async def test_what_has_nothing_to_wait_for_is_done_when_it_is_told_to_end(stream):
    world = World(provider("a", limits=(TOKENS,)))
    served = await world.gateway.chat(call(stream=stream), world.context(client=ALICE))
    await read(served)
    assert served.finish() is DONE
    assert world.counters.in_flight() == 0
    assert world.receipts.last.like.status == 200
    assert served.finish() is DONE
    assert len(world.receipts.seen) == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_a_receipt_is_written_once_shared_counters_have_settled_what_was_used(stream):
    world = World(provider("a", limits=(TOKENS,)), counters=Shared())
    served = await world.gateway.chat(call(stream=stream), world.context(client=ALICE))
    await read(served)
    finishing = served.finish()
    assert world.receipts.seen == []
    await finishing
    assert world.used("a") == [30]
    assert world.counters.in_flight() == 0
    assert world.receipts.last.like.client == "alice"


async def test_all_parts_of_an_answer_are_settled_before_its_receipt_is_written():
    dies = streamed([SAID], ending=Kind.STALLED, usage=Usage(10, 5))
    world = World(
        provider("a", limits=(TOKENS,)),
        provider("b", limits=(TOKENS,)),
        counters=Shared(),
        a=[dies],
        b=[streamed([SAID], usage=Usage(10, 7))],
    )
    served = await world.gateway.chat(call(stream=True), world.context(continues=True))
    await read(served)
    await served.finish()
    assert (world.used("a"), world.used("b")) == ([15], [17])
    assert world.receipts.last.continued == 1


async def test_a_fault_of_ours_after_a_whole_answer_is_ours_and_not_its_provider_s():
    world = World(provider("a"))
    served = await world.gateway.chat(call(), world.context())
    assert served.fail() is None
    await served.finish()
    assert world.receipts.last.like.code == Kind.INTERNAL.value
    assert not world.is_suspect("a/m#k1")


@pytest.mark.parametrize(("stalled", "kind"), [(False, Kind.CALLER_LEFT), (True, Kind.CALLER_STALLED)])
async def test_a_caller_that_leaves_before_its_whole_answer_is_told_is_charged_for_it(stalled, kind):
    world = World(provider("a", limits=(TOKENS,)))
    served = await world.gateway.chat(call(), world.context())
    await served.finish(caller_left=True, stalled=stalled)
    told = world.receipts.last
    assert (told.like.status, told.like.code, told.like.caller_left) == (499, kind.value, True)
    assert [note.kind for note in told.attempts] == [kind]
    assert world.used("a") == [30]
    assert not world.is_suspect("a/m#k1")


async def test_a_request_that_was_refused_before_it_was_a_call_has_a_trace_where_traces_begin_here():
    world = World(provider("a"))
    world.gateway.traced = 1.0
    world.gateway.refuse(world.context(), "m", NotFound("no"))
    assert world.receipts.last.trace is not None


def test_nobody_waits_beyond_the_deadline_or_what_is_allowed_at_most():
    routing = Routing(deadline=50.0, max_wait=20.0, max_wait_cap=40.0)

    def waits(routing: Routing, **given) -> float:
        return routing.patience(CallContext("r", Now(10.0, 0.0), **given)) - 10.0

    assert waits(routing) == 20.0
    assert waits(routing, max_wait=30.0) == 30.0
    assert waits(routing, max_wait=45.0) == 40.0
    assert waits(Routing(deadline=5.0)) == 5.0
    assert waits(routing, strict=True) == -math.inf


async def test_a_part_that_has_ended_has_nothing_to_end():
    world = World(provider("a"))
    served = await world.gateway.chat(call(stream=True), world.context())
    assert isinstance(served, Serving)
    await read(served)
    await served.finish()
    assert served.teller.end(world.clock.now(), left=None) is DONE


async def test_what_a_stream_turns_out_not_to_have_honoured_is_told_in_its_receipt():
    sent = streamed()
    assert isinstance(sent.stream, ScriptedStream)
    sent.stream.lost = ("seed",)
    world = World(provider("a"), a=[sent])
    await world.ask(stream=True)
    assert world.receipts.last.dropped == ("seed",)
