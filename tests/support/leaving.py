"""A caller that leaves at a chosen await."""

import asyncio
import types
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")


@types.coroutine
def leaving(coroutine: Coroutine[Any, Any, T], at: int) -> Generator[Any, Any, T]:
    """Run *coroutine*; the task that runs it is cancelled as it waits for the time number *at*, from 1 on."""
    waits = 0
    raised: BaseException | None = None
    while True:
        try:
            waited = coroutine.send(None) if raised is None else coroutine.throw(raised)
        except StopIteration as stop:
            return stop.value
        waits += 1
        if waits == at:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
        raised = None
        try:
            yield waited
        except BaseException as exc:
            raised = exc
