"""The heads of requests as they go over the wire."""

import functools
import re
from collections.abc import Sequence

from msgspec import Struct

from freeroute.upstreams.http_dial import Target
from freeroute.upstreams.transport import ProtocolError

_BREAKS = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_CREDENTIAL = re.compile(rb"auth|key|token|secret|cookie", re.IGNORECASE)
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

Headers = Sequence[tuple[bytes, bytes]]


class Fields(Struct, frozen=True):
    """Headers as they are sent, and those that say who asks: a provider's key may be in one of any name."""

    lines: bytes
    credentials: tuple[bytes, ...]


def fields_of(headers: Headers) -> Fields:
    """Return *headers* as they are sent, which ask for an answer without compression unless they ask for one.

    A tuple is expected to come again. Raises ProtocolError for what would break the request.
    """
    return _kept(headers) if isinstance(headers, tuple) else _fields_of(headers)


def head(method: str, target: Target, fields: Fields, length: int) -> bytes:
    """Return the head of a request with a body of so many bytes; raises ProtocolError for HEAD."""
    if method == "HEAD":
        raise ProtocolError("the request cannot be sent")
    lines = method.encode() + target.begins + fields.lines
    if target.proxy is not None and not target.is_tls:
        lines += target.proxy.authorization
    return lines + (b"content-length: %d\r\n\r\n" % length if length else b"\r\n")


def _fields_of(headers: Headers) -> Fields:
    lines = [_line(name, value) for name, value in headers]
    if not any(name.lower() == b"accept-encoding" for name, _ in headers):
        lines.append(b"accept-encoding: identity\r\n")
    return Fields(b"".join(lines), tuple(value for name, value in headers if _tells_who(name)))


_kept = functools.lru_cache(maxsize=1024)(_fields_of)


@functools.lru_cache(maxsize=4096)
def _line(name: bytes, value: bytes) -> bytes:
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
