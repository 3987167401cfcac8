"""The gateway as surfaces see it: names, what nothing can serve, privacy, preferences, reloads."""

import pytest

from freeroute.domain.catalogue import Limit, Privacy, Unit
from freeroute.domain.clients import Client, hash_key
from freeroute.domain.outcome import Kind, Outcome
from freeroute.errors import (
    CapacityExhausted,
    ContextTooLong,
    NoProvider,
    NotFound,
    UnsupportedCapability,
    UpstreamFailed,
)
from freeroute.wire.chat import Preferences
from tests.support.world import World, catalogue, model, provider


def client(**given) -> Client:
    return Client(name="alice", key_hash=hash_key("k"), **given)


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


async def test_a_reload_keeps_what_candidates_that_stay_have_learned():
    world = World(provider("a"), provider("b"), a=[Kind.FAULT], b=[Kind.FAULT])
    with pytest.raises(Exception, match=r"attempts? failed"):
        await world.ask()
    world.gateway.adopt(catalogue(provider("a"), provider("c")))
    assert world.is_suspect("a/m#k1")
    await world.ask()
    assert world.upstream.providers_asked[-1] == "c"


async def test_a_reload_applies_new_limits_to_what_was_used():
    world = World(provider("a", limits=(Limit(Unit.REQUESTS, 5, 60.0),)))
    await world.ask()
    world.gateway.adopt(catalogue(provider("a", limits=(Limit(Unit.REQUESTS, 1, 60.0),))))
    with pytest.raises(CapacityExhausted):
        await world.ask()
