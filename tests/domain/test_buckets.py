"""What a call gives back to a bucket is no more than was owed ever since, whatever else is under way."""

import math

import pytest
from hypothesis import assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec import structs

from freeroute.clock import Now
from freeroute.domain.buckets import SPARE, Bucket, Lows
from freeroute.domain.catalogue import Limit, Unit, WindowKind
from freeroute.domain.counters import Slip
from tests.support.clocks import ManualClock

GUARD = 2.0
LIMIT = Limit(Unit.TOKENS, 100.0, 60.0, WindowKind.BUCKET)
SPANS = st.sampled_from([0.0, 0.25, 1.0, GUARD, 5.5, 29.75, 60.0]) | st.floats(0, 20)
AMOUNTS = st.integers(0, 40).map(float) | st.floats(0, 150)


class EachItsOwn(Bucket):
    """A bucket that tells each call under way of every low."""

    def __init__(self, limit: Limit, guard: float) -> None:
        super().__init__(limit, guard)
        self.least: dict[Slip, float] = {}

    def take(self, amount: float, now: Now) -> Slip:
        slip = super().take(amount, now)
        self.least[slip] = math.inf
        return slip

    def settle(self, slip: Slip, actual: float | None, now: Now) -> None:
        least = self.least.pop(slip, 0.0)
        slip.mark = least
        super().settle(slip, actual, now)

    def _note_low(self, level: float, guard: float, mono: float) -> None:
        low = max(0.0, level - max(0.0, mono + guard - max(mono, self._from)) * self._rate)
        self.least = {slip: min(least, low) for slip, least in self.least.items()}

    def _give_back(self, ended: Slip, amount: float, now: Now) -> None:
        least = min(ended.mark, self.used(now))
        paid = self._repay(min(amount, least), now)
        for slip, before in self.least.items():
            if slip.taken > ended.taken:
                self.least[slip] = max(0.0, before - paid)
            else:
                self.least[slip] = min(before, least - paid)

    def _correct(self, used: float, now: Now, back_in: float | None) -> None:
        change = used - self.used(now)
        super()._correct(used, now, back_in)
        if change <= 0:
            self.least = {slip: max(0.0, least + change) for slip, least in self.least.items()}


class TwoBuckets(RuleBasedStateMachine):
    """The same calls at both."""

    def __init__(self):
        super().__init__()
        self.clock = ManualClock()
        self.buckets = Bucket(LIMIT, GUARD), EachItsOwn(LIMIT, GUARD)
        self.slips: list[tuple[Slip, Slip]] = []

    def draw(self, data: st.DataObject) -> tuple[Slip, Slip]:
        assume(self.slips)
        return self.slips[data.draw(st.integers(0, len(self.slips) - 1))]

    @rule(seconds=SPANS)
    def time_passes(self, seconds):
        self.clock.advance(seconds)

    @rule(amount=AMOUNTS)
    def a_call_begins(self, amount):
        one, other = (bucket.take(amount, self.clock.now()) for bucket in self.buckets)
        self.slips.append((one, other))

    @rule(amounts=st.lists(AMOUNTS, max_size=30))
    def calls_begin_one_after_the_other(self, amounts):
        for amount in amounts:
            self.clock.advance(0.25)
            self.a_call_begins(amount)

    @rule(data=st.data(), used=AMOUNTS | st.none())
    def a_call_ends(self, data, used):
        for bucket, slip in zip(self.buckets, self.draw(data), strict=True):
            bucket.settle(slip, used, self.clock.now())

    @rule(data=st.data())
    def a_call_never_was(self, data):
        for bucket, slip in zip(self.buckets, self.draw(data), strict=True):
            bucket.settle(slip, 0.0, self.clock.now())

    @rule(used=AMOUNTS)
    def an_answer_corrects(self, used):
        for bucket in self.buckets:
            bucket.correct(used, self.clock.now())

    @rule(amount=st.sampled_from([50.0, 100.0, 200.0]))
    def the_limit_changes(self, amount):
        for bucket in self.buckets:
            bucket.resize(structs.replace(LIMIT, amount=amount), self.clock.now())

    @rule(guard=st.sampled_from([0.0, 0.5, GUARD]))
    def the_guard_changes(self, guard):
        for bucket in self.buckets:
            bucket.guard = guard

    @invariant()
    def both_agree(self):
        for seconds in (0.0, 1.0, 10.0):
            later = self.clock.now().later(seconds)
            one, other = (bucket.used(later) for bucket in self.buckets)
            assert one == pytest.approx(other, rel=1e-9, abs=1e-7)


TestTwoBuckets = TwoBuckets.TestCase
TestTwoBuckets.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


def test_no_more_lows_are_kept_than_calls_under_way_need():
    clock, buckets = ManualClock(), (Bucket(LIMIT, GUARD), EachItsOwn(LIMIT, GUARD))
    first = [bucket.take(30.0, clock.now()) for bucket in buckets]
    for _ in range(1_000):
        now = clock.advance(0.01)
        for bucket in buckets:
            bucket.settle(bucket.take(2.0, now), None, now)
    assert len(buckets[0]._lows._turns) <= 2 + SPARE
    for bucket, slip in zip(buckets, first, strict=True):
        bucket.settle(slip, 0.0, clock.now())
    one, other = (bucket.used(clock.now()) for bucket in buckets)
    assert one == pytest.approx(other)


def test_the_least_since_a_turn_is_known_to_those_before_it():
    lows = Lows()
    for turn, low in enumerate([5.0, 3.0, 4.0, 8.0]):
        lows.note(low, turn)
    assert [lows.since(turn) for turn in range(5)] == [3.0, 3.0, 4.0, 8.0, math.inf]
    lows.lower(3, 6.0)
    assert [lows.since(turn) for turn in range(5)] == [2.0, 2.0, 2.0, 2.0, math.inf]
    lows.lower(4, 1.0)
    lows.lower_all(3.0)
    assert [lows.since(turn) for turn in range(5)] == [0.0, 0.0, 0.0, 0.0, math.inf]


def test_of_a_bucket_of_nothing_nothing_is_ever_missing():
    bucket, now = Bucket(Limit(Unit.TOKENS, 0.0, 60.0), GUARD), Now(1_000.0, 1_000.0)
    assert bucket.take(0.0, now).level == bucket.level == 0.0
