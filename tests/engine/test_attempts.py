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
    ContextTooLong,
    InvalidRequest,
    LoopDetected,
    NoProvider,
    UpstreamFailed,
    UpstreamTimeout,
)
from freeroute.stores.memory import MemoryCounters
from tests.support.world import PER_MINUTE, World, model, provider

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
    Kind.TOO_LARGE,
]


def two(**scripts) -> World:
    better = model(quality=90)
    return World(provider("a", better, limits=(PER_MINUTE,)), provider("b", limits=(PER_MINUTE,)), **scripts)


def used(world: World, provider_id: str) -> float:
    pools = next(c.pools for c in world.gateway.catalogue.candidates if c.provider.id == provider_id)
    return world.counters.readings(pools, world.clock.now())[0].used


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


@pytest.mark.parametrize(("param", "again"), [("seed", True), ("brand_new_field", True), ("tools", False)])
async def test_a_refused_parameter_is_dropped_only_where_nothing_relies_on_it(param, again):
    world = two(a=[Outcome(Kind.BAD_PARAMETER, 400, param=param)])
    served = await world.ask("free-smart", fields=[param])
    assert world.upstream.providers_asked == (["a", "a"] if again else ["a", "b"])
    if again:
        assert world.upstream.terms[1].without == {param}
        assert served.headers["x-freeroute-dropped"] == param


async def test_a_dropped_parameter_is_remembered():
    world = two(a=[Outcome(Kind.BAD_PARAMETER, 400, param="seed")])
    await world.ask("free-smart", fields=["seed"])
    served = await world.ask("free-smart", fields=["seed"])
    assert world.upstream.providers_asked == ["a", "a", "a"]
    assert world.upstream.terms[2].without == {"seed"}
    assert served.headers["x-freeroute-dropped"] == "seed"


async def test_a_parameter_that_is_refused_for_its_value_is_dropped_from_that_request_alone():
    world = two(a=[Outcome(Kind.BAD_PARAMETER, 400, param="seed", lasting=False)])
    served = await world.ask("free-smart", fields=["seed"])
    assert world.upstream.providers_asked == ["a", "a"]
    assert served.headers["x-freeroute-dropped"] == "seed"
    served = await world.ask("free-smart", fields=["seed"])
    assert [terms.without for terms in world.upstream.terms] == [frozenset(), {"seed"}, frozenset()]
    assert "x-freeroute-dropped" not in served.headers


async def test_what_an_api_asked_for_and_no_provider_is_asked_for_is_told():
    world = two()
    served = await world.ask(dropped=("web_search",))
    assert served.headers["x-freeroute-dropped"] == "web_search"


async def test_a_provider_that_cannot_tell_usage_in_streams_is_not_asked_for_it_again():
    refusal = Outcome(Kind.BAD_PARAMETER, 400, param="stream_options")
    world = World(provider("a"), a=[refusal])
    served = await world.ask(stream=True)
    assert [terms.without for terms in world.upstream.terms] == [frozenset(), {"stream_options"}]
    assert "x-freeroute-dropped" not in served.headers  # the caller never asked for it
    await world.ask()
    assert world.upstream.terms[-1].without == frozenset()


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        (Outcome(Kind.BAD_PARAMETER, 400, param="logprobs", request_error="no logprobs"), InvalidRequest),
        (Outcome(Kind.TOO_LARGE, 413, request_error="more than a minute's tokens"), ContextTooLong),
    ],
)
async def test_what_no_provider_offers_is_the_caller_s_error(outcome, error):
    world = two(a=[outcome], b=[outcome])
    told = await world.fails(error, match=outcome.request_error)
    assert told.param == (outcome.param or "messages")


async def test_a_refused_feature_is_not_asked_there_again_while_others_offer_it():
    world = two(a=[Outcome(Kind.BAD_PARAMETER, 400, param="logprobs")])
    for _ in range(2):
        await world.ask("free-smart", features=frozenset({"logprobs"}))
    await world.ask("free-smart")
    assert world.upstream.providers_asked == ["a", "b", "b", "a"]


async def test_a_gateway_that_leads_back_here_is_told_as_a_loop():
    loop = Outcome(Kind.FAULT, 508, code="loop_detected")
    error = await World(provider("a"), a=[loop]).fails(LoopDetected)
    assert (error.status, error.code) == (508, "loop_detected")
    await two(a=[loop], b=[Kind.FAULT]).fails(UpstreamFailed)


async def test_what_one_provider_does_not_offer_and_another_fails_at_may_work_later():
    world = two(a=[Outcome(Kind.BAD_PARAMETER, 400, param="logprobs")], b=[Kind.FAULT])
    await world.fails(UpstreamFailed)


async def test_a_refused_member_of_messages_is_left_to_the_adapter():
    world = two(a=[Outcome(Kind.BAD_PARAMETER, 400, param="messages[].name")])
    await world.ask("free-smart")
    assert world.upstream.terms[1].without == {"messages[].name"}


async def test_a_parameter_refused_twice_goes_to_the_next_candidate():
    world = two(a=[Outcome(Kind.BAD_PARAMETER, 400, param="seed")] * 2)
    await world.ask("free-smart", fields=["seed"])
    assert world.upstream.providers_asked == ["a", "a", "b"]


@pytest.mark.parametrize("kind", [Kind.MISGENERATED, Kind.STALE])
async def test_a_slip_is_repeated_once_there_then_elsewhere(kind):
    world = two(a=[kind, kind])
    await world.ask("free-smart")
    assert world.upstream.providers_asked == ["a", "a", "b"]


