"""The transport over real sockets: a body whose end is there is read without waiting."""

import asyncio
import gzip

from tests.support.exchanges import CHUNKED, ask, chunk, says, turns, whole
from tests.support.servers import Peer, happens, serve


async def test_the_rest_of_a_body_is_there_without_waiting_once_its_end_is(transport, tls):
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED, chunk(b"one "), chunk(b"two "))
        await happens(go)
        await peer.send(chunk(b"three"), b"0\r\n\r\n")

    async with serve(script, tls) as server:
        exchange = await ask(transport, server)
        assert exchange.rest() is None
        assert await exchange.next() == b"one two "
        assert exchange.rest() is None
        go.set()
        while (rest := exchange.rest()) is None:
            await turns()
        assert (rest, exchange.rest(), await exchange.next()) == (b"three", b"", b"")


async def test_the_rest_of_a_compressed_body_has_to_be_waited_for(transport):
    packed = gzip.compress(b"hello")
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(packed)
    async with serve(says(head + packed)) as server:
        exchange = await ask(transport, server)
        assert exchange.rest() is None
        assert await whole(exchange) == b"hello"
