"""Streams that die and are gone on with elsewhere: the caller reads one, and both providers are charged."""

import msgspec
import pytest

from freeroute.upstreams.simulated.faults import Speed
from tests.support.live import BETWEEN_EVENTS, pair, question, until
from tests.support.serving import RawCaller, post

WISH = {"x-freeroute-continue": "true"}
USAGE = {"stream_options": {"include_usage": True}}
ALPHA_FIRST = {"provider": {"order": ["alpha", "beta"]}}
SLOW = Speed(0.0, 20.0)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"kind": "cut", "after": 3}, "truncated"),
        ({"kind": "stall", "after": 3}, "stalled"),
        ({"kind": "error_in_200", "after": 3}, "fault"),
    ],
)
@pytest.mark.parametrize("second", ["cerebras", "mistral", "ollama"])  # it begins anew, repeats, goes on
async def test_the_caller_reads_one_unbroken_stream(run, fault, kind, second):
    gateway = await run(pair(second=second, timeouts=BETWEEN_EVENTS))
    await gateway.script("groq", fault)
    reply = await gateway.ask(stream=True, max_tokens=20, headers=WISH, **USAGE)
    assert (reply.status, reply.by, reply.error, reply.ended) == (200, "alpha", None, True)
    assert reply.text.startswith(f"This is a simulated answer from {second}/")
    assert len({(event["id"], event["created"], event["model"]) for event in reply.events}) == 1
    roles = [choice["delta"].get("role") for event in reply.events for choice in event["choices"]]
    assert roles.count("assistant") == 1
    [mark] = [event["freeroute"] for event in reply.events if "freeroute" in event]
    assert [(by["provider"], by["from"]) for by in mark["continued"]] == [("beta", len("This is a"))]
    last = await gateway.last_request()
    assert (last["status"], last["code"], last["provider"]) == (200, None, "beta")
    assert [note["kind"] for note in last["attempts"]] == [kind, "served"]
    [usage] = [event["usage"] for event in reply.events if event.get("usage")]
    alpha, beta = await gateway.provider("alpha"), await gateway.provider("beta")
    assert usage["total_tokens"] == alpha.used[1] + beta.used[1]
    assert (alpha.states, beta.states) == (["suspect"], ["healthy"])


async def test_an_answer_that_goes_another_way_is_not_mixed_in(run):
    gateway = await run(pair())
    await gateway.script("groq", {"kind": "cut", "after": 8})  # "... answer from groq/..."
    reply = await gateway.ask(stream=True, max_tokens=20, headers=WISH)
    assert "cerebras" not in reply.text
    assert reply.error["message"] == "the provider stopped in the middle of its answer: truncated"
    last = await gateway.last_request()
    assert [note["kind"] for note in last["attempts"]] == ["truncated", "diverged"]
    assert (await gateway.provider("beta")).states == ["healthy"]
    for name in ("groq", "cerebras"):
        await gateway.calls(name)  # nothing is left open there


async def test_nobody_goes_on_unless_asked_to(run):
    gateway = await run(pair(), routing={"probes": 0, "max_wait": 0, "continue_streams": True})

    async def broken(headers=None):
        await gateway.reset("alpha")
        await gateway.script("groq", {"kind": "cut", "after": 3})
        return await gateway.ask(stream=True, headers=headers, **ALPHA_FIRST)

    assert (await broken()).error is None
    for headers in ({"x-freeroute-continue": "false"}, {"x-freeroute-strict": "true"}):
        assert (await broken(headers)).error["code"] == "upstream_failed"
    refused = await gateway.ask(stream=True, headers={"x-freeroute-continue": "perhaps"})
    assert (refused.status, refused.error["param"]) == (400, "x-freeroute-continue")


@pytest.mark.parametrize("given", [True, False], ids=["going on", "beginning anew"])
async def test_a_caller_that_leaves_while_another_goes_on_ends_its_call(run, given):
    second = "mistral" if given else "cerebras"
    gateway = await run(pair(second=second))
    await gateway.script("groq", {"kind": "cut", "after": 3})
    gateway[second].speed, gateway[second].answer_tokens = SLOW, (2000, 2000)
    async with RawCaller.to(gateway.url) as caller:
        body = msgspec.json.encode(question(stream=True, max_tokens=2000))
        fields = "content-type: application/json\r\nx-freeroute-continue: true\r\n"
        await caller.send(post(body, more=fields))
        await until(lambda: len(gateway[second].open) == 1)
        caller.leave()
        await until(lambda: not gateway[second].open)
        await until(lambda: gateway.app.gateway.in_flight == 0)
    [call] = await gateway.calls(second)
    assert call["aborted"]
    last = await gateway.last_request()
    assert (last["status"], [note["kind"] for note in last["attempts"]]) == (
        499,
        ["truncated", "caller_left"],
    )
    assert (await gateway.provider("beta")).states == ["healthy"]
