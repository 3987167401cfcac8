"""Two candidates at once over real sockets: whoever speaks first answers, and the other's call is ended."""

from typing import Any

import msgspec
import pytest

from freeroute.domain.speed import USUAL
from freeroute.upstreams.simulated.faults import Speed
from tests.support.live import Live, pair, question, until
from tests.support.serving import RawCaller, post, stopping

HANGING = Speed(60.0, 20.0)
# In this order, since one call in fifty of ``free-fast`` tries whoever was not measured lately.
FAST: dict[str, Any] = {"model": "free-fast", "provider": {"order": ["alpha", "beta"]}}


@pytest.fixture
async def hedged(run) -> Live:
    """A gateway whose first candidate is known for its speed, and hangs now."""
    providers = pair()
    providers["alpha"]["models"][0]["speed"]["first_token"] = "10ms"
    gateway: Live = await run(providers, routing={"probes": 0, "max_wait": 0, "hedge": True})
    [alpha] = [c for c in gateway.app.gateway.catalogue.candidates if c.provider.id == "alpha"]
    for _ in range(USUAL):
        gateway.app.gateway.standing.speed(alpha).measured(0.01, 0, 0.0, gateway.clock.now())
    gateway["groq"].speed = HANGING
    return gateway


async def test_the_second_answers_where_the_first_hangs(hedged):
    reply = await hedged.ask(stream=True, **FAST)
    assert (reply.status, reply.by, reply.error, reply.ended) == (200, "beta", None, True)
    assert reply.headers["x-freeroute-attempts"] == "2"
    assert reply.trail.startswith("alpha/")
    assert reply.trail.endswith("=outrun")
    [call] = await hedged.calls("groq")
    assert call["aborted"]
    alpha = await hedged.provider("alpha")
    assert (alpha.states, alpha.used[0]) == (["healthy"], 1)


async def test_a_caller_that_leaves_while_both_are_asked_ends_both_calls(hedged):
    hedged["cerebras"].speed = HANGING
    async with RawCaller.to(hedged.url) as caller:
        body = msgspec.json.encode(question(stream=True, **FAST))
        await caller.send(post(body, more="content-type: application/json\r\n"))
        await until(lambda: bool(hedged["groq"].open and hedged["cerebras"].open))
        caller.leave()
        await until(lambda: not hedged["groq"].open and not hedged["cerebras"].open)
        await until(lambda: hedged.app.gateway.in_flight == 0)
    for name in ("groq", "cerebras"):
        assert [call["aborted"] for call in await hedged.calls(name)] == [True]
    last = await hedged.last_request()
    assert (last["status"], [note["kind"] for note in last["attempts"]]) == (499, ["caller_left"] * 2)
    for name in ("alpha", "beta"):
        assert (await hedged.provider(name)).states == ["healthy"]


async def test_a_stop_while_both_are_asked_ends_both_calls_and_tells_the_caller_why(hedged):
    hedged["cerebras"].speed = HANGING
    served = stopping(hedged.asgi, hedged.app.gateway.cut_short)
    async with served as (url, stop), RawCaller.to(url) as caller:
        body = msgspec.json.encode(question(stream=True, **FAST))
        await caller.send(post(body, more="content-type: application/json\r\n"))
        await until(lambda: bool(hedged["groq"].open and hedged["cerebras"].open))
        await stop()
        answer = await caller.answer()
    assert (answer.status, answer.error["code"]) == (503, "shutting_down")
    for name in ("groq", "cerebras"):
        assert [call["aborted"] for call in await hedged.calls(name)] == [True]
    last = await hedged.last_request()
    assert (last["status"], [note["kind"] for note in last["attempts"]]) == (503, ["shutting_down"] * 2)
    for name in ("alpha", "beta"):
        assert (await hedged.provider(name)).states == ["healthy"]
