"""The one attempt loop: what comes after each ending, who is blamed, what is charged and held."""

import asyncio

import pytest

from freeroute.domain.breaker import State
from freeroute.domain.catalogue import Limit, Unit
from freeroute.domain.leases import Denied
from freeroute.domain.outcome import Kind, Outcome
from freeroute.engine.attempts import Routing
from freeroute.errors import (
    ApiError,
    CapacityExhausted,
    ContentFiltered,
    InvalidRequest,
    LoopDetected,
    NoProvider,
    UpstreamFailed,
    UpstreamTimeout,
)
from freeroute.stores.memory import MemoryCounters
from tests.support.world import PER_MINUTE, World, model, provider, two

FAULTS = [
    Kind.GARBAGE,
    Kind.EMPTY,
    Kind.FAULT,
    Kind.UNREACHABLE,
    Kind.DISCONNECTED,
    Kind.TIMED_OUT,
    Kind.TRUNCATED,
]
# Neither of these is the provider's fault, yet another candidate can do better.
BLAMELESS = [
    Kind.RATE_LIMITED,
    Kind.NO_CAPACITY,
    Kind.FORBIDDEN,
    Kind.MODEL_GONE,
    Kind.LOADING,
    Kind.CROWDED,
    Kind.TOO_LARGE,
]


@pytest.mark.parametrize("kind", FAULTS)
async def test_a_provider_s_fault_moves_on_and_feeds_its_breaker(kind):
    world = two(a=[kind])
    await world.ask("free-smart")
    assert world.upstream.providers_asked == ["a", "b"]
    assert world.is_suspect("a/m#k1")


@pytest.mark.parametrize("kind", BLAMELESS)
async def test_what_is_nobody_s_fault_moves_on_and_leaves_the_breaker_alone(kind):
    world = two(a=[kind])
    await world.ask("free-smart")
    assert world.upstream.providers_asked == ["a", "b"]
    assert not world.is_suspect("a/m#k1")


async def test_an_unreachable_provider_rests_as_a_whole():
    world = World(
        provider("a", model("x", quality=90), model("y", quality=90)), provider("b"), a=[Kind.UNREACHABLE]
    )
    await world.ask("free-smart")
    assert world.upstream.providers_asked == ["a", "b"]
    assert world.gateway.standing.provider_breaker("a").state(world.clock.now()) is State.OPEN


async def test_a_bad_key_costs_one_call_and_the_next_key_serves():
    world = World(provider("a", keys=("bad", "good")), a=[Kind.KEY_INVALID])
    await world.ask()
    await world.ask()
    assert world.upstream.asked == ["a/m#bad", "a/m#good", "a/m#good"]


async def test_a_walk_over_keys_does_not_use_up_the_attempts():
    keys = tuple(f"k{i}" for i in range(12))
    world = World(provider("a", keys=keys), routing=Routing(max_attempts=2), a=[Kind.KEY_INVALID] * 11)
    await world.ask()
    assert len(world.upstream.asked) == 12


async def test_what_was_never_sent_uses_up_no_attempt():
    unfit = Outcome(Kind.BAD_PARAMETER, param="prediction", counted=False)
    world = World(*(provider(f"p{i}") for i in range(6)), routing=Routing(max_attempts=2))
    world.upstream.scripts = {f"p{i}": [unfit] for i in range(5)}
    await world.ask()
    assert len(world.upstream.asked) == 6


async def test_attempts_are_bounded():
    world = World(*(provider(f"p{i}") for i in range(6)), routing=Routing(max_attempts=3))
    world.upstream.scripts = {f"p{i}": [Kind.FAULT] for i in range(6)}
    error = await world.fails(UpstreamFailed)
    assert len(world.upstream.asked) == 3
    assert error.metadata is not None
    assert len(error.metadata["attempts"]) == 3


async def test_no_attempt_starts_after_the_deadline():
    world = World(
        *(provider(f"p{i}") for i in range(4)), seconds=50, routing=Routing(deadline=80), p0=[Kind.FAULT]
    )
    world.upstream.scripts = {f"p{i}": [Kind.FAULT] for i in range(4)}
    await world.fails(UpstreamFailed)
    assert len(world.upstream.asked) == 2


