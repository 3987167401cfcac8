"""JSON values one a line: bytes in any split to lines."""

from freeroute.wire.sse import EventTooLarge

_LIMIT = 1024 * 1024


class LineParser:
    """Cuts a byte stream into its lines, without blank ones."""

    def __init__(self, limit: int = _LIMIT) -> None:
        """Refuse lines of more than *limit* bytes."""
        self._limit = limit
        self._rest: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that *data* completes; raises EventTooLarge."""
        *ends, rest = data.split(b"\n")
        lines = [line for end in ends if (line := self._line(end))]
        self._keep(rest)
        return lines

    def finish(self) -> list[bytes]:
        """Return the last line if the stream ended without its line break."""
        line = self._line(b"")
        return [line] if line else []

    def _line(self, end: bytes) -> bytes:
        self._keep(end)
        line = b"".join(self._rest).strip()
        self._rest, self._size = [], 0
        return line

    def _keep(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._limit:
            raise EventTooLarge(f"a line of more than {self._limit} bytes")
        if piece:
            self._rest.append(piece)
