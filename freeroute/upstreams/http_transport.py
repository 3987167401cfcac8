"""The transport seam over sockets: a pool of HTTP/1.1 connections, our deadlines, bounds and errors."""

import asyncio
import contextlib
import functools
import ssl
from collections.abc import Awaitable, Callable
from weakref import WeakSet

from msgspec import Struct

from freeroute.engine.ports import Dispatch
from freeroute.open_files import each_side, is_any_left, is_lack, may_open
from freeroute.upstreams.content_coding import Inflate
from freeroute.upstreams.heads import Telling
from freeroute.upstreams.http_connection import Connection
from freeroute.upstreams.http_dial import Target, dial, target_of
from freeroute.upstreams.http_fields import taken_apart, telling
from freeroute.upstreams.http_heads import Headers, credentials, head
from freeroute.upstreams.http_layouts import Layouts
from freeroute.upstreams.http_patience import Awaited
from freeroute.upstreams.http_pool import Holder, Pool, most_at_once
from freeroute.upstreams.http_proxies import Proxies
from freeroute.upstreams.transport import (
    Deadlines,
    Disconnected,
    NoFileLeft,
    Passing,
    Phase,
    Refused,
    TimedOut,
    TransportError,
)

# Seconds from one look for a free file to the next. Own design: a hundredth of what anybody waits for one.
LOOK = 0.01

Origin = tuple[str, int, bool, object, bool]


class Way(Struct, frozen=True):
    """How a request gets to where it goes; those that differ in nothing but their bodies go the same.

    *begins* is its head as far as that does not depend on the body, *layouts* how the heads of answers are.
    """

    target: Target
    pool: Pool
    begins: bytes
    holder: Holder
    layouts: Layouts


