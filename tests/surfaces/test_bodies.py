"""How the body of a request is read: how much of it, for how long, and beside what else is going on."""

import asyncio
from typing import Any, cast

import msgspec
import pytest

from freeroute.errors import InvalidRequest
from freeroute.surfaces.conversing import understood
from freeroute.surfaces.http import BodyBounds, Request
from freeroute.surfaces.openai import understand
from tests.support.patience import PATIENCE, TURNS
from tests.support.serving import HI, RawCaller, post, serving
from tests.support.wires import Wire, connected


async def test_a_body_declared_too_large_is_refused_before_it_is_sent(build, gateway):
    async with serving(build(bounds=BodyBounds(limit=1000))) as url, RawCaller.to(url) as caller:
        head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1001\r\n\r\n"
        await caller.send(head)
        reply = await caller.answer()
    assert reply.status == 413
    assert reply.error["code"] == "request_too_large"
    assert gateway.calls == []


async def test_a_chunked_body_over_the_limit_is_refused(build, gateway):
    async with serving(build(bounds=BodyBounds(limit=1000))) as url, RawCaller.to(url) as caller:
        head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"
        await caller.send(head + b"258\r\n" + b" " * 600 + b"\r\n258\r\n" + b" " * 600 + b"\r\n")
        reply = await caller.answer()
    assert reply.status == 413
    assert gateway.calls == []


async def test_a_body_that_drips_is_given_up(build, gateway):
    async with serving(build(bounds=BodyBounds(timeout=0.05))) as url, RawCaller.to(url) as caller:
        head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n"
        await caller.send(head + b"{")
        reply = await caller.answer()
    assert reply.status == 408
    assert reply.error["code"] == "request_timeout"
    assert gateway.calls == []


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize("waits", [False, True])
async def test_who_still_sends_a_body_as_the_server_stops_is_told(build, gateway, version, waits):
    wire = Wire()
    protocol, state = await connected(build(), wire)
    protocol.data_received(post(HI).removesuffix(HI[1:]).replace(b"HTTP/1.1", b"HTTP/" + version))
    (task,) = state.tasks
    for _ in range(TURNS * waits):
        await asyncio.sleep(0)
    protocol.stop()
    async with asyncio.timeout(PATIENCE):
        await asyncio.wait([task])
    head, _, body = b"".join(wire.written).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 1" in head
    assert msgspec.json.decode(body)["error"]["code"] == "shutting_down"
    assert wire.closed
    assert gateway.calls == []
    protocol.connection_lost(None)


@pytest.mark.parametrize("half", [r"\ud83d", r"\ude00", r"\ud83d\ud83d", r"\\\ud83d"])
async def test_half_of_a_surrogate_pair_is_called_that(ask, half):
    body = '{"model": "free", "messages": [{"role": "user", "content": "%s"}]}' % half  # noqa: UP031
    async with ask() as client:
        reply = await client.post("/v1/chat/completions", content=body)
    assert reply.status_code == 400
    assert "surrogate pair" in reply.json()["error"]["message"]


async def test_whole_surrogate_pairs_and_escaped_backslashes_pass(ask):
    content = r"\ud83d\ude00 \\ud83d"
    body = '{"model": "free", "messages": [{"role": "user", "content": "%s"}]}' % content  # noqa: UP031
    async with ask() as client:
        assert (await client.post("/v1/chat/completions", content=body)).status_code == 200


def asked(body: bytes):
    unheard: Any = None
    request = Request(cast("Any", {"type": "http", "method": "POST", "headers": []}), unheard, unheard)
    return understood(understand, request, body)


async def test_a_long_body_is_decoded_beside_what_else_is_going_on():
    def body(messages: int) -> bytes:
        return msgspec.json.encode({"model": "m", "messages": [{"role": "user", "content": "Hi"}] * messages})

    async def turns_while(body: bytes) -> int:
        decoding, turns = asyncio.ensure_future(asked(body)), 0
        await asyncio.sleep(0)
        while not decoding.done():
            turns += 1
            await asyncio.sleep(0)
        assert decoding.result().call.demand.prompt > 4
        return turns

    assert await turns_while(body(1)) == 0
    assert await turns_while(body(100_000)) > 1


async def test_a_long_body_that_is_wrong_is_refused_as_a_short_one():
    with pytest.raises(InvalidRequest, match="not valid JSON"):
        await asked(b'{"model":"m","messages":[' + b"1," * 2**20)
