"""Callers that leave: the provider's call ends at once, nobody is blamed, what was used is charged."""

import msgspec
import pytest

from freeroute.upstreams.simulated.faults import Speed
from tests.integration.asking import ALPHA_FIRST, BOUND, PROMPT
from tests.support.live import AS_ADMIN, Live, question, until
from tests.support.serving import RawCaller, post

LONG_ANSWER = 2000
SLOW = Speed(0.0, 20.0)


@pytest.fixture(params=["goodbye", "reset"])
def leave(request):
    """Leave with an orderly end of the connection, or without."""

    def leave(caller: RawCaller) -> None:
        if request.param == "reset":
            caller.leave()
        else:
            caller.writer.close()

    return leave


async def ask(caller: RawCaller, stream: bool, **fields) -> None:
    body = msgspec.json.encode(question(stream=stream, **fields))
    await caller.send(post(body, more="content-type: application/json\r\n"))


async def settled(gateway: Live) -> None:
    """Wait until the call has ended on both sides."""
    await until(lambda: not gateway["groq"].open)
    await until(lambda: gateway.app.gateway.in_flight == 0)


async def as_left(gateway: Live, stream: bool) -> None:
    """Check what a caller that left leaves behind, whenever it did."""
    [call] = await gateway.calls("groq")
    assert call["aborted"]
    last = await gateway.last_request()
    assert (last["status"], last["stream"]) == (499, stream)
    alpha = await gateway.provider("alpha")
    assert (alpha.states, alpha.held, alpha.breaker) == (["healthy"], [], "closed")
    assert (await gateway.provider("beta")).used == (0, 0)
    assert b"freeroute_requests_in_flight 0" in (await gateway.http.get("/metrics", headers=AS_ADMIN)).content


async def test_a_caller_that_leaves_before_the_first_event_ends_the_call(run, stream, leave):
    gateway = await run()
    gateway["groq"].always("hang")
    async with RawCaller.to(gateway.url) as caller:
        await ask(caller, stream)
        await until(lambda: len(gateway["groq"].open) == 1)
        leave(caller)
        await settled(gateway)
    await as_left(gateway, stream)
    assert (await gateway.provider("alpha")).used == (1, PROMPT + BOUND)  # it may have been counted in full


async def test_a_caller_that_leaves_a_stream_ends_it_and_pays_for_what_came(run, leave):
    gateway = await run()
    gateway["groq"].speed, gateway["groq"].answer_tokens = SLOW, (LONG_ANSWER, LONG_ANSWER)
    async with RawCaller.to(gateway.url) as caller:
        await ask(caller, True, max_tokens=LONG_ANSWER)
        status, headers = await caller.head()
        assert (status, headers["x-freeroute-provider"]) == (200, "alpha")
        await caller.reader.readuntil(b" is")
        leave(caller)
        await settled(gateway)
    await as_left(gateway, True)
    requests, tokens = (await gateway.provider("alpha")).used
    assert requests == 1
    assert PROMPT < tokens < LONG_ANSWER


async def test_a_caller_that_leaves_while_a_whole_answer_is_made_ends_it(run, leave):
    gateway = await run()
    gateway["groq"].speed, gateway["groq"].answer_tokens = SLOW, (LONG_ANSWER, LONG_ANSWER)
    async with RawCaller.to(gateway.url) as caller:
        await ask(caller, False, max_tokens=LONG_ANSWER)
        await until(lambda: len(gateway["groq"].open) == 1)
        leave(caller)
        await settled(gateway)
    await as_left(gateway, False)


async def test_a_caller_that_leaves_while_others_stay_ends_only_its_own_call(run):
    gateway = await run()
    gateway["groq"].speed = Speed(0.0, 100.0)
    async with RawCaller.to(gateway.url) as leaving, RawCaller.to(gateway.url) as staying:
        await ask(leaving, True, max_tokens=30, **ALPHA_FIRST)
        await leaving.reader.readuntil(b"data: ")  # until then the key is new, and carries one call
        await ask(staying, True, max_tokens=30, **ALPHA_FIRST)
        await until(lambda: len(gateway["groq"].open) == 2)
        leaving.leave()
        assert b"simulated" in await staying.reader.readuntil(b"data: [DONE]\n\n")
        await settled(gateway)
    assert [call["aborted"] for call in await gateway.calls("groq")] == [True, False]
