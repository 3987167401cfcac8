"""The transport seam over sockets: a pool of HTTP/1.1 connections, our deadlines, bounds and errors."""

import asyncio
import contextlib
import functools
import re
import ssl
from collections import deque
from collections.abc import Sequence
from typing import TypeVar

from freeroute.engine.ports import Dispatch
from freeroute.upstreams.content_coding import Inflate, coding_of
from freeroute.upstreams.http_connection import Answer, Connection
from freeroute.upstreams.http_dial import Target, dial, target_of
from freeroute.upstreams.http_patience import Patience
from freeroute.upstreams.http_proxies import Proxies
from freeroute.upstreams.transport import (
    Deadlines,
    Disconnected,
    Passing,
    Phase,
    ProtocolError,
    Refused,
    TransportError,
)

T = TypeVar("T")
Origin = tuple[str, int, bool, object, bool]
Pool = tuple[Origin, tuple[bytes, ...] | None]
"""The connections to an origin of one holder: what a peer adds to an answer never becomes another key's.

Those that nobody has asked anything on belong to None, and to whoever comes first.
"""

_BREAKS = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_CREDENTIAL = re.compile(rb"auth|key|token|secret|cookie", re.IGNORECASE)
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class HttpTransport:
    """HTTP/1.1 over pooled connections, at most *per_origin* exchanges at a time with each origin."""

    def __init__(
        self,
        *,
        per_origin: int = 1024,
        keepalive: float = 50.0,
        tls: ssl.SSLContext | None = None,
        proxies: Proxies | None = None,
    ) -> None:
        """Keep idle connections for *keepalive* seconds; *tls* replaces the system's trust.

        Calls that name no proxy of their own go through that of *proxies*.
        """
        self._proxies = proxies or Proxies({})
        self._per_origin = per_origin
        self._keepalive = keepalive
        self._tls = {True: tls} if tls is not None else {}
        self._idle: dict[Pool, deque[Connection]] = {}
        self._slots: dict[Origin, asyncio.Semaphore] = {}
        self._handshakes = asyncio.Lock()
        self._busy: set[Connection] = set()
        self._sweep: asyncio.TimerHandle | None = None
        self._closed = False

    async def open(
        self,
        method: str,
        url: str,
        headers: Sequence[tuple[bytes, bytes]],
        body: bytes,
        deadlines: Deadlines,
        *,
        verify_tls: bool = True,
        proxy: str | None = None,
        dispatch: Dispatch | None = None,
    ) -> "HttpExchange":
        """Send a request and return once the head of its answer is there.

        The exchange holds one of its origin's slots until its body is complete, it fails or is aborted.
        """
        target = target_of(url, proxy or self._proxies.of(url))
        head = _head(method, target, headers, len(body))
        patience = Patience(deadlines)
        dispatch = dispatch or Dispatch()
        dispatch.unsent = True
        origin = _origin(target, verify=verify_tls)
        pool = (origin, _credentials(headers))
        slots = self._slots.get(origin)
        if slots is None:
            slots = self._slots[origin] = asyncio.Semaphore(self._per_origin)
        if slots.locked():
            await patience.within(Phase.POOL, deadlines.pool, slots.acquire())
        else:
            await slots.acquire()  # at once, and without the price of a timer
        try:
            if self._closed:
                raise Refused("the transport is closed")
            connection = self._pooled(pool) or self._pooled((origin, None))
            connection = connection or await self._made(target, verify_tls, patience)
        except BaseException:
            slots.release()
            raise

        def ended(_: Answer) -> None:
            patience.over()
            slots.release()
            self._returned(pool, connection)

        answer = Answer(asyncio.get_running_loop(), ended, reused=connection.uses > 0)
        self._busy.add(connection)
        connection.expect(answer)
        try:
            dispatch.unsent = False
            sending = connection.send(head, body)
            at = patience.until(Phase.FIRST_BYTE, deadlines.first_byte, asyncio.get_running_loop().time())
            await patience.head(sending, answer, at)
            return HttpExchange(connection, answer, patience)
        except BaseException:
            if connection.answer is answer:  # else it has ended, and the connection is somebody else's
                connection.abort()
            raise

    async def warm(self, url: str) -> None:
        """Have a connection to where *url* leads wait for its first request, if there is none there.

        That is for TLS alone: others are made in no time. Where it fails, the first request will tell.
        """
        with contextlib.suppress(TransportError):
            target = target_of(url, self._proxies.of(url))
            origin = _origin(target, verify=True)
            if target.is_tls and not any(known == origin for known, _ in self._idle):
                connection = await self._made(target, True, Patience(Deadlines()))
                connection.uses += 1  # it may have gone stale, as one that was used may
                self._rests((origin, None), connection)

    async def close(self) -> None:
        """Close every connection, idle or not; nothing can be opened afterwards."""
        self._closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in [*self._busy, *(one for idle in self._idle.values() for one in idle)]:
            connection.abort(Disconnected(f"{connection.where}: the transport was closed"))
        self._busy.clear()
        self._idle.clear()

    # --- the pool --------------------------------------------------------------------------------------

    def _pooled(self, pool: Pool) -> Connection | None:
        """Return the connection that was used last, which is the likeliest to live."""
        idle = self._idle.get(pool)
        oldest = asyncio.get_running_loop().time() - self._keepalive
        while idle:
            connection = idle.pop()
            if connection.idle_since >= oldest and connection.is_quiet:
                return connection
            connection.abort()
        return None

    async def _made(self, target: Target, verify: bool, patience: Patience) -> Connection:
        dialling = self._dialled(target, verify)
        connection = await patience.within(Phase.CONNECT, patience.deadlines.connect, dialling)
        if self._closed:
            connection.abort()
            raise Refused("the transport is closed")
        return connection

    async def _dialled(self, target: Target, verify: bool) -> Connection:
        context = await self._context(verify=verify) if target.is_tls else None
        return await dial(target, context, self._handshakes)

    async def _context(self, *, verify: bool) -> ssl.SSLContext:
        if verify not in self._tls:
            # On a thread: the system's certificates are read from the disk.
            self._tls[verify] = await asyncio.to_thread(_trust, verify=verify)
        return self._tls[verify]

    def _returned(self, pool: Pool, connection: Connection) -> None:
        self._busy.discard(connection)
        if not (connection.is_open and connection.keeps_alive) or self._closed:
            connection.abort()
        else:
            self._rests(pool, connection)

    def _rests(self, pool: Pool, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.setdefault(pool, deque()).append(connection)
        if self._sweep is None:
            self._sweep = loop.call_later(self._keepalive, self._swept)

    def _swept(self) -> None:
        """Close what has been idle for too long."""
        self._sweep = None
        loop = asyncio.get_running_loop()
        oldest = loop.time() - self._keepalive
        for pool, idle in list(self._idle.items()):
            while idle and (idle[0].idle_since <= oldest or not idle[0].is_open):
                idle.popleft().abort()
            if not idle:
                del self._idle[pool]
        if self._idle:
            self._sweep = loop.call_later(self._keepalive / 2, self._swept)


def _origin(target: Target, *, verify: bool) -> Origin:
    return target.host, target.port, target.is_tls, target.proxy, verify


def _trust(*, verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class HttpExchange:
    """One answer; to be read to its end or aborted."""

    def __init__(self, connection: Connection, answer: Answer, patience: Patience) -> None:
        """Prepare to read the body."""
        self.sent_in = patience.sent_in
        self.status = answer.status
        self.headers: Sequence[tuple[bytes, bytes]] = answer.headers
        self._connection = connection
        self.onward: Passing | None = None
        self._answer = answer
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        coding = coding_of(self.headers)
        self._inflate = Inflate(coding) if coding else None
        if coding:
            spent = (b"content-encoding", b"content-length")
            self.headers = [pair for pair in self.headers if pair[0].lower() not in spent]

    @property
    def answer_by(self) -> float:
        """Return when the whole answer has to be there."""
        return self._patience.answer_by

    @answer_by.setter
    def answer_by(self, at: float) -> None:
        self._patience.answer_by = at

    async def next(self) -> bytes:
        """Return all body bytes that are ready, waiting for at least one; ``b""`` at the end."""
        answer, patience = self._answer, self._patience
        try:
            if answer.pieces and not answer.complete and answer.failure is None:
                patience.read_on()
            while (piece := self._ready()) is None:
                waiter = patience.waiting(answer)
                answer.passed_on = self._passed_on if self.onward and not self._inflate else None
                try:
                    await waiter
                finally:
                    answer.passed_on = None
                    patience.came(answer)
            return piece
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        """Close the connection now, unless the body is complete and it can be used again."""
        if self._connection.answer is self._answer:
            self._connection.abort()

    def _passed_on(self) -> bool:
        """Say whether all that has come went on past whoever waits for it, and who waits for more."""
        answer, onward = self._answer, self.onward
        pieces = answer.pieces
        if answer.complete or onward is None or not pieces:
            return False
        now = self._loop.time()
        while pieces and onward(pieces[0], now):
            pieces.pop(0)
        answer.size = sum(map(len, pieces)) if pieces else 0
        self._patience.wait_on(now)
        return not pieces

    def _ready(self) -> bytes | None:
        """Return what there is of the body, ``b""`` at its end; None if more is to come."""
        inflate = self._inflate
        if inflate is None:
            return self._raw()
        while not (piece := inflate.take()):
            raw = self._raw()
            if raw is None:
                return None
            if not raw:
                inflate.finish()
                return b""
            inflate.feed(raw)
        return piece

    def _raw(self) -> bytes | None:
        answer = self._answer
        if answer.pieces:
            return self._connection.take(answer)
        if answer.failure is not None:
            raise answer.failure
        return b"" if answer.complete else None


@functools.lru_cache(maxsize=4096)
def _field(name: bytes, value: bytes) -> bytes:
    """Return a header as it is sent; raises ProtocolError if it would break the request."""
    try:
        value.decode()
    except UnicodeDecodeError:
        raise ProtocolError("the request cannot be sent") from None
    if not _NAME.fullmatch(name) or _BREAKS.search(value):
        raise ProtocolError("the request cannot be sent")
    return b"%b: %b\r\n" % (name, value)


@functools.lru_cache(maxsize=1024)
def _tells_who(name: bytes) -> bool:
    return _CREDENTIAL.search(name) is not None


def _credentials(headers: Sequence[tuple[bytes, bytes]]) -> tuple[bytes, ...]:
    """Return the fields that say who asks; a provider's key may be in one of any name."""
    return tuple(value for name, value in headers if _tells_who(name))


def _head(method: str, target: Target, headers: Sequence[tuple[bytes, bytes]], length: int) -> bytes:
    """Return the head of a request, which asks for an answer without compression unless *headers* do not."""
    if method == "HEAD":
        raise ProtocolError("the request cannot be sent")
    fields = [_field(name, value) for name, value in headers]
    if not any(name.lower() == b"accept-encoding" for name, _ in headers):
        fields.append(b"accept-encoding: identity\r\n")
    if length:
        fields.append(b"content-length: %d\r\n" % length)
    if target.proxy is not None and not target.is_tls:
        fields.append(target.proxy.authorization)
    line = b"%b %b HTTP/1.1\r\nhost: %b\r\n" % (method.encode(), target.line, target.host_header)
    return b"%b%b\r\n" % (line, b"".join(fields))
