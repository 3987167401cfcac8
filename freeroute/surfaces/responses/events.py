"""The events of one response: numbered, and in the form of server-sent events."""

from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode


class Events:
    """Numbered events of one stream, until they are written."""

    def __init__(self) -> None:
        """Begin with number 0."""
        self._number = 0
        self._ready: list[bytes] = []

    def tell(self, kind: str, **fields: Any) -> None:
        """Add an event of *kind*."""
        told = _encode({"type": kind, "sequence_number": self._number, **fields})
        self._number += 1
        self._ready.append(b"event: %b\ndata: %b\n\n" % (kind.encode(), told))

    def taken(self) -> bytes:
        """Return the events that were not written yet."""
        ready, self._ready = self._ready, []
        return b"".join(ready)


class Unheard(Events):
    """Events of an answer that is told whole."""

    def tell(self, kind: str, **fields: Any) -> None:
        """Add nothing."""
