"""Prompts that are too long for one model or for all, and what is learned of it."""

import pytest

from freeroute.domain.outcome import Kind, Outcome
from freeroute.errors import (
    ContextTooLong,
)
from tests.support.world import World, model, provider


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
