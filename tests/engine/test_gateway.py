"""The gateway as surfaces see it: names, privacy, headers, receipts, status."""

import pytest

from freeroute.domain.catalogue import Limit, Privacy, Unit
from freeroute.domain.knocks import BURST, RATE
from freeroute.domain.outcome import Kind, Outcome
from freeroute.domain.traces import Trace
from freeroute.engine.view import Recording
from freeroute.errors import (
    CapacityExhausted,
    ContextTooLong,
    InvalidApiKey,
    InvalidRequest,
    NoProvider,
    NotFound,
    UnsupportedCapability,
    UpstreamFailed,
)
from freeroute.wire.chat import Preferences
from tests.support.world import Receipts, World, catalogue, model, provider


@pytest.mark.parametrize("name", ["100%", "%d", "a%%b"])
async def test_a_name_with_a_sign_of_forms_in_it_is_told_as_it_is(name):
    world = World(provider("a", model(name)))
    for _ in range(2):
        served = await world.ask("free")
        assert served.headers["x-freeroute-model"] == name
        assert served.headers["x-freeroute-overhead-ms"] == "0.0"


async def test_an_unknown_model_is_named_with_the_nearest():
    world = World(provider("groq", model("llama-3.3-70b")))
    with pytest.raises(NotFound, match=r"llama-3\.3-70b") as caught:
        await world.ask("lama-3.3-70b")
    assert caught.value.code == "model_not_found"
    assert not world.receipts.last.like.asked_known


@pytest.mark.parametrize(
    ("asked", "models", "trail"),
    [
        ("nope", ("nope", "a/m"), "nope=unknown"),
        ("a/m", ("nope", "none"), "nope=unknown; none=unknown"),
        ("nope", ("a/m", "a/m", "nope"), "nope=unknown"),
    ],
)
async def test_names_of_a_list_that_nothing_has_are_passed_over(asked, models, trail):
    world = World(provider("a", model("m")))
    answer = await world.ask(asked, models=models)
    assert answer.headers["x-freeroute-trail"] == trail
    assert world.upstream.asked == ["a/m#k1"]
    assert world.receipts.last.like.asked_known == (asked == "a/m")


async def test_a_list_in_which_nothing_has_a_name_is_refused_with_the_first():
    world = World(provider("a", model("m")))
    with pytest.raises(NotFound, match="'nope' does not exist"):
        await world.ask("nope", models=("nope", "none"))


async def test_without_any_provider_it_says_what_to_do():
    world = World()
    with pytest.raises(NoProvider, match="GROQ_API_KEY"):
        await world.ask()


@pytest.mark.parametrize("need", ["tools", "images", "json_schema"])
async def test_what_nothing_can_do_is_refused_before_any_call(need):
    world = World(provider("a"))
    with pytest.raises(UnsupportedCapability, match=need):
        await world.ask(needs=[need])
    assert world.upstream.asked == []


async def test_a_prompt_no_context_holds_is_refused_with_the_numbers():
    world = World(provider("a", model(context=1000)))
    told = "the prompt has about 5000 tokens; the largest context is 1000 tokens"
    error = await world.fails(ContextTooLong, prompt=5000, match=told)
    assert error.metadata is not None
    assert error.metadata["context_length"] == 1000
    error = await world.fails(ContextTooLong, prompt=900, max_output=700, match="and 700 more are asked for")
    assert error.metadata is not None
    assert (error.metadata["prompt_tokens"], error.metadata["max_tokens"]) == (900, 700)


async def test_a_context_that_is_too_small_by_the_estimate_alone_is_a_last_resort():
    small, large = model("small", quality=99, context=1000), model("large", context=4000)
    world = World(provider("a", small), provider("b", large))
    await world.ask("free-smart", prompt=1900)
    assert world.upstream.providers_asked == ["b"]
    refusal = Outcome(Kind.CONTEXT_TOO_LONG, 400, "too long")
    world = World(provider("a", small), a=[refusal])
    told = "the prompt has about 1900 tokens; the largest context is 1000 tokens"
    await world.fails(ContextTooLong, prompt=1900, match=told)
    await world.fails(ContextTooLong, prompt=2000, match="the largest context is 1000 tokens")
    await world.ask(prompt=1899)  # nothing is known of shorter ones
    assert world.upstream.providers_asked == ["a", "a"]


