"""The transport over real sockets: what it sends, what it reads, and which connections it uses."""

import asyncio
import gzip

import pytest

from freeroute.clock import mono
from freeroute.upstreams.transport import (
    Deadlines,
    Disconnected,
    ProtocolError,
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
    hangs,
    pieces,
    says,
    turns,
    whole,
)
from tests.support.patience import PATIENCE
from tests.support.servers import Peer, happens, in_turn, serve

BIG = 2 * 1024 * 1024


# What is sent and what is read


async def test_an_answer_comes_with_its_status_its_headers_as_they_were_and_its_body(transport, tls):
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"no", b"X-One: 1", b"x-one: 2", status=b"429 Too Many Requests")

    async with serve(script, tls) as server:
        exchange = await ask(transport, server)
        assert exchange.status == 429
        assert list(exchange.headers) == [(b"content-length", b"2"), (b"X-One", b"1"), (b"x-one", b"2")]
        assert await whole(exchange) == b"no"
        assert await exchange.next() == b""


async def test_when_the_request_went_out_is_told(transport, tls):
    arrived = []

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            arrived.append(mono())
            await peer.answer()

    async with serve(script, tls) as server:
        for _ in range(2):  # the second finds a connection
            asked = mono()
            exchange = await ask(transport, server)
            assert 0 <= exchange.sent_in <= arrived[-1] - asked
            assert (exchange.sent_in > 0) is (len(arrived) == 1)
            await whole(exchange)


async def test_the_request_carries_what_the_caller_gave_and_asks_for_no_compression(transport):
    seen = []

    async def script(peer: Peer) -> None:
        while True:
            seen.append(await peer.request())
            await peer.answer()

    async with serve(script) as server:
        await whole(await ask(transport, server, headers=[(b"authorization", b"Bearer k")], body=b"hello"))
        url = server.url("/a%2Fb?q=%20")
        await whole(await transport.open("GET", url, [(b"accept-encoding", b"gzip")], b"", Deadlines()))
        host = f"127.0.0.1:{server.port}"
    assert seen[0].line == f"POST /v1/chat?key={SECRET} HTTP/1.1"
    assert seen[0].body == b"hello"
    assert seen[0].headers == {
        "host": host,
        "authorization": "Bearer k",
        "accept-encoding": "identity",
        "content-length": "5",
    }
    assert seen[1].line == "GET /a%2Fb?q=%20 HTTP/1.1"
    assert seen[1].headers == {"host": host, "accept-encoding": "gzip"}


async def test_a_large_request_arrives_whole(transport, tls):
    body = bytes(range(256)) * (BIG // 256)

    async def script(peer: Peer) -> None:
        request = await peer.request()
        await peer.answer(b"same" if request.body == body else b"different")

    async with serve(script, tls) as server:
        assert await whole(await ask(transport, server, body=body)) == b"same"


async def test_what_is_ready_together_is_returned_together_and_nothing_more_is_waited_for(transport, tls):
    read = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED, *(chunk(b"event %d\n" % n) for n in range(5)))
        await happens(read)
        await peer.send(*(chunk(b"event %d\n" % n) for n in range(5, 9)), b"0\r\n\r\n")
        await peer.gone()

    async with serve(script, tls) as server:
        exchange = await ask(transport, server)
        assert (await exchange.next()).count(b"event") == 5
        read.set()
        assert (await exchange.next()).count(b"event") == 4
        assert await exchange.next() == b""


async def test_a_piece_that_comes_by_itself_may_go_past_whoever_waits(transport, tls):
    taken: list[bytes] = []
    waiting, offered = asyncio.Event(), asyncio.Event()

    def take(piece: bytes) -> bool:
        offered.set()
        if piece != b"unwanted":
            taken.append(piece)
        return piece != b"unwanted"

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED)
        for last, piece in ((False, b"one"), (False, b"two"), (True, b"unwanted"), (False, b"three")):
            await happens(waiting)
            offered.clear()
            await peer.send(chunk(piece))
            await happens(offered)
            if last:
                waiting.clear()
        await peer.send(chunk(b"the"), chunk(b"end"), b"0\r\n\r\n")
        await peer.gone()

    async def read() -> bytes:
        reading = asyncio.create_task(exchange.next())
        await turns()
        waiting.set()
        return await reading

    async with serve(script, tls) as server:
        exchange = await ask(transport, server)
        exchange.onward = lambda piece, _: take(piece)
        assert await read() == b"unwanted"
        assert taken == [b"one", b"two"]
        assert await read() == b"theend"
        assert taken == [b"one", b"two", b"three"]
        assert await exchange.next() == b""


async def test_of_pieces_that_come_together_those_stay_that_follow_one_which_may_not_go_past(transport, tls):
    taken: list[bytes] = []
    waiting = asyncio.Event()

    def take(piece: bytes, _: float) -> bool:
        taken.append(piece)
        return piece != b"unwanted"

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED)
        await happens(waiting)
        await peer.send(b"".join(map(chunk, (b"one", b"one", b"unwanted", b"one"))))
        await peer.gone()

    async with serve(script, tls) as server:
        exchange = await ask(transport, server)
        exchange.onward = take
        reading = asyncio.create_task(exchange.next())
        await turns()
        waiting.set()
        assert await reading == b"unwantedone"
        assert taken == [b"one", b"one", b"unwanted"]
        exchange.abort()


async def test_a_body_without_length_ends_with_its_connection(transport, tls):
    async with serve(says(UNTIL_CLOSE, b"some"), tls) as server:
        assert await whole(await ask(transport, server)) == b"some"