async def test_a_gateway_that_leads_back_here_is_told_as_a_loop():
    loop = Outcome(Kind.FAULT, 508, code="loop_detected")
    error = await World(provider("a"), a=[loop]).fails(LoopDetected)
    assert (error.status, error.code) == (508, "loop_detected")
    await two(a=[loop], b=[Kind.FAULT]).fails(UpstreamFailed)


@pytest.mark.parametrize("kind", [Kind.MISGENERATED, Kind.STALE])
async def test_a_slip_is_repeated_once_there_then_elsewhere(kind):
    world = two(a=[kind, kind])
    await world.ask("free-smart")
    assert world.upstream.providers_asked == ["a", "a", "b"]


async def test_after_a_stale_connection_a_fresh_one_is_asked_for_of_that_candidate():
    world = two(a=[Kind.STALE, Kind.FAULT])
    await world.ask("free-smart")
    assert world.upstream.providers_asked == ["a", "a", "b"]
    assert [terms.dispatch.fresh for terms in world.upstream.terms] == [False, True, False]


async def test_a_stale_connection_costs_no_quota():
    world = two(a=[Outcome(Kind.STALE, counted=False)])
    await world.ask("free-smart")
    assert world.used("a") == [1]


@pytest.mark.parametrize(
    ("kind", "status", "failed_calls_count", "counted"),
    [
        (Kind.KEY_INVALID, 401, True, 0),
        (Kind.NO_CREDIT, 402, True, 0),
        (Kind.NO_CAPACITY, 429, False, 0),
        (Kind.NO_CAPACITY, 429, True, 1),
        (Kind.LOADING, 503, False, 0),
        (Kind.RATE_LIMITED, 429, False, 0),
        (Kind.RATE_LIMITED, 429, True, 1),
        (Kind.FAULT, 503, False, 1),
    ],
)
async def test_a_failed_call_takes_from_the_quota_what_its_provider_counted(
    kind, status, failed_calls_count, counted
):
    a = provider("a", limits=(PER_MINUTE,), failed_calls_count=failed_calls_count)
    world = World(a, a=[Outcome(kind, status)])
    with pytest.raises(ApiError):
        await world.ask()
    assert world.used("a") == [counted]


@pytest.mark.parametrize(
    ("kind", "status", "tokens"),
    [(Kind.REDIRECTED, 302, 0), (Kind.REJECTED, 400, 0), (Kind.FAULT, 503, 10)],
)
async def test_what_was_refused_before_anything_was_generated_takes_no_tokens(kind, status, tokens):
    a = provider("a", limits=(Limit(Unit.TOKENS, 1000, 60.0, span="minute"),))
    world = World(a, a=[Outcome(kind, status)])
    with pytest.raises(ApiError):
        await world.ask()
    assert world.used("a") == [tokens]


async def test_a_rejected_request_gets_a_second_opinion():
    world = two(a=[Outcome(Kind.REJECTED, 400, request_error="bad image")])
    await world.ask("free-smart")
    assert world.upstream.providers_asked == ["a", "b"]


async def test_a_request_two_providers_reject_is_the_caller_s_error():
    rejection = Outcome(Kind.REJECTED, 400, request_error="bad image")
    world = two(a=[rejection], b=[rejection])
    with pytest.raises(InvalidRequest, match="bad image"):
        await world.ask("free-smart")
    assert not world.is_suspect("a/m#k1")


async def test_a_request_the_only_provider_rejects_is_the_caller_s_error():
    world = World(provider("a"), a=[Outcome(Kind.REJECTED, 400, request_error="bad image")])
    await world.fails(InvalidRequest, match="bad image")


MISFIT = Outcome(Kind.NONCONFORMING, 200, "the answer does not fit the schema: required")


async def test_an_answer_that_does_not_fit_its_schema_is_asked_of_another_model_once():
    world = two(a=[MISFIT])
    await world.ask("free-smart")
    assert world.upstream.providers_asked == ["a", "b"]
    assert not world.is_suspect("a/m#k1")