async def test_a_stale_connection_costs_no_quota():
    world = two(a=[Outcome(Kind.STALE, counted=False)])
    await world.ask("free-smart")
    assert used(world, "a") == 1


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
    assert used(world, "a") == counted


@pytest.mark.parametrize(
    ("kind", "status", "tokens"),
    [(Kind.REDIRECTED, 302, 0), (Kind.REJECTED, 400, 0), (Kind.FAULT, 503, 10)],
)
async def test_what_was_refused_before_anything_was_generated_takes_no_tokens(kind, status, tokens):
    a = provider("a", limits=(Limit(Unit.TOKENS, 1000, 60.0, span="minute"),))
    world = World(a, a=[Outcome(kind, status)])
    with pytest.raises(ApiError):
        await world.ask()
    assert used(world, "a") == tokens


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


async def test_a_parameter_the_caller_insists_on_is_not_left_out_but_asked_of_another():
    refusal = Outcome(Kind.BAD_PARAMETER, 400, param="seed")
    world = two(a=[refusal])
    await world.ask("free-smart", fields=["seed"], parameters={"seed": 1})
    assert world.upstream.providers_asked == ["a", "b"]
    await world.ask("free-smart", fields=["seed"], parameters={"seed": 1})
    assert world.upstream.providers_asked == ["a", "b", "b"]  # it was learned
    await world.ask("free-smart", fields=["seed"])
    assert world.upstream.terms[-1].without == {"seed"}


async def test_a_parameter_that_was_never_sent_teaches_nothing():
    unsent = Outcome(Kind.BAD_PARAMETER, param="seed", counted=False, request_error="A does not take seed")
    world = World(provider("a"), a=[unsent])
    await world.fails(InvalidRequest, match="does not take seed", fields=["seed"], parameters={"seed": 1})
    await world.ask(fields=["seed"])
    assert world.upstream.terms[-1].without == frozenset()


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


async def test_a_prompt_too_long_for_one_goes_to_a_roomier_one_and_the_limit_is_learned():
    small, big = model("small", quality=90, context=100_000), model("big", context=200_000)
    world = World(
        provider("a", small),
        provider("b", model("same", quality=80, context=100_000)),
        provider("c", big),
        a=[Outcome(Kind.CONTEXT_TOO_LONG, 400, context=8192)],
    )
    await world.ask("free-smart", prompt=9000)
    assert world.upstream.providers_asked == ["a", "b"]
    assert world.gateway.standing.context(world.candidate("a/small#k1")) == 8192


async def test_a_prompt_too_long_for_all_is_told_so():
    world = World(provider("a"), a=[Outcome(Kind.CONTEXT_TOO_LONG, 400, request_error="8192 tokens at most")])
    error = await world.fails(ContextTooLong, match="8192 tokens at most$")
    assert "context_length" not in (error.metadata or {})


async def test_a_prompt_too_long_for_what_errors_taught_is_told_with_the_numbers():
    world = World(provider("a"), a=[Outcome(Kind.CONTEXT_TOO_LONG, 400, "too long", context=8192)])
    error = await world.fails(
        ContextTooLong, prompt=9000, match="about 9000 tokens; the largest context is 8192"
    )
    assert error.metadata is not None
    assert error.metadata["context_length"] == 8192


async def test_a_prompt_that_we_took_for_shorter_is_told_with_the_numbers_too():
    world = World(provider("a"), a=[Outcome(Kind.CONTEXT_TOO_LONG, 400, "too long", context=8192)])
    told = "about 8000 tokens by our estimate, and more by the provider's; the largest context is 8192"
    error = await world.fails(ContextTooLong, prompt=8000, match=told)
    assert error.metadata is not None
    assert error.metadata["context_length"] == 8192


@pytest.mark.parametrize(
    ("context", "prompt", "told"),
    [
        (8192, 9000, "about 9100 tokens; the largest context is 8192"),
        (8192, 8000, "by our estimate, and more by the provider's; the largest context is 8192"),
        (None, 90_000, "such a prompt was too long wherever it was sent"),
    ],
)
async def test_a_prompt_like_one_that_was_too_long_for_all_is_sent_nowhere(context, prompt, told):
    world = World(provider("a"), a=[Outcome(Kind.CONTEXT_TOO_LONG, 400, "too long", context=context)])
    await world.fails(ContextTooLong, prompt=prompt)
    await world.fails(ContextTooLong, prompt=prompt + 100, match=told)
    assert len(world.upstream.asked) == 1
    await world.ask(prompt=prompt - 1 if prompt < 8192 or context is None else 5000)


async def test_a_prompt_like_one_that_was_too_long_goes_elsewhere_at_once():
    roomier = provider("b", model(context=200_000))
    better = provider("a", model(quality=90))
    world = World(better, roomier, a=[Outcome(Kind.CONTEXT_TOO_LONG, 400, "too long")])
    for _ in range(2):
        await world.ask("free-smart", prompt=90_000)
    assert world.upstream.providers_asked == ["a", "b", "b"]


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
    assert used(world, "a") == 1
    assert not world.is_suspect("a/m#k1")
    told = world.receipts.last
    assert (told.status, told.code, told.caller_left) == (499, "caller_left", True)


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
                return Denied(now.mono, charges[0].pool)
            return await super().acquire(charges, now)

    world = two(counters=Contested())
    await world.ask("free-smart")
    assert world.upstream.providers_asked == ["a"]
