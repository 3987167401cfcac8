"""Compressed answers, which nobody asked for and some send all the same: decoded within bounds."""

import zlib
from collections.abc import Sequence

from freeroute.upstreams.transport import ProtocolError, Truncated

_PIECE = 1024 * 1024  # most bytes that one step may unfold
_MODEST = 1024 * 1024  # up to here any ratio passes: a page of spaces shrinks a thousandfold
_RATIO = 200
_LARGEST = 64 * 1024 * 1024

_GZIP = 16 + zlib.MAX_WBITS
_CODINGS = {b"gzip": b"gzip", b"x-gzip": b"gzip", b"deflate": b"deflate"}


def coding_of(headers: Sequence[tuple[bytes, bytes]]) -> bytes | None:
    """Return the coding of a body by its head, None for none; raises ProtocolError for one we cannot undo."""
    listed: list[bytes] = []
    for name, value in headers:
        if len(name) == 16 and name.lower() == b"content-encoding":
            listed.append(value)
    if not listed:
        return None
    words = [word.strip().lower() for word in b",".join(listed).split(b",")]
    codings = [word for word in words if word not in (b"", b"identity")]
    if not codings:
        return None
    if len(codings) > 1 or codings[0] not in _CODINGS:
        raise ProtocolError("the body is compressed in a way nobody asked for")
    return _CODINGS[codings[0]]


class Inflate:
    """Undoes gzip or deflate piece by piece; raises ProtocolError for garbage and for bombs."""

    def __init__(self, coding: bytes) -> None:
        """Expect a body in *coding*."""
        self._gzip = coding == b"gzip"
        self._member: zlib._Decompress | None = None
        self._waiting = b""
        self._more = False
        self._taken = 0
        self._given = 0

    def feed(self, raw: bytes) -> None:
        """Add bytes as they came."""
        self._waiting += raw
        self._taken += len(raw)

    def take(self) -> bytes:
        """Return the next piece that is ready, ``b""`` if more has to be fed first."""
        while self._waiting or self._more:
            if self._member is None or self._member.eof:
                if len(self._waiting) < 2:
                    break
                self._member = self._begin()
            piece = self._unfold(self._member)
            if piece:
                return piece
        return b""

    def finish(self) -> None:
        """Check that the body ended where its coding ends; raises Truncated if not."""
        if self._taken and (self._waiting or self._member is None or not self._member.eof):
            raise Truncated("the compressed body ended before its end")

    def _begin(self) -> "zlib._Decompress":
        if self._gzip:
            return zlib.decompressobj(_GZIP)
        if self._member is not None:
            raise ProtocolError("something follows the compressed body")
        # "deflate" means zlib's envelope, but some send the bare stream.
        first, second = self._waiting[:2]
        enveloped = first & 0x0F == zlib.DEFLATED and (first << 8 | second) % 31 == 0
        return zlib.decompressobj(zlib.MAX_WBITS if enveloped else -zlib.MAX_WBITS)

    def _unfold(self, member: "zlib._Decompress") -> bytes:
        try:
            piece = member.decompress(self._waiting, _PIECE)
        except zlib.error:
            raise ProtocolError("the body is not what its coding says") from None
        self._waiting = member.unused_data if member.eof else member.unconsumed_tail
        # A full piece may have left bytes inside zlib although all input is consumed.
        self._more = len(piece) == _PIECE and not member.eof
        self._given += len(piece)
        if self._given > _LARGEST or self._given > max(_MODEST, _RATIO * self._taken):
            raise ProtocolError("the compressed body unfolds beyond all measure")
        return piece
