"""The transport over real sockets: letting go in every phase, as the peer sees it."""

import asyncio

import pytest

from freeroute.upstreams.http_transport import HttpTransport
from freeroute.upstreams.transport import (
    Disconnected,
    Refused,
)
from tests.support.exchanges import (
    answers,
    ask,
    cancelled,
    floods,
    stalls,
    whole,
)
from tests.support.servers import Peer, happens, in_turn, serve

BIG = 2 * 1024 * 1024


async def test_leaving_while_waiting_for_a_slot_gives_the_turn_to_the_next(narrow):
    async with serve(in_turn(stalls, answers)) as server:
        holder = await ask(narrow, server)
        waiting = [asyncio.ensure_future(ask(narrow, server)) for _ in range(2)]
        await asyncio.sleep(0)
        await cancelled(waiting[0])
        holder.abort()
        assert await whole(await waiting[1]) == b"ok"


async def test_leaving_during_the_handshake_closes_the_socket(narrow, certificates):
    begun = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.raw()
        begun.set()
        await peer.gone()

    async with serve(script, certificates.server, greet=False) as server:
        opening = asyncio.ensure_future(ask(narrow, server))
        await happens(begun)
        await cancelled(opening)
        await server.finished()


async def test_leaving_before_the_head_closes_the_socket_and_frees_the_slot(narrow, tls):
    asked = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await peer.gone()

    async with serve(in_turn(script, answers), tls) as server:
        opening = asyncio.ensure_future(ask(narrow, server))
        await happens(asked)
        await cancelled(opening)
        assert await whole(await ask(narrow, server)) == b"ok"


async def test_leaving_in_the_middle_of_the_request_closes_the_socket(narrow, tls):
    begun, left, closed = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.read()
        begun.set()
        await happens(left)
        await peer.gone()
        closed.set()

    async with serve(in_turn(script, answers), tls) as server:
        opening = asyncio.ensure_future(ask(narrow, server, body=bytes(16 * BIG)))
        await happens(begun)
        await cancelled(opening)
        left.set()
        await happens(closed)
        assert await whole(await ask(narrow, server)) == b"ok"


@pytest.mark.parametrize("way", ["abort", "cancel"])
async def test_leaving_in_the_middle_of_the_body_closes_the_socket_and_frees_the_slot(narrow, tls, way):
    closed = asyncio.Event()

    async def script(peer: Peer) -> None:
        await stalls(peer)
        closed.set()

    async with serve(in_turn(script, answers), tls) as server:
        exchange = await ask(narrow, server)
        assert await exchange.next() == b"first"
        if way == "cancel":
            reading = asyncio.ensure_future(exchange.next())
            await asyncio.sleep(0)
            await cancelled(reading)
        else:
            exchange.abort()
        exchange.abort()
        await happens(closed)
        assert await whole(await ask(narrow, server)) == b"ok"


async def test_leaving_a_peer_that_goes_on_talking_closes_the_socket(transport, tls):
    async with serve(floods, tls) as server:
        exchange = await ask(transport, server)
        await exchange.next()
        exchange.abort()
        await server.finished()


async def test_a_reader_whose_exchange_is_aborted_elsewhere_hears_of_it(transport):
    async with serve(stalls) as server:
        exchange = await ask(transport, server)
        await exchange.next()
        reading = asyncio.ensure_future(exchange.next())
        await asyncio.sleep(0)
        exchange.abort()
        with pytest.raises(Disconnected):
            await reading


async def test_closing_lets_go_of_everything_and_refuses_what_comes_later(certificates, tls):
    transport = HttpTransport(tls=certificates.client)
    idle, busy, silent = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer()
        await peer.gone()
        idle.set()

    async def middle(peer: Peer) -> None:
        await stalls(peer)
        busy.set()

    asked = asyncio.Event()

    async def mute(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await peer.gone()
        silent.set()

    async with serve(script, tls) as one, serve(middle, tls) as two, serve(mute, tls) as three:
        await whole(await ask(transport, one))
        exchange = await ask(transport, two)
        opening = asyncio.ensure_future(ask(transport, three))
        await happens(asked)
        await transport.close()
        with pytest.raises(Disconnected):
            await opening
        assert await exchange.next() == b"first"
        with pytest.raises(Disconnected):
            await exchange.next()
        for event in (idle, busy, silent):
            await happens(event)
        with pytest.raises(Refused):
            await ask(transport, one)
    await transport.close()
