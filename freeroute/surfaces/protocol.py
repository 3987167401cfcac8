"""HTTP/1.1 on the socket, within bounds: by itself the server caps neither heads nor its own patience."""

import asyncio
import math
import re
import socket
from collections.abc import Sequence
from functools import partial
from typing import Any

import httptools
import msgspec
import uvicorn
from msgspec import Struct
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from freeroute.errors import ApiError, HeadersTooLarge, InvalidRequest, RequestTimeout
from freeroute.surfaces.departure import DEPARTURE, Departure
from freeroute.surfaces.entrance import Entrance
from freeroute.surfaces.http import STALLED, new_request_id
from freeroute.surfaces.outlet import OUTLET, Flow, Outlet

_OFFERING = {b"connection", b"upgrade", b"http2-settings"}
# A second one may say something else to us than to whatever stands in front of us.
_ONCE = {
    name.lower().encode("ascii"): name
    for name in ("Host", "Authorization", "x-api-key", "api-key", "x-goog-api-key")
}
_CODING = b"transfer-encoding"
_JUDGED = frozenset((*_ONCE, _CODING))
_ABSOLUTE = re.compile(rb"[a-z][a-z0-9+.-]*://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)


class Bounds(Struct, frozen=True):
    """What a connection may cost: bytes and count of headers, and seconds of patience.

    *head_seconds* is for a request's head; *linger_seconds* and *linger_bytes* are for a body nobody reads,
    so that a caller still sending it gets to see the answer. A caller that reads nothing for *write_seconds*
    is given up, at the latest after twice as long; nginx gives it a minute (`send_timeout`). One that reads
    slowly is not: of what it has not read *unread_bytes* are left to the system, which else keeps megabytes
    back and shows for long that nothing moves.
    """

    head_bytes: int = 64 * 1024
    headers: int = 100
    head_seconds: float = 30.0
    linger_seconds: float = 5.0
    linger_bytes: int = 8 * 1024 * 1024
    write_seconds: float = 30.0
    unread_bytes: int = 128 * 1024


class _Stop(Exception):
    """Stops the parser; the reason is kept beside it."""


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with bounds; what it refuses by itself has OpenAI's error shape."""

    # With more than 29 attributes beside them, as uvicorn's 28, an object takes five times the room.
    __slots__ = (
        "_answering",
        "_head_timer",
        "_header_bytes",
        "_ignored",
        "_in_head",
        "_linger_timer",
        "_offered",
        "_read_bytes",
        "_refusal",
        "_refused",
        "_write_timer",
    )
    bounds = Bounds()
    entrance: Entrance  # shared by all connections of a server

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Start with nothing read."""
        super().__init__(*args, **kwargs)
        self._header_bytes = self._ignored = 0  # of whole headers, as parsed; and of a body nobody reads
        self._read_bytes = 0  # in the reads after the one the head began in, whatever they held
        self._in_head = self._refused = self._offered = False  # the last is another protocol
        self._refusal: ApiError | None = None
        self._head_timer: asyncio.TimerHandle | None = None
        self._linger_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.Handle | None = None
        self._answering: RequestResponseCycle | None = None  # older than `cycle` where callers pipeline

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a first request soon."""
        super().connection_made(transport)
        self.flow = Flow(transport)
        opened = transport.get_extra_info("socket")
        if opened is not None and hasattr(socket, "TCP_NOTSENT_LOWAT"):
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, self.bounds.unread_bytes)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell every request on this connection, and let go of the timers."""
        # The server tells the newest one only: a pipelined one must not hide the answer under way.
        for cycle in (self._answering, *(waiting for waiting, _ in self.pipeline)):
            _hang_up(cycle)
        super().connection_lost(exc)
        for timer in (self._head_timer, self._linger_timer, self._write_timer):
            if timer is not None:
                timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Parse *data*; what comes after a refusal is only taken off the wire."""
        if self._refused:
            self._ignore(len(data))
            return
        if self._in_head:
            self._read_bytes += len(data)
        self._unset_keepalive_if_required()
        self._parse(data)
        self._after_read()

    def _parse(self, data: bytes) -> None:
        try:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                declined = self._declined(data[offer.args[0] :])  # with a parser of its own
                self.parser.feed_data(declined)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._refuse(self._refusal or InvalidRequest("This is not a valid HTTP/1.1 request."))

    def _declined(self, rest: bytes) -> bytes:
        """Return a request that offers another protocol as if it did not: Java's client offers HTTP/2 on all.

        The parser takes all that follows such a head for the other protocol, the body included.
        """
        line = b"%s %s HTTP/1.1\r\n" % (self.scope["method"].encode("ascii"), self.url)
        fields = [b"%s: %s\r\n" % header for header in self.headers if header[0] not in _OFFERING]
        if any(name == b"connection" and b"close" in value.lower() for name, value in self.headers):
            fields.append(b"connection: close\r\n")
        self._offered = False
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return b"".join([line, *fields, b"\r\n", rest])

    def _after_read(self) -> None:
        cycle = self.cycle
        under_way = cycle is not None and not cycle.response_complete
        if self._refused or (under_way and not self._in_head):  # as nearly always: a request came, whole
            return
        if self._in_head and self._read_bytes > self.bounds.head_bytes:
            self._refuse(self._too_large())
        elif self._in_head or self._idle():
            self._expect_head()

    def on_message_begin(self) -> None:
        """Start counting a head."""
        super().on_message_begin()
        self._in_head = True
        self._header_bytes = self._read_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Cap the request line."""
        self.url += url
        if len(self.url) > self.bounds.head_bytes:
            self._stop(HeadersTooLarge(f"The request line is longer than {self.bounds.head_bytes} bytes."))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Cap count and size of the headers; drop trailers, which come after everything was checked."""
        self._header_bytes += len(name) + len(value) + 4
        if self._header_bytes > self.bounds.head_bytes:
            self._stop(self._too_large())
        if not self._in_head:
            return
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))
        if len(self.headers) > self.bounds.headers:
            self._stop(self._too_large())

    def on_headers_complete(self) -> None:
        """Pass the request on."""
        self._in_head = False
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        if not self.parser.should_upgrade():
            self._judge()
            super().on_headers_complete()
            return
        self.scope["method"] = self.parser.get_method().decode("ascii")
        if self.scope["method"] == "CONNECT":
            self._stop(InvalidRequest("This is not a proxy: CONNECT is not served."))
        self._offered = True

    def _judge(self) -> None:
        """Refuse a head that others on the way may read in another way than we do.

        `Expect` is left alone: 100-continue is answered, anything else is passed over, as HTTP allows.
        """
        names = [name for name, _ in self.headers if name in _JUDGED]
        if _CODING in names or len(names) != len(set(names)):
            self._judge_fields(names)
        if not self.url.startswith(b"/") and (absolute := _ABSOLUTE.fullmatch(self.url)):
            # What the request line names counts, whatever Host says.
            kept = [header for header in self.headers if header[0] != b"host"]
            self.headers[:] = [*kept, (b"host", absolute[1])]
            self.url = absolute[2] if absolute[2].startswith(b"/") else b"/" + absolute[2]

    def _judge_fields(self, names: Sequence[bytes]) -> None:
        """Refuse *names* of which one comes twice, and bodies whose end is not told in one way."""
        twice = next((name for name in names if name in _ONCE and names.count(name) > 1), None)
        if twice is not None:
            told = f"The request has more than one {_ONCE[twice]} header."
            self._stop(InvalidRequest(told, param=twice.decode("ascii")))
        codings = [value.strip().lower() for name, value in self.headers if name == _CODING]
        if codings and (codings != [b"chunked"] or self.parser.get_http_version() == "1.0"):
            problem = "Send the body with Content-Length or in chunks: no other Transfer-Encoding is served."
            self._stop(InvalidRequest(problem, param="transfer-encoding"))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        cycle.scope.setdefault(DEPARTURE, Departure())  # type: ignore[misc]
        if cycle.scope["http_version"] == "1.0":
            cycle.waiting_for_100_continue = False
            app = _until_closed(cycle, app)
        else:
            cycle.scope[OUTLET] = Outlet(cycle)  # type: ignore[literal-required]
        self.entrance.enter(partial(super()._start_asgi_task, cycle, app), self.loop)

    def on_body(self, body: bytes) -> None:
        """Pass *body* on, or take it off the wire once the answer is out."""
        super().on_body(body)
        if self.cycle.response_complete:
            self._ignore(len(body))

    def on_message_complete(self) -> None:
        """The whole request has come, read or not: the connection is good for another one."""
        if self._offered:
            return
        super().on_message_complete()
        if self._linger_timer is not None:
            self._linger_timer.cancel()
            self._linger_timer = None

    def on_response_complete(self) -> None:
        """Wait a little for the rest of a body that was answered unread."""
        super().on_response_complete()
        if self.cycle.response_complete and self.cycle.more_body and not self.transport.is_closing():
            self._linger()

    def pause_writing(self) -> None:
        """Give a caller that stopped reading some time."""
        super().pause_writing()
        self._write_timer = self.loop.call_soon(self._look, math.inf)  # after the whole of this write

    def _look_later(self, unread: float) -> None:
        """See in a while whether the caller has read some of the *unread* bytes."""
        self._write_timer = self.loop.call_later(self.bounds.write_seconds, self._look, unread)

    def _look(self, unread: float) -> None:
        still = self.transport.get_write_buffer_size()
        if still < unread:
            self._look_later(still)
            return
        if self._answering is not None:
            self._answering.scope[STALLED] = True  # type: ignore[literal-required]
        self.transport.abort()

    def resume_writing(self) -> None:
        """Let a caller that reads again go on."""
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()

    def _stop(self, error: ApiError) -> None:
        # The parser turns this into an error of its own.
        self._refusal = error
        raise _Stop

    def _too_large(self) -> ApiError:
        return HeadersTooLarge(
            f"The request head has more than {self.bounds.headers} headers or {self.bounds.head_bytes} bytes."
        )

    def _idle(self) -> bool:
        """Say whether bytes came that began no request, such as empty lines after an answer."""
        done = self.cycle is None or (self.cycle.response_complete and not self.cycle.more_body)
        return done and self.timeout_keep_alive_task is None

    def _expect_head(self) -> None:
        if self._head_timer is None and not self.transport.is_closing():
            self._head_timer = self.loop.call_later(self.bounds.head_seconds, self._head_is_late)

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self.transport.is_closing() or self._refused:
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self._expect_head()  # a pipelined head must not cut the answer before it
        elif self._in_head:
            self._refuse(
                RequestTimeout(f"The request head did not arrive within {self.bounds.head_seconds:g} s.")
            )
        else:
            self.transport.close()

    def _refuse(self, error: ApiError) -> None:
        """Answer without the application, and let go of the connection."""
        self._refused = True
        if self.transport.is_closing():
            return
        cycle = self._answering
        if cycle is not None and not cycle.response_complete and cycle.response_started:
            self.transport.close()  # nothing of ours may land inside another answer
            return
        for begun in (cycle, self.cycle):
            _hang_up(begun)
        self.transport.write(_whole_answer(error))
        # Half a close, so that a caller still sending reads the answer rather than a reset.
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._linger()

    def _linger(self) -> None:
        self._ignored = 0
        if self._linger_timer is None:
            self._linger_timer = self.loop.call_later(self.bounds.linger_seconds, self.transport.close)

    def _ignore(self, size: int) -> None:
        self._ignored += size
        if self._ignored > self.bounds.linger_bytes:
            self.transport.close()


