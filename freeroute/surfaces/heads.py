"""The head of a request: what it asks for, and what others on the way may read in another way than we do."""

import re
from collections.abc import Sequence
from urllib.parse import unquote

import httptools

from freeroute.errors import InvalidRequest

Fields = Sequence[tuple[bytes, bytes]]

CODING = b"transfer-encoding"
_OFFERING = {b"connection", b"upgrade", b"http2-settings"}
# A second one may say something else to us than to whatever stands in front of us.
_ONCE = {
    name.lower().encode("ascii"): name
    for name in ("Host", "Authorization", "x-api-key", "api-key", "x-goog-api-key")
}
_ABSOLUTE = re.compile(rb"[a-z][a-z0-9+.-]*://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)


def target(url: bytes) -> tuple[str, bytes, bytes]:
    """Return the path that *url* names, the same as it came, and its query; raises what httptools does."""
    parsed = httptools.parse_url(url)
    path = parsed.path.decode("ascii")
    return unquote(path) if "%" in path else path, parsed.path, parsed.query or b""


def complaint(fields: Fields, version: str) -> InvalidRequest | None:
    """Return what is wrong with a header that comes twice, or a body whose end is not told in one way.

    `Expect` is left alone: 100-continue is answered, anything else is passed over, as HTTP allows.
    """
    names = [name for name, _ in fields]
    twice = next((name for name in names if name in _ONCE and names.count(name) > 1), None)
    if twice is not None:
        told = f"The request has more than one {_ONCE[twice]} header."
        return InvalidRequest(told, param=twice.decode("ascii"))
    codings = [value.strip().lower() for name, value in fields if name == CODING]
    if codings and (codings != [b"chunked"] or version == "1.0"):
        problem = "Send the body with Content-Length or in chunks: no other Transfer-Encoding is served."
        return InvalidRequest(problem, param="transfer-encoding")
    return None


def expects_continue(fields: Fields) -> bool:
    """Say whether the body is held back until somebody says that it is wanted."""
    return any(name == b"expect" and value.lower() == b"100-continue" for name, value in fields)


def host_and_target(url: bytes) -> tuple[bytes, bytes] | None:
    """Return the host that an absolute *url* names, and what is asked of it; None if it is none."""
    absolute = _ABSOLUTE.fullmatch(url)
    if absolute is None:
        return None
    return absolute[1], absolute[2] if absolute[2].startswith(b"/") else b"/" + absolute[2]


def declined(method: bytes, url: bytes, version: str, fields: Fields) -> bytes:
    """Return a head that offers another protocol as if it did not: Java's client offers HTTP/2 on all.

    The parser takes all that follows such a head for the other protocol, the body included.
    """
    lines = [b"%s: %s\r\n" % field for field in fields if field[0] not in _OFFERING]
    if any(name == b"connection" and b"close" in value.lower() for name, value in fields):
        lines.append(b"connection: close\r\n")
    return b"".join([b"%s %s HTTP/%s\r\n" % (method, url, version.encode("ascii")), *lines, b"\r\n"])
