"""The transport over real sockets: its deadlines, each apart, and what every kind of failure is called."""

import asyncio
from typing import Any

import pytest

from freeroute.upstreams.http_transport import HttpTransport
from freeroute.upstreams.transport import (
    Deadlines,
    Disconnected,
    NameNotFound,
    Phase,
    ProtocolError,
    Refused,
    TimedOut,
    TlsFailed,
    Truncated,
)
from tests.support.exchanges import (
    CHUNKED,
    SECRET,
    SHORT,
    UNTIL_CLOSE,
    answers,
    ask,
    chunk,
    floods,
    hangs,
    says,
    stalls,
    told,
    whole,
)
from tests.support.patience import PATIENCE
from tests.support.servers import Peer, happens, in_turn, nobody_listens, serve

# Deadlines, each apart


async def test_waiting_for_a_slot_has_its_own_deadline(narrow, tls):
    async with serve(in_turn(stalls, answers), tls) as server:
        holder = await ask(narrow, server)
        with pytest.raises(TimedOut) as caught:
            await ask(narrow, server, pool=SHORT)
        assert caught.value.phase is Phase.POOL
        holder.abort()
        assert await whole(await ask(narrow, server, pool=SHORT)) == b"ok"


async def test_connecting_has_its_own_deadline(transport, certificates):
    async with serve(Peer.gone, certificates.server, greet=False) as server:
        with pytest.raises(TimedOut) as caught:
            await ask(transport, server, connect=SHORT)
        assert caught.value.phase is Phase.CONNECT
        await server.finished()


async def test_the_first_byte_has_its_own_deadline(transport, tls):
    async with serve(hangs, tls) as server:
        with pytest.raises(TimedOut) as caught:
            await ask(transport, server, first_byte=SHORT)
        assert caught.value.phase is Phase.FIRST_BYTE
        await server.finished()


async def test_an_answer_may_take_longer_than_connecting_may(transport):
    asked, go = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await happens(go)
        await peer.answer()

    async with serve(script) as server:
        waiting = asyncio.ensure_future(ask(transport, server, connect=SHORT))
        await happens(asked)
        done, _ = await asyncio.wait([waiting], timeout=2 * SHORT)
        assert not done
        go.set()
        assert await whole(await waiting) == b"ok"


async def test_silence_in_the_body_has_its_own_deadline(transport, tls):
    async with serve(stalls, tls) as server:
        exchange = await ask(transport, server, idle=SHORT)
        assert await exchange.next() == b"first"
        with pytest.raises(TimedOut) as caught:
            await exchange.next()
        assert caught.value.phase is Phase.IDLE
        await server.finished()


async def test_the_total_ends_the_wait_for_the_head(transport):
    async with serve(hangs) as server:
        with pytest.raises(TimedOut) as caught:
            await ask(transport, server, total=SHORT)
        assert caught.value.phase is Phase.TOTAL
        await server.finished()


@pytest.mark.parametrize("bound", ["answer", "total"])
async def test_waiting_for_a_slot_is_no_time_of_the_peer_s(narrow, bound):
    short: dict[str, Any] = {bound: SHORT}
    shorter: dict[str, Any] = {bound: SHORT / 2}
    async with serve(in_turn(stalls, hangs)) as server:
        holder = await ask(narrow, server)
        with pytest.raises(TimedOut) as caught:
            await ask(narrow, server, pool=SHORT, **shorter)
        assert caught.value.phase is Phase.POOL
        asked = asyncio.ensure_future(ask(narrow, server, pool=PATIENCE, **short))
        await asyncio.wait([asked], timeout=2 * SHORT)
        assert not asked.done()
        holder.abort()
        with pytest.raises(TimedOut) as caught:
            await asked
        assert caught.value.phase is Phase[bound.upper()]
        assert server.connections == 2  # it had its time once it was its turn


