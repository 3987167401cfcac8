"""What a surface gets back from the gateway."""

from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

from freeroute.wire.answers import Piece

T = TypeVar("T")

Onward = Callable[[bytes], bool]
"""Passes one event on at once and says so, or that it cannot: a way past whoever waits for it.

The event is as it came: ``data: ``, a payload on one line, and an empty line.
"""


class _There(Generic[T]):
    """What is there already: whoever awaits it goes on at once."""

    def __init__(self, value: T) -> None:
        """Be *value* to whoever awaits it."""
        self._value = value

    def __await__(self) -> Generator[Any, Any, T]:
        """Wait for nothing."""
        yield from ()
        return self._value


DONE: Awaitable[None] = _There(None)
"""Stands for all work that had nothing to wait for. Whoever meets it may as well not await it: a coroutine
costs ten times as much as a look."""

YES: Awaitable[bool] = _There(True)
NO: Awaitable[bool] = _There(False)
"""Stand in the same way for answers that nobody has to wait for."""


class Served(Protocol):
    """A request that is being answered: a whole *body*, or a stream read with ``next``.

    *headers* are the ``x-freeroute-*`` and rate headers of the answer. A *content_type* says that a body is
    not JSON, and of a stream that it is bytes of this type and not chunks; if such a stream dies it is *cut*,
    and nothing in it says so. A surface calls ``finish`` exactly once in every case, in a ``finally``; it
    settles what the call used and writes the receipt.

    A surface may set *onward*. While ``next`` waits, events that come one by one may go there, in order, and
    the payloads of those that it takes are not returned.
    """

    body: bytes | None
    onward: Onward | None
    content_type: str | None

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the headers of the answer that tell how it came to be, and how its client stands."""
        ...

    @property
    def cut(self) -> bool:
        """Say whether a stream of bytes ended before its end."""
        ...

    async def next(self) -> Sequence[bytes]:
        """Return the payloads of the events that are ready, in order; empty when the stream is over.

        A stream that dies ends with an in-band error chunk, never with an exception.
        """
        ...

    def fail(self, *, stopped: bool = False) -> Piece | None:
        """Take a fault of the gateway's own for the end; return the identity of the stream, if it has one.

        It is none, but the gateway is shutting down, if that is what *stopped* it.
        """
        ...

    def finish(self, *, caller_left: bool = False, stalled: bool = False) -> Awaitable[None]:
        """Settle and record; a caller that left may have *stalled*. Safe to call more than once.

        What need not wait has happened when this returns: all of it where that is `DONE`, as nearly always.
        """
        ...