class HttpTransport:
    """HTTP/1.1 over pooled connections, at most *per_origin* exchanges at a time with each origin."""

    def __init__(
        self,
        *,
        per_origin: int | None = None,
        keepalive: float = 50.0,
        tls: ssl.SSLContext | None = None,
        proxies: Proxies | None = None,
    ) -> None:
        """Keep idle connections for *keepalive* seconds; *tls* replaces the system's trust.

        Calls that name no proxy of their own go through that of *proxies*. Unless *per_origin* says how many
        exchanges there may be, it goes by the files that may be open.
        """
        self._proxies = proxies or Proxies({})
        self._per_origin = most_at_once() if per_origin is None else per_origin
        self._share = each_side(may_open())
        self._keepalive = keepalive
        self._tls = {True: tls} if tls is not None else {}
        self._pools: dict[Origin, Pool] = {}
        self._known_way = functools.lru_cache(maxsize=1024)(self._way)
        self._handshakes = asyncio.Lock()
        self._files = asyncio.Lock()
        self._made_here: WeakSet[Connection] = WeakSet()  # of which those that are lost go by themselves
        self._sweep: asyncio.TimerHandle | None = None
        self._closed = False

    async def open(
        self,
        method: str,
        url: str,
        headers: Headers,
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
        find = self._known_way if isinstance(headers, tuple) else self._way
        way = find(method, url, headers, proxy, verify_tls)
        pool, loop = way.pool, self._loop
        now = loop.time()
        exchange = HttpExchange(way, deadlines, loop, now, self._returned)
        if dispatch is not None:
            dispatch.unsent = True
        if not pool.slots.take():
            now = await exchange.admitted(pool.slots.turn(), now + deadlines.pool)
        try:
            if self._closed:
                raise Refused("the transport is closed")
            connection = None
            if dispatch is None or not dispatch.fresh:
                connection = pool.taken(way.holder, now - self._keepalive)
            if connection is None:
                connection = await self._made_in_turn(way.target, verify_tls, exchange)
                now = loop.time()
        except BaseException:
            pool.slots.release()
            raise

        try:
            if dispatch is not None:
                dispatch.unsent = False
            sending = exchange.ask(connection, body, now)
            if sending is not None:
                await exchange.sending(sending)
            await exchange.head
            exchange.begin()
            return exchange
        except BaseException:
            exchange.abort()
            raise

    async def warm(self, url: str) -> None:
        """Have a connection to where *url* leads wait for its first request, if there is none there.

        That is for TLS alone: others are made in no time. Where it fails, the first request will tell.
        """
        with contextlib.suppress(TransportError):
            target, pool = self._found(url, self._proxies.of(url), True)
            if target.is_tls and pool.is_empty:
                deadlines, now = Deadlines(), self._loop.time()
                awaited = Awaited(deadlines, self._loop, now)
                connection = await self._made(target, True, awaited, now + deadlines.pool)
                connection.uses += 1  # it may have gone stale, as one that was used may
                self._rests(connection, pool, None)

    async def close(self) -> None:
        """Close every connection, idle or not; nothing can be opened afterwards."""
        self._closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in list(self._made_here):
            connection.abort(Disconnected(f"{connection.where}: the transport was closed"))
        for pool in self._pools.values():
            pool.empty()

    # --- the pools -------------------------------------------------------------------------------------

    @functools.cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop that it works in. It is asked for once: Python asks the system each time."""
        return asyncio.get_running_loop()

    def _way(self, method: str, url: str, headers: Headers, proxy: str | None, verify: bool) -> Way:
        """Return the way of such requests; raises ProtocolError."""
        target, pool = self._found(url, proxy or self._proxies.of(url), verify)
        return Way(target, pool, head(method, target, headers), credentials(headers), Layouts())

    def _found(self, url: str, proxy: str | None, verify: bool) -> tuple[Target, Pool]:
        """Return what *url* leads to, and the pool of its origin; raises ProtocolError."""
        target = target_of(url, proxy)
        origin = target.host, target.port, target.is_tls, target.proxy, verify
        return target, self._pools.setdefault(origin, Pool(self._per_origin))

    async def _made_in_turn(self, target: Target, verify: bool, exchange: "HttpExchange") -> Connection:
        """Return a new connection; without a file for it, wait for that as long as for any turn of ours."""
        by = self._loop.time() + exchange.deadlines.pool
        while True:
            try:
                return await self._made(target, verify, exchange, by)
            except NoFileLeft:
                self._let_one_go()
            try:
                await exchange.admitted(self._file(), by)
            except TimedOut:
                raise NoFileLeft(f"{target.where}: no file is left for a connection") from None

    async def _file(self) -> None:
        """Wait until there may be one more file, one after the other."""
        await asyncio.sleep(LOOK)  # by then what made way is closed
        async with self._files:
            while not is_any_left():  # noqa: ASYNC110 - nobody tells of a file that is closed, as by a caller
                await asyncio.sleep(LOOK)

    def _let_one_go(self) -> None:
        any(pool.let_one_go() for pool in self._pools.values())

    async def _handshake(self) -> None:
        """Wait for the turn to begin one: each has one of the event loop.

        It takes a millisecond, and streams under way must not wait for hundreds of them together.
        """
        async with self._handshakes:
            await asyncio.sleep(0)

    async def _made(self, target: Target, verify: bool, awaited: Awaited, by: float) -> Connection:
        """Return a new connection, if its own turn comes *by* then."""
        if target.is_tls:
            await awaited.admitted(self._handshake(), by)
        if len(self._made_here) >= self._share:
            self._let_one_go()  # the other files are for callers, and for what is kept
        dialling = self._dialled(target, verify)
        connection = await awaited.within(Phase.CONNECT, awaited.deadlines.connect, dialling)
        if self._closed:
            connection.abort()
            raise Refused("the transport is closed")
        self._made_here.add(connection)
        return connection

    async def _dialled(self, target: Target, verify: bool) -> Connection:
        context = await self._context(verify=verify) if target.is_tls else None
        return await dial(target, context)

    async def _context(self, *, verify: bool) -> ssl.SSLContext:
        if verify not in self._tls:
            # On a thread: the system's certificates are read from the disk.
            self._tls[verify] = await asyncio.to_thread(_trust, verify=verify)
        return self._tls[verify]

    def _returned(self, connection: Connection, way: Way) -> None:
        """Take a *connection* back that is free of its answer, or gone."""
        pool = way.pool
        connection.alarm.leave()
        pool.slots.release()
        if connection.keeps_alive and connection.is_open and not self._closed:
            self._rests(connection, pool, way.holder)
        else:
            connection.abort()

    def _rests(self, connection: Connection, pool: Pool, holder: Holder) -> None:
        pool.rests(connection, holder, self._loop.time())
        if self._sweep is None:
            self._sweep = self._loop.call_later(self._keepalive, self._swept)

    def _swept(self) -> None:
        """Close what has been idle for too long."""
        self._sweep = None
        oldest = self._loop.time() - self._keepalive
        for pool in self._pools.values():
            pool.sweep(oldest)
        if not all(pool.is_empty for pool in self._pools.values()):
            self._sweep = self._loop.call_later(self._keepalive / 2, self._swept)


def _trust(*, verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    bundle = ssl.get_default_verify_paths().cafile
    if bundle and not context.cert_store_stats()["x509"]:  # OpenSSL does not say that it could not open it
        try:
            context.load_verify_locations(bundle)
        except OSError as exc:
            if is_lack(exc):
                raise NoFileLeft("no file is left to read whom to trust") from None
    context.set_alpn_protocols(["http/1.1"])
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class HttpExchange(Awaited):
    """One answer; to be read to its end or aborted. *returned* is given its connection back."""

    __slots__ = ("_connection", "_inflate", "_returned", "_way", "onward", "telling")

    _connection: Connection
    telling: Telling

    def __init__(
        self,
        way: Way,
        deadlines: Deadlines,
        loop: asyncio.AbstractEventLoop,
        now: float,
        returned: Callable[[Connection, Way], None],
    ) -> None:
        """Expect it from *now* on."""
        Awaited.__init__(self, deadlines, loop, now)
        self.layouts = way.layouts
        self.onward: Passing | None = None
        self._returned = returned
        self._way = way
        self._inflate: Inflate | None = None

    def ask(self, connection: Connection, body: bytes, now: float) -> Awaitable[None] | None:
        """Send the request with this *body* on *connection*; return what does, as far as it is awaited."""
        self._connection = connection
        sending = connection.ask(self._way.begins, body, self)
        self.expected(connection.alarm, now)
        return sending

    def begin(self) -> None:
        """Prepare to read the body: the head is there."""
        self.telling = told = self.told or telling(self.lines)
        if told.coding is not None:
            self._inflate = Inflate(told.coding)

    @property
    def headers(self) -> Headers:
        """Return the fields of the head; what they told of a body that is unfolded here is no longer true."""
        headers = taken_apart(self.lines)
        if self._inflate is None:
            return headers
        return [pair for pair in headers if pair[0].lower() not in (b"content-encoding", b"content-length")]

    def ended(self) -> None:
        """Give the connection back."""
        self._returned(self._connection, self._way)

    def rest(self) -> bytes | None:
        """Return what is left of the body if the end of it is there; None if it is not."""
        if not self.complete or self._inflate is not None:
            return None
        rest = b"".join(self.pieces)  # which copies nothing where there is one
        self.pieces.clear()
        return rest

    async def next(self) -> bytes:
        """Return all body bytes that are ready, waiting for at least one; ``b""`` at the end."""
        rest = self.rest()
        if rest is not None:
            return rest
        try:
            if self.pieces and not self.complete and self.failure is None:
                self.read_on()
            while (piece := self._ready()) is None:
                waiter = self.waiting()
                self.passed_on = self._passed_on if self.onward and not self._inflate else None
                try:
                    await waiter
                finally:
                    self.passed_on = None
                    self.came()
            return piece
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        """Close the connection now, unless it has ended: then it is somebody else's."""
        if self._connection.answer is self:
            self._connection.abort()

    def _passed_on(self) -> bool:
        """Say whether all that has come went on past whoever waits for it, and who waits for more."""
        onward, pieces = self.onward, self.pieces
        if self.complete or onward is None or not pieces:
            return False
        now = self.loop.time()
        while pieces and onward(pieces[0], now):
            pieces.pop(0)
        self.size = sum(map(len, pieces)) if pieces else 0
        self.wait_on(now)
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
        if self.pieces:
            return self._connection.take(self)
        if self.failure is not None:
            raise self.failure
        return b"" if self.complete else None
