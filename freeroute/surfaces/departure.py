"""Callers that leave, and a server that stops: who tells of it, and what is cancelled then."""

import asyncio
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self

from freeroute.errors import ShuttingDown
from freeroute.surfaces.http import Request

DEPARTURE = "freeroute.departure"


class Departure:
    """Where the server tells that a caller has left; it is in the scope under `DEPARTURE`.

    *gone* says that it has, *left* that it did while somebody watched. The server may name the *task* that
    answers. It has *stopped* the answer if it could not wait for it any longer: then the caller is still
    there to be told.
    """

    gone = left = stopped = False
    task: asyncio.Task[Any] | None = None
    _watched: asyncio.Task[Any] | None = None

    def tell(self) -> None:
        """Tell that the caller has left; to tell it again changes nothing."""
        if not self.gone and self._watched is not None:
            self._leave(self._watched)
        self.gone = True

    def stop(self) -> None:
        """Tell that the server stops: as if the caller had left, but it is there for an error."""
        if not self.gone:
            self.stopped = True
            self.tell()

    def watch(self) -> None:
        """From now on, cancel the task that answers once the caller leaves."""
        self._watched = watched = self.task or asyncio.current_task()  # for which Python asks the system
        if self.gone and watched is not None:
            self._leave(watched)

    def _leave(self, watched: asyncio.Task[Any]) -> None:
        self.left = not self.stopped
        watched.cancel()

    def unwatch(self) -> bool:
        """Cancel nothing any more; take back our own cancel, and say whether there was that one alone."""
        # A cancelled task keeps the frames it was in, and those keep this object and the whole request.
        watched, self._watched = self._watched, None
        return (self.left or self.stopped) and watched is not None and not watched.uncancel()


class Lookout(Departure):
    """The departure of a caller whose server does not tell of it: somebody has to look.

    It gives its whole body before it is watched. What is sent to a caller that is gone is dropped without a
    word.
    """

    def __init__(self, receive: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Look at what *receive* gives."""
        self._receive = receive
        self._looking: asyncio.Task[None] | None = None

    def watch(self) -> None:
        """Begin to look."""
        super().watch()
        self._looking = asyncio.create_task(self._look())

    async def _look(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.tell()

    def unwatch(self) -> bool:
        """Look no more."""
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        return super().unwatch()


def departure_of(request: Request) -> Departure:
    """Return where the departure of the caller of *request* is told."""
    told: Departure | None = request.scope.get(DEPARTURE)  # type: ignore[assignment]
    return Lookout(request.receive) if told is None else told


class CallerWatch:
    """Cancels the work in its block once the caller hangs up; then *left* is set and the block ends quietly.

    Once the server stops it raises ShuttingDown.

    The last piece of a reply is sent after the block: a finished reply also reads as a disconnect.
    """

    def __init__(self, request: Request) -> None:
        """Watch the caller of *request*, which has given its whole body already."""
        self._departure = departure_of(request)

    @property
    def left(self) -> bool:
        """Say whether the caller hung up."""
        return self._departure.left

    def __enter__(self) -> Self:
        """Start watching."""
        self._departure.watch()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Stop watching."""
        ended = self._departure.unwatch() and kind is asyncio.CancelledError
        if ended and self._departure.stopped:
            raise ShuttingDown from None
        return ended