async def test_the_total_ends_a_body_that_never_pauses(transport, tls):
    async with serve(floods, tls) as server:
        exchange = await ask(transport, server, total=2 * SHORT)
        with pytest.raises(TimedOut) as caught:
            await whole(exchange)
        assert caught.value.phase is Phase.TOTAL
        await server.finished()


async def test_time_in_which_nobody_reads_is_not_the_peer_s(transport, tls):
    back = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED, chunk(b"one"))
        await happens(back)
        await peer.send(chunk(b"two"))
        await peer.gone()

    async with serve(script, tls) as server:
        exchange = await ask(transport, server, total=4 * SHORT)
        assert await exchange.next() == b"one"
        await asyncio.sleep(5 * SHORT)
        back.set()
        assert await exchange.next() == b"two"
        with pytest.raises(TimedOut) as caught:
            await exchange.next()  # what is waited for is
        assert caught.value.phase is Phase.TOTAL
        await server.finished()


# Failures


async def test_a_port_where_nobody_listens_is_refused(transport):
    with nobody_listens() as port, pytest.raises(Refused, match="ECONNREFUSED"):
        await transport.open("GET", f"http://localhost:{port}/", [], b"", Deadlines())


async def test_a_name_that_does_not_resolve_is_not_found(transport):
    with pytest.raises(NameNotFound, match="nowhere"):
        await transport.open("GET", "http://nowhere.invalid/", [], b"", Deadlines(connect=PATIENCE))


@pytest.mark.parametrize("url", ["", "nothing", "ftp://localhost/", "http://", "http://localhost:99999/"])
async def test_a_url_that_cannot_be_asked_is_a_protocol_error(transport, url):
    with pytest.raises(ProtocolError):
        await transport.open("GET", url, [], b"", Deadlines())


async def test_a_header_that_would_break_the_request_is_not_sent(transport):
    async with serve(answers) as server:
        with pytest.raises(ProtocolError) as caught:
            await ask(transport, server, headers=[(b"authorization", SECRET.encode() + b"\r\nx-more: 1")])
        assert SECRET not in told(caught.value)
        with pytest.raises(ProtocolError):
            await ask(transport, server, headers=[(b"authorization", b"\xff")])
        assert await whole(await ask(transport, server)) == b"ok"


async def test_a_certificate_nobody_vouches_for_fails_unless_it_need_not_be_checked(certificates):
    suspicious = HttpTransport()
    async with serve(answers, certificates.server) as server:
        with pytest.raises(TlsFailed, match="certificate"):
            await ask(suspicious, server)
        assert await whole(await ask(suspicious, server, verify_tls=False)) == b"ok"
        with pytest.raises(TlsFailed, match="certificate"):
            await ask(suspicious, server)
    await suspicious.close()


async def leaves(peer: Peer) -> None:
    await peer.raw()


async def test_a_peer_that_leaves_the_handshake_is_a_tls_failure(transport, certificates):
    async with serve(leaves, certificates.server, greet=False) as server:
        with pytest.raises(TlsFailed):
            await ask(transport, server)


async def test_a_peer_that_resets_the_handshake_is_a_tls_failure(transport, certificates):
    async def script(peer: Peer) -> None:
        await peer.raw()
        peer.reset()

    async with serve(script, certificates.server, greet=False) as server:
        with pytest.raises(TlsFailed):
            await ask(transport, server)


async def test_a_peer_that_speaks_no_tls_is_a_tls_failure(transport):
    async def script(peer: Peer) -> None:
        await peer.raw()
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serve(script) as server:
        with pytest.raises(TlsFailed):
            await transport.open("GET", f"https://localhost:{server.port}/", [], b"", Deadlines())


@pytest.mark.parametrize("ending", [Peer.close, Peer.reset])
async def test_a_peer_that_leaves_before_the_head_disconnected(transport, tls, ending):
    async def script(peer: Peer) -> None:
        await peer.request()
        ending(peer)

    async with serve(script, tls) as server:
        for method in ("POST", "GET"):
            with pytest.raises(Disconnected) as caught:
                await ask(transport, server, method=method)
            assert (caught.value.reused, caught.value.received) == (False, 0)
        assert server.connections == 2


