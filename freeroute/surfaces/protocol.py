"""HTTP/1.1 on the socket, within bounds: by itself the server caps neither heads nor its own patience."""

import asyncio
from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT

from freeroute.errors import ApiError, HeadersTooLarge, InvalidRequest
from freeroute.surfaces.connection import Connection
from freeroute.surfaces.cycles import Cycle, CycleUntilClosed
from freeroute.surfaces.departure import DEPARTURE
from freeroute.surfaces.heads import (
    CODING,
    Fields,
    complaint,
    declined,
    expects_continue,
    host_and_target,
    target,
)
from freeroute.surfaces.http import FIELDS
from freeroute.surfaces.known import KEPT, KnownHead, known_head
from freeroute.surfaces.outlet import OUTLET

_UNLIKE = 4
"""After so many requests that are all unlike each other, as those with the id of a trace are, no more heads
of a connection are remembered. Own design: to do so takes a tenth of what the server does for a request."""


class _Stop(Exception):
    """Stops the parser; the reason is kept beside it."""


class BoundedProtocol(Connection):
    """What is read on a connection: heads within bounds, and none twice that came before."""

    __slots__ = (
        "_asked",
        "_begun_in",
        "_fresh",
        "_known",
        "_left",
        "_offered",
        "_read_bytes",
        "_reading",
        "_refusal",
        "_scope",
        "_target",
        "_trailer_bytes",
        "_unlike",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Start with nothing read."""
        super().__init__(*args, **kwargs)
        self._reading = self._begun_in = 0  # bytes of this read, and of the one the head began in
        self._read_bytes = 0  # in the reads after the one that began the head, or held some of the body
        self._trailer_bytes = 0  # of whole trailers
        self._fresh = b""  # of this read, if a request may begin with it
        self._known: KnownHead | None = None  # of the last request
        self._unlike = 0  # heads in a row that did not come again
        self._left = 0  # of the body of a request with a known head
        self._offered = False  # another protocol
        self._refusal: ApiError | None = None
        self._asked, self._target = b"", ("", b"", b"")  # the last URL, and what it is taken apart
        self._scope: Any = {}  # of the last request, as far as another one may share it

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Say of every request where it came."""
        super().connection_made(transport)
        self._scope = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "root_path": self.root_path,
        }

    def data_received(self, data: bytes) -> None:
        """Parse *data*; what comes after a refusal is only taken off the wire."""
        if self._refused:
            self._ignore(len(data))
            return
        self.idle_since = None
        rest = data if self._known is None else self._past_parser(self._known, data)
        if rest:
            self._parse(rest)
        cycle = self.cycle
        under_way = cycle is not None and not cycle.response_complete
        # As nearly always: a request came, whole.
        if not under_way or self._in_head or self._read_bytes > self.bounds.head_bytes:
            self._after_read(cycle)

    def _past_parser(self, known: KnownHead, data: bytes) -> bytes:
        """Take what *data* holds of a request whose head is *known*; return what the parser has to see."""
        if self._left:
            return self._go_on(data)
        before = self.cycle
        # Only between two requests, where the parser stands as it stood before the last one.
        if self._in_head or before.more_body or not before.response_complete:
            return data
        begun = known.begins(data)
        if begun is None:
            return data
        length, end = begun
        self._again(known, length)
        body = data[end:]
        if len(body) != self._left or self._left > HIGH_WATER_LIMIT:
            return self._go_on(body)
        self._left = 0
        self.cycle.come_whole(body)  # as nearly always
        return b""

    def _again(self, known: KnownHead, length: bytes) -> None:
        """Begin a request that has this *length* and a head that is *known*."""
        if self._head_timer is not None:
            self._head_has_come()
        self._unlike = self._read_bytes = 0
        self._left = int(length)
        headers, fields = known.headers(length)
        self.cycle = cycle = self._begun(headers, fields)
        scope: Any = cycle.scope
        scope[OUTLET], scope[KEPT] = cycle, known.kept
        self._start(cycle)

    def _go_on(self, data: bytes) -> bytes:
        """Take *data* for more of a body that the parser does not see; return what is behind it."""
        piece = data[: self._left]
        if piece:
            self.on_body(piece)
        self._left -= len(piece)
        if not self._left:
            self.on_message_complete()
        return data[len(piece) :]

    def _parse(self, data: bytes) -> None:
        self._reading = len(data)
        self._read_bytes += self._reading
        between = not self._in_head and (self.cycle is None or not self.cycle.more_body)
        self._fresh = data if between else b""
        try:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                declined = self._declined(data[offer.args[0] :])  # with a parser of its own
                self.parser.feed_data(declined)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._refuse(self._refusal or InvalidRequest("This is not a valid HTTP/1.1 request."))
        self._fresh = b""

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
        self._head_has_come()
        if self._begun_in + self._read_bytes > self.bounds.head_bytes:  # what was read, of which this is some
            size = sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > self.bounds.head_bytes:
                self._stop(self._too_large())
        fresh, self._fresh = self._fresh, b""  # what follows in this read does not begin it
        self._known = None
        if self.parser.should_upgrade():
            self._offer()
        else:
            self._take(self.parser.get_http_version(), fresh)

    def _offer(self) -> None:
        if self.parser.get_method() == b"CONNECT":
            self._stop(InvalidRequest("This is not a proxy: CONNECT is not served."))
        self._offered = True

    def _take(self, version: str, fresh: bytes) -> None:
        """Take the request whose head has come, in this *version* of HTTP; what is *fresh* begins with it."""
        fields = dict(self.headers)
        if len(fields) != len(self.headers) or CODING in fields:
            wrong = complaint(self.headers, version)  # not raised: its traceback would know of this object
            if wrong is not None:
                self._stop(wrong)
        scope = self._scope
        scope["http_version"] = version
        scope["method"] = self.parser.get_method().decode("ascii")
        keep_alive = version != "1.0" and self.parser.should_keep_alive()
        if self.url.startswith(b"/"):
            if fresh and keep_alive and self.cycle is not None and self._unlike < _UNLIKE:
                self._unlike += 1
                self._known = known_head(fresh, self.headers, fields, self.bounds)
        elif absolute := host_and_target(self.url):
            # What the request line names counts, whatever Host says.
            fields[b"host"], self.url = absolute
            others = [header for header in self.headers if header[0] != b"host"]
            self.headers = [*others, (b"host", fields[b"host"])]
        if self.url != self._asked:  # nearly every caller asks for the same again and again
            self._asked, self._target = self.url, target(self.url)
        scope["path"], scope["raw_path"], scope["query_string"] = self._target
        cycle = self._begun(self.headers, fields, CycleUntilClosed if version == "1.0" else Cycle)
        cycle.keep_alive = keep_alive
        self._enter(cycle, version)

    def _begun(self, headers: Fields, fields: dict[bytes, bytes], kind: type[Cycle] = Cycle) -> Cycle:
        scope = self._scope.copy()
        scope["headers"] = headers
        scope["state"] = self.app_state.copy()
        scope[FIELDS] = fields
        cycle = scope[DEPARTURE] = kind(scope, self)
        return cycle

    def _enter(self, cycle: Cycle, version: str) -> None:
        before, self.cycle = self.cycle, cycle
        scope: Any = cycle.scope
        scope[OUTLET] = cycle
        if b"expect" in scope[FIELDS] and version != "1.0":
            cycle.waiting_for_100_continue = expects_continue(self.headers)
        if self._known is not None:
            scope[KEPT] = self._known.kept
        if before is None or before.response_complete:
            self._start(cycle)
        else:  # answers leave in the order of their requests
            self.pipeline.appendleft(cycle)
            if len(self.pipeline) >= self.bounds.behind:
                self.flow.pause_reading()

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

    def _stop(self, error: ApiError) -> None:
        # The parser turns this into an error of its own.
        self._refusal = error
        raise _Stop

    def _too_large(self) -> ApiError:
        return HeadersTooLarge(
            f"The request head has more than {self.bounds.headers} headers or {self.bounds.head_bytes} bytes."
        )
