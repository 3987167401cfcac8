"""What is told of a request: headers to its caller, a receipt to observers, spans to a trace."""

import pytest

from freeroute.domain.catalogue import Limit, Unit
from freeroute.domain.knocks import BURST, RATE
from freeroute.domain.outcome import Kind, Outcome
from freeroute.domain.traces import Trace
from freeroute.errors import (
    CapacityExhausted,
    InvalidApiKey,
    InvalidRequest,
)
from tests.support.world import Receipts, World, model, provider


async def test_answers_say_who_answered_and_what_happened_before():
    world = World(provider("a", model(quality=90)), provider("b"), a=[Outcome(Kind.FAULT, 503)], seconds=0.25)
    served = await world.ask("free-smart")
    assert served.headers == {
        "x-freeroute-provider": "b",
        "x-freeroute-model": "m",
        "x-freeroute-attempts": "2",
        "x-freeroute-trail": "a/m=fault:503",
        "x-freeroute-queue-ms": "0",
        "x-freeroute-overhead-ms": "0.0",
    }


async def test_errors_carry_the_same_headers():
    world = World(provider("a", limits=(Limit(Unit.REQUESTS, 1, 60.0),)))
    await world.ask()
    with pytest.raises(CapacityExhausted) as caught:
        await world.ask()
    assert caught.value.headers["x-freeroute-attempts"] == "0"


async def test_the_receipt_tells_the_whole_story_but_no_content():
    world = World(
        provider("a", model(quality=90)), provider("b"), a=[Outcome(Kind.FAULT, 503, "down")], seconds=1
    )
    await world.ask("free-smart")
    receipt = world.receipts.last
    assert (receipt.like.provider, receipt.like.model, receipt.like.key) == ("b", "m", "k1")
    assert [note.kind for note in receipt.attempts] == [Kind.FAULT, Kind.SERVED]
    assert receipt.total == 2
    assert receipt.usage is not None
    assert receipt.usage.total == 30
    assert "secret" not in repr(receipt)


async def test_a_fault_of_our_own_is_recorded_as_such():
    world = World(provider("a"), a=[RuntimeError("boom")])
    with pytest.raises(RuntimeError):
        await world.ask()
    assert world.receipts.last.like.status == 500
    assert [note.kind for note in world.receipts.last.attempts] == [Kind.INTERNAL]
    assert not world.is_suspect("a/m#k1")
    assert world.counters.in_flight() == 0


async def test_a_broken_observer_costs_no_caller_an_answer():
    class Broken:
        def saw(self, receipt):
            raise RuntimeError("disk full")

    world = World(provider("a"))
    world.gateway._accounting._observers = (Broken(), world.receipts)
    await world.ask()
    assert world.receipts.last.like.status == 200


async def test_the_hop_and_the_trace_travel_on():
    world = World(provider("a"))
    trace = Trace("a" * 32, "b" * 16, flags=1)
    await world.ask(context=world.context(hop=1, trace=trace))
    (terms,), (note,) = world.upstream.terms, world.receipts.last.attempts
    assert (terms.hop, terms.traceparent) == (2, trace.header(note.span))
    assert note.span not in (None, trace.span)
    assert world.receipts.last.trace is trace


async def test_each_attempt_is_a_span_of_its_own():
    world = World(provider("a"), provider("b"), a=[Kind.FAULT], seconds=0.5)
    await world.ask(context=world.context(trace=Trace("a" * 32, "b" * 16)))
    first, second = world.receipts.last.attempts
    assert first.span != second.span
    assert (first.began, second.began) == (0.0, 0.5)


async def test_without_a_trace_nothing_of_one_is_made():
    world = World(provider("a"))
    await world.ask()
    assert world.upstream.terms[0].traceparent is None
    assert (world.receipts.last.trace, world.receipts.last.attempts[0].span) == (None, None)


async def test_a_trace_begins_here_if_that_is_wanted_and_none_came():
    world = World(provider("a"))
    world.gateway.traced = 1.0
    await world.ask()
    begun = world.receipts.last.trace
    assert begun is not None
    assert (begun.parent, begun.sampled) == (None, True)
    came = Trace("a" * 32, "b" * 16, "c" * 16)
    await world.ask(context=world.context(trace=came))
    assert world.receipts.last.trace is came
    world.gateway.traced = 0.0
    await world.ask()
    unrecorded = world.receipts.last.trace
    assert unrecorded is not None
    assert not unrecorded.sampled


async def test_a_refusal_before_the_call_gets_a_receipt():
    world = World(provider("a"))
    world.gateway.refuse(world.context(), "free", InvalidRequest("bad", param="messages"))
    assert world.receipts.last.like.status == 400


async def test_a_flood_that_is_turned_away_is_counted_and_leaves_few_receipts():
    world = World(provider("a"))
    for _ in range(10_000):
        error = InvalidApiKey("no")
        world.gateway.turn_away(world.context(), error)
        assert error.headers["x-freeroute-attempts"] == "0"
        world.clock.advance(0.0001)
    world.clock.advance(1)
    world.gateway.turn_away(world.context(), InvalidApiKey("no"))
    receipts = world.receipts.seen
    assert {(one.like.status, one.like.code, one.like.client) for one in receipts} == {
        (401, "invalid_api_key", "-")
    }
    assert BURST <= len(receipts) <= BURST + 2 * RATE
    assert sum(1 + one.unrecorded for one in receipts) == 10_001
    totals = world.gateway.status()["totals"]
    assert (totals["requests"], totals["failed"]) == (10_001, 10_001)


async def test_whoever_comes_to_observe_later_sees_what_finishes_from_then_on():
    world, late = World(provider("a")), Receipts()
    await world.ask()
    world.gateway.observe(late)
    await world.ask()
    assert late.seen == world.receipts.seen[1:]
