"""A short way from a caller's socket and back: for whole bodies, and the pieces of a stream as they come."""

from typing import Protocol

from litestar.types import HTTPReceiveMessage

OUTLET = "freeroute.outlet"
"""Where the server keeps the outlet of a request, in its scope; not where a body goes out otherwise."""


class Outlet(Protocol):
    """Reads from the caller of one request and writes to it, past the server's own way.

    That has to await even what is there, looks at every header with two patterns, and writes the head of an
    answer apart from its body: the system is asked twice, and wakes the caller for a head without an answer.
    """

    @property
    def is_free(self) -> bool:
        """Say whether the caller is there, and has read enough of what it was sent."""
        ...

    def whole(self) -> bytes | None:
        """Return the body of the request if all of it has come, and nobody has asked for any of it."""
        ...

    async def receive_by(self, due: float) -> HTTPReceiveMessage:
        """Return what is new of the body, or that the caller has left, as a server does.

        Raises TimeoutError if there is nothing by *due*, as the loop tells time, and ShuttingDown if the
        server stops. Nobody else waits meanwhile.
        """
        ...

    def begin(self, status: int, lines: bytes) -> bool:
        """Write the head of a body that comes in pieces, unless the caller is not free: as `answer` does."""
        ...

    def write(self, piece: bytes) -> bool:
        """Write a *piece*, which is not empty, of a body whose head is out, unless the caller is not free."""
        ...

    def answer(self, status: int, lines: bytes, body: bytes) -> bool:
        """Write a whole answer at once, unless the caller is not free: then the server has to do it.

        *lines* are its headers, each with its line end and sound. They tell the length of the body, unless
        the status allows none, and leave the connection alone.
        """
        ...
