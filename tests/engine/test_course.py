"""What one request has been through."""

from freeroute.clock import Now
from freeroute.domain.receipt import Wait
from freeroute.engine.course import Course
from freeroute.wire.chat import CallContext


def test_waits_are_told_apart_and_what_follows_at_once_is_one():
    course = Course(CallContext(request_id="r", received=Now(10.0, 0.0)), asked="free")
    course.waited(Now(11.0, 0.0), Now(12.0, 0.0))
    course.waited(Now(12.0, 0.0), Now(14.0, 0.0))
    course.waited(Now(20.0, 0.0), Now(20.5, 0.0))
    assert course.waits == [Wait(1.0, 3.0), Wait(10.0, 0.5)]
    assert course.queued == 3.5