async def test_an_interim_answer_is_passed_over(transport):
    interim = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
    async with serve(says(interim, b"HTTP/1.1 204 No Content\r\n\r\n")) as server:
        exchange = await ask(transport, server)
        assert exchange.status == 204
        assert await exchange.next() == b""


async def test_a_redirect_is_an_answer_like_any_other(transport):
    moved = b"HTTP/1.1 307 Moved\r\nlocation: /elsewhere\r\nset-cookie: a=b\r\ncontent-length: 0\r\n\r\n"
    async with serve(says(moved)) as server:
        assert (await ask(transport, server, method="GET")).status == 307
        assert server.connections == 1


async def test_a_reader_that_rests_slows_the_sender_down_and_still_gets_everything(transport, tls):
    total, piece = 24 * 1024 * 1024, bytes(64 * 1024)
    blocked = asyncio.Event()
    sent_while_resting = 0

    async def script(peer: Peer) -> None:
        nonlocal sent_while_resting
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % total)
        for sent in range(0, total, len(piece)):
            step = asyncio.ensure_future(peer.send(piece))
            done, _ = await asyncio.wait([step], timeout=2 * SHORT)
            if not done:
                sent_while_resting = sent_while_resting or sent
                blocked.set()
                await step
        blocked.set()

    async with serve(script, tls) as server:
        exchange = await ask(transport, server)
        await happens(blocked)
        assert 0 < sent_while_resting < total * 2 // 3
        assert sum(map(len, await pieces(exchange))) == total


async def test_a_compressed_answer_is_decoded_and_its_head_no_longer_says_that_it_was(transport, tls):
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(gzip.compress(b"plain text"), b"Content-Encoding: gzip", b"x-id: 7")

    async with serve(script, tls) as server:
        exchange = await ask(transport, server)
        assert list(exchange.headers) == [(b"x-id", b"7")]
        assert await whole(exchange) == b"plain text"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (gzip.compress(bytes(8 << 20)), ProtocolError),
        (b"this is not gzip", ProtocolError),
        (gzip.compress(b"all of it")[:-3], Truncated),
    ],
    ids=["a bomb", "garbage", "cut"],
)
async def test_a_compressed_answer_that_is_not_right_is_an_error(transport, body, error):
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(body, b"content-encoding: gzip")

    async with serve(script) as server:
        with pytest.raises(error):
            await whole(await ask(transport, server))


# Connections and their reuse


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_connection_is_used_again_once_the_body_was_read_to_its_end(transport, tls, framing):
    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            if framing == "length":
                await peer.answer()
            else:
                await peer.send(CHUNKED, chunk(b"ok"), b"0\r\n\r\n")

    async with serve(script, tls) as server:
        for _ in range(3):
            assert await whole(await ask(transport, server)) == b"ok"
        assert server.connections == 1


async def test_a_complete_body_frees_its_connection_even_if_it_is_aborted_unread(narrow, tls):
    async with serve(answers, tls) as server:
        (await ask(narrow, server)).abort()
        assert await whole(await ask(narrow, server, pool=PATIENCE)) == b"ok"
        assert server.connections == 1


async def test_a_connection_whose_peer_said_close_is_closed_after_the_answer(transport, tls):
    closed = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"bye", b"connection: close")
        await peer.gone()
        closed.set()

    async with serve(script, tls) as server:
        assert await whole(await ask(transport, server)) == b"bye"
        await happens(closed)
        await server.finished()


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("ending", [Peer.close, Peer.reset])
async def test_a_stale_connection_is_told_apart_and_nothing_is_sent_again(transport, tls, method, ending):
    requests = []

    async def script(peer: Peer) -> None:
        requests.append(await peer.request())
        await peer.answer()
        requests.append(await peer.request())
        ending(peer)

    async with serve(script, tls) as server:
        await whole(await ask(transport, server, method=method))
        with pytest.raises(Disconnected) as caught:
            await ask(transport, server, method=method)
        assert (caught.value.reused, caught.value.received) == (True, 0)
        assert (server.connections, len(requests)) == (1, 2)


async def test_a_connection_that_closed_while_idle_is_not_used_again(transport, tls):
    async with serve(says(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"), tls) as server:
        assert await whole(await ask(transport, server)) == b"ok"
        await server.finished()
        await turns()
        assert await whole(await ask(transport, server)) == b"ok"
        assert server.connections == 2


UNASKED = {
    "with the answer": (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nrightHTTP/1.1 200 OK\r\n\r\n", b""),
    "with its end": (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nri", b"ghtHTTP/1.1 200 OK\r\n\r\nwrong"),
    "while idle": (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nright", b"HTTP/1.1 200 OK\r\n\r\nwrong"),
}


@pytest.mark.parametrize("unasked", UNASKED)
async def test_an_answer_nobody_asked_for_is_never_given_to_the_next_caller(transport, tls, unasked):
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(UNASKED[unasked][0])
        await happens(go)
        await peer.send(UNASKED[unasked][1])
        await peer.gone()

    async with serve(in_turn(script, answers), tls) as server:
        exchange = await ask(transport, server)
        first = await exchange.next()
        go.set()
        await turns()
        assert first + await whole(exchange) == b"right"
        assert await whole(await ask(transport, server)) == b"ok"
        assert server.connections == 2


async def test_the_slots_of_one_origin_are_not_those_of_another(narrow):
    async with serve(hangs) as one, serve(answers) as other:
        waiting = asyncio.ensure_future(ask(narrow, one))
        assert await whole(await ask(narrow, other)) == b"ok"
        waiting.cancel()
