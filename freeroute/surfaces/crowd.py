"""More callers than there are files for: who is idle makes way, and who finds no room is told so at once."""

import asyncio
import select
from collections.abc import Callable, Collection
from operator import itemgetter
from typing import Literal, get_args

import structlog

from freeroute.clock import Clock
from freeroute.errors import Unavailable
from freeroute.surfaces.connection import Connection
from freeroute.surfaces.http import bare_refusal

AT_THE_DOOR = 64
"""Callers that hear at a time that there is no room; one more has the first one cut. Own design: fewer where
there are few files, a quarter of what is for callers.
"""

RESTED = 0.25
"""Seconds after which nobody who is idle is taken to ask at once, and between two looks for such. Own design:
whoever has just come is about to ask, and whoever asks again and again is never idle for as long.
"""

HEARING = 5.0
"""Seconds that such a caller has to ask something, and to read that there is no room."""

TELL_AGAIN = 60.0
"""Seconds between two lines of the log about the same."""

_AHEAD = 64
"""Idle connections that one look at all of them finds at most, or an eighth of all: 30,000 take 20 ms."""

State = Literal["idle", "new"]
"""What a connection was that there was no room for."""

_TOLD: dict[State, str] = {
    "idle": "idle callers make way: there are too few files",
    "new": "callers are turned away: there are too few files",
}
_log: structlog.stdlib.BoundLogger = structlog.get_logger("freeroute.surfaces")


class Crowd:
    """The room there is for callers. Requests pay nothing for it: it is asked when somebody comes."""

    def __init__(self, files: float, clock: Clock, count: Callable[[State], None]) -> None:
        """Have room for so many *files*; *count* is told of each connection that there was none for."""
        self._door = AT_THE_DOOR if files >= 4 * AT_THE_DOOR else max(files // 4, 1)
        self.room = max(files - self._door, 1)
        self._clock = clock
        self._count = count
        self._at_door: dict[TurnedAway, None] = {}
        self._idle: list[tuple[float, Connection]] = []  # that are to make way next, the last one first
        self._look_after = float("-inf")  # as the loop tells time
        self._untold = dict.fromkeys(get_args(State), 0)
        self._silent_until = dict.fromkeys(get_args(State), float("-inf"))

    def lets_in(self, inside: Collection[Connection]) -> bool:
        """Say whether one more may join those *inside*; one of them makes way if need be."""
        if len(inside) < self.room:
            return True
        if self._one_makes_way(inside):
            self._note("idle")
            return True
        return False

    def turn_away(self) -> "TurnedAway":
        """Return what tells a caller that there is no room."""
        while len(self._at_door) >= self._door:
            next(iter(self._at_door)).cut()
        caller = TurnedAway(self._at_door)
        self._note("new")
        return caller

    def _one_makes_way(self, inside: Collection[Connection]) -> bool:
        """Close the connection that has been idle for longest; say whether there is one.

        Whoever becomes idle after a look has been so for less time than all that it found.
        """
        if self._first_makes_way():
            return True
        now = asyncio.get_running_loop().time()
        if now < self._look_after:
            return False
        self._look_after = now + RESTED
        by = now - RESTED
        idle = [
            (one.idle_since, one) for one in inside if one.idle_since is not None and one.idle_since <= by
        ]
        idle.sort(key=itemgetter(0), reverse=True)
        self._idle = idle[-max(_AHEAD, len(inside) // 8) :]  # the rest would be kept alive for nothing
        return self._first_makes_way()

    def _first_makes_way(self) -> bool:
        while self._idle:
            since, connection = self._idle.pop()
            if connection.idle_since == since and connection.may_close and not _has_sent(connection):
                connection.transport.close()
                return True
        return False

    def _note(self, state: State) -> None:
        self._count(state)
        self._untold[state] += 1
        now = self._clock.now().mono
        if now >= self._silent_until[state]:
            _log.warning(_TOLD[state], connections=self._untold[state], room=int(self.room))
            self._untold[state], self._silent_until[state] = 0, now + TELL_AGAIN


class TurnedAway(asyncio.Protocol):
    """The connection of a caller that there is no room for: what it asks first is answered with that."""

    def __init__(self, at_door: dict["TurnedAway", None]) -> None:
        """Wait *at_door* until it is lost."""
        self._at_door = at_door
        self._at_door[self] = None
        self._transport: asyncio.Transport | None = None
        self._has_heard = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Give the caller some time."""
        self._transport = transport
        self._patience = asyncio.get_running_loop().call_later(HEARING, self.cut)

    def data_received(self, data: bytes) -> None:
        """Answer the first of it; the rest is taken off the wire, so that the answer is not lost for it."""
        if self._transport is not None and not self._has_heard:
            self._tell(self._transport)
            if self._transport.can_write_eof():
                self._transport.write_eof()

    def cut(self) -> None:
        """Let go of the caller, who may hear of it before anything was asked."""
        self._at_door.pop(self, None)
        if self._transport is not None:
            if not self._has_heard:
                self._tell(self._transport)
            self._transport.close()

    def _tell(self, transport: asyncio.Transport) -> None:
        self._has_heard = True
        transport.write(bare_refusal(_no_room()))

    def connection_lost(self, exc: Exception | None) -> None:
        """Make room at the door."""
        self._at_door.pop(self, None)
        self._patience.cancel()


def _has_sent(connection: Connection) -> bool:
    """Say whether something came on *connection* that was not read yet: it is idle no more."""
    opened = connection.transport.get_extra_info("socket")
    if opened is None:
        return False
    waiting = select.poll()
    waiting.register(opened.fileno(), select.POLLIN)
    return bool(waiting.poll(0))


def _no_room() -> Unavailable:
    told = "More callers are being answered here than there are files for; another moment may have room."
    return Unavailable(told, code="crowded", retry_after=1.0)
