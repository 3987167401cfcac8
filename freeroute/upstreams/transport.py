"""The seam under every upstream: one HTTP exchange as bytes, with deadlines and typed failures.

Nothing here retries, follows a redirect, keeps a cookie or knows what an LLM is. The adapter over
sockets is ``http_transport``; the simulated providers implement the same protocol.
"""

import math
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Protocol

from msgspec import Struct

from freeroute.engine.ports import Dispatch
from freeroute.upstreams.heads import Telling


class Deadlines(Struct, frozen=True, gc=False):
    """How long each phase of one exchange may take, in seconds.

    *answer* is for all that has to come until the answer can be judged, the sending included: how much that
    is knows whoever reads it. Time in which nobody asks for the rest of a body is not the peer's: *total*
    stands still meanwhile. *pool* is for our own turn, which comes before: all others begin with it.
    """

    pool: float = 5.0
    connect: float = 3.0
    first_byte: float = 20.0
    idle: float = 30.0
    total: float = 300.0
    answer: float = math.inf


class Phase(Enum):
    """Which deadline ran out."""

    POOL = "pool"
    CONNECT = "connect"
    FIRST_BYTE = "first_byte"
    IDLE = "idle"
    TOTAL = "total"
    ANSWER = "answer"


class TransportError(Exception):
    """An exchange failed below HTTP. The text names no header and no body."""


class TimedOut(TransportError):
    """A deadline ran out; *phase* says which, of how many *seconds*."""

    def __init__(self, phase: Phase, seconds: float) -> None:
        """Say which deadline ran out."""
        super().__init__(f"{phase.value} timeout after {seconds:g} s")
        self.phase = phase
        self.seconds = seconds


class Refused(TransportError):
    """The peer refused the connection or cannot be reached."""


class NoFileLeft(TransportError):
    """This process may open no more files, and a connection is one; to look up its name takes one as well."""


class NameNotFound(TransportError):
    """The host name does not resolve."""


class TlsFailed(TransportError):
    """The TLS handshake or the certificate check failed."""


class Disconnected(TransportError):
    """The peer closed or reset the connection before the answer's head was complete.

    *reused* says whether the connection came from the pool; a reused one that died without a byte is
    stale, and only then is a resend safe.
    """

    def __init__(self, text: str, *, reused: bool = False, received: int = 0) -> None:
        """Keep how the connection was and how many bytes of the answer came."""
        super().__init__(text)
        self.reused = reused
        self.received = received


class Truncated(TransportError):
    """The body ended before its announced end."""


class ProtocolError(TransportError):
    """The peer does not speak HTTP as we know it, or exceeds a bound of ours.

    *rule* is which rule it broke, in words of ours or the parser's and never the peer's; "" if nobody knows.
    """

    def __init__(self, text: str, *, rule: str = "") -> None:
        """Keep the rule."""
        super().__init__(text)
        self.rule = rule


Passing = Callable[[bytes, float], bool]
"""Passes a piece of a body on that came by itself, at a time of the event loop, or says that it cannot."""


class Exchange(Protocol):
    """An answer whose head has arrived; its request was sent *sent_in* seconds after it was asked for.

    *answer_by* is when ``Deadlines.answer`` ends, in the loop's time. Whoever reads may move it before the
    next wait; ``inf`` lifts it. While ``next`` waits, *onward* may be given what comes piece by piece, in
    place of it. What every head is asked for is in *telling*.
    """

    sent_in: float
    answer_by: float
    status: int
    onward: Passing | None
    telling: Telling

    @property
    def headers(self) -> Sequence[tuple[bytes, bytes]]:
        """Return the fields of the head."""
        ...

    def rest(self) -> bytes | None:
        """Return what is left of the body if the end of it is there; None if it may have to be waited for."""
        ...

    async def next(self) -> bytes:
        """Return all body bytes that are ready, waiting for at least one; ``b""`` at the end.

        Raises TimedOut, Truncated, Disconnected or ProtocolError.
        """
        ...

    def abort(self) -> None:
        """Close the connection now, unless the body is complete and it can be used again."""
        ...


class Transport(Protocol):
    """Opens exchanges. Cancelling ``open`` or ``next`` in any phase means abort."""

    async def open(
        self,
        method: str,
        url: str,
        headers: Sequence[tuple[bytes, bytes]],
        body: bytes,
        deadlines: Deadlines,
        *,
        verify_tls: bool = True,
        proxy: str | None = None,
        dispatch: Dispatch | None = None,
    ) -> Exchange:
        """Send a request and return once the head of its answer is there.

        In *dispatch* it is noted until when the request is unsent, where that takes any time; one that is to
        be fresh goes over a connection that nothing went over before.
        Raises TimedOut, NoFileLeft, Refused, NameNotFound, TlsFailed, Disconnected or ProtocolError.
        """
        ...

    async def close(self) -> None:
        """Close every pooled connection."""
        ...
