"""The transport over real sockets: which connection a request takes, and when one is used no more."""

import asyncio
import math
import resource
import socket

import pytest

from freeroute.open_files import SPARE
from freeroute.upstreams.http_pool import MOST, Slots, most_at_once, most_with
from freeroute.upstreams.http_transport import HttpTransport
from freeroute.upstreams.transport import Deadlines, ProtocolError
from tests.support.exchanges import answers, ask, cancelled, says, turns, whole
from tests.support.servers import Peer, serve

HTTP_10 = {
    "keep-alive": (b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok", 1),
    "by itself": (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", 2),
}


@pytest.mark.parametrize("way", HTTP_10)
async def test_http_1_0_keeps_a_connection_only_if_it_says_so(transport, way):
    said, connections = HTTP_10[way]

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(said)

    async with serve(script) as server:
        for _ in range(2):
            assert await whole(await ask(transport, server)) == b"ok"
            await turns()
        assert server.connections == connections


async def test_the_connection_that_was_used_last_is_used_next(transport):
    spoke: list[Peer] = []

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            spoke.append(peer)
            await peer.answer()

    async with serve(script) as server:
        first, second = await asyncio.gather(ask(transport, server), ask(transport, server))
        await whole(first)
        await whole(second)
        for _ in range(3):
            await whole(await ask(transport, server))
        assert server.connections == 2
        assert len(set(map(id, spoke[2:]))) == 1


async def test_a_connection_that_was_idle_for_too_long_is_closed_without_anybody_asking(certificates):
    transport = HttpTransport(tls=certificates.client, keepalive=0.05)
    async with serve(answers, certificates.server) as server:
        await whole(await ask(transport, server))
        await server.finished()
    await transport.close()


async def test_an_answer_that_comes_before_the_request_was_sent_ends_the_sending(transport, tls):
    async def script(peer: Peer) -> None:
        await peer.read()
        await peer.answer(b"too large", status=b"413 Content Too Large")
        await peer.gone()

    async with serve(script, tls) as server:
        exchange = await ask(transport, server, body=bytes(32 * 1024 * 1024))
        assert (exchange.status, await whole(exchange)) == (413, b"too large")
        await server.finished()  # half a request is on it: nobody may follow


async def test_interim_answers_and_trailers_are_no_headers(transport, tls):
    interim = b"HTTP/1.1 100 Continue\r\nx-not: this\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nx-yes: this\r\ntransfer-encoding: chunked\r\n\r\n"
    async with serve(says(interim + head, b"2\r\nok\r\n0\r\nx-late: no\r\n\r\n"), tls) as server:
        exchange = await ask(transport, server)
        assert await whole(exchange) == b"ok"
        assert list(exchange.headers) == [(b"x-yes", b"this"), (b"transfer-encoding", b"chunked")]


async def test_leaving_just_as_an_answer_comes_hurts_nobody_else(transport, tls):
    """The connection may be somebody else's by the time the one who left is told."""
    async with serve(answers, tls) as server:
        for waits in range(30):
            leaving = asyncio.ensure_future(ask(transport, server))
            for _ in range(waits):
                await asyncio.sleep(0)
            other = asyncio.ensure_future(ask(transport, server))
            leaving.cancel()
            assert await whole(await other) == b"ok"
            await asyncio.wait([leaving])


async def test_a_method_whose_answer_has_no_body_is_not_sent(transport):
    async with serve(answers) as server:
        with pytest.raises(ProtocolError):
            await ask(transport, server, method="HEAD")
        assert server.connections == 0


async def test_a_name_with_two_addresses_is_reached_at_the_one_that_answers(transport):
    """``localhost`` is ``::1`` and ``127.0.0.1``; the server listens at the second alone."""
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    async with serve(answers) as server:
        url = f"http://localhost:{server.port}/"
        assert await whole(await transport.open("GET", url, [], b"", Deadlines())) == b"ok"


@pytest.mark.parametrize(
    ("files", "most"),
    [
        (math.inf, MOST),
        (1_048_576, MOST),
        (2 * MOST + SPARE, MOST),
        (2 * MOST + SPARE - 1, MOST - 1),
        (1024, 480),
        (128, 32),
        (64, 16),
        (16, 1),
    ],
)
def test_as_many_exchanges_with_one_origin_as_there_are_files_for_and_more_than_a_core_carries(files, most):
    assert most_with(files) == most
    assert MOST > 2_500


@pytest.mark.parametrize(("files", "most"), [(resource.RLIM_INFINITY, MOST), (256, 96)])
def test_the_files_are_those_that_this_process_may_open(monkeypatch, files, most):
    monkeypatch.setattr(resource, "getrlimit", lambda which: (files, 4096))
    assert most_at_once() == most


async def test_slots_go_to_whoever_has_waited_longest_and_still_waits():
    slots = Slots(1)
    came: list[str] = []

    async def turn(name: str) -> None:
        await slots.turn()
        came.append(name)

    assert slots.take()
    assert not slots.take()
    waiting = {name: asyncio.ensure_future(turn(name)) for name in "abcd"}
    await turns()
    await cancelled(waiting["a"])
    slots.release()
    assert not slots.take()  # it is given already, whether or not who waited has noticed
    await cancelled(waiting["b"])  # whose turn it was
    await turns()
    assert came == ["c"]
    slots.release()
    await turns()
    assert came == ["c", "d"]
    slots.release()
    assert slots.take()
    assert not slots.take()


async def test_headers_that_come_again_are_sent_as_they_were_the_first_time(transport):
    heads = []

    async def script(peer: Peer) -> None:
        while True:
            heads.append((await peer.request()).headers)
            await peer.answer()

    async with serve(script) as server:
        for key in (b"one", b"one", b"two"):
            headers = ((b"X-Api-Key", key), (b"accept", b"*/*"))
            assert await whole(await ask(transport, server, headers=headers)) == b"ok"
        assert server.connections == 2  # a key has its own
    assert [head["x-api-key"] for head in heads] == ["one", "one", "two"]
    assert heads[0] == heads[1]