async def test_a_prompt_that_some_would_take_were_it_shorter_is_too_long_whatever_others_lack():
    world = World(
        provider("a", model(context=1000, capabilities=("tools",))),
        provider("b", model()),
        provider("c", model()),
    )
    preferred = Preferences(only=("a", "b"))
    with pytest.raises(ContextTooLong, match="the largest context is 1000 tokens"):
        await world.ask(prompt=5000, needs=["tools"], preferences=preferred)


async def test_a_prompt_larger_than_any_quota_is_refused():
    tokens = Limit(Unit.TOKENS, 1000, 60.0, span="minute")
    world = World(provider("a", limits=(tokens,)))
    with pytest.raises(ContextTooLong, match="larger than its quota"):
        await world.ask(prompt=5000)


async def test_capable_candidates_are_picked_by_what_the_request_needs():
    world = World(provider("a", model(quality=90)), provider("b", model(capabilities=["tools"])))
    await world.ask("free-smart", needs=["tools"])
    assert world.upstream.providers_asked == ["b"]


async def test_no_train_never_reaches_an_unknown_provider():
    world = World(
        provider("a", model(quality=90)),
        provider("b", privacy=Privacy.NO_TRAIN),
        provider("c", privacy=Privacy.TRAINS),
        no_train=True,
    )
    for _ in range(5):
        await world.ask("free-smart")
    assert set(world.upstream.providers_asked) == {"b"}


async def test_preferences_narrow_and_order():
    world = World(provider("a", model(quality=90)), provider("b"), provider("c"))
    await world.ask("free-smart", preferences=Preferences(order=("c", "b")))
    await world.ask("free-smart", preferences=Preferences(only=("b",)))
    await world.ask("free-smart", preferences=Preferences(ignore=("a", "b")))
    assert world.upstream.providers_asked == ["c", "b", "c"]


async def test_order_without_fallbacks_stays_within_the_order():
    world = World(provider("a"), provider("b"), b=[Kind.FAULT])
    with pytest.raises(Exception, match=r"attempts? failed"):
        await world.ask(preferences=Preferences(order=("b",), allow_fallbacks=False))
    assert world.upstream.providers_asked == ["b"]


async def test_what_a_provider_wrote_never_reaches_a_caller_s_error():
    world = World(provider("a"), a=[Outcome(Kind.FAULT, 500, "HTTP 500 your prompt was ...")])
    error = await world.fails(UpstreamFailed)
    assert "prompt" not in repr(error.body())


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


async def test_a_reload_keeps_what_candidates_that_stay_have_learned():
    world = World(provider("a"), provider("b"), a=[Kind.FAULT], b=[Kind.FAULT])
    with pytest.raises(Exception, match=r"attempts? failed"):
        await world.ask()
    world.gateway.adopt(catalogue(provider("a"), provider("c")))
    assert world.is_suspect("a/m#k1")
    await world.ask()
    assert world.upstream.providers_asked[-1] == "c"


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


async def test_a_reload_applies_new_limits_to_what_was_used():
    world = World(provider("a", limits=(Limit(Unit.REQUESTS, 5, 60.0),)))
    await world.ask()
    world.gateway.adopt(catalogue(provider("a", limits=(Limit(Unit.REQUESTS, 1, 60.0),))))
    with pytest.raises(CapacityExhausted):
        await world.ask()


def test_readiness_ends_with_draining():
    world = World(provider("a"))
    assert world.gateway.ready() == (True, {"status": "ready", "providers": 1})
    world.gateway.unsaved = True
    assert world.gateway.ready() == (True, {"status": "ready", "providers": 1, "state": "not saved"})
    world.gateway.unsaved = False
    world.gateway.recording = Recording()
    assert world.gateway.ready() == (True, {"status": "ready", "providers": 1})
    world.gateway.recording.failing = True
    assert world.gateway.ready() == (True, {"status": "ready", "providers": 1, "records": "not written"})
    world.gateway.draining = True
    assert world.gateway.ready() == (False, {"status": "draining"})


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
