"""The transport over real sockets: what peers say too much, too late, or without end."""

import asyncio
from contextlib import suppress

import pytest

from freeroute.engine.ports import Dispatch
from freeroute.upstreams.faults import before_answer
from freeroute.upstreams.http_transport import HttpTransport
from freeroute.upstreams.transport import Disconnected, ProtocolError
from tests.support.exchanges import CHUNKED, answers, ask, chunk, says, stalls, turns, whole
from tests.support.servers import Peer, in_turn, serve

TIRED = b"HTTP/1.1 408 Request Time-out\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
SURPLUS = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwrong"


@pytest.mark.parametrize("late", [TIRED, SURPLUS])
async def test_what_lies_on_an_idle_connection_is_no_answer_to_what_is_asked_next(transport, late):
    peers: list[Peer] = []

    async def script(peer: Peer) -> None:
        peers.append(peer)
        await answers(peer)

    async with serve(script) as server:
        assert await whole(await ask(transport, server)) == b"ok"
        peers[0].slip(late)  # nobody has read it yet
        assert await whole(await ask(transport, server)) == b"ok"
        assert server.connections == 2


async def test_a_goodbye_that_crosses_a_request_is_a_stale_connection(transport, tls):
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer()
        await peer.request()
        await peer.send(TIRED)
        await peer.gone()

    async with serve(script, tls) as server:
        await whole(await ask(transport, server))
        with pytest.raises(Disconnected) as caught:
            await ask(transport, server)
        assert (caught.value.reused, caught.value.received) == (True, 0)
        await server.finished()


@pytest.mark.parametrize("turns_between", range(12))
async def test_a_connection_that_is_just_being_closed_is_none_to_ask_on(transport, tls, turns_between):
    async def leaves(peer: Peer) -> None:
        await peer.request()
        await peer.answer()
        peer.close()

    async with serve(leaves, tls) as server:
        await whole(await ask(transport, server))
        for _ in range(turns_between):
            await asyncio.sleep(0)
        with suppress(Disconnected):  # as a stale one may be
            assert await whole(await ask(transport, server)) == b"ok"


async def test_whoever_wants_a_fresh_connection_gets_one(transport, tls):
    async with serve(answers, tls) as server:
        await whole(await ask(transport, server))
        await turns()
        await whole(await ask(transport, server, dispatch=Dispatch(fresh=True)))
        assert server.connections == 2


async def test_a_timeout_that_a_new_connection_is_told_is_an_answer(transport):
    async with serve(says(TIRED)) as server:
        assert (await ask(transport, server)).status == 408


async def test_keys_share_no_connection(transport):
    async with serve(answers) as server:
        for key in (b"one", b"two", b"one", b"two"):
            for name in (b"authorization", b"X-Api-Key"):
                assert await whole(await ask(transport, server, headers=[(name, key)])) == b"ok"
                await turns()
        assert server.connections == 2


async def test_keys_share_the_slots_of_an_origin():
    transport = HttpTransport(per_origin=1)
    async with serve(stalls) as server:
        await ask(transport, server, headers=[(b"authorization", b"one")])
        waiting = asyncio.ensure_future(ask(transport, server, headers=[(b"authorization", b"two")]))
        await turns()
        assert (waiting.done(), server.connections) == (False, 1)
        waiting.cancel()
    await transport.close()


ENDLESS = {
    "many": b"x-a: " + b"b" * 95 + b"\r\n",
    "one": b"a" * 1000,
    "large": b"x-a: " + b"b" * 40_000 + b"\r\n",
}


@pytest.mark.parametrize("trailers", ENDLESS)
async def test_trailers_that_never_end_end_the_connection_and_the_answer_is_whole(transport, tls, trailers):
    sent = 0

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        await peer.send(CHUNKED, chunk(b"all of it"), b"0\r\n", b"x-b: " if trailers == "one" else b"")
        while sent < 10_000_000:
            await peer.send(ENDLESS[trailers])
            sent += len(ENDLESS[trailers])

    async with serve(in_turn(script, answers), tls) as server:
        assert await whole(await ask(transport, server)) == b"all of it"
        await server.finished()
        assert sent < 10_000_000
        assert await whole(await ask(transport, server)) == b"ok"
        assert server.connections == 2


async def test_a_chunk_s_size_that_never_ends_is_a_protocol_error(transport, tls):
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED, chunk(b"begun"), b"5;")
        while True:
            await peer.send(b"a" * 1000)

    async with serve(script, tls) as server:
        exchange = await ask(transport, server)
        with pytest.raises(ProtocolError, match="framing"):
            await whole(exchange)
        await server.finished()


BROKEN = {
    b"content-length: 2\r\ncontent-length: 2\r\n\r\nok": "Content-Length",
    b"x-a: b\ncontent-length: 2\r\n\r\nok": "CR",
    b"x-a: b\r\n folded\r\ncontent-length: 2\r\n\r\nok": "whitespace",
    b"a: b\r\n" * 200 + b"\r\n": "too large",
    b"a: " + b"b" * 40_000: "too large",
}


@pytest.mark.parametrize("fields", BROKEN)
async def test_which_rule_an_answer_broke_is_told(transport, fields):
    async with serve(says(b"HTTP/1.1 200 OK\r\n" + fields)) as server:
        with pytest.raises(ProtocolError) as caught:
            await ask(transport, server)
    detail = before_answer(caught.value).detail
    assert detail.startswith("not an answer in HTTP as we know it: ")
    assert BROKEN[fields] in detail