@pytest.mark.parametrize("ending", [Peer.close, Peer.reset])
async def test_a_peer_that_leaves_within_the_head_disconnected_and_had_said_something(transport, tls, ending):
    part = b"HTTP/1.1 200 OK\r\nx-par"
    heard = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer()
        await peer.request()
        await peer.send(part)
        await happens(heard)
        ending(peer)

    async with serve(script, tls) as server:
        await whole(await ask(transport, server))
        waiting = asyncio.ensure_future(ask(transport, server))
        await asyncio.wait([waiting], timeout=SHORT)
        heard.set()
        with pytest.raises(Disconnected) as caught:
            await waiting
        assert (caught.value.reused, caught.value.received) == (True, len(part))


CUT = {
    "length": b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart",
    "chunked": CHUNKED + chunk(b"part"),
    "within a chunk": CHUNKED + b"ff\r\npart",
}


@pytest.mark.parametrize("cut", CUT)
async def test_a_body_that_ends_early_gives_what_came_and_then_is_truncated(transport, tls, cut):
    async with serve(says(CUT[cut]), tls) as server:
        exchange = await ask(transport, server)
        await server.finished()
        assert await exchange.next() == b"part"
        for _ in range(2):
            with pytest.raises(Truncated):
                await exchange.next()


@pytest.mark.parametrize("begin", [*CUT.values(), UNTIL_CLOSE + b"part"], ids=[*CUT, "until close"])
async def test_a_body_that_is_reset_is_truncated(transport, tls, begin):
    read = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(begin)
        await happens(read)
        peer.reset()

    async with serve(script, tls) as server:
        exchange = await ask(transport, server)
        assert await exchange.next() == b"part"
        read.set()
        with pytest.raises(Truncated):
            await exchange.next()


async def test_a_body_that_breaks_its_framing_gives_what_came_and_then_is_a_protocol_error(transport, tls):
    read = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED, chunk(b"good"))
        await happens(read)
        await peer.send(chunk(b"last"), b"nonsense\r\n")
        await peer.gone()

    async with serve(script, tls) as server:
        exchange = await ask(transport, server)
        assert await exchange.next() == b"good"
        read.set()
        assert await exchange.next() == b"last"
        with pytest.raises(ProtocolError):
            await exchange.next()
        await server.finished()


HEADS = {
    "garbage": b"\x00\x01\x02 nonsense\r\n\r\n",
    "another protocol": b"SSH-2.0-server\r\n",
    "an endless line": b"HTTP/1.1 200 OK\r\nx: " + b"a" * 40_000,
    "an endless reason": b"HTTP/1.1 200 " + b"a" * 40_000,
    "too many headers": b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n",
    "too large a head": b"HTTP/1.1 200 OK\r\n" + (b"a: " + b"b" * 12_000 + b"\r\n") * 10 + b"\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
    "length and chunks": b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
    "a negative length": b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
    "an upgrade": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    "a strange coding": b"HTTP/1.1 200 OK\r\ncontent-encoding: br\r\ncontent-length: 9\r\n\r\n",
}


@pytest.mark.parametrize("head", HEADS)
async def test_a_head_that_is_not_right_is_a_protocol_error_and_closes_the_connection(transport, tls, head):
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(HEADS[head])
        await peer.gone()

    async with serve(script, tls) as server:
        with pytest.raises(ProtocolError):
            await ask(transport, server)
        await server.finished()


@pytest.mark.parametrize(
    "says_back", [SECRET.encode() + b"\r\n\r\n", b"HTTP/1.1 200 " + SECRET.encode(), b""]
)
async def test_no_error_tells_a_secret(transport, says_back):
    secret = SECRET.encode()
    async with serve(says(says_back)) as server:
        with pytest.raises((ProtocolError, Disconnected)) as caught:
            await ask(transport, server, headers=[(b"authorization", b"Bearer " + secret)], body=secret)
        assert SECRET not in told(caught.value)
