"""Failures of a provider or of the way to it, before the first event."""

from typing import Any

import pytest

from tests.integration.asking import BOUND, COUNTED, PROMPT, moved_on
from tests.support.live import MODELS, UNTIL_FIRST_EVENT, entry, pair
from tests.support.servers import Certificates, Peer, serve


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 408, 425, 529])
async def test_a_fault_of_the_provider_moves_on_and_makes_it_suspect(run, stream, status):
    gateway = await run()
    await gateway.script("groq", status)
    alpha = await moved_on(gateway, stream, f"fault:{status}")
    assert (alpha.states, alpha.breaker) == (["suspect"], "closed")
    assert alpha.used == (1, 0)  # the tokens are charged back: its headers tell that none were counted
    [call] = await gateway.calls("groq")
    assert call["status"] == status


@pytest.mark.parametrize("status", [301, 302, 307])
async def test_a_redirect_is_an_error_of_configuration_and_never_followed(run, stream, status):
    gateway = await run()
    await gateway.script("groq", {"kind": "status", "status": status})
    alpha = await moved_on(gateway, stream, f"redirected:{status}")
    assert alpha.held == [("nothing answers at this address: check base_url", 300.0)]
    assert alpha.breaker == "closed"
    assert len(await gateway.calls("groq")) == 1


async def test_a_local_server_that_loads_its_model_is_left_alone_for_a_moment(run, stream):
    async def loading(peer: Peer) -> None:
        while True:
            await peer.request()
            body = b'{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}'
            await peer.answer(body, b"content-type: application/json", status=b"503 Service Unavailable")

    async with serve(loading) as server:
        gateway = await run(pair(like="llamacpp", base_url=server.url("/v1")))
        alpha = await moved_on(gateway, stream, "loading:503")
    assert alpha.held == [("local server is loading a model", 2.0)]
    assert alpha.breaker == "closed"


# --- the way there -----------------------------------------------------------------------------------------


async def test_a_refused_connection_opens_the_whole_provider_and_costs_no_quota(run, stream, closed_port):
    gateway = await run(pair(base_url=f"http://127.0.0.1:{closed_port}/v1"))
    alpha = await moved_on(gateway, stream, "unreachable")
    assert (alpha.breaker, alpha.states) == ("open", ["resting"])
    assert alpha.used == (0, 0)


async def test_a_certificate_that_is_not_trusted_opens_the_whole_provider(run, stream):
    async def unused(peer: Peer) -> None:
        raise AssertionError("nothing may be sent to a stranger")

    async with serve(unused, Certificates().server) as server:
        gateway = await run(pair(base_url=server.url("/v1")))
        alpha = await moved_on(gateway, stream, "unreachable")
    assert (alpha.breaker, alpha.used) == ("open", (0, 0))
    assert "certificate" in alpha.told["last_error"]["detail"]


async def test_a_reset_before_the_answer_is_the_providers_failure(run, stream):
    gateway = await run()
    await gateway.script("groq", "reset")
    alpha = await moved_on(gateway, stream, "disconnected")
    assert (alpha.states, alpha.breaker) == (["suspect"], "closed")
    assert alpha.used == (1, PROMPT + BOUND)
    assert len(await gateway.calls("groq")) == 1  # it may have been counted: no second one there


async def test_a_pooled_connection_that_died_unused_costs_nothing_and_is_replaced(run, stream):
    async def forgetful(peer: Peer) -> None:
        await peer.request()
        await peer.answer(ANSWER, b"content-type: application/json")
        # Closed by the time the next call comes, without having said so.

    async with serve(forgetful) as server:
        gateway = await run({"alpha": entry(base_url=server.url("/v1"))})
        for _ in range(3):
            reply = await gateway.ask(stream=stream)
            assert (reply.status, reply.by, reply.error) == (200, "alpha", None)
    alpha = await gateway.provider("alpha")
    assert (alpha.used, alpha.states) == ((3, 21), ["healthy"])


# --- silence -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "ending", "tokens"),
    [
        ("hang", "timed_out", PROMPT + BOUND),
        ("hang_after_head", "timed_out:200", COUNTED),  # the head came, and with it the rate headers
    ],
)
async def test_silence_before_the_first_event_moves_on_and_cancels_the_call(
    run, stream, fault, ending, tokens
):
    gateway = await run(pair(timeouts=UNTIL_FIRST_EVENT))
    await gateway.script("groq", fault)
    alpha = await moved_on(gateway, stream, ending)
    assert (alpha.states, alpha.used) == (["suspect"], (1, tokens))
    [call] = await gateway.calls("groq")  # and nothing is open there any more
    assert call["fault"] == fault


async def test_when_every_attempt_times_out_it_says_so(run, stream):
    silent: dict[str, Any] = {"timeouts": UNTIL_FIRST_EVENT}
    gateway = await run({"alpha": entry(quality=90, **silent), "beta": entry("cerebras", **silent)})
    await gateway.script("groq", "hang")
    await gateway.script("cerebras", "hang_after_head")
    reply = await gateway.ask(stream=stream)
    assert (reply.status, reply.error["code"]) == (504, "upstream_timeout")
    assert reply.trail == f"alpha/{MODELS['groq']}=timed_out; beta/gpt-oss-120b=timed_out:200"


async def test_an_answer_cut_off_before_its_first_event_moves_on(run, stream):
    gateway = await run()
    await gateway.script("groq", {"kind": "cut", "after": 0})
    alpha = await moved_on(gateway, stream, "truncated:200")
    assert (alpha.states, alpha.used) == (["suspect"], (1, COUNTED))
    [call] = await gateway.calls("groq")
    assert call["fault"] == "cut"


ANSWER = (
    b'{"id":"c1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"Done."},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}'
)
