"""Applications on real sockets, and callers that speak HTTP byte by byte."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Self, cast

import msgspec
import uvicorn

from freeroute.serving import listen
from freeroute.surfaces.bounds import Bounds
from freeroute.surfaces.server import Server, server_config
from tests.support.patience import PATIENCE

HI = b'{"model": "free", "messages": [{"role": "user", "content": "Hello!"}]}'
STREAM = b'{"model": "free", "stream": true, "messages": [{"role": "user", "content": "Hello!"}]}'
HEAD = b"GET /livez HTTP/1.1\r\nhost: localhost\r\n"  # a request that an empty line completes


@contextlib.asynccontextmanager
async def serving(app: Any, bounds: Bounds | None = None) -> AsyncIterator[str]:
    """Serve *app* on a free port of loopback as the product does; gives its URL."""
    async with listening(server_config(app, bounds=bounds, grace=1)) as url:
        yield url


@contextlib.asynccontextmanager
async def listening(config: uvicorn.Config) -> AsyncIterator[str]:
    """Serve as *config* says on a free port of loopback, within this loop; gives its URL."""
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    listener = listen("127.0.0.1", 0)
    try:
        await server.startup([listener])
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        await _stop(server)
        listener.close()


@contextlib.asynccontextmanager
async def stopping(
    app: Any, on_late: Callable[[], None]
) -> AsyncIterator[tuple[str, Callable[[], Awaitable[None]]]]:
    """Serve *app*, which runs already, on one more port; gives its URL and what stops it, without a grace."""
    config = server_config(app, grace=0)
    config.lifespan = "off"
    config.load()
    server = Server(config, on_late=on_late)
    server.lifespan = config.lifespan_class(config)
    listener = listen("127.0.0.1", 0)
    await server.startup([listener])
    yield f"http://127.0.0.1:{listener.getsockname()[1]}", server.shutdown
    assert not server.server_state.connections
    assert not server.server_state.tasks


async def _stop(server: uvicorn.Server) -> None:
    """End *server* as its own shutdown does, but hang up on callers and pause for nothing."""
    for one in server.servers:
        one.close()
    state = server.server_state
    for connection in list(state.connections):
        connection.transport.abort()
    async with asyncio.timeout(PATIENCE):
        while state.connections or state.tasks:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0)  # the applications hear of it
    await server.lifespan.shutdown()


class Answer(msgspec.Struct):
    """What came back: status, headers in lower case, body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.json.decode(self.body)["error"]
        return found


class RawCaller:
    """One connection, written to and read from by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    @contextlib.asynccontextmanager
    async def to(cls, url: str) -> AsyncIterator[Self]:
        host, _, port = url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            yield cls(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        with contextlib.suppress(ConnectionError):  # the answer may be there although the rest is unwanted
            await self.writer.drain()

    async def head(self) -> tuple[int, dict[str, str]]:
        async with asyncio.timeout(PATIENCE):
            raw = await self.reader.readuntil(b"\r\n\r\n")
        line, *fields = raw.decode("latin-1").strip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
        return int(line.split(" ")[1]), headers

    async def answer(self) -> Answer:
        status, headers = await self.head()
        async with asyncio.timeout(PATIENCE):
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return Answer(status, headers, body)

    async def closed(self) -> bool:
        """Say that the other end closed; fails if it does not."""
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionError):
                return await self.reader.read() == b""
        return True

    def stop_reading(self) -> None:
        cast("asyncio.Transport", self.writer.transport).pause_reading()

    def read_on(self) -> None:
        cast("asyncio.Transport", self.writer.transport).resume_reading()

    def leave(self) -> None:
        self.writer.transport.abort()


def post(body: bytes, path: str = "/v1/chat/completions", *, more: str = "") -> bytes:
    """Return a POST as it travels."""
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n{more}\r\n"
    return head.encode("latin-1") + body
