"""Counters against a provider: whatever calls do, an honest provider never has to refuse one.

The provider here knows what a gateway cannot: when each call arrived and what it really used. It counts in
its own, plainer way, and checks the whole history at the end.
"""

import copy
import math

from hypothesis import assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec import Struct

from freeroute.clock import Now
from freeroute.domain.catalogue import Limit, Unit, WindowKind
from freeroute.domain.counters import Counter, Slip
from freeroute.domain.limits import counter_for
from tests.support.clocks import EPOCH, ManualClock

LIMIT = 10
WINDOW = 60.0
GUARD = 2.0
SOON = 1 / 64  # exact in binary, like every span of time here
SPANS = st.sampled_from([0.0, 0.25, 1.0, 2.0, 5.5, 13.0, 29.75, 58.0, 60.0, 62.25])


class Call(Struct, eq=False):
    """A call as the provider sees it: on its way since *sent*, arriving *delay* later."""

    slip: Slip
    sent: Now
    delay: float
    used: float
    ended: Now | None = None

    def arrived(self) -> float:
        return self.sent.mono + self.delay


class Traffic(RuleBasedStateMachine):
    """Calls that begin where they fit, and end in every way."""

    window = WindowKind.SLIDING
    span = ""

    def __init__(self):
        super().__init__()
        self.clock = ManualClock(wall=EPOCH - EPOCH % 86_400 - 90.0)
        limit = Limit(Unit.TOKENS, LIMIT, WINDOW, self.window, self.span)
        self.counter: Counter = counter_for(limit, GUARD)
        self.calls: list[Call] = []

    @property
    def under_way(self) -> list[Call]:
        return [call for call in self.calls if call.ended is None]

    @rule(seconds=SPANS)
    def time_passes(self, seconds):
        self.clock.advance(seconds)

    @rule(amount=st.integers(0, LIMIT + 1), delay=st.sampled_from([0.0, 0.25, 1.0, GUARD]))
    def a_call_begins_if_it_fits(self, amount, delay):
        now = self.clock.now()
        if self.counter.fits_at(amount, now) <= now.mono:
            self.calls.append(Call(self.counter.take(amount, now), now, delay, amount))

    @rule(amount=st.integers(1, LIMIT), delay=st.sampled_from([0.0, GUARD]))
    def a_call_waits_until_it_fits(self, amount, delay):
        now = self.clock.now()
        self.clock.advance(self.counter.fits_at(amount, now) - now.mono)
        self.a_call_begins_if_it_fits(amount, delay)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def an_answer_begins(self, data):
        call = data.draw(st.sampled_from(self.under_way))
        self.counter.confirm(call.slip, self.clock.now())
        call.delay = min(call.delay, self.clock.now().mono - call.sent.mono)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def a_call_ends_having_used_less(self, data):
        call = data.draw(st.sampled_from(self.under_way))
        self.end(call, data.draw(st.integers(0, int(call.slip.amount))))

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def a_call_ends_as_charged(self, data):
        call = data.draw(st.sampled_from(self.under_way))
        self.end(call, None)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def a_call_never_was(self, data):
        call = data.draw(st.sampled_from(self.under_way))
        self.counter.settle(call.slip, 0.0, self.clock.now())
        call.used, call.ended = 0, self.clock.now()

    def end(self, call: Call, used: int | None) -> None:
        now = self.clock.now()
        call.delay = min(call.delay, now.mono - call.sent.mono)
        self.counter.settle(call.slip, used, now)
        before = self.counter.used(now)
        self.counter.settle(call.slip, 0, now)
        self.counter.settle(call.slip, 0.0, now)
        assert self.counter.used(now) == before
        call.used, call.ended = call.used if used is None else used, now

    @invariant()
    def a_call_fits_when_it_is_said_to_and_not_before(self):
        now = self.clock.now()
        for amount in (1, 4, LIMIT):
            at = self.counter.fits_at(amount, now)
            assert now.mono <= at < math.inf
            counter = self.when_calls_have_ended(now)
            if at > now.mono + SOON:
                soon = now.later(at - now.mono - SOON)
                assert counter.fits_at(amount, soon) > soon.mono
            then = now.later(at - now.mono + 1e-6)  # the wall clock's sums are that fine
            assert counter.fits_at(amount, then) == then.mono

    def when_calls_have_ended(self, now: Now) -> Counter:
        counter, slips = copy.deepcopy((self.counter, [call.slip for call in self.under_way]))
        for slip in slips:
            counter.settle(slip, None, now)
        return counter

    @invariant()
    def what_is_left_is_a_share(self):
        now = self.clock.now()
        assert 0 <= self.counter.left(now) <= 1
        assert -1 <= self.counter.lead(now) <= 1
        assert self.counter.resets_in(now) >= 0

    def teardown(self):
        self.end_all()
        self.the_provider_never_refused()
        later = self.clock.advance(10 * WINDOW + GUARD)
        assert self.counter.used(later) == 0
        assert self.counter.fits_at(LIMIT, later) == later.mono

    def end_all(self) -> None:
        for call in self.under_way:
            self.end(call, None)

    def the_provider_never_refused(self) -> None:
        raise NotImplementedError


