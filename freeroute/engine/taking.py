"""The next candidate for a call, leased: at once if there is one, else when its turn comes."""

import math
from collections.abc import Awaitable

from msgspec import Struct, structs

from freeroute.clock import Clock, Now
from freeroute.domain.leases import least_bound
from freeroute.domain.needs import Fit, Need, Tried
from freeroute.domain.selection import Choice, choice_of, choose
from freeroute.domain.standing import Standing
from freeroute.engine.course import Course
from freeroute.engine.leasing import Leased, Leasing
from freeroute.engine.refusals import gave_up
from freeroute.engine.served import DONE
from freeroute.engine.waiting import WaitingRoom


class Taking:
    """Finds candidates for requests: choosing is late, and leasing part of it."""

    def __init__(self, *, standing: Standing, leasing: Leasing, room: WaitingRoom, clock: Clock) -> None:
        """Take through *leasing*, and wait in *room*."""
        self._standing = standing
        self._leasing = leasing
        self._room = room
        self._clock = clock

    def next(
        self, need: Need, fit: Fit, course: Course, again: Leased | None, now: Now
    ) -> Awaitable[Leased | None]:
        """Return what leases the next candidate for *course* at *now*: the one had before if it is to be
        asked *again* and has room, else the best. Where it brings none, there may be one `later`.
        """
        if again is not None or self._room.turns.count:
            return self._in_order(need, fit, course, again, now)
        choice = choose(need, fit, self._standing, course.tried, now, course.until)
        return self._leasing.take(choice, now) if isinstance(choice, Choice) else DONE

    async def _in_order(
        self, need: Need, fit: Fit, course: Course, again: Leased | None, now: Now
    ) -> Leased | None:
        """Return who was had before, or who is the best once those have been served who came before."""
        if again is not None:
            demand = structs.replace(need.demand, max_output=again.max_output or need.demand.max_output)
            sized = self._standing.sized(again.candidate, demand)
            leased = await self._leasing.take(choice_of(again.candidate, sized), now)
            if leased is not None:
                return leased
        # Those who wait come first: what they leave is free for whoever comes now.
        if self._room.turns.count:
            await self._room.serve()
            now = self._clock.now()
        return await self._best(need, fit, course.tried, course.until, now)

    async def later(self, need: Need, fit: Fit, course: Course) -> Leased:
        """Return the candidate that a turn brings in time, or the least bad one; raises what to tell the
        caller.

        Only when none comes in time that is asked for all of the output, the bound may be cut.
        """
        seeking = _Seeking(need, course.tried, fit)
        leased = await self._in_turn(seeking, course)
        if leased is None and any(least_bound(candidate, need.demand) is not None for _, candidate in fit):
            less = structs.replace(need, clamp=True)
            seeking = _Seeking(less, course.tried.with_less(), fit, seeking.turn_at)
            leased = await self._best(less, fit, seeking.tried, course.until, self._clock.now())
            leased = leased or await self._in_turn(seeking, course)
        if leased is None:
            await self._room.serve()  # what comes free as a caller's time ends is not its own
            now = self._clock.now()
            leased = await self._best(seeking.need, fit, seeking.tried, now.mono, now)
        if leased is None:
            raise gave_up(course, seeking.need, fit, self._standing, self._clock.now(), seeking.turn_at)
        return leased

    async def _best(self, need: Need, fit: Fit, tried: Tried, patience: float, now: Now) -> Leased | None:
        choice = choose(need, fit, self._standing, tried, now, patience)
        return await self._leasing.take(choice, now) if isinstance(choice, Choice) else None

    async def _in_turn(self, seeking: "_Seeking", course: Course) -> Leased | None:
        """Wait for a turn, if it comes in time."""
        client = course.context.client
        ticket = self._room.ticket(
            course.context.queue,
            client.weight if client is not None else 1.0,
            seeking.need,
            seeking.fit,
            seeking.tried,
            until=course.until,
        )
        turn_at = self._room.projected(ticket)
        seeking.turn_at = min(seeking.turn_at, turn_at)
        if turn_at > course.until:
            return None
        began = self._clock.now()
        try:
            leased = await self._room.wait(ticket)
        finally:
            ended = self._clock.now()
            course.waited(began, ended)
        if leased is None and ended.mono < course.until:  # by what is known now
            seeking.turn_at = self._room.projected(ticket)
        return leased


class _Seeking(Struct):
    """What is looked for, and when (mono) its turn comes."""

    need: Need
    tried: Tried
    fit: Fit
    turn_at: float = math.inf
