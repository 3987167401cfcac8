"""Work that is begun at once, so that a task or a timer is made only for what has to wait."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")


class Started(Generic[T]):
    """Work that has gone as far as it can without waiting; awaiting it does the rest.

    The first part belongs to the task that is running, the rest to whoever awaits it: no timer may be open
    where the work waits first.
    """

    __slots__ = ("_awaited", "_result", "_steps", "is_over")

    def __init__(self, work: Awaitable[T]) -> None:
        """Begin *work*; raises what it raises."""
        self._steps = work.__await__()
        self._awaited: Any = None
        self._result: T | None = None
        self.is_over = False
        try:
            self._awaited = next(self._steps)
        except StopIteration as end:
            self._result, self.is_over = end.value, True

    @property
    def result(self) -> T:
        """Return what came of it, once it is over."""
        return cast("T", self._result)

    def __await__(self) -> Generator[Any, Any, T]:
        """Do the rest."""
        while not self.is_over:
            try:
                yield self._awaited
            except BaseException as error:  # a cancellation is the work's to know of
                self._go(self._steps.throw, error)
            else:
                self._go(self._steps.__next__)
        return self.result

    def _go(self, step: Callable[..., Any], *given: Any) -> None:
        try:
            self._awaited = step(*given)
        except StopIteration as end:
            self._result, self.is_over = end.value, True


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
