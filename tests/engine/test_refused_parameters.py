"""Parameters and features that a provider refuses: left out, asked of another, or the caller's error."""

import pytest

from freeroute.domain.outcome import Kind, Outcome
from freeroute.errors import (
    ContextTooLong,
    InvalidRequest,
    UpstreamFailed,
)
from tests.support.world import World, provider, two


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
