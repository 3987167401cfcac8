"""HTTP/1.1 on the socket, within bounds: by itself the server caps neither heads nor its own patience."""

import asyncio
import math
import socket
from collections import deque
from functools import partial
from typing import Any

import httptools
import uvicorn
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from freeroute.errors import ApiError, HeadersTooLarge, InvalidRequest, RequestTimeout
from freeroute.surfaces.bounds import Bounds
from freeroute.surfaces.cycles import Cycle, Flow, until_closed
from freeroute.surfaces.departure import DEPARTURE
from freeroute.surfaces.entrance import Entrance
from freeroute.surfaces.heads import CODING, complaint, declined, expects_continue, host_and_target, target
from freeroute.surfaces.http import FIELDS, STALLED, bare_refusal
from freeroute.surfaces.outlet import OUTLET


class _Stop(Exception):
    """Stops the parser; the reason is kept beside it."""


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with bounds; what it refuses by itself has OpenAI's error shape."""

    # With more than 29 attributes beside them, as uvicorn's 28, an object takes five times the room.
    __slots__ = (
        "_answering",
        "_asked",
        "_begun_in",
        "_head_timer",
        "_idle_since",
        "_ignored",
        "_in_head",
        "_linger_timer",
        "_offered",
        "_read_bytes",
        "_reading",
        "_refusal",
        "_refused",
        "_scope",
        "_target",
        "_trailer_bytes",
        "_write_timer",
    )
    bounds = Bounds()
    entrance: Entrance  # shared by all connections of a server
    cycle: Cycle  # the newest
    pipeline: deque[tuple[Cycle, Any]]  # type: ignore[assignment]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Start with nothing read."""
        super().__init__(*args, **kwargs)
        self._ignored = self._trailer_bytes = 0  # of a body nobody reads; of whole trailers
        self._reading = self._begun_in = 0  # bytes of this read, and of the one the head began in
        self._read_bytes = 0  # in the reads after the one that began the head, or held some of the body
        self._idle_since: float | None = None  # as the loop tells time; None while something comes or goes
        self._in_head = self._refused = self._offered = False  # the last is another protocol
        self._refusal: ApiError | None = None
        self._asked, self._target = b"", ("", b"", b"")  # the last URL, and what it is taken apart
        self._scope: Any = {}  # what is the same of all requests
        self._head_timer: asyncio.TimerHandle | None = None
        self._linger_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.Handle | None = None
        self._answering: Cycle | None = None  # older than `cycle` where callers pipeline

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a first request soon."""
        super().connection_made(transport)
        self.flow = Flow(transport, self.pipeline, self.bounds.behind)
        self._scope = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "root_path": self.root_path,
        }
        opened = transport.get_extra_info("socket")
        if opened is not None and hasattr(socket, "TCP_NOTSENT_LOWAT"):
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, self.bounds.unread_bytes)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell every request on this connection, and let go of the timers."""
        # The server tells the newest one only: a pipelined one must not hide the answer under way.
        if self._answering is not None:
            self._answering.hang_up()
        super().connection_lost(exc)
        while self.pipeline:
            self.pipeline.pop()[0].forget()  # which was not begun
        idle = self.timeout_keep_alive_task
        for timer in (self._head_timer, self._linger_timer, self._write_timer, idle):
            if timer is not None:
                timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Parse *data*; what comes after a refusal is only taken off the wire."""
        if self._refused:
            self._ignore(len(data))
            return
        self._reading = len(data)
        self._read_bytes += self._reading
        self._idle_since = None
        self._parse(data)
        cycle = self.cycle
        under_way = cycle is not None and not cycle.response_complete
        # As nearly always: a request came, whole.
        if not under_way or self._in_head or self._read_bytes > self.bounds.head_bytes:
            self._after_read(cycle)

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
        """Return a request that offers another protocol as if it did not, and the *rest* behind its head."""
        head = declined(self.parser.get_method(), self.url, self.parser.get_http_version(), self.headers)
        self._offered = False
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return head + rest

    def _after_read(self, cycle: Cycle | None) -> None:
        if self._refused:
            return
        unread = cycle is not None and cycle.more_body  # trailers and the like come behind a body
        if (self._in_head or unread) and self._read_bytes > self.bounds.head_bytes:
            self._refuse(self._too_large())
        elif self._in_head or self._is_idle():
            self._expect_head()

    def on_message_begin(self) -> None:
        """Start with a head."""
        self.url = b""
        self.headers = []
        self._in_head = True
        self._begun_in = self._reading
        self._read_bytes = self._trailer_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Cap the request line."""
        self.url += url
        if len(self.url) > self.bounds.head_bytes:
            self._stop(HeadersTooLarge(f"The request line is longer than {self.bounds.head_bytes} bytes."))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Cap the count of the headers; drop trailers, which come after everything was checked."""
        if not self._in_head:
            self._trailer_bytes += len(name) + len(value) + 4
            if self._trailer_bytes > self.bounds.head_bytes:
                self._stop(self._too_large())
            return
        headers = self.headers
        headers.append((name.lower(), value))
        if len(headers) > self.bounds.headers:
            self._stop(self._too_large())

    def on_headers_complete(self) -> None:
        """Pass the request on."""
        self._in_head = False
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        if self._begun_in + self._read_bytes > self.bounds.head_bytes:  # what was read, of which this is some
            size = sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > self.bounds.head_bytes:
                self._stop(self._too_large())
        if self.parser.should_upgrade():
            self._offer()
        else:
            self._take(self.parser.get_http_version())

    def _offer(self) -> None:
        if self.parser.get_method() == b"CONNECT":
            self._stop(InvalidRequest("This is not a proxy: CONNECT is not served."))
        self._offered = True

    def _take(self, version: str) -> None:
        """Take the request whose head has come, in this *version* of HTTP."""
        fields = dict(self.headers)
        if len(fields) != len(self.headers) or CODING in fields:
            wrong = complaint(self.headers, version)  # not raised: its traceback would know of this object
            if wrong is not None:
                self._stop(wrong)
        if not self.url.startswith(b"/") and (absolute := host_and_target(self.url)):
            # What the request line names counts, whatever Host says.
            fields[b"host"], self.url = absolute
            others = [header for header in self.headers if header[0] != b"host"]
            self.headers = [*others, (b"host", fields[b"host"])]
        scope = self._scope.copy()
        scope["http_version"] = version
        scope["method"] = self.parser.get_method().decode("ascii")
        if self.url != self._asked:  # nearly every caller asks for the same again and again
            self._asked, self._target = self.url, target(self.url)
        scope["path"], scope["raw_path"], scope["query_string"] = self._target
        scope["headers"] = self.headers
        scope["state"] = self.app_state.copy()
        scope[FIELDS] = fields
        self._enter(Cycle(scope, self, keep_alive=version != "1.0" and self.parser.should_keep_alive()))

    def _enter(self, cycle: Cycle) -> None:
        before, self.cycle = self.cycle, cycle
        scope: Any = cycle.scope
        scope[DEPARTURE] = cycle
        app = self.app
        if scope["http_version"] == "1.0":
            app = until_closed(cycle, app)
        else:
            scope[OUTLET] = cycle
            if b"expect" in scope[FIELDS]:
                cycle.waiting_for_100_continue = expects_continue(self.headers)
        if before is None or before.response_complete:
            self._start_asgi_task(cycle, app)
        else:  # answers leave in the order of their requests
            self.pipeline.appendleft((cycle, app))
            if len(self.pipeline) >= self.bounds.behind:
                self.flow.pause_reading()

    def _start_asgi_task(self, cycle: Cycle, app: Any) -> None:  # type: ignore[override]
        self._answering = cycle
        self.entrance.enter(partial(cycle.start, app, self.loop), self.loop)

    def on_body(self, body: bytes) -> None:
        """Pass *body* on, or take it off the wire once the answer is out."""
        self._read_bytes = 0
        cycle = self.cycle
        if cycle.response_complete:
            self._ignore(len(body))
            return
        cycle.come(body)
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()

    def on_message_complete(self) -> None:
        """The whole request has come, read or not: the connection is good for another one."""
        if self._offered:
            return
        self.cycle.came()
        if self._linger_timer is not None:
            self._linger_timer.cancel()
            self._linger_timer = None

    def on_response_complete(self) -> None:
        """Go on with the next request, which may have come; wait a little for a body that nobody read."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._idle_since = self.loop.time()
            if self.timeout_keep_alive_task is None:
                self._look_if_idle(self.timeout_keep_alive)
        self.flow.resume_reading()
        if self.cycle.response_complete and self.cycle.more_body:
            self._linger()

    def _look_if_idle(self, after: float) -> None:
        """See after so many seconds whether anything came: one timer does for many requests."""
        later = self.loop.call_later(after, self.timeout_keep_alive_handler)
        self.timeout_keep_alive_task = later

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection if it has been idle for long; else look again when it might have been."""
        self.timeout_keep_alive_task = None
        if self._idle_since is None:
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._look_if_idle(left)
        elif not self.transport.is_closing():
            self.transport.close()

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

    def _is_idle(self) -> bool:
        """Say whether bytes came that began no request, such as empty lines after an answer."""
        done = self.cycle is None or (self.cycle.response_complete and not self.cycle.more_body)
        return done and self._idle_since is None

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
            if begun is not None:
                begun.hang_up()
        self.transport.write(bare_refusal(error))
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
