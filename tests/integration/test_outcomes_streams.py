"""Streams that die after their first event: told in-band, charged for what came, blamed on the provider."""

import pytest

from tests.integration.asking import ALPHA_FIRST
from tests.support.live import BETWEEN_EVENTS, entry, pair

FIRST_WORDS = "This is a"  # three tokens


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"kind": "cut", "after": 3}, "truncated"),
        ({"kind": "stall", "after": 3}, "stalled"),
        ({"kind": "error_in_200", "after": 3}, "fault"),
    ],
)
async def test_a_stream_that_dies_ends_with_an_error_in_band(run, fault, kind):
    gateway = await run(pair(timeouts=BETWEEN_EVENTS))
    await gateway.script("groq", fault)
    reply = await gateway.ask(stream=True)
    assert (reply.status, reply.by, reply.text) == (200, "alpha", FIRST_WORDS)
    assert reply.error["code"] == "upstream_failed"
    assert reply.error["message"] == f"the provider stopped in the middle of its answer: {kind}"
    assert reply.events[-1]["choices"][0]["finish_reason"] == "error"
    alpha, beta = await gateway.provider("alpha"), await gateway.provider("beta")
    assert (alpha.states, beta.used) == (["suspect"], (0, 0))
    requests, tokens = alpha.used
    assert (requests, 0 < tokens < 14) == (1, True)  # what came, not what was expected
    last = await gateway.last_request()
    assert (last["status"], last["code"]) == (200, kind)
    [call] = await gateway.calls("groq")  # and nothing is left open there
    assert call["status"] == 200


async def test_a_stream_that_dies_three_times_opens_the_breaker(run):
    gateway = await run({"alpha": entry()})
    await gateway.script("groq", *[{"kind": "cut", "after": 3}] * 3)
    for _ in range(3):
        assert (await gateway.ask(stream=True)).error["code"] == "upstream_failed"
    assert (await gateway.provider("alpha")).states == ["open"]


async def test_a_stream_is_not_held_against_a_provider_that_only_forgot_its_last_line(run):
    gateway = await run({"alpha": entry("mistral"), "beta": entry()})  # which never says [DONE]
    reply = await gateway.ask(stream=True, **ALPHA_FIRST)
    assert (reply.by, reply.error, reply.ended) == ("alpha", None, True)
    assert (await gateway.provider("alpha")).states == ["healthy"]


@pytest.mark.parametrize("kind", ["groq", "cerebras", "gemini", "mistral", "openrouter", "ollama"])
async def test_every_dialect_streams_and_tells_its_usage_to_whoever_asks(run, kind):
    gateway = await run({"alpha": entry(kind)})
    plain = await gateway.ask(stream=True)
    asked = await gateway.ask(stream=True, stream_options={"include_usage": True})
    assert plain.text == asked.text
    assert plain.text.startswith(f"This is a simulated answer from {kind}/")
    assert [len(event["choices"]) for event in plain.events if not event["choices"]] == []
    [usage] = [event["usage"] for event in asked.events if event.get("usage")][-1:]
    calls = await gateway.calls(kind)
    assert usage["total_tokens"] == calls[-1]["tokens"]
    assert (await gateway.provider("alpha")).used == (2, sum(call["tokens"] for call in calls))