class SlidingTraffic(Traffic):
    def the_provider_never_refused(self):
        for last in self.calls:
            end = last.arrived()
            assert sum(call.used for call in self.calls if end - WINDOW < call.arrived() <= end) <= LIMIT


class BucketTraffic(Traffic):
    window = WindowKind.BUCKET

    def the_provider_never_refused(self):
        level, at = float(LIMIT), -math.inf
        for call in sorted(self.calls, key=Call.arrived):
            level = min(LIMIT, level + (call.arrived() - at) * LIMIT / WINDOW) - call.used
            at = call.arrived()
            assert level >= -1e-6


class CalendarTraffic(Traffic):
    """Periods of a minute; a call may be counted at any moment until it ends."""

    window = WindowKind.CALENDAR
    span = "minute"

    def the_provider_never_refused(self):
        for counted in ("at the beginning", "at the end"):
            minutes: dict[float, float] = {}
            for call in self.calls:
                at = call.sent if counted == "at the beginning" else call.ended
                assert at is not None
                minute = at.wall // WINDOW
                minutes[minute] = minutes.get(minute, 0) + call.used
            assert all(used <= LIMIT for used in minutes.values())


class SlidingTally(RuleBasedStateMachine):
    """A sliding window beside one that keeps every amount with its time, calls that used more included."""

    def __init__(self):
        super().__init__()
        self.clock = ManualClock()
        self.counter = counter_for(Limit(Unit.TOKENS, LIMIT, WINDOW), GUARD)
        self.slips: list[Slip] = []
        self.tally: list[list[float]] = []  # [when it comes back, amount]

    @rule(seconds=SPANS)
    def time_passes(self, seconds):
        self.clock.advance(seconds)

    @rule(amount=st.integers(0, LIMIT))
    def a_call_begins(self, amount):
        now = self.clock.now()
        self.slips.append(self.counter.take(amount, now))
        self.tally.append([now.mono + GUARD + WINDOW, amount])

    @rule(data=st.data())
    def an_answer_begins(self, data):
        assume(self.slips)
        call = data.draw(st.integers(0, len(self.slips) - 1))
        now = self.clock.now()
        self.counter.confirm(self.slips[call], now)
        if self.slips[call].open:
            self.tally[call][0] = min(self.tally[call][0], now.mono + WINDOW)

    @rule(data=st.data())
    def a_call_goes_out_only_now(self, data):
        assume(self.slips)
        call = data.draw(st.integers(0, len(self.slips) - 1))
        now = self.clock.now()
        self.counter.sent(self.slips[call], now)
        if self.slips[call].open and self.tally[call][0] > now.mono:
            self.tally[call][0] = max(self.tally[call][0], now.mono + GUARD + WINDOW)

    @rule(data=st.data(), used=st.integers(0, 2 * LIMIT))
    def a_call_ends(self, data, used):
        assume(self.slips)
        call = data.draw(st.integers(0, len(self.slips) - 1))
        now, slip = self.clock.now(), self.slips[call]
        if slip.open:
            more = used - self.tally[call][1]
            self.slips.append(Slip(0, open=False))
            self.tally.append([now.mono + WINDOW, max(0, more)])
            self.tally[call][1] += min(0, more)
        self.counter.settle(slip, used, now)

    @invariant()
    def both_agree(self):
        now = self.clock.now()
        assert self.counter.used(now) == sum(amount for back, amount in self.tally if back > now.mono)
        resets = max((back for back, amount in self.tally if amount and back > now.mono), default=now.mono)
        assert self.counter.resets_in(now) == resets - now.mono


BUSY = settings(max_examples=60, stateful_step_count=40, deadline=None)

TestSlidingTraffic = SlidingTraffic.TestCase
TestSlidingTraffic.settings = BUSY
TestBucketTraffic = BucketTraffic.TestCase
TestBucketTraffic.settings = BUSY
TestCalendarTraffic = CalendarTraffic.TestCase
TestCalendarTraffic.settings = BUSY
TestSlidingTally = SlidingTally.TestCase
TestSlidingTally.settings = BUSY
