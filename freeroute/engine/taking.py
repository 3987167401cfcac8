"""The next candidate for a call, leased: at once if there is one, else when its turn comes."""

from freeroute.clock import Clock
from freeroute.domain.catalogue import Candidate
from freeroute.domain.leases import charges_of
from freeroute.domain.selection import Choice, Fit, Need, Refusal, choose
from freeroute.domain.standing import Standing
from freeroute.engine.course import Course
from freeroute.engine.leasing import Leased, Leasing
from freeroute.engine.refusals import gave_up
from freeroute.engine.waiting import WaitingRoom


class Taking:
    """Finds candidates for requests: choosing is late, and leasing part of it."""

    def __init__(self, *, standing: Standing, leasing: Leasing, room: WaitingRoom, clock: Clock) -> None:
        """Take through *leasing*, and wait in *room*."""
        self._standing = standing
        self._leasing = leasing
        self._room = room
        self._clock = clock

    async def next(self, need: Need, fit: Fit, course: Course, again: Candidate | None) -> Leased:
        """Return the next candidate for *course*: *again* if it has room; raises what to tell the caller."""
        if again is not None:
            leased = await self._leasing.take(Choice(again, charges_of(again, need.demand)))
            if leased is not None:
                return leased
        # Those who wait come first: what they leave is free for whoever comes now.
        await self._room.serve()
        leased = await self._at_once(need, fit, course, patience=course.until)
        return leased or await self._in_turn(need, fit, course)

    async def _at_once(self, need: Need, fit: Fit, course: Course, patience: float) -> Leased | None:
        now = self._clock.now()
        choice = choose(need, fit, self._standing, course.tried, now, patience)
        return None if isinstance(choice, Refusal) else await self._leasing.take(choice)

    async def _in_turn(self, need: Need, fit: Fit, course: Course) -> Leased:
        """Wait for a turn, if it comes in time; raises CapacityExhausted at once if it does not."""
        client = course.context.client
        ticket = self._room.ticket(
            course.context.queue,
            client.weight if client is not None else 1.0,
            need,
            fit,
            course.tried,
            until=course.until,
        )
        turn_at = self._room.projected(ticket)
        began = self._clock.now()
        if turn_at <= course.until:
            try:
                leased = await self._room.wait(ticket)
            finally:
                course.queued += self._clock.now().mono - began.mono
            if leased is not None:
                return leased
        last_resort = await self._at_once(need, fit, course, patience=self._clock.now().mono)
        if last_resort is None:
            raise gave_up(course, need, fit, self._standing, self._clock.now(), turn_at)
        return last_resort
