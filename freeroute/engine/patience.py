"""How long an attempt may take before anything of it is seen, and how long before it is late."""

from freeroute.clock import Now
from freeroute.domain.needs import Fit, Need
from freeroute.domain.outcome import Kind
from freeroute.domain.rankings import Able
from freeroute.domain.selection import another
from freeroute.domain.speed import LEAST_PATIENCE
from freeroute.domain.standing import Standing
from freeroute.domain.tasks import SECONDS, Task
from freeroute.engine.course import Course
from freeroute.engine.leasing import Leased
from freeroute.wire.chat import ChatCall

SHARE = 0.5
"""The part of the time left for attempts that one of them may take while somebody else can be asked. Own
design: so the second one still has as long as the first, and eight fit into any deadline."""


def shows_at_once(call: ChatCall, leased: Leased) -> bool:
    """Say whether *call* is answered with a stream: not where a whole answer has to be checked first."""
    return call.stream and not leased.candidate.model.emulates(call.needs)


def is_pressed(
    call: ChatCall, need: Need, fit: Fit, leased: Leased, course: Course, standing: Standing, now: Now
) -> bool:
    """Say whether somebody else can be asked in time if an attempt with what was *leased* takes too long.

    Not looked into where it would change nothing: for streams, while there is plenty of time.
    """
    share = SHARE * (course.last_start - now.mono)
    if course.context.strict:
        return False
    if shows_at_once(call, leased) and leased.candidate.provider.timeouts.first_event <= share:
        return False
    if isinstance(fit, Able) and fit.alike == 1:
        return False
    return another(need, fit, standing, course.tried, now, leased.candidate)


def first_event(
    call: ChatCall, leased: Leased, course: Course, standing: Standing, now: Now, output: float
) -> float:
    """Return how many seconds an attempt with what was *leased* may take up to its first event.

    Of an answer in one piece that is its end. Where somebody else can be asked, its *output* takes so many
    seconds unseen. Each attempt of the request that timed out before doubles what its output may take: it may
    just be a long answer.
    """
    candidate = leased.candidate
    timeouts = candidate.provider.timeouts
    seconds = timeouts.first_event
    if not candidate.provider.is_local:  # a cold model takes its time, whatever came before
        seconds = standing.speed(candidate).patience(call.demand.prompt, seconds, now)
    if call.task is not Task.CHAT:
        seconds = max(seconds, SECONDS.get(call.task, 0.0))
    if not course.pressed:
        output = unseen(call, leased, standing, now, pressed=False)
    for note in course.notes:
        if note.kind is Kind.TIMED_OUT:
            output *= 2.0
    seconds += output
    if course.pressed:
        seconds = min(seconds, max(SHARE * (course.last_start - now.mono), LEAST_PATIENCE))
    return min(timeouts.total, seconds)


def unseen(call: ChatCall, leased: Leased, standing: Standing, now: Now, *, pressed: bool) -> float:
    """Return the seconds that the output of *call* may take without any of it being seen: all, if JSON."""
    if shows_at_once(call, leased):
        return 0.0
    speed, model = standing.speed(leased.candidate), leased.candidate.model
    return speed.unseen(model, leased.max_output, now, pressed=pressed)
