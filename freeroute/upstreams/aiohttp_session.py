"""aiohttp with everything of its own switched off, and extended where only it can know.

Limits, timeouts, redirects, cookies, decompression and resends are off. Three of its classes are extended:
`Answer` learns the moment a connection is there and lets go of it at once on failure, `Wire` is the
connection, which counts what it received and breaks a body that cannot go on, and `Attempt` ties both to
the deadlines of one exchange.
"""

import asyncio
import functools
import math
import socket
import ssl
import warnings
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import TypeVar, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError
from yarl import URL

from freeroute.clock import mono
from freeroute.engine.ports import Dispatch
from freeroute.upstreams.transport import Deadlines, Disconnected, Phase, TimedOut

T = TypeVar("T")

_READ_AHEAD = 64 * 1024  # a connection is paused once twice as much is waiting to be read
_HEAD_LINE = 16 * 1024
_HEAD_FIELDS = 128
_TLS_GOODBYE = 0.1
_PROBE_IDLE = 30  # seconds of silence before the system asks a peer whether it still lives

_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)
_NO_AUTO_HEADERS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class Attempt:
    """The deadlines of one exchange, the connection aiohttp picked for it, and what to do at its end."""

    def __init__(self, target: URL, deadlines: Deadlines, dispatch: Dispatch) -> None:
        self._loop = asyncio.get_running_loop()
        self.target = target
        self.deadlines = deadlines
        self.answer: aiohttp.ClientResponse | None = None
        self.reused = False
        self.sent_in = 0.0
        self._dispatch = dispatch
        self._dispatch.unsent = True
        self._began = mono()
        self._ends_at = self._loop.time() + deadlines.total
        self._left_at = math.inf  # when the reader of the body went away with a piece of it
        self._phase, self._seconds = Phase.CONNECT, deadlines.connect
        self._wire: Wire | None = None
        self._transport: asyncio.Transport | None = None
        self._before = 0
        self._at_end: list[Callable[[], object]] = []
        self._ended = False

    @property
    def where(self) -> str:
        """Host and port, for an error's text; a path or a query may hold a secret."""
        return f"{self.target.host}:{self.target.port}"

    @functools.cached_property
    def head_timer(self) -> asyncio.Timeout:
        """The timer around everything up to the head, now set for connecting."""
        return asyncio.timeout_at(self._set(Phase.CONNECT, self.deadlines.connect))

    def head_timed_out(self) -> TimedOut:
        """Say which deadline `head_timer` was set for."""
        return TimedOut(self._phase, self._seconds)

    def connected(self, connection: Connection) -> None:
        """Note which connection the request went out on, and set `head_timer` for the first byte."""
        wire = connection.protocol
        assert isinstance(wire, Wire)
        self._wire, self._transport = wire, connection.transport
        self._dispatch.unsent = False
        self.reused, self._before = wire.uses > 0, wire.received
        wire.uses += 1
        wire.idle = False
        self.head_timer.reschedule(self._set(Phase.FIRST_BYTE, self.deadlines.first_byte))
        self._loop.call_soon(self._sent)  # aiohttp's writer, scheduled before, comes first

    def _sent(self) -> None:
        self.sent_in = mono() - self._began

    def disconnected(self) -> Disconnected:
        """Say that the connection is gone, and what it had brought."""
        received = self._wire.received - self._before if self._wire is not None else 0
        text = f"{self.where} closed the connection"
        return Disconnected(text, reused=self.reused, received=received)

    async def within(self, phase: Phase, seconds: float, awaited: Awaitable[T]) -> T:
        """Await something, for at most *seconds* and what is left of the total."""
        timer = asyncio.timeout_at(self._set(phase, seconds))
        try:
            async with timer:
                return await awaited
        except TimeoutError:
            raise TimedOut(self._phase, self._seconds) from None

    def read_on(self) -> None:
        """Let the total go on, which stood still while nobody read; raise if it is spent.

        A body that never pauses meets no other timer.
        """
        now = self._loop.time()
        self._ends_at += max(now - self._left_at, 0.0)
        self._left_at = now
        if now >= self._ends_at:
            raise TimedOut(Phase.TOTAL, self.deadlines.total)

    def handed_over(self) -> None:
        """Let the total stand still until the reader comes back for more of what took time to come."""
        self._left_at = self._loop.time()

    def on_end(self, callback: Callable[[], object]) -> None:
        """Call *callback* once, when the exchange is over."""
        self._at_end.append(callback)

    def end(self) -> None:
        """Give back what the exchange held."""
        if self._ended:
            return
        self._ended = True
        if self._wire is not None:
            self._wire.idle = True
        if self._transport is not None and self._transport.is_closing():
            self._transport.abort()  # a polite end of TLS would leave the socket to the peer's mercy
        for callback in self._at_end:
            callback()
        self._at_end.clear()
        self.answer = None  # the connection keeps the context in which it was made, and so this attempt

    def abort(self) -> None:
        """Close the connection without waiting for anything, unless the exchange is over."""
        if self._ended:
            return
        # First of all: once aiohttp has closed the connection politely, it no longer knows the transport.
        if self._transport is not None:
            self._transport.abort()
        if self.answer is not None:
            self.answer.close()
        self.end()

    def _set(self, phase: Phase, seconds: float) -> float:
        """Make *phase* the one that is timed and return when it ends; the total comes first if shorter."""
        at = self._loop.time() + seconds
        if at > self._ends_at:
            phase, seconds, at = Phase.TOTAL, self.deadlines.total, self._ends_at
        self._phase, self._seconds = phase, seconds
        return at


