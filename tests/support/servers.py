"""Servers on loopback that do exactly what a test says, byte by byte, over TCP or TLS.

A script is a coroutine function that gets one `Peer` per connection. TLS is done over memory, so that a
script may stop in the middle of a handshake and a peer never answers a goodbye: what `gone` sees is the
socket itself.
"""

import asyncio
import contextlib
import os
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import trustme

from tests.support.patience import PATIENCE

Script = Callable[["Peer"], Awaitable[None]]


class Request:
    """A request as it came: its line, its headers in lower case, its body."""

    def __init__(self, head: bytes) -> None:
        line, *fields = head.decode("latin-1").split("\r\n")
        self.line = line
        self.headers = {name.lower(): value for name, _, value in (f.partition(": ") for f in fields if f)}
        self.body = b""


class Peer:
    """The server's end of one connection."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: ssl.SSLContext | None
    ) -> None:
        self._reader, self._writer = reader, writer
        self._buffer = b""
        self._tls: ssl.SSLObject | None = None
        if context is not None:
            self._wrap(context)

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Turn a plain connection into a TLS one, as a proxy does after CONNECT."""
        self._wrap(context)
        await self.handshake()

    async def handshake(self) -> None:
        """Greet a TLS caller; a plain connection needs none."""
        while self._tls is not None:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                pass
            finally:
                self._flush()  # also the alert that says why
            self._incoming.write(await self.raw())

    async def request(self) -> Request:
        """Read one request with its body (by content-length)."""
        while b"\r\n\r\n" not in self._buffer:
            self._buffer += await self.read()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        request = Request(head)
        length = int(request.headers.get("content-length", "0"))
        while len(self._buffer) < length:
            self._buffer += await self.read()
        request.body, self._buffer = self._buffer[:length], self._buffer[length:]
        return request

    async def read(self) -> bytes:
        """Read what is there, decrypted; raises ConnectionError when the caller has left."""
        while True:
            if self._tls is None:
                return await self.raw()
            try:
                return self._tls.read(65536)
            except ssl.SSLZeroReturnError:
                await self.raw()  # a goodbye, which stays unanswered
            except ssl.SSLWantReadError:
                self._incoming.write(await self.raw())

    async def raw(self) -> bytes:
        """Read from the socket itself; raises ConnectionError at its end."""
        data = await self._reader.read(65536)
        if not data:
            raise ConnectionResetError("the caller has closed the socket")
        return data

    async def send(self, *pieces: bytes) -> None:
        """Send *pieces*, together; raises ConnectionError when the caller has left."""
        if self._writer.is_closing():
            raise ConnectionResetError("the connection is closed")
        data = b"".join(pieces)
        if self._tls is None:
            self._writer.write(data)
        else:
            self._tls.write(data)
            self._flush()
        await self._writer.drain()

    async def answer(self, body: bytes = b"ok", *headers: bytes, status: bytes = b"200 OK") -> None:
        """Send a whole answer with its length."""
        length = b"content-length: %d" % len(body)
        await self.send(
            b"HTTP/1.1 ", status, b"\r\n", *(h + b"\r\n" for h in (length, *headers)), b"\r\n", body
        )

    def slip(self, data: bytes) -> None:
        """Put *data* on a plain connection now, before the loop runs again."""
        os.write(self._writer.get_extra_info("socket").fileno(), data)

    def close(self) -> None:
        """Close the socket in peace."""
        self._writer.close()

    def reset(self) -> None:
        """Close the socket with a reset."""
        sock: socket.socket = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def gone(self) -> None:
        """Wait until the caller has closed its socket, whatever it still says before."""
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(PATIENCE):
                while True:
                    await self.raw()

    def _wrap(self, context: ssl.SSLContext) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    def _flush(self) -> None:
        self._writer.write(self._outgoing.read())


class Server:
    """A scripted server, and what became of its connections: *running* are the tasks that play the script."""

    def __init__(self, script: Script, context: ssl.SSLContext | None, *, greet: bool) -> None:
        self.connections = 0
        self.failures: list[BaseException] = []
        self.port = 0
        self._script, self._context, self._greet = script, context, greet
        self.running: set[asyncio.Task[None]] = set()

    def url(self, path: str = "/") -> str:
        """Return the URL of *path* here, without a name.

        A name is looked up by a thread, as soon as that has its turn: no deadline of a test is about that.
        """
        return f"{'https' if self._context else 'http'}://127.0.0.1:{self.port}{path}"

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Play the script to one caller."""
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self.running.add(task)
        peer = Peer(reader, writer, self._context)
        try:
            if self._greet:
                await peer.handshake()
            await self._script(peer)
        except (ConnectionError, ssl.SSLError, asyncio.CancelledError):
            pass  # the caller left, which is the caller's right, or the test is over
        except Exception as exc:  # the test has to hear of it
            self.failures.append(exc)
        finally:
            self.running.discard(task)
            writer.close()

    async def finished(self) -> None:
        """Wait until every script that has begun is over, and raise what failed in one."""
        async with asyncio.timeout(PATIENCE):
            while self.running:
                await asyncio.wait(set(self.running))
        for failure in self.failures:
            raise failure

    def stop(self) -> None:
        """Interrupt every script."""
        for task in self.running:
            task.cancel()


@contextlib.asynccontextmanager
async def serve(
    script: Script, tls: ssl.SSLContext | None = None, *, greet: bool = True
) -> AsyncIterator[Server]:
    """Serve *script* on a free port; with *greet* off, it does TLS's handshake itself, or not."""
    server = Server(script, tls, greet=greet)
    listener = await asyncio.start_server(server.connected, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        server.stop()
        await server.finished()


@contextlib.contextmanager
def nobody_listens() -> Iterator[int]:
    """Give a port of loopback that nobody listens on, and that nobody else is given meanwhile."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # whoever asks for this very one gets it
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


async def happens(event: asyncio.Event) -> None:
    """Wait for *event*; fail rather than wait for ever."""
    async with asyncio.timeout(PATIENCE):
        await event.wait()


def in_turn(*scripts: Script) -> Script:
    """Return a script that plays the first to the first connection, and so on; the last one to the rest."""
    waiting = list(scripts)

    async def script(peer: Peer) -> None:
        await (waiting.pop(0) if len(waiting) > 1 else waiting[0])(peer)

    return script


class Certificates:
    """A certificate authority of our own with a certificate for localhost."""

    def __init__(self) -> None:
        authority = trustme.CA()
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost", "127.0.0.1").configure_cert(self.server)
        self.authority = authority.cert_pem.bytes()
        self.client = ssl.create_default_context()
        authority.configure_trust(self.client)
