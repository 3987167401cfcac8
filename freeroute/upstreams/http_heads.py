"""The heads of requests as they go over the wire."""

import functools
import re
from collections.abc import Sequence

from freeroute.upstreams.http_dial import Target
from freeroute.upstreams.transport import ProtocolError

_BREAKS = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_CREDENTIAL = re.compile(rb"auth|key|token|secret|cookie", re.IGNORECASE)
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

Headers = Sequence[tuple[bytes, bytes]]


def head(method: str, target: Target, headers: Headers) -> bytes:
    """Return the head of a request but for what tells the length of its body and ends it.

    It asks for an answer without compression, unless *headers* ask for one. Raises ProtocolError for HEAD
    and for what would break the request.
    """
    if method == "HEAD":
        raise ProtocolError("the request cannot be sent")
    lines = [method.encode(), target.begins, *[_line(name, value) for name, value in headers]]
    if not any(name.lower() == b"accept-encoding" for name, _ in headers):
        lines.append(b"accept-encoding: identity\r\n")
    if target.proxy is not None and not target.is_tls:
        lines.append(target.proxy.authorization)
    return b"".join(lines)


def credentials(headers: Headers) -> tuple[bytes, ...]:
    """Return the values of *headers* that say who asks: a provider's key may be in one of any name."""
    return tuple(value for name, value in headers if _tells_who(name))


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
