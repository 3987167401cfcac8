"""The upstream in Python, for machines without a C compiler; takes and prints what mock.c does.

    python -m bench.upstream.fallback DIRECTORY EVENTS PACE_US PORTS

On uvloop it is a fifth slower than the one in C, and still far faster than any gateway in Python.
"""

import asyncio
import re
import sys
from pathlib import Path
from typing import Any, cast

import httptools

from bench.loops import event_loop

_STREAM = re.compile(rb'"stream": ?true')


class Pieces:
    """What is sent, and how streams are paced."""

    def __init__(self, directory: Path, events: int, pace: float) -> None:
        """Read the pieces from *directory*; *events* a stream, *pace* seconds apart."""
        self.answer, self.head, self.event, self.last = (
            (directory / name).read_bytes() for name in ("answer", "head", "event", "last")
        )
        self.events = events
        self.pace = pace


class Caller(asyncio.Protocol):
    """One connection."""

    def __init__(self, pieces: Pieces) -> None:
        """Answer with *pieces*."""
        self._pieces = pieces
        self._parser: Any = httptools.HttpRequestParser(self)
        self._body = b""
        self._left = 0
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop a stream."""
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the request."""
        self._body += body

    def on_message_complete(self) -> None:
        """Answer."""
        body, self._body = self._body, b""
        assert self._transport is not None
        if not _STREAM.search(body):
            self._transport.write(self._pieces.answer)
            return
        self._transport.write(self._pieces.head)
        self._left = self._pieces.events - 1
        self._next(asyncio.get_running_loop().time() + self._pieces.pace)

    def _next(self, due: float) -> None:
        self._timer = asyncio.get_running_loop().call_at(due, self._due, due)

    def _due(self, due: float) -> None:
        assert self._transport is not None
        if self._left == 0:
            self._transport.write(self._pieces.last)
            return
        self._left -= 1
        self._transport.write(self._pieces.event)
        self._next(due + self._pieces.pace)


async def serve(pieces: Pieces, ports: int) -> None:
    """Listen on free *ports*, print them, and answer until told to stop."""
    loop = asyncio.get_running_loop()
    servers = [
        await loop.create_server(lambda: Caller(pieces), "127.0.0.1", 0, backlog=4096) for _ in range(ports)
    ]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    await asyncio.Event().wait()


def main(directory: str, events: str, pace: str, ports: str) -> None:
    """Run on uvloop where there is one."""
    with asyncio.Runner(loop_factory=event_loop()) as runner:
        runner.run(serve(Pieces(Path(directory), int(events), int(pace) / 1e6), int(ports)))


if __name__ == "__main__":
    main(*sys.argv[1:])
