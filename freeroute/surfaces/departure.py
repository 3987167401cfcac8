"""Callers that leave: who tells of it, and what is cancelled then."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from freeroute.surfaces.http import Request

DEPARTURE = "freeroute.departure"


class Departure:
    """Where the server tells that a caller has left; it is in the scope under `DEPARTURE`.

    *told* is called as it happens, on the event loop; *gone* says that it has.
    """

    told: Callable[[], None] | None = None
    gone = False

    def tell(self) -> None:
        """Tell that the caller has left."""
        self.gone = True
        if self.told is not None:
            self.told()


class CallerWatch:
    """Cancels the work in its block once the caller hangs up; then *left* is set and the block ends quietly.

    The server drops what is sent to a caller that is gone without a word, so somebody has to look.
    The last piece of a reply is sent after the block: a finished reply also reads as a disconnect.
    """

    def __init__(self, request: Request) -> None:
        """Watch the caller of *request*, which has given its whole body already."""
        self.left = False
        self._departure: Departure | None = request.scope.get(DEPARTURE)  # type: ignore[assignment]
        self._receive = request.receive
        self._task: asyncio.Task[Any] | None = None
        self._watcher: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        """Start watching: a server that tells of it costs no task of our own."""
        self._task = asyncio.current_task()
        if self._departure is None:
            self._watcher = asyncio.create_task(self._watch())
        elif self._departure.gone:
            self._leave()
        else:
            self._departure.told = self._leave
        return self

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._leave()

    def _leave(self) -> None:
        self.left = True
        assert self._task is not None
        self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Stop watching; take back our own cancel, never somebody else's."""
        task, watcher = self._task, self._watcher
        assert task is not None
        # A cancelled task keeps the frames it was in, and those keep this object and the whole request.
        self._task = self._watcher = None
        if self._departure is not None:
            self._departure.told = None
        if watcher is not None:
            watcher.cancel()
        if not self.left:
            return False
        others = task.uncancel()
        return kind is asyncio.CancelledError and not others
