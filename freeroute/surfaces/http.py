"""What every surface does with raw HTTP: read a request within bounds, answer it, say no in one shape."""

import asyncio
import re
import secrets
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qs

import msgspec
import structlog
from litestar.types import HTTPReceiveMessage, Receive, Scope, Send, WebSocketReceiveMessage
from msgspec import Struct
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from freeroute.clock import Now
from freeroute.domain.clients import Client
from freeroute.domain.operators import Operator
from freeroute.domain.traces import Trace
from freeroute.errors import ApiError, InvalidRequest, RequestTimeout, TooLarge
from freeroute.surfaces.known import KEPT
from freeroute.surfaces.outlet import OUTLET, Outlet
from freeroute.wire.head import Head
from freeroute.wire.text import printable

T = TypeVar("T")

Header = tuple[bytes, bytes]
_Received = HTTPReceiveMessage | WebSocketReceiveMessage

STALLED = "freeroute.stalled"
"""Stands in the scope of a request whose caller was given up, since it read nothing any more."""

FIELDS = "freeroute.fields"
"""Where the server keeps the headers of a request by their names, in its scope."""

BODY_LIMIT = 20 * 2**20
BODY_TIMEOUT = 30.0
JSON = b"application/json"
# A body that keeps coming at least this fast (bytes/s) may outlast the read timeout; one that drips may not.
_SLOWEST_UPLOAD = 64 * 1024
# The longest header value that is sent: the trail is the longest of ours.
_LONGEST_HEADER = 1024

_BODILESS = frozenset({204, 304})
# `_head` of a reply with a body and nothing that was added, and the lines of more headers behind it.
_OF_A_BODY = (
    b"x-request-id: %b\r\nx-content-type-options: nosniff\r\ncontent-type: %b\r\ncontent-length: %d\r\n%b"
)

_REQUEST_ID = re.compile(r"[\w.-]{1,128}", re.ASCII)
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")

_log: structlog.stdlib.BoundLogger = structlog.get_logger("freeroute.surfaces")


Refusal = Callable[[ApiError, str], bytes]
"""Returns the body that tells an error in the shape of one API; it gets the request's id as well."""


class CallerLeft(Exception):
    """The caller hung up while its request was still coming in: nobody is left to answer."""


class Caller(Struct, frozen=True):
    """Who asks: the *client* if keys are in use, the name of its *queue*, and how many gateways it passed.

    *operator* is who holds the token it sent, on a route that asks for one, or whose session it is.
    """

    client: Client | None = None
    queue: str = "-"
    hop: int = 0
    operator: Operator | None = None


_NOBODY_YET = Caller()


class BodyBounds(Struct, frozen=True):
    """How large a body may be, in bytes, and how long it may take to arrive, in seconds."""

    limit: int = BODY_LIMIT
    timeout: float = BODY_TIMEOUT


def in_openais_shape(error: ApiError, request_id: str) -> bytes:
    """Return the body that tells *error* to clients of OpenAI."""
    return msgspec.json.encode(error.body())


def new_request_id() -> str:
    """Return an id that no other request has."""
    return next(_ids)


def _drawn_ids() -> Iterator[str]:
    """Return random ids without end: many are drawn at once, since each time the system is asked."""
    while True:
        drawn = secrets.token_bytes(12 * _IDS_AT_ONCE).hex(" ", 12)
        yield from f"req_{drawn}".replace(" ", " req_").split()


_IDS_AT_ONCE = 64
_ids = _drawn_ids()


def _sound_id(given: bytes) -> str:
    """Return the id that was *given* if it may stand in a header and in a log, else one of ours."""
    text = given.decode("latin-1")
    return text if _REQUEST_ID.fullmatch(text) else new_request_id()


def trace_of(value: str | None) -> Trace | None:
    """Return a span of ours below that of the caller's ``traceparent``; None if that is missing or wrong."""
    match = _TRACEPARENT.fullmatch(value) if value else None
    if match is None:
        return None
    version, trace, parent, flags, rest = match.groups()
    if version == "ff" or (version == "00" and rest) or not int(trace, 16) or not int(parent, 16):
        return None
    return Trace(trace, secrets.token_hex(8), parent, int(flags, 16))


def encode_headers(headers: Mapping[str, str]) -> list[Header]:
    """Return *headers* as they go out; a value that could break the head is made harmless."""
    return [(name.encode("latin-1"), _encode_value(value)) for name, value in headers.items()]


def _encode_value(value: str) -> bytes:
    return printable(value, _LONGEST_HEADER).encode("ascii")


def head_lines(headers: Mapping[str, str]) -> bytes:
    """Return *headers* as lines of a head; a value that could break it is made harmless."""
    if isinstance(headers, Head):
        return headers.lines
    return _lines(encode_headers(headers))


