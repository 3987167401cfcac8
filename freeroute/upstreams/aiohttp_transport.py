"""The transport seam over aiohttp: its pool and its parser, our deadlines, bounds and errors."""

import asyncio
import errno
import functools
import io
import ssl
from collections.abc import Sequence

import aiohttp
from aiohttp.http import HttpProcessingError
from yarl import URL

from freeroute.engine.ports import Dispatch
from freeroute.upstreams.aiohttp_session import CURRENT, Attempt, new_session
from freeroute.upstreams.content_coding import Inflate, coding_of
from freeroute.upstreams.transport import (
    Deadlines,
    NameNotFound,
    Phase,
    ProtocolError,
    Refused,
    TlsFailed,
    TransportError,
    Truncated,
)

_STREAMED = 64 * 1024  # aiohttp copies a bytes body whole; a file-like one goes out in pieces
_HEAD_BYTES = 64 * 1024


class AiohttpTransport:
    """HTTP/1.1 over pooled connections, at most *per_origin* exchanges at a time with each origin."""

    def __init__(
        self, *, per_origin: int = 1024, keepalive: float = 50.0, tls: ssl.SSLContext | None = None
    ) -> None:
        """Keep idle connections for *keepalive* seconds; *tls* replaces the system's trust."""
        self._per_origin = per_origin
        self._keepalive = keepalive
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None
        self._slots: dict[tuple[str, str | None], asyncio.Semaphore] = {}
        self._attempts: set[Attempt] = set()
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
    ) -> "AiohttpExchange":
        """Send a request and return once the head of its answer is there.

        The exchange holds one of its origin's slots until its body is complete, it fails or is aborted.
        """
        target, origin = _parsed(url)
        attempt = Attempt(target, deadlines, dispatch or Dispatch())
        slots = self._slots_of(origin, proxy)
        if slots.locked():
            await attempt.within(Phase.POOL, deadlines.pool, slots.acquire())
        else:
            await slots.acquire()  # at once, and without the price of a timer
        attempt.on_end(slots.release)
        try:
            if self._closed:
                raise Refused("the transport is closed")
            self._attempts.add(attempt)
            attempt.on_end(functools.partial(self._attempts.discard, attempt))
            answer = await self._request(attempt, method, headers, body, verify_tls=verify_tls, proxy=proxy)
            return AiohttpExchange(answer, attempt)
        except BaseException:
            attempt.abort()
            raise

    async def close(self) -> None:
        """Close every connection, idle or not; nothing can be opened afterwards."""
        self._closed = True
        for attempt in list(self._attempts):
            attempt.abort()
        session, self._session = self._session, None
        if session is not None and isinstance(session.connector, aiohttp.TCPConnector):
            await session.connector.close(abort_ssl=True)
            await session.close()

    def _slots_of(self, origin: str, proxy: str | None) -> asyncio.Semaphore:
        slots = self._slots.get((origin, proxy))
        if slots is None:
            slots = self._slots[origin, proxy] = asyncio.Semaphore(self._per_origin)
        return slots

    async def _request(
        self,
        attempt: Attempt,
        method: str,
        headers: Sequence[tuple[bytes, bytes]],
        body: bytes,
        *,
        verify_tls: bool,
        proxy: str | None,
    ) -> aiohttp.ClientResponse:
        """Let aiohttp connect and send, under the connect deadline and then the first byte's."""
        if self._session is None:
            self._session = new_session(self._keepalive, self._tls)
        context = CURRENT.set(attempt)
        try:
            async with attempt.head_timer:
                return await self._session.request(
                    method,
                    attempt.target,
                    headers=_sendable(headers),
                    data=io.BytesIO(body) if len(body) > _STREAMED else body or None,
                    ssl=verify_tls,
                    proxy=proxy,
                    allow_redirects=False,
                )
        except TimeoutError:
            raise attempt.head_timed_out() from None
        except (aiohttp.ClientError, ValueError) as exc:
            # Not chained: aiohttp's errors carry the URL, the headers and pieces of the answer.
            raise _explained(exc, attempt) from None
        finally:
            CURRENT.reset(context)


