"""A second candidate beside one that is late: the first of the two to speak wins."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from msgspec import Struct

from freeroute.clock import Clock, Now
from freeroute.domain.catalogue import Candidate
from freeroute.domain.needs import Fit, Need
from freeroute.domain.outcome import Kind, Outcome
from freeroute.domain.selection import Refusal, choose
from freeroute.domain.standing import Standing
from freeroute.engine.course import Course
from freeroute.engine.leasing import Leased, Leasing, Won
from freeroute.engine.parts import LEFT, Part, Settling
from freeroute.engine.ports import Counters
from freeroute.engine.waiting import WaitingRoom
from freeroute.wire.chat import ChatCall

PLENTY = 0.5
"""The share of every quota that a candidate has left if it is to be asked for what another may answer yet."""

_OUTRUN = Outcome(Kind.OUTRUN)

Ended = tuple[Leased, Won | Outcome]


class _Racer(Struct, eq=False):
    leased: Leased
    task: asyncio.Task[Won | Outcome]


class Hedging:
    """Races two attempts of one request. Holds no state of it."""

    def __init__(
        self,
        *,
        standing: Standing,
        counters: Counters,
        clock: Clock,
        leasing: Leasing,
        room: WaitingRoom,
        attempt: Callable[[ChatCall, Leased, Course], Coroutine[Any, Any, Won | Outcome]],
    ) -> None:
        """Make each *attempt* as if there were no other."""
        self._standing = standing
        self._counters = counters
        self._clock = clock
        self._leasing = leasing
        self._room = room
        self._attempt = attempt
        self._settling = Settling(standing, counters, lambda: 0.0)

    async def race(
        self, call: ChatCall, need: Need, fit: Fit, first: Leased, course: Course, late: float
    ) -> Sequence[Ended]:
        """Return how attempts ended: the one that was won, or else all of them.

        A second one starts if the *first* brought nothing after *late* seconds, and somebody has quota to
        spare. Whoever loses is cancelled, and charged as if the caller had left.
        """
        spent = course.upstream
        racers = [self._start(call, first, course)]
        winner: _Racer | None = None
        try:
            await asyncio.wait([racers[0].task], timeout=late)
            if not racers[0].task.done() and (second := await self._second(need, fit, first, course)):
                course.hedged, course.pressed = True, False  # the second may be the last there is
                racers.append(self._start(call, second, course))
            winner = await _first_to_speak(racers)
        finally:
            await self._call_off(racers, winner, course)
        made = [_ended(winner)] if winner is not None else [_ended(racer) for racer in racers]
        won = made[0][1]
        until = won.at if isinstance(won, Won) else self._clock.now()
        # They ran side by side: what the request spent on them is not the sum of both.
        course.upstream = spent + until.mono - first.at.mono
        return made

    def _start(self, call: ChatCall, leased: Leased, course: Course) -> _Racer:
        # Its first step is in the loop's queue before any cancel of ours can be: the lease has its owner.
        return _Racer(leased, asyncio.create_task(self._attempt(call, leased, course)))

    async def _second(self, need: Need, fit: Fit, first: Leased, course: Course) -> Leased | None:
        """Lease another provider's candidate that has plenty of everything, if nobody waits for it."""
        now = self._clock.now()
        if len(self._room) or now.mono > course.last_start:
            return None
        spare = [entry for entry in fit if self._is_spare(entry[1], first, now)]
        choice = choose(need, spare, self._standing, course.tried, now)
        if isinstance(choice, Refusal) or self._standing.obstacle(choice.candidate, choice.charges, now):
            return None
        return await self._leasing.take(choice, now)

    def _is_spare(self, candidate: Candidate, first: Leased, now: Now) -> bool:
        if candidate.provider.id == first.candidate.provider.id:  # what is slow is mostly the provider
            return False
        plenty = self._counters.left(candidate.pools, now) > PLENTY
        return plenty and not self._standing.suspect(candidate, now)

    async def _call_off(self, racers: Sequence[_Racer], winner: _Racer | None, course: Course) -> None:
        """End what is not the *winner*'s; if the caller leaves meanwhile, that too."""
        losers = [racer for racer in racers if racer is not winner]
        running = [racer for racer in losers if racer.task.cancel()]
        for racer in losers:
            await self._drop(racer, course, outrun=winner is not None)
        try:
            if running:
                await asyncio.wait([racer.task for racer in running])
        except asyncio.CancelledError:
            if winner is not None:
                await self._drop(winner, course, outrun=False)
            raise
        if winner is not None:
            for racer in running:
                self._outrun(racer.leased, course)

    async def _drop(self, racer: _Racer, course: Course, *, outrun: bool) -> None:
        """Settle an answer that nobody will read."""
        if not racer.task.done() or racer.task.cancelled() or racer.task.exception() is not None:
            return
        won = racer.task.result()
        if not isinstance(won, Won):
            return
        stream, answer, now = won.sent.stream, won.sent.answer, self._clock.now()
        if stream is not None:
            await Part(won, stream, course, self._settling).end(now, left=LEFT)
        else:
            await self._settling.left(won, answer.usage if answer is not None else None, now, course, LEFT)
        if outrun:
            course.became(won.note, _OUTRUN)

    def _outrun(self, leased: Leased, course: Course) -> None:
        """Say of the call that was just cancelled why, and remember that it was slow."""
        course.became(len(course.notes) - 1, _OUTRUN)
        leased.trial.known.speed.outrun(self._clock.now().mono - leased.at.mono)


async def _first_to_speak(racers: Sequence[_Racer]) -> _Racer | None:
    """Return who won, as soon as somebody has; None if none did."""
    running = {racer.task for racer in racers}
    while running:
        _, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for racer in racers:
            if racer.task.done() and isinstance(racer.task.result(), Won):
                return racer
    return None


def _ended(racer: _Racer) -> Ended:
    return racer.leased, racer.task.result()
