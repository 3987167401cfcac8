"""The connections to one origin: how many may be in use at once, and those that wait for their next use."""

import asyncio
from collections import deque

from freeroute.open_files import each_side, may_open
from freeroute.upstreams.http_connection import Connection

Holder = tuple[bytes, ...] | None
"""Whose connections they are, by what says who asks: what a peer adds to an answer never becomes another
key's. Those that nobody has asked anything on belong to None, and to whoever comes first.
"""


MOST = 4096
"""Exchanges with one origin at a time. Own design: well beyond the 2,500 paced streams that one core is to
carry. Nothing is set aside for them; a flood to one provider shall not take every file there is.
"""


def most_at_once() -> int:
    """Return how many exchanges with one origin there may be at a time, by the files that may be open."""
    return most_with(may_open())


def most_with(files: float) -> int:
    """Return how many there may be with so many *files*: each takes two, one of them to its caller."""
    return int(max(min(MOST, each_side(files)), 1))


class Slots:
    """A number of slots. Who finds none free waits for a turn, in the order of coming."""

    def __init__(self, free: int) -> None:
        """Begin with so many."""
        self._free = free
        self._waiting: deque[asyncio.Future[None]] = deque()

    def take(self) -> bool:
        """Take one if one is free, which none is while somebody waits; say whether it was."""
        if not self._free:
            return False
        self._free -= 1
        return True

    async def turn(self) -> None:
        """Wait for one, and take it."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self.release()  # the turn had come just then
            elif turn in self._waiting:
                self._waiting.remove(turn)
            raise

    def release(self) -> None:
        """Give one back: to whoever has waited longest and still waits."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


class Pool:
    """The connections to one origin, which share its slots."""

    def __init__(self, slots: int) -> None:
        """Allow so many exchanges at a time."""
        self.slots = Slots(slots)
        self._idle: dict[Holder, deque[Connection]] = {}

    @property
    def is_empty(self) -> bool:
        """Say whether no connection waits here."""
        return not self._idle

    def taken(self, holder: Holder, oldest: float) -> Connection | None:
        """Return a connection of *holder*, or nobody's, that was used since *oldest* (loop time)."""
        while idle := self._idle.get(holder) or self._idle.get(None):
            connection = idle.pop()  # the one that was used last is the likeliest to live
            if connection.idle_since >= oldest and connection.is_quiet:
                return connection
            connection.abort()
        return None

    def rests(self, connection: Connection, holder: Holder, now: float) -> None:
        """Have *connection* wait from *now* (loop time) on for what *holder* asks next."""
        connection.idle_since = now
        idle = self._idle.get(holder)
        if idle is None:
            idle = self._idle[holder] = deque()
        idle.append(connection)

    def sweep(self, oldest: float) -> None:
        """Close what was used before *oldest*, and forget what is closed."""
        for holder, idle in list(self._idle.items()):
            while idle and (idle[0].idle_since <= oldest or not idle[0].is_open):
                idle.popleft().abort()
            if not idle:
                del self._idle[holder]

    def let_one_go(self) -> bool:
        """Close a connection that waits here, one of those that have waited longest; say whether one did."""
        for idle in self._idle.values():
            if idle:
                idle.popleft().abort()
                return True
        return False

    def empty(self) -> None:
        """Let go of all that waits."""
        self._idle.clear()