def _hang_up(cycle: RequestResponseCycle | None) -> None:
    """Tell the request of *cycle*, unless it is answered, that nobody is there any more."""
    if cycle is not None and not cycle.response_complete:
        cycle.disconnected = True
        cycle.message_event.set()
        cycle.scope.setdefault(DEPARTURE, Departure()).tell()  # type: ignore[misc]


def _until_closed(cycle: RequestResponseCycle, app: Any) -> Any:
    """Return *app* for a caller of HTTP/1.0, to whom a body of unknown length ends only with the connection.

    The server always chunks such a body, so each piece is declared to it as if it were expected.
    """

    async def closing(scope: Any, receive: Any, send: Any) -> None:
        measured = False

        async def sent(message: Any) -> None:
            nonlocal measured
            if message["type"] == "http.response.start":
                measured = any(name.lower() == b"content-length" for name, _ in message["headers"])
                cycle.chunked_encoding = None if measured else False
            elif not measured:
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await app(scope, receive, sent)

    return closing


def _whole_answer(error: ApiError) -> bytes:
    body = msgspec.json.encode(error.body())
    head = (
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
        f"x-request-id: {new_request_id()}\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n"
    )
    return STATUS_LINE[error.status] + head.encode("ascii") + body


def server_config(
    app: Any, *, bounds: Bounds | None = None, keep_alive: int = 75, grace: float = 30.0
) -> uvicorn.Config:
    """Return how *app* is served: bounded HTTP/1.1, no WebSocket, no access log.

    *keep_alive* is in seconds, longer than clients and proxies keep idle connections, so that they and not
    we close them; *grace* is what answers under way get when the server stops.
    """

    class Protocol(BoundedProtocol):
        entrance = Entrance()

    if bounds is not None:
        Protocol.bounds = bounds
    return uvicorn.Config(
        app,
        interface="asgi3",  # which the server would not guess of what returns a coroutine without being one
        http=Protocol,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=keep_alive,
        timeout_graceful_shutdown=int(grace),
    )
