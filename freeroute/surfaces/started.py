"""Work that is begun at once, so that a task or a timer is made only for what has to wait."""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Started(Generic[T]):
    """Work that has gone as far as it can without waiting; awaiting it does the rest.

    The first part belongs to the task that is running, the rest to whoever awaits it: no timer may be open
    where the work waits first.
    """

    __slots__ = ("_awaited", "_work", "is_over", "result")

    result: T
    """What came of it, once it is over."""

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        """Begin *work*; raises what it raises."""
        self._work = work
        self.is_over = False
        try:
            self._awaited = work.send(None)
        except StopIteration as end:
            self.result, self.is_over = end.value, True

    def __await__(self) -> Generator[Any, Any, T]:
        """Do the rest."""
        while not self.is_over:
            try:
                yield self._awaited
            except BaseException as error:  # a cancellation is the work's to know of
                self._go(self._work.throw, error)
            else:
                self._go(self._work.send, None)
        return self.result

    def _go(self, step: Callable[[Any], Any], given: Any) -> None:
        try:
            self._awaited = step(given)
        except StopIteration as end:
            self.result, self.is_over = end.value, True


async def to_the_end(work: Started[None]) -> None:
    """Do *work* to its end even if this task is cancelled meanwhile; then let the cancel go on.

    Work that need not wait is over as it is started: nothing can come between.
    """
    if work.is_over:
        return
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