class AiohttpExchange:
    """One answer; to be read to its end or aborted."""

    def __init__(self, answer: aiohttp.ClientResponse, attempt: Attempt) -> None:
        """Check the head's bounds and prepare to read the body."""
        self.sent_in = attempt.sent_in
        self.status = answer.status
        self.headers: Sequence[tuple[bytes, bytes]] = answer.raw_headers
        self._content = answer.content
        self._attempt = attempt
        self._failure: TransportError | None = None
        attempt.answer = answer
        if answer.status == 101:
            raise ProtocolError("the peer switched to a protocol nobody asked for")
        if sum(len(name) + len(value) for name, value in self.headers) > _HEAD_BYTES:
            raise ProtocolError(f"the answer's head is larger than {_HEAD_BYTES} bytes")
        coding = coding_of(self.headers)
        self._inflate = Inflate(coding) if coding else None
        if coding:
            spent = (b"content-encoding", b"content-length")
            self.headers = [pair for pair in self.headers if pair[0].lower() not in spent]
        # The parser may reach the end long before our reader does: the connection is free from then on.
        self._content.on_eof(attempt.end)

    async def next(self) -> bytes:
        """Return all body bytes that are ready, waiting for at least one; ``b""`` at the end."""
        try:
            return await self._read() if self._inflate is None else await self._inflated(self._inflate)
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        """Close the connection now, unless the body is complete and it can be used again."""
        self._attempt.abort()

    async def _inflated(self, inflate: Inflate) -> bytes:
        while not (piece := inflate.take()):
            raw = await self._read()
            if not raw:
                inflate.finish()
                return b""
            inflate.feed(raw)
        return piece

    async def _read(self) -> bytes:
        if self._failure is not None:
            raise self._failure
        content, attempt = self._content, self._attempt
        try:
            ready = content.read_nowait()
            if content.is_eof():
                return ready
            attempt.read_on()
            if ready:
                return ready
            ready = await attempt.within(Phase.IDLE, attempt.deadlines.idle, content.readany())
            attempt.handed_over()
            return ready
        except aiohttp.ClientPayloadError:
            self._failure = Truncated("the body ended before its announced end")
        except HttpProcessingError:
            self._failure = ProtocolError("the body breaks the rules of its framing")
        except aiohttp.ClientError:
            self._failure = attempt.disconnected()
        return self._remains(self._failure)

    def _remains(self, failure: TransportError) -> bytes:
        """Return what came before *failure*; aiohttp would keep it back."""
        buffer = self._content._buffer
        left = b"".join(buffer)
        buffer.clear()
        if not left:
            raise failure
        return left


@functools.lru_cache(maxsize=1024)
def _parsed(url: str) -> tuple[URL, str]:
    """Return *url* parsed, and its origin; few different ones are ever asked, each very often."""
    try:
        parsed = URL(url)
        return parsed, str(parsed.origin())
    except ValueError:
        raise ProtocolError("not a URL that can be asked") from None


def _sendable(headers: Sequence[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    """Return *headers* as aiohttp wants them, asking for an answer without compression."""
    pairs = [(name.decode(), value.decode()) for name, value in headers]
    if not any(name.lower() == "accept-encoding" for name, _ in pairs):
        pairs.append(("Accept-Encoding", "identity"))
    return pairs


def _explained(exc: Exception, attempt: Attempt) -> TransportError:
    """Return our error for what happened before the head was there, told by the exception's type."""
    where = attempt.where
    match exc:
        case aiohttp.ClientConnectorDNSError():
            return NameNotFound(f"{exc.host} does not resolve")
        case aiohttp.ClientConnectorCertificateError():
            problem = getattr(exc.certificate_error, "verify_message", "") or "not valid"
            return TlsFailed(f"{where}: certificate: {problem}")
        case aiohttp.ClientConnectorSSLError():
            problem = getattr(exc.os_error, "reason", "") or "failed"
            return TlsFailed(f"{where}: TLS handshake: {problem}")
        case aiohttp.ClientConnectorError() if _broke_off(exc) and attempt.target.scheme == "https":
            return TlsFailed(f"{where}: the peer left during the TLS handshake")
        case aiohttp.ClientConnectorError():
            return Refused(f"{exc.host}:{exc.port}: {errno.errorcode.get(exc.errno or 0, 'unreachable')}")
        case aiohttp.ClientHttpProxyError():
            return Refused(f"{where}: the proxy answered {exc.status}")
        case aiohttp.ClientResponseError():
            return ProtocolError(f"{where}: not an answer in HTTP as we know it")
        case aiohttp.ClientConnectionError():
            return attempt.disconnected()
    return ProtocolError("the request cannot be sent")


def _broke_off(exc: aiohttp.ClientConnectorError) -> bool:
    """Return whether a connection that was made ended; one that was not is refused or unreachable."""
    return isinstance(exc.os_error, ConnectionResetError | ConnectionAbortedError | BrokenPipeError)
