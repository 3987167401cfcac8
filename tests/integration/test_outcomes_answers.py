"""Answers of 2xx: real ones, and those that only look like one."""

import pytest

from tests.integration.asking import COUNTED, moved_on
from tests.support.live import MODELS, entry, pair
from tests.support.servers import Peer, serve


async def test_an_answer_is_served(run, stream):
    gateway = await run()
    reply = await gateway.ask(stream=stream)
    alpha, beta = await gateway.provider("alpha"), await gateway.provider("beta")
    assert (reply.status, reply.by, reply.ended) == (200, "alpha", stream)
    assert reply.text == "This is a simulated answer from groq/openai/gpt-oss-120b. The"
    assert reply.headers["x-freeroute-attempts"] == "1"
    assert not reply.trail
    [call] = await gateway.calls("groq")
    assert (call["status"], call["stream"], call["key"], call["aborted"]) == (200, stream, "demo-1", False)
    assert alpha.used == (1, call["tokens"])  # what the provider counted, to the token
    assert (alpha.states, beta.states, beta.used) == (["healthy"], ["healthy"], (0, 0))
    assert gateway.app.gateway.in_flight == 0


@pytest.mark.parametrize(
    ("fault", "ending"),
    [
        ("garbage", "garbage:200"),
        ("html", "garbage:200"),
        ("no_choices", "empty:200"),
        ("empty", "empty:200"),
        # The error inside speaks of a fault of the server's, and is taken for one.
        ("error_in_200", "fault:503"),
    ],
)
async def test_what_only_looks_like_an_answer_is_a_failure_of_the_provider(run, stream, fault, ending):
    gateway = await run()
    await gateway.script("groq", fault)
    if stream and fault == "garbage":
        ending = "empty:200"  # bytes without a single event
    alpha = await moved_on(gateway, stream, ending)
    assert alpha.states == ["suspect"]
    assert alpha.used == (1, COUNTED)  # in full, as its headers tell
    [call] = await gateway.calls("groq")
    assert call["fault"] == fault


async def test_an_error_inside_an_answer_means_what_it_says(run, stream):
    async def limited(peer: Peer) -> None:
        while True:
            await peer.request()
            error = b'{"error":{"message":"Rate limit exceeded","code":429,"metadata":{"retry_after":7}}}'
            if stream:
                await peer.answer(b"data: " + error + b"\n\n", b"content-type: text/event-stream")
            else:
                await peer.answer(error, b"content-type: application/json")

    async with serve(limited) as server:
        gateway = await run(pair(base_url=server.url("/v1")))
        alpha = await moved_on(gateway, stream, "rate_limited:429")
    assert alpha.states == ["resting"]
    assert [reason for reason, _ in alpha.held] == ["out of quota, says the provider"]


async def test_a_filtered_answer_is_served_as_it_is(run, stream):
    gateway = await run(pair("gemini"))
    await gateway.script("gemini", "content_filter")
    reply = await gateway.ask(stream=stream)
    choices = reply.events[-1]["choices"] if stream else reply.json["choices"]
    assert (reply.status, reply.by, reply.text) == (200, "alpha", "")
    assert choices[0]["finish_reason"] == "content_filter"
    assert (await gateway.provider("alpha")).states == ["healthy"]
    assert (await gateway.provider("beta")).used == (0, 0)


async def test_a_refused_prompt_is_told_and_asked_nowhere_else(run, stream):
    gateway = await run()
    await gateway.script("groq", "content_filter")
    reply = await gateway.ask(stream=stream)
    assert (reply.status, reply.error["code"]) == (400, "content_filter")
    assert reply.error["message"] == "The prompt was stopped by the content filter."
    assert reply.error["metadata"]["attempts"][0]["kind"] == "filtered"
    assert (await gateway.provider("alpha")).states == ["healthy"]
    assert (await gateway.provider("beta")).used == (0, 0)
    assert len(await gateway.calls("groq")) == 1


async def test_when_every_provider_fails_the_error_tells_each_attempt(run, stream):
    gateway = await run()
    await gateway.script("groq", 500)
    await gateway.script("cerebras", "html")
    reply = await gateway.ask(stream=stream)
    assert (reply.status, reply.error["code"]) == (502, "upstream_failed")
    told = [(one["provider"], one["kind"]) for one in reply.error["metadata"]["attempts"]]
    assert told == [("alpha", "fault"), ("beta", "garbage")]
    assert reply.trail == f"alpha/{MODELS['groq']}=fault:500; beta/gpt-oss-120b=garbage:200"


async def test_the_third_failure_in_a_row_opens_the_breaker_and_a_success_after_its_rest_closes_it(run):
    gateway = await run({"alpha": entry()})
    await gateway.script("groq", 500, 500, 500)
    for _ in range(3):
        assert (await gateway.ask()).status == 502
    assert (await gateway.provider("alpha")).states == ["open"]
    gateway.clock.advance(60)
    assert (await gateway.provider("alpha")).states == ["half-open"]
    assert (await gateway.ask()).status == 200
    assert (await gateway.provider("alpha")).states == ["healthy"]
