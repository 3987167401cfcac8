"""As much HTTP/1.1 as providers, baselines and callers need to talk to each other on loopback."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import msgspec
from msgspec import Struct

HOST = "127.0.0.1"
# An answer that is closed with this on resets its connection instead of ending it.
_AT_ONCE = struct.pack("ii", 1, 0)


class Request(Struct, frozen=True):
    """What was asked; names of *headers* in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def bearer(self) -> str:
        """Return the key it came with, or an empty text."""
        return self.headers.get("authorization", "").removeprefix("Bearer ")


class Connection:
    """The way back to whoever asked."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer through *writer*; *reader* shows when the other side leaves."""
        self._reader = reader
        self._writer = writer

    def write(self, data: bytes) -> None:
        """Send *data* as it is."""
        if not self._writer.is_closing():
            self._writer.write(data)

    def json(self, status: int, value: object, headers: Mapping[str, str] | None = None) -> None:
        """Send a whole answer."""
        body = msgspec.json.encode(value)
        self.write(head(status, {"content-length": str(len(body)), **(headers or {})}) + body)

    def chunk(self, data: bytes) -> None:
        """Send a piece of a chunked answer; an empty one ends it."""
        self.write(b"%x\r\n%b\r\n" % (len(data), data))

    def close(self) -> None:
        """End the connection in the middle of whatever was being said."""
        self._writer.close()

    def reset(self) -> None:
        """Break the connection off."""
        raw = self._writer.get_extra_info("socket")
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self._writer.transport.abort()

    async def left(self) -> None:
        """Wait until the other side leaves."""
        with contextlib.suppress(ConnectionError):
            await self._reader.read(1)


Answer = Callable[[Request, Connection], Awaitable[None]]


class Server:
    """Answers every request on a port of its own by calling *answer*."""

    def __init__(self, answer: Answer) -> None:
        """Listen only once it is started."""
        self._answer = answer
        self._listening: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def start(self) -> None:
        """Listen on a free port."""
        self._listening = await asyncio.start_server(self._accept, HOST, 0)
        self.port = self._listening.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop, and drop every connection."""
        assert self._listening is not None
        self._listening.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await _read_request(reader)) is not None:
                await self._answer(request, Connection(reader, writer))
                if writer.is_closing() or request.headers.get("connection") == "close":
                    return
        except ConnectionError:
            return
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()


async def _read_request(reader: asyncio.StreamReader) -> Request | None:
    try:
        line, headers, _ = await _read_head(reader)
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    except asyncio.IncompleteReadError:
        return None
    method, path, _ = line.split(" ", 2)
    return Request(method, path, headers, body)


async def _read_head(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes]:
    raw = await reader.readuntil(b"\r\n\r\n")
    line, *fields = raw[:-4].decode("latin-1").split("\r\n")
    pairs = (field.partition(":") for field in fields)
    return line, {name.lower(): value.strip() for name, _, value in pairs}, raw


def head(status: int, headers: Mapping[str, str]) -> bytes:
    """Return the head of an answer in JSON, unless *headers* say otherwise."""
    fields = {"content-type": "application/json", **headers}
    lines = [f"HTTP/1.1 {status} .", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")


class Exchange:
    """An answer whose head is there. *raw* is that head as it came."""

    def __init__(
        self, status: int, headers: dict[str, str], raw: bytes, reader: asyncio.StreamReader
    ) -> None:
        """Read the rest from *reader*."""
        self.status = status
        self.headers = headers
        self.raw = raw
        self._reader = reader

    async def pieces(self) -> AsyncIterator[bytes]:
        """Give the body as it comes; raises IncompleteReadError if it ends before its end."""
        if self.headers.get("transfer-encoding") != "chunked":
            yield await self._reader.readexactly(int(self.headers.get("content-length", "0")))
            return
        while size := int((await self._reader.readuntil(b"\r\n")).split(b";")[0], 16):
            yield (await self._reader.readexactly(size + 2))[:-2]

    async def rest(self) -> AsyncIterator[bytes]:
        """Give what follows the head as it comes, framing and all."""
        while piece := await self._reader.read(65536):
            yield piece


@contextlib.asynccontextmanager
async def asked(
    port: int,
    body: bytes,
    headers: Mapping[str, str],
    *,
    method: str = "POST",
    path: str = "/v1/chat/completions",
) -> AsyncIterator[Exchange]:
    """Ask whoever listens on *port*, over a connection of its own; raises OSError, or IncompleteReadError."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        fields = {
            "host": f"{HOST}:{port}",
            "content-type": "application/json",
            "connection": "close",
            **headers,
        }
        fields["content-length"] = str(len(body))
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
        writer.write("\r\n".join(lines).encode("latin-1") + body)
        line, told, raw = await _read_head(reader)
        yield Exchange(int(line.split(" ", 2)[1]), told, raw, reader)
    finally:
        writer.close()
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await writer.wait_closed()
