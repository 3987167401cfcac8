"""Making connections: names, sockets, TLS and proxies, and what each of them fails with."""

import asyncio
import base64
import encodings.idna  # noqa: F401 - later there may be no file left to read it from
import errno
import functools
import socket
import ssl
from urllib.parse import quote, unquote, urlsplit

import aiohappyeyeballs
from msgspec import Struct

from freeroute.open_files import is_lack
from freeroute.upstreams.http_connection import Answer, Connection
from freeroute.upstreams.transport import NameNotFound, NoFileLeft, ProtocolError, Refused, TlsFailed

_PROBE_IDLE = 30  # seconds of silence before the system asks a peer whether it still lives
_NEXT_ADDRESS = 0.25  # seconds until the next address of a name is tried beside the first (RFC 8305)
_PATH = "%/:=&?~+!$,;'@()*[]"
_PORTS = {"http": 80, "https": 443}


class Proxy(Struct, frozen=True):
    """A proxy at *host* and *port*, and what it is told of who asks."""

    host: str
    port: int
    authorization: bytes


class Target(Struct, frozen=True):
    """What a URL leads to, through which *proxy*; *begins* is how a request's head does after its method."""

    host: str
    port: int
    is_tls: bool
    begins: bytes
    proxy: Proxy | None = None

    @property
    def where(self) -> str:
        """Host and port, for an error's text; a path or a query may hold a secret."""
        return f"{self.host}:{self.port}"


@functools.lru_cache(maxsize=1024)
def target_of(url: str, proxy: str | None) -> Target:
    """Return what *url* leads to; few are ever asked, each very often. Raises ProtocolError."""
    try:
        parts = urlsplit(url)
        host, default = (parts.hostname or "").encode("idna").decode(), _PORTS[parts.scheme]
        port = parts.port or default
    except (ValueError, KeyError):
        raise ProtocolError("not a URL that can be asked") from None
    if not host or parts.username is not None:
        raise ProtocolError("not a URL that can be asked")
    through = _proxy(proxy) if proxy is not None else None
    path = quote(parts.path or "/", safe=_PATH) + (
        f"?{quote(parts.query, safe=_PATH)}" if parts.query else ""
    )
    named = f"[{host}]" if ":" in host else host
    host_header = named if port == default else f"{named}:{port}"
    is_tls = parts.scheme == "https"
    line = path if is_tls or through is None else f"http://{host_header}{path}"
    begins = f" {line} HTTP/1.1\r\nhost: {host_header}\r\n"
    return Target(host, port, is_tls, begins.encode(), through)


def _proxy(url: str) -> Proxy:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 80
    except ValueError:
        raise _no_proxy() from None
    if not host or parts.scheme != "http":
        raise _no_proxy()
    if parts.username is None:
        return Proxy(host, port, b"")
    who = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    return Proxy(host, port, b"proxy-authorization: Basic " + base64.b64encode(who) + b"\r\n")


def _no_proxy() -> ProtocolError:
    return ProtocolError("not a proxy that can be used: it must be http://host:port")


async def dial(target: Target, tls: ssl.SSLContext | None) -> Connection:
    """Return a new connection to *target*, with *tls* if it asks for that.

    Raises NoFileLeft, NameNotFound, Refused, TlsFailed and ProtocolError.
    """
    loop = asyncio.get_running_loop()
    proxy = target.proxy
    sock = await _socket(proxy.host, proxy.port) if proxy else await _socket(target.host, target.port)
    connection = Connection(target.where)
    try:
        if tls is None or proxy is not None:
            await loop.create_connection(lambda: connection, sock=sock)
        if tls is not None and proxy is not None:
            await _tunnel(connection, target, proxy)
        if tls is not None:
            await _secure(connection, target, tls, sock)
    except BaseException as exc:
        connection.abort()
        sock.close()
        if isinstance(exc, OSError):
            raise _explained(exc, target) from None
        raise
    return connection


async def _secure(connection: Connection, target: Target, tls: ssl.SSLContext, sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    if target.proxy is None:
        await loop.create_connection(lambda: connection, sock=sock, ssl=tls, server_hostname=target.host)
        return
    secured = await loop.start_tls(connection.transport, connection, tls, server_hostname=target.host)
    if secured is None:
        raise TlsFailed(f"{target.where}: the peer left during the TLS handshake")
    connection.transport = secured


async def _socket(host: str, port: int) -> socket.socket:
    """Return a connected socket; of several addresses the one that answers first."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:  # whatever a look-up may fail with, not `gaierror` alone
        if isinstance(exc, OSError) and is_lack(exc):
            raise NoFileLeft(f"{host}: no file is left to look it up") from None
        raise NameNotFound(f"{host} does not resolve") from None
    try:
        return await aiohappyeyeballs.start_connection(
            found, happy_eyeballs_delay=_NEXT_ADDRESS, interleave=1, socket_factory=_probed
        )
    except OSError as exc:
        if is_lack(exc):
            raise NoFileLeft(f"{host}:{port}: no file is left for a connection") from None
        raise Refused(f"{host}:{port}: {errno.errorcode.get(exc.errno or 0, 'unreachable')}") from None


def _probed(address: aiohappyeyeballs.AddrInfoType) -> socket.socket:
    """Return a socket that notices a peer which vanished without a word, and keeps NAT entries alive."""
    family, kind, protocol = address[:3]
    sock = socket.socket(family, kind, protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _PROBE_IDLE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


async def _tunnel(connection: Connection, target: Target, proxy: Proxy) -> None:
    """Have *proxy* lead to *target*; raises Refused if it will not."""
    answer = Answer(asyncio.get_running_loop())
    there = f"{target.host}:{target.port}".encode()
    head = b"CONNECT %b HTTP/1.1\r\nhost: %b\r\n%b" % (there, there, proxy.authorization)
    connection.ask(head, b"", answer)
    await answer.head
    if answer.status != 200:
        raise Refused(f"{target.where}: the proxy answered {answer.status}")
    connection.begin_again()


def _explained(exc: OSError, target: Target) -> TlsFailed | Refused:
    """Return our error for what happened after the socket was there, told by the exception's type."""
    where = target.where
    if isinstance(exc, ssl.SSLCertVerificationError):
        return TlsFailed(f"{where}: certificate: {exc.verify_message or 'not valid'}")
    if isinstance(exc, ssl.SSLError):
        return TlsFailed(f"{where}: TLS handshake: {exc.reason or 'failed'}")
    if target.is_tls:
        return TlsFailed(f"{where}: the peer left during the TLS handshake")
    return Refused(f"{where}: {errno.errorcode.get(exc.errno or 0, 'unreachable')}")
