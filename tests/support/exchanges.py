"""Short words for tests that speak through a transport: asking, reading, and what servers commonly do."""

import asyncio
import traceback
from collections.abc import Sequence
from typing import Any

import pytest

from freeroute.engine.ports import Dispatch
from freeroute.upstreams.transport import Deadlines, Exchange, Transport
from tests.support.servers import Peer, Script, Server

SHORT = 0.2  # a deadline that is meant to run out; the standard loop looks up even numbers by a thread
SECRET = "not-to-be-told"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\n"


async def ask(
    transport: Transport,
    server: Server,
    *,
    method: str = "POST",
    headers: Sequence[tuple[bytes, bytes]] = (),
    body: bytes = b"{}",
    verify_tls: bool = True,
    dispatch: Dispatch | None = None,
    **deadlines: Any,
) -> Exchange:
    url = server.url(f"/v1/chat?key={SECRET}")
    within = Deadlines(**deadlines)
    return await transport.open(method, url, headers, body, within, verify_tls=verify_tls, dispatch=dispatch)


async def pieces(exchange: Exchange) -> list[bytes]:
    found = []
    while piece := await exchange.next():
        found.append(piece)
    return found


async def whole(exchange: Exchange) -> bytes:
    return b"".join(await pieces(exchange))


async def turns() -> None:
    """Let the loop see what already happened on its sockets."""
    for _ in range(20):
        await asyncio.sleep(0)


def told(error: BaseException) -> str:
    """Return all that a log would show of *error*."""
    return "".join(traceback.format_exception(error))


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


async def answers(peer: Peer) -> None:
    """Answer whatever comes."""
    while True:
        await peer.request()
        await peer.answer()


async def hangs(peer: Peer) -> None:
    """Read a request, say nothing, wait for the caller to leave."""
    await peer.request()
    await peer.gone()


async def stalls(peer: Peer) -> None:
    """Begin an answer and stop."""
    await peer.request()
    await peer.send(CHUNKED, chunk(b"first"))
    await peer.gone()


async def floods(peer: Peer) -> None:
    """Begin an answer and never pause."""
    await peer.request()
    await peer.send(CHUNKED)
    while True:
        await peer.send(chunk(b"more" * 1000))


def says(*data: bytes) -> Script:
    """Return a script that reads a request, sends *data* and closes."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(*data)

    return script


async def cancelled(task: asyncio.Future[Any]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
