"""A burst of requests comes in a few at a time, so that streams under way have their turns between them."""

import asyncio
from collections import deque
from collections.abc import Callable

AT_ONCE = 16
"""Requests that begin in one turn of the event loop. Own design: each takes half a millisecond until it first
waits, so that a burst holds up an event of a stream for about eight."""


class Entrance:
    """Where requests begin: some in this turn of the event loop, the others in the next ones, in order."""

    def __init__(self) -> None:
        """Have nobody waiting."""
        self._begun = 0  # in this turn
        self._waiting: deque[Callable[[], None]] = deque()

    def enter(self, begin: Callable[[], None], loop: asyncio.AbstractEventLoop) -> None:
        """Call *begin* now, or in a later turn of *loop*."""
        if self._begun >= AT_ONCE:
            self._waiting.append(begin)
            return
        if not self._begun:
            loop.call_soon(self._turn, loop)
        self._begun += 1
        begin()

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        self._begun = 0
        if not self._waiting:
            return
        for _ in range(min(AT_ONCE, len(self._waiting))):
            self.enter(self._waiting.popleft(), loop)
