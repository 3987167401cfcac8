"""The head of a request that comes again: nearly every caller sends the same one with all its requests."""

from collections.abc import Callable
from typing import Any

from freeroute.surfaces.bounds import Bounds
from freeroute.surfaces.heads import CODING

KEPT = "freeroute.kept"
"""Where the server keeps, in the scope, what was found in a head, for all requests with the same."""

Headers = list[tuple[bytes, bytes]]

_LENGTH = b"content-length"
_MOST_DIGITS = 15  # a length that has more is the parser's to judge


class KnownHead:
    """The head of the last request on a connection; what follows from it need not be found out again.

    Another head is the same if it is so to the byte, but for the digits of its Content-Length. *kept* is what
    was found in it, by whatever found it.
    """

    __slots__ = ("_before", "_behind", "_fields", "_headers", "_place", "kept")

    def __init__(self, before: bytes, behind: bytes, headers: Headers, fields: dict[bytes, bytes]) -> None:
        """Know the head that is *before* and *behind* the digits, and what the parser found in it."""
        self._before, self._behind = before, behind
        self._headers, self._fields = headers.copy(), fields.copy()  # whoever has those may change them
        self._place = headers.index((_LENGTH, fields[_LENGTH]))
        self.kept: dict[Callable[..., Any], Any] = {}

    def begins(self, read: bytes) -> tuple[bytes, int] | None:
        """Return the digits in this head, and where it ends, if *read* begins with it."""
        if not read.startswith(self._before):
            return None
        first = len(self._before)
        end = read.find(b"\r", first, first + _MOST_DIGITS + 1)
        digits = read[first:end]
        if not digits.isdigit() or not read.startswith(self._behind, end):
            return None
        return digits, end + len(self._behind)

    def headers(self, digits: bytes) -> tuple[Headers, dict[bytes, bytes]]:
        """Return the headers of a request with these *digits*, and the same by their names."""
        headers, fields = self._headers.copy(), self._fields.copy()
        headers[self._place] = (_LENGTH, digits)
        fields[_LENGTH] = digits
        return headers, fields


def known_head(read: bytes, headers: Headers, fields: dict[bytes, bytes], bounds: Bounds) -> KnownHead | None:
    """Return the head that *read* began with, in which the parser found *headers*, if it can be known again.

    The parser takes no line end but CRLF, and no line that goes on in the next one: so the first empty line
    is the head's end, and no other line begins as that of its length does. A head that is long, or tells the
    length of its body in another way, is not kept.
    """
    length = fields.get(_LENGTH, b"")
    if not length.isdigit() or len(fields) != len(headers):
        return None
    if CODING in fields or b"expect" in fields or b"upgrade" in fields:
        return None
    head = read[: read.find(b"\r\n\r\n", 0, bounds.known_bytes) + 4]
    if head.count(b"\r\n") != len(headers) + 2 or len(head) + _MOST_DIGITS > bounds.head_bytes:
        return None
    line = head.lower().index(b"\r\n" + _LENGTH + b":")
    first = head.index(length, line + len(_LENGTH) + 3)
    return KnownHead(head[:first], head[first + len(length) :], headers, fields)