CURRENT: ContextVar[Attempt] = ContextVar("attempt")


class Answer(aiohttp.ClientResponse):
    """aiohttp's answer, which says when it has a connection and lets go of it at once on failure."""

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        attempt = CURRENT.get()
        try:
            attempt.connected(connection)
            return await super().start(connection)
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
            # aiohttp sends a GET again after these two; what is not its own error it lets pass.
            attempt.abort()
            raise attempt.disconnected() from None
        except BaseException:
            attempt.abort()
            raise


class Wire(ResponseHandler):
    """aiohttp's connection, which counts what it received and breaks a body that cannot go on."""

    uses = 0
    received = 0
    idle = False

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        unasked = self.idle and len(data) > 0
        if not unasked:
            super().data_received(data)
            unasked = self.idle and len(self) > 0
        if unasked and self.transport is not None:
            # Whoever uses the connection next would take it for the answer.
            self.transport.abort()

    def set_exception(self, exc: BaseException, exc_cause: BaseException | None = None) -> None:
        # A framing error in mid-body reaches only the next head's reader; the body's would wait for ever.
        if isinstance(exc, HttpProcessingError) and self._payload is not None:
            self._payload.set_exception(exc)
        if exc_cause is None:
            super().set_exception(exc)
        else:
            super().set_exception(exc, exc_cause)

    def connection_lost(self, exc: BaseException | None) -> None:
        # A body that ends with its connection is complete only if the connection ended in peace.
        if exc is not None and self._payload is not None and not self._payload.is_eof():
            self._payload.set_exception(aiohttp.ClientPayloadError())
        super().connection_lost(exc)


def new_session(keepalive: float, tls: ssl.SSLContext | None) -> aiohttp.ClientSession:
    """Return an aiohttp session with nothing of its own switched on."""
    with warnings.catch_warnings():
        # Deprecated, and still the only bound on a TLS peer that never answers our goodbye.
        warnings.simplefilter("ignore", DeprecationWarning)
        connector = aiohttp.TCPConnector(
            limit=0,
            keepalive_timeout=keepalive,
            ssl=tls or True,
            socket_factory=_probed_socket,
            ssl_shutdown_timeout=_TLS_GOODBYE,
        )
    wires = functools.partial(Wire, loop=asyncio.get_running_loop())
    connector._factory = cast("functools.partial[ResponseHandler]", wires)
    return aiohttp.ClientSession(
        connector=connector,
        timeout=_NO_TIMEOUT,
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=_NO_AUTO_HEADERS,
        auto_decompress=False,
        raise_for_status=False,
        trust_env=False,
        response_class=Answer,
        read_bufsize=_READ_AHEAD,
        max_line_size=_HEAD_LINE,
        max_field_size=_HEAD_LINE,
        max_headers=_HEAD_FIELDS,
    )


def _probed_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """Return a socket that notices a peer which vanished without a word, and keeps NAT entries alive."""
    family, kind, protocol = address[:3]
    sock = socket.socket(family, kind, protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _PROBE_IDLE)
    return sock
