"""A caller's connections: raw HTTP over asyncio, so that asking costs little beside answering."""

import asyncio
import math
import time
from collections.abc import Callable
from typing import cast

clock = time.perf_counter


class Asker(asyncio.Protocol):
    """One kept connection, one request at a time; *answered* is told the time and whether it was a 200."""

    def __init__(self, request: bytes, answered: Callable[["Asker", float, bool], None]) -> None:
        """Ask *request* whenever told to."""
        self._request = request
        self._answered = answered
        self._transport: asyncio.Transport | None = None
        self._begun = 0.0
        self._buffer = b""
        self._size = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none

    def connection_lost(self, exc: Exception | None) -> None:
        """Count a connection that ended in the middle of an answer as a failure."""
        if self._transport is not None and not self._transport.is_closing():
            self._answered(self, 0.0, False)

    def ask(self) -> None:
        """Send the request."""
        assert self._transport is not None
        self._begun = clock()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Collect an answer; tell when it is whole."""
        self._buffer = self._buffer + data if self._buffer else data
        if not self._size:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            self._size = end + 4 + _content_length(self._buffer[:end])
        if len(self._buffer) < self._size:
            return
        is_good = self._buffer.startswith(b"HTTP/1.1 200")
        self._buffer, self._size = b"", 0
        self._answered(self, clock() - self._begun, is_good)


def _content_length(head: bytes) -> int:
    _, _, rest = head.lower().partition(b"content-length:")
    return int(rest.partition(b"\r\n")[0])


class StreamReader(asyncio.Protocol):
    """One stream, from its request to ``[DONE]``; *over* is set then, or when it is cut."""

    def __init__(self, request: bytes, pace: float, leave_after: int = 0) -> None:
        """Ask *request* as soon as there is a connection; leave after so many events, if any."""
        self._request = request
        self._pace = pace
        self._begun = self._last = 0.0
        self._tail = b""
        self._transport: asyncio.Transport | None = None
        self.first: float | None = None
        self.stall = 0.0
        self._earliest, self._latest = math.inf, -math.inf  # had every event come at once
        self.events = 0
        self.is_done = False
        self.has_left = False
        self.over = asyncio.Event()
        self._leave_after = leave_after

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none
        self._begun = clock()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Count events and the time between them; an event ends with an empty line."""
        now = clock()
        seen = self._tail + data
        fresh = seen.count(b"}\n\n")
        self._tail = seen[-2:]
        if fresh:
            if self.first is None:
                self.first = now - self._begun
            else:
                self.stall = max(self.stall, now - self._last - self._pace)
            self._last = now
            self._latest = max(self._latest, now - self.events * self._pace)
            self.events += fresh
            if b"[DONE]" not in data:  # what the end tells at once is not due one after the other
                self._earliest = min(self._earliest, now - (self.events - 1) * self._pace)
        if b"data: [DONE]" in data:
            self.is_done = True
            self._close()
        elif 0 < self._leave_after <= self.events:
            self.has_left = True
            self._close()

    @property
    def late(self) -> float:
        """Return by how much one event was late beside the one that was most in time."""
        return max(self._latest - self._earliest, 0.0)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that nothing more will come."""
        self.over.set()

    def _close(self) -> None:
        self.over.set()
        if self._transport is not None:
            self._transport.close()
