"""A body that travels as it comes: sound, or the events of an API that nobody reads on the way."""

import asyncio
from collections.abc import Sequence

from freeroute.domain.outcome import Outcome
from freeroute.domain.usage import Usage
from freeroute.engine.served import Onward
from freeroute.upstreams.bodies import ANSWER_LIMIT
from freeroute.upstreams.faults import within_stream
from freeroute.upstreams.pauses import Pauses
from freeroute.upstreams.transport import Exchange, TransportError
from freeroute.wire.sse import EventTooLarge, SseParser

EVENTS = "text/event-stream"


async def first_event(exchange: Exchange, begun: bytes) -> tuple[bytes, bytes]:
    """Return the bytes of *exchange*, which has *begun*, up to its first event, and that event's payload.

    The payload is empty if there is none.
    """
    parser = SseParser(limit=ANSWER_LIMIT)
    pieces, piece = [begun], begun
    try:
        while piece and not (found := parser.feed(piece)):
            piece = await exchange.next()
            pieces.append(piece)
        if not piece:
            found = parser.finish() or [parser.stray or b""]
    except EventTooLarge:
        found = [b""]
    return b"".join(pieces), (found or [b""])[0]


class ByteStream:
    """The rest of an exchange as pieces of bytes. *outcome* stays None at a good end."""

    finish: str | None = None
    skipped = 0
    held = False
    owes_usage = False
    lost: tuple[str, ...] = ()

    def __init__(self, exchange: Exchange, begun: bytes, usage: Usage, *, between: float) -> None:
        """Go on with *exchange* after the bytes it has *begun* with; *between* are seconds of silence."""
        self.outcome: Outcome | None = None
        self.onward: Onward | None = None  # a piece is no event that could stand alone
        self.usage = usage
        self._exchange = exchange
        self._ready = begun
        self._between = between
        self._pauses = Pauses()
        self._over = False

    @property
    def unread(self) -> float:
        """Return for how many seconds nobody asked for more."""
        return self._pauses.unread

    async def next(self) -> Sequence[bytes]:
        """Return what is ready; empty at the end."""
        clock = asyncio.get_running_loop().time
        self._pauses.end(clock())
        data, self._ready = self._ready, b""
        if not data and not self._over:
            data = await self._read()
        self._pauses.begin(clock())
        if data:
            return (data,)
        self._over = True
        self.outcome = self._pauses.judged(self.outcome, clock())
        return ()

    async def _read(self) -> bytes:
        try:
            async with asyncio.timeout(self._between):
                return await self._exchange.next()
        except (TransportError, TimeoutError) as exc:
            self.outcome = within_stream(exc, self._exchange.status, self._between)
        return b""

    def abort(self) -> None:
        """Close the connection; safe to call more than once."""
        self._over = True
        self._exchange.abort()
