"""A short way to a caller's socket: for whole answers, and for the pieces of a stream as they come."""

import asyncio

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

OUTLET = "freeroute.outlet"
"""Where the server keeps the outlet of a request, in its scope; not where a body goes out otherwise."""


class Flow(FlowControl):
    """The server's flow control, with an event only while there is somebody to wait for.

    Nearly every caller reads as fast as it is told, and an event takes 800 bytes of each connection.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        """Begin with a caller that reads."""
        self._transport = transport
        self.read_paused = self.write_paused = False
        self._read: asyncio.Event | None = None

    async def drain(self) -> None:
        """Wait until the caller has read."""
        if self.write_paused:
            self._read = self._read or asyncio.Event()
            await self._read.wait()

    def pause_writing(self) -> None:
        """Let whoever writes wait."""
        self.write_paused = True

    def resume_writing(self) -> None:
        """Let whoever waits write on."""
        self.write_paused = False
        if self._read is not None:
            self._read.set()
            self._read = None


class Outlet:
    """Writes to the caller of one request, past the server's own way.

    That has to await, looks at every header with two patterns, and writes the head of an answer apart from
    its body: the system is asked twice, and wakes the caller for a head without an answer.
    """

    __slots__ = ("_cycle", "_flow", "_transport")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        """Write for *cycle*, as far as its flow control lets it."""
        self._cycle = cycle
        self._flow = cycle.flow
        self._transport = cycle.transport

    @property
    def is_free(self) -> bool:
        """Say whether the caller is there, and has read enough of what it was sent.

        One that was refused for what it sent behind this request is there to read of that alone.
        """
        return not (self._cycle.disconnected or self._flow.write_paused or self._transport.is_closing())

    def begin(self, status: int, lines: bytes) -> bool:
        """Write the head of a body that comes in pieces, unless the caller is not free: as `answer` does."""
        cycle = self._cycle
        if cycle.response_started or not self.is_free:
            return False
        cycle.response_started = cycle.chunked_encoding = True
        cycle.waiting_for_100_continue = False
        self._write_head(status, lines + b"transfer-encoding: chunked\r\n", b"")
        return True

    def write(self, piece: bytes) -> bool:
        """Write a *piece*, which is not empty, of a body whose head is out, unless the caller is not free."""
        if self._flow.write_paused or self._transport.is_closing():
            return False
        self._transport.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        return True

    def answer(self, status: int, lines: bytes, body: bytes) -> bool:
        """Write a whole answer at once, unless the caller is not free: then the server has to do it.

        *lines* are its headers, each with its line end and sound. They tell the length of the body, unless
        the status allows none, and leave the connection alone.
        """
        cycle = self._cycle
        if cycle.response_started or not self.is_free:
            return False
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        self._write_head(status, lines, body)
        cycle.message_event.set()
        if not cycle.keep_alive:
            self._transport.close()
        cycle.on_response()
        return True

    def _write_head(self, status: int, lines: bytes, body: bytes) -> None:
        cycle = self._cycle
        fields = [b"%b: %b\r\n" % field for field in cycle.default_headers]
        close = b"" if cycle.keep_alive else b"connection: close\r\n"
        self._transport.write(b"".join([STATUS_LINE[status], *fields, lines, close, b"\r\n", body]))
