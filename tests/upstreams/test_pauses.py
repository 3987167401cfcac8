"""Whose fault it is if a stream breaks that was not read all the time."""

import pytest

from freeroute.domain.outcome import Kind, Outcome
from freeroute.upstreams.pauses import Pauses

CUT = Outcome(Kind.TRUNCATED, 200)


def after(*spans: float) -> Kind:
    """Return what a cut is called after *spans* of seconds: waiting for more, not reading, waiting ..."""
    pauses, now = Pauses(), 1_000.0
    for at, span in enumerate(spans):
        now += span
        if at % 2 == 0:
            pauses.begin(now)
        else:
            pauses.end(now)
    judged = pauses.judged(CUT, now)
    assert judged is not None
    assert pauses.unread == pytest.approx(sum(spans[1::2]))
    return judged.kind


@pytest.mark.parametrize(
    ("spans", "kind"),
    [
        ((9.0,), Kind.TRUNCATED),
        ((9.0, 4.9), Kind.TRUNCATED),
        ((9.0, 5.0), Kind.CALLER_STALLED),
        ((9.0, 60.0, 0.9), Kind.CALLER_STALLED),
        ((9.0, 60.0, 1.1), Kind.TRUNCATED),
        # What lay in buffers is read slowly before the cut is seen.
        ((9.0, 60.0, 0.1, 4.0, 0.1, 4.0, 0.1), Kind.CALLER_STALLED),
        ((9.0, 60.0, 0.6, 4.0, 0.6), Kind.TRUNCATED),
    ],
)
def test_a_cut_is_nobody_s_fault_until_a_second_was_waited_after_a_long_pause(spans, kind):
    assert after(*spans) is kind


def test_other_endings_are_what_they_are():
    pauses = Pauses()
    pauses.begin(1.0)
    pauses.end(61.0)
    fault = Outcome(Kind.FAULT, 200)
    assert pauses.judged(None, 61.0) is None
    assert pauses.judged(fault, 61.0) is fault
    told = pauses.judged(CUT, 61.0)
    assert told is not None
    assert told.detail == "nobody read the answer for 60 s, and its provider gave up"