async def test_a_second_answer_that_does_not_fit_is_the_end():
    world = World(provider("a"), provider("b"), provider("c"), a=[MISFIT], b=[MISFIT], c=[MISFIT])
    error = await world.fails(UpstreamFailed, match="no answer fits the schema asked for: .*required")
    assert len((error.metadata or {})["attempts"]) == 2


async def test_another_key_is_no_other_model_when_an_answer_does_not_fit():
    world = World(provider("a", keys=("k1", "k2")), a=[MISFIT])
    await world.fails(UpstreamFailed, match="no answer fits the schema")
    assert len(world.upstream.asked) == 1


async def test_a_stream_that_is_checked_first_has_the_time_of_a_whole_answer():
    plain = model(capabilities={"json_object"})
    world = World(provider("a", plain))
    for needs in ((), ("json_schema",)):
        await world.ask(stream=True, needs=needs)
    streamed, checked = world.upstream.terms
    assert checked.first_event > streamed.first_event


async def test_a_content_filter_is_final():
    world = two(a=[Outcome(Kind.FILTERED, 400, request_error="refused by the content filter")])
    with pytest.raises(ContentFiltered):
        await world.ask("free-smart")
    assert world.upstream.providers_asked == ["a"]


async def test_a_429_holds_for_as_long_as_it_says():
    world = two(a=[Outcome(Kind.RATE_LIMITED, 429, retry_after=35)])
    await world.ask("free-smart")
    world.clock.advance(34)
    await world.ask("free-smart")
    world.clock.advance(2)
    await world.ask("free-smart")
    assert world.upstream.providers_asked == ["a", "b", "b", "a"]


async def test_nothing_free_is_said_at_once_with_when():
    limit = Limit(Unit.REQUESTS, 1, 60.0, span="minute")
    world = World(provider("a", limits=(limit,)))
    await world.ask()
    error = await world.fails(CapacityExhausted)
    assert 59 <= (error.retry_after or 0) <= 61
    assert error.metadata is not None
    [line] = error.metadata["candidates"]
    assert line["provider"] == "a"
    assert line["reason"] == "out of quota"
    assert world.upstream.asked == ["a/m#k1"]


async def test_all_timed_out_is_a_504():
    world = two(a=[Kind.TIMED_OUT], b=[Kind.TIMED_OUT])
    await world.fails(UpstreamTimeout)


async def test_strict_asks_one_candidate_once():
    world = two(a=[Kind.FAULT])
    with pytest.raises(UpstreamFailed):
        await world.ask("free-smart", context=world.context(strict=True))
    assert world.upstream.providers_asked == ["a"]


async def test_when_all_rest_the_least_bad_is_tried_rather_than_refusing():
    world = World(provider("a"), a=[Kind.UNREACHABLE])
    await world.fails(UpstreamFailed)
    await world.ask()
    assert world.upstream.asked == ["a/m#k1", "a/m#k1"]


async def test_a_caller_that_leaves_before_the_answer_blames_nobody_and_frees_everything():
    world = two(a=[asyncio.CancelledError()])
    with pytest.raises(asyncio.CancelledError):
        await world.ask("free-smart")
    assert world.counters.in_flight() == 0
    assert world.used("a") == [1]
    assert not world.is_suspect("a/m#k1")
    told = world.receipts.last
    assert (told.like.status, told.like.code, told.like.caller_left) == (499, "caller_left", True)


async def test_with_every_key_refused_the_gateway_says_that_nothing_can_be_used():
    world = World(provider("a"), a=[Kind.KEY_INVALID])
    await world.fails(UpstreamFailed)
    await world.fails(NoProvider, match="key was refused as invalid")


async def test_a_rival_that_takes_the_last_room_leaves_the_choice_open():
    class Contested(MemoryCounters):
        """A store whose first lease is refused, as a shared one may after a rival was quicker."""

        contested = True

        async def acquire(self, charges, now):
            if self.contested:
                self.contested = False
                return Denied(now.mono, charges.pools[0])
            return await super().acquire(charges, now)

    world = two(counters=Contested())
    await world.ask("free-smart")
    assert world.upstream.providers_asked == ["a"]
