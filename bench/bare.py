"""The least that a proxy in Python can cost: an ASGI application without a framework, and its own client.

    python -m bench.bare PORT UPSTREAM_PORT

It decides nothing, counts nothing, checks nothing and has no deadlines. How many times its cost another proxy
has says more than a time does, between machines of different speed.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, cast

import httptools
import uvicorn

from bench import machine
from bench.processes import LOOPBACK, ROOT, Target, Upstream, free_port, running, wait_until_served

NAME = "bare proxy in Python"

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Asked(asyncio.Protocol):
    """A connection to the upstream, for one request at a time."""

    def __init__(self) -> None:
        """Wait for the connection."""
        self._transport: asyncio.WriteTransport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.headers: list[tuple[bytes, bytes]] = []
        self.pieces: list[bytes] = []
        self.is_whole = self._is_lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        self._transport = cast("asyncio.WriteTransport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let whoever waits go on, to find that."""
        self._is_lost = True
        self._wake()

    def ask(self, request: bytes) -> None:
        """Send *request*."""
        assert self._transport is not None
        self.headers, self.pieces, self.is_whole = [], [], False
        self._parser = httptools.HttpResponseParser(self)
        self._transport.write(request)

    async def more(self) -> bytes:
        """Return what came since the last time, waiting for something; nothing at the end.

        Raises ConnectionError if the upstream has gone before that.
        """
        if not self.pieces and not self.is_whole:
            if not self._is_lost:
                self._waiter = asyncio.get_running_loop().create_future()
                await self._waiter
            if self._is_lost and not self.pieces and not self.is_whole:
                raise ConnectionResetError("the upstream has gone")
        come, self.pieces = b"".join(self.pieces), []
        return come

    @property
    def status(self) -> int:
        """Return the answer's status."""
        return int(self._parser.get_status_code())

    def data_received(self, data: bytes) -> None:
        """Read *data*."""
        self._parser.feed_data(data)
        self._wake()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header that is the upstream's, and not the connection's."""
        if name.lower() not in (b"transfer-encoding", b"connection"):
            self.headers.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        """Keep a piece."""
        self.pieces.append(body)

    def on_message_complete(self) -> None:
        """Be ready for the next."""
        self.is_whole = True

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Bare:
    """Passes each request on to *port*, and what comes back as it comes."""

    def __init__(self, port: int) -> None:
        """Connect when asked."""
        self._port = port
        self._idle: list[Asked] = []

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request."""
        message = await receive()
        body = message["body"]
        while message["more_body"]:
            message = await receive()
            body += message["body"]
        asked = self._idle.pop() if self._idle else await self._connected()
        asked.ask(self._head(scope["path"], len(body)) + body)
        piece = await asked.more()
        await send({"type": "http.response.start", "status": asked.status, "headers": asked.headers})
        while not asked.is_whole:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            piece = await asked.more()
        await send({"type": "http.response.body", "body": piece})
        self._idle.append(asked)

    def _head(self, path: str, size: int) -> bytes:
        lines = f"host: {LOOPBACK}\r\ncontent-type: application/json\r\ncontent-length: {size}\r\n"
        return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode()

    async def _connected(self) -> Asked:
        loop = asyncio.get_running_loop()
        _, asked = await loop.create_connection(Asked, LOOPBACK, self._port)
        return asked


@contextmanager
def bare(upstream: Upstream) -> Iterator[Target]:
    """Run it in front of *upstream* until it serves."""
    port = free_port()
    command = [sys.executable, "-m", "bench.bare", str(port), str(upstream.ports[0])]
    with running(command, machine.cores().gateway, cwd=ROOT) as process:
        target = Target(NAME, port, ("m",), pid=process.pid)
        wait_until_served(target, process)
        yield target


def main(port: str, upstream_port: str) -> None:
    """Serve until ended; streams that are open then end a second later."""
    # It says nothing of a stream that is cut: the load counts those.
    told: dict[str, Any] = {"lifespan": "off", "log_level": "critical", "access_log": False}
    told["timeout_graceful_shutdown"] = 1
    uvicorn.run(Bare(int(upstream_port)), host=LOOPBACK, port=int(port), **told)


if __name__ == "__main__":
    main(*sys.argv[1:])
