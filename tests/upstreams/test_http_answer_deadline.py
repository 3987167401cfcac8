"""The time for a whole answer, over real sockets: it runs in every phase, and whoever reads may move it."""

import asyncio
import math

import pytest

from freeroute.upstreams.transport import Phase, TimedOut
from tests.support.exchanges import SHORT, ask, floods, hangs, stalls, whole
from tests.support.servers import Peer, happens, serve

BIG = 16 * 1024 * 1024


async def is_late(awaited) -> None:
    """Expect that what is *awaited* takes longer than the answer may."""
    with pytest.raises(TimedOut) as caught:
        await awaited
    assert (caught.value.phase, caught.value.seconds) == (Phase.ANSWER, SHORT)


async def test_it_ends_the_handshake(transport, certificates):
    async with serve(Peer.gone, certificates.server, greet=False) as server:
        await is_late(ask(transport, server, answer=SHORT))
        await server.finished()


async def test_it_ends_the_sending_to_a_peer_that_does_not_read(transport, tls):
    begun, late = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.read()
        begun.set()
        await happens(late)
        await peer.gone()

    async with serve(script, tls) as server:
        await is_late(ask(transport, server, body=bytes(BIG), answer=SHORT))
        assert begun.is_set()
        late.set()
        await server.finished()


async def test_it_ends_the_wait_for_the_head(transport, tls):
    async with serve(hangs, tls) as server:
        await is_late(ask(transport, server, answer=SHORT))
        await server.finished()


async def test_it_ends_the_wait_for_the_rest_and_frees_the_slot(narrow, tls):
    async with serve(stalls, tls) as server:
        for _ in range(2):
            exchange = await ask(narrow, server, answer=SHORT)
            assert await exchange.next() == b"first"
            await is_late(exchange.next())
        await server.finished()


async def test_it_ends_a_body_that_never_pauses(transport, tls):
    async with serve(floods, tls) as server:
        await is_late(whole(await ask(transport, server, answer=SHORT)))
        await server.finished()


@pytest.mark.parametrize("until", [math.inf, "later"])
async def test_whoever_reads_may_put_it_off_or_lift_it(transport, tls, until):
    async with serve(stalls, tls) as server:
        exchange = await ask(transport, server, answer=SHORT, idle=3 * SHORT)
        assert await exchange.next() == b"first"
        began = asyncio.get_running_loop().time()
        exchange.answer_by = until if until is math.inf else began + 2 * SHORT
        with pytest.raises(TimedOut) as caught:
            await exchange.next()
        assert caught.value.phase is (Phase.IDLE if until is math.inf else Phase.ANSWER)
        assert asyncio.get_running_loop().time() - began > 1.5 * SHORT
        await server.finished()


async def test_whoever_reads_may_bring_it_forward(transport, tls):
    async with serve(stalls, tls) as server:
        exchange = await ask(transport, server)
        assert await exchange.next() == b"first"
        exchange.answer_by = asyncio.get_running_loop().time() + SHORT
        with pytest.raises(TimedOut) as caught:
            await exchange.next()
        assert caught.value.phase is Phase.ANSWER
        await server.finished()
