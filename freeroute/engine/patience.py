"""How long an attempt may take before anything of it is seen, and how long before it is late."""

import math

from freeroute.clock import Now
from freeroute.domain.needs import Fit, Need
from freeroute.domain.outcome import Kind
from freeroute.domain.selection import another
from freeroute.domain.speed import LEAST_PATIENCE, Speed
from freeroute.domain.standing import Standing
from freeroute.domain.tasks import SECONDS, Task
from freeroute.domain.usage import DEFAULT_OUTPUT
from freeroute.engine.course import Course
from freeroute.engine.leasing import Leased
from freeroute.wire.chat import ChatCall

_CHAT = Task.CHAT  # what nearly every call is; a member of an enum is looked up at length

SHARE = 0.5
"""The part of the time left for attempts that one of them may take while somebody else can be asked. Own
design: so the second one still has as long as the first, and eight fit into any deadline."""


def shows_at_once(call: ChatCall, leased: Leased) -> bool:
    """Say whether *call* is answered with a stream: not where a whole answer has to be checked first."""
    return call.stream and not leased.candidate.model.emulates(call.needs)


def is_pressed(
    call: ChatCall, need: Need, fit: Fit, leased: Leased, course: Course, standing: Standing
) -> bool:
    """Say whether somebody else can be asked in time if an attempt with what was *leased* takes too long.

    Not looked into where it would change nothing: for streams, while there is plenty of time.
    """
    if course.context.strict:
        return False
    share = SHARE * (course.last_start - leased.at.mono)
    if shows_at_once(call, leased) and leased.candidate.provider.timeouts.first_event <= share:
        return False
    return another(need, fit, standing, course.tried, leased.at, leased.candidate)


def times(
    call: ChatCall, leased: Leased, course: Course, speed: Speed, at_once: bool
) -> tuple[float, float, float]:
    """Return how many seconds an attempt with what was *leased* may take up to its first event, and when
    (mono) that is due, by the *speed* known of its model; and the seconds expected of up to 300 tokens.

    Unless it shows *at_once*, the first event of an answer is its end. Where somebody else can be asked, it
    may take unseen what is usual. Each attempt of the request that timed out before doubles what its output
    may take: it may just be a long answer.
    """
    provider, model, now = leased.candidate.provider, leased.candidate.model, leased.at
    bound, ceiling = leased.max_output, provider.timeouts.first_event
    usual = bound if bound and bound < DEFAULT_OUTPUT else DEFAULT_OUTPUT
    first, seconds, pressed, whole, expected = speed.outlook(
        model, call.demand.prompt, bound, usual, ceiling, now
    )
    if provider.is_local:  # a cold model takes its time, whatever came before
        seconds = ceiling
    due = now.mono + first
    if call.task is not _CHAT:
        seconds = max(seconds, SECONDS.get(call.task, 0.0))
    if not at_once:
        due += pressed
        output = pressed if course.pressed else whole
        for note in course.notes:
            if note.kind is Kind.TIMED_OUT:
                output *= 2.0
        seconds += output
    if course.pressed:
        seconds = min(seconds, max(SHARE * (course.last_start - now.mono), LEAST_PATIENCE))
    if seconds > provider.timeouts.total:
        seconds = provider.timeouts.total
    return seconds, due, expected


def late(call: ChatCall, leased: Leased, speed: Speed, now: Now) -> float:
    """Return after how many seconds somebody else is to be asked beside an attempt with what was *leased*."""
    seconds = speed.late(call.demand.prompt, now)
    if shows_at_once(call, leased) or seconds == math.inf:
        return seconds
    model, ceiling = leased.candidate.model, leased.candidate.provider.timeouts.first_event
    _, _, pressed, _, _ = speed.outlook(model, call.demand.prompt, leased.max_output, 0, ceiling, now)
    return seconds + pressed