def _lines(headers: Iterable[Header]) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def error_headers(error: ApiError) -> dict[str, str]:
    """Return the headers of *error*, telling SDKs that retry by themselves where that is pointless."""
    headers = error.response_headers()
    if error.code in {"no_provider_configured", "loop_detected"} or (error.retry_after or 0) > 60:
        headers.setdefault("x-should-retry", "false")
    return headers


def bare_refusal(error: ApiError) -> bytes:
    """Return the whole answer to what was no request, in OpenAI's shape; the connection ends with it."""
    body = in_openais_shape(error, "")
    head = (
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
        f"x-request-id: {new_request_id()}\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n"
    )
    return STATUS_LINE[error.status] + head_lines(error_headers(error)) + head.encode("ascii") + body


def log_fault(error: BaseException, request_id: str) -> None:
    """Log that we failed, with where and what type; a message could quote the caller's content."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    where = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames]
    _log.error("internal_error", request_id=request_id, error=type(error).__name__, where=where)


class Request:
    """One HTTP request on raw ASGI, and the one reply to it."""

    __slots__ = (
        "_added",
        "_send",
        "caller",
        "headers",
        "id",
        "kept",
        "method",
        "outlet",
        "params",
        "receive",
        "received",
        "refusal",
        "scope",
        "started",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wrap what the server passed in; *started* says whether the head of the reply is out."""
        self.scope = scope
        self.receive: Callable[[], Coroutine[Any, Any, _Received]] = receive  # type: ignore[assignment]
        self._send = send
        self.outlet: Outlet | None = scope.get(OUTLET)  # type: ignore[assignment]
        self.method: str = scope["method"]  # type: ignore[typeddict-item]
        fields: dict[bytes, bytes] | None = scope.get(FIELDS)  # type: ignore[assignment]
        self.headers = dict(scope["headers"]) if fields is None else fields
        self.kept: dict[Any, Any] | None = scope.get(KEPT)  # type: ignore[assignment]
        given = self.headers.get(b"x-request-id")
        self.id = next(_ids) if given is None else _sound_id(given)
        self.params: dict[str, str] = {}  # the parts of the path its route has names for
        self.caller = _NOBODY_YET
        self.received: Now | None = None  # set as it is admitted
        self.refusal: Refusal = in_openais_shape
        self.started = False
        self._added: tuple[Header, ...] = ()

    def header(self, name: bytes) -> str | None:
        """Return the header *name* (lower case) as text, or None."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    def of_head(self, find: Callable[[Mapping[bytes, bytes]], T]) -> T:
        """Return what *find* makes of the headers, whatever the length of the body.

        It is found once for all requests that come with the same head on a connection, by a function that is
        the same each time.
        """
        kept = self.kept
        if kept is None:
            return find(self.headers)
        found: T | None = kept.get(find)
        if found is None:
            found = kept[find] = find(self.headers)
        return found

    @property
    def peer(self) -> str:
        """Return the address of the other end of the connection."""
        client = self.scope.get("client")
        return client[0] if client else "-"

    def query(self, name: str) -> str | None:
        """Return the query parameter *name*, the last if there are several, or None."""
        text = self.scope["query_string"].decode("latin-1")
        try:
            fields = parse_qs(text, keep_blank_values=True, max_num_fields=50)
        except ValueError as exc:
            raise InvalidRequest("The query has too many fields.", param=name) from exc
        return fields[name][-1] if name in fields else None

    def add_headers(self, headers: Iterable[Header]) -> None:
        """Send *headers* with whatever reply comes."""
        self._added += tuple(headers)

    @property
    def stalled(self) -> bool:
        """Say whether the server gave the caller up because it read nothing any more."""
        return STALLED in self.scope

    async def body(self, bounds: BodyBounds) -> bytes:
        """Return the whole body; raises InvalidRequest, TooLarge, RequestTimeout and CallerLeft."""
        whole = self.whole(bounds)
        return await self._pieces(bounds) if whole is None else whole

    def whole(self, bounds: BodyBounds) -> bytes | None:
        """Return the body if all of it is there, as nearly always; raises InvalidRequest and TooLarge."""
        if b"content-encoding" in self.headers:
            self._check_coding()
        whole = None if self.outlet is None else self.outlet.whole()
        if whole is not None and len(whole) > bounds.limit:
            raise _too_large(bounds.limit)
        return whole

    async def _pieces(self, bounds: BodyBounds) -> bytes:
        declared = self.headers.get(b"content-length", b"").lstrip(b"0") or b"0"
        if declared.isdigit() and (len(declared) > 18 or int(declared) > bounds.limit):
            raise _too_large(bounds.limit)
        outlet, body = self.outlet, _Body(bounds.limit)
        due = asyncio.get_running_loop().time() + bounds.timeout
        try:
            if outlet is not None:  # clients in Python send it apart, and a timeout takes longer
                while body.take(await outlet.receive_by(due + body.earned)):
                    pass
                return body.whole
            async with asyncio.timeout_at(due + body.earned) as patience:
                while body.take(await self.receive()):
                    patience.reschedule(due + body.earned)
        except TimeoutError:
            raise RequestTimeout(
                f"The request body did not arrive within {bounds.timeout:g} s.", param="body"
            ) from None
        return body.whole

    def _check_coding(self) -> None:
        coding = self.header(b"content-encoding") or ""
        if coding.strip().lower() not in ("", "identity"):
            raise InvalidRequest(
                f"Content-Encoding {printable(coding)} is not served: send the body as it is.",
                param="content-encoding",
            )

    async def begin(self, status: int, content_type: bytes, *headers: Mapping[str, str]) -> None:
        """Send the head of a reply whose body follows in pieces."""
        self.started = True
        head = [*self._of_every_reply(), (b"content-type", content_type)]
        if self._begin(status, b"".join([_lines(head), *map(head_lines, headers)])):
            return
        for more in headers:
            head += encode_headers(more)
        await self._send({"type": "http.response.start", "status": status, "headers": head})

    def _begin(self, status: int, lines: bytes) -> bool:
        return self.outlet is not None and self.method != "HEAD" and self.outlet.begin(status, lines)

    async def more(self, piece: bytes) -> None:
        """Send a piece of the body."""
        await self._send({"type": "http.response.body", "body": piece, "more_body": True})

    async def end(self, piece: bytes = b"") -> None:
        """Send the last *piece* of the body."""
        await self._send({"type": "http.response.body", "body": piece, "more_body": False})

    async def reply(
        self, status: int, body: bytes, headers: Mapping[str, str] | None = None, content_type: bytes = JSON
    ) -> None:
        """Send a whole reply."""
        if self.answer(status, body, headers or {}, content_type):
            return
        self.started = True
        head = [*self._head(status, body, content_type), *encode_headers(headers or {})]
        await self._send({"type": "http.response.start", "status": status, "headers": head})
        piece = b"" if self.method == "HEAD" else body
        await self._send({"type": "http.response.body", "body": piece, "more_body": False})

    def answer(self, status: int, body: bytes, headers: Mapping[str, str], content_type: bytes) -> bool:
        """Send a whole reply at once and say so, or that it cannot be: the caller has not read enough yet."""
        outlet = self.outlet
        if outlet is None:
            return False
        lines = head_lines(headers)
        if status in _BODILESS or self._added:
            lines = _lines(self._head(status, body, content_type)) + lines
        else:  # as nearly always
            lines = _OF_A_BODY % (self.id.encode(), content_type, len(body), lines)
        if not outlet.answer(status, lines, b"" if self.method == "HEAD" else body):
            return False
        self.started = True
        return True

    def _head(self, status: int, body: bytes, content_type: bytes) -> list[Header]:
        head = self._of_every_reply()
        if status not in _BODILESS:
            head += [(b"content-type", content_type), (b"content-length", b"%d" % len(body))]
        return head

    def _of_every_reply(self) -> list[Header]:
        return [
            (b"x-request-id", self.id.encode("ascii")),
            (b"x-content-type-options", b"nosniff"),
            *self._added,
        ]

    async def reply_json(self, value: Any, status: int = 200) -> None:
        """Send *value* as JSON; what these replies say changes from one moment to the next."""
        await self.reply(status, msgspec.json.encode(value), {"cache-control": "no-store"})

    async def refuse(self, error: ApiError) -> None:
        """Send *error* in the shape of the API that was called: *refusal* knows it."""
        await self.reply(error.status, self.refusal(error, self.id), error_headers(error))


Handler = Callable[[Request], Awaitable[None]]
"""Answers a request; raises ApiError."""


class _Body:
    """A body as it comes, of at most *limit* bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pieces: list[bytes] = []
        self._size = 0

    def take(self, message: _Received) -> bool:
        """Take the next piece and say whether more follow; raises TooLarge and CallerLeft."""
        if message["type"] != "http.request":
            raise CallerLeft
        self._size += len(message["body"])
        if self._size > self._limit:
            raise _too_large(self._limit)
        self._pieces.append(message["body"])
        return message["more_body"]

    @property
    def earned(self) -> float:
        """Return the seconds of patience that what came has earned."""
        return self._size / _SLOWEST_UPLOAD

    @property
    def whole(self) -> bytes:
        """Return what came."""
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The request body is larger than the limit of {limit} bytes.", param="body")
