"""A sliding window with its two queues beside one that looks at every slip each time."""

import pytest
from hypothesis import assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from freeroute.clock import Now
from freeroute.domain.catalogue import Limit, Unit
from freeroute.domain.counters import NOISE, Counter, Slip
from freeroute.domain.keepsake import KeptSliding
from freeroute.domain.sliding import GRAINS, Sliding
from tests.support.clocks import ManualClock

GUARD = 2.0
LIMIT = Limit(Unit.TOKENS, 100.0, 60.0)
SPANS = st.sampled_from([0.0, 0.25, 1.0, GUARD, 5.5, 29.75, 58.0, 60.0])
AMOUNTS = st.integers(0, 40).map(float)


class OneHeap(Counter):
    """All slips in no order, each of which is looked at."""

    def __init__(self, limit: Limit, guard: float) -> None:
        super().__init__(limit)
        self.guard = guard
        self.slips: list[Slip] = []
        self.gone: list[Slip] = []

    def in_order(self, now: Now) -> list[Slip]:
        self.gone += sorted(
            (slip for slip in self.slips if slip.mark <= now.mono), key=lambda slip: slip.mark
        )
        self.freed += sum(slip.amount for slip in self.slips if slip.mark <= now.mono)
        self.slips = [slip for slip in self.slips if slip.mark > now.mono]
        self.level = sum(slip.amount for slip in self.slips)
        return sorted(self.slips, key=lambda slip: slip.mark)

    def take(self, amount: float, now: Now) -> Slip:
        used = self.used(now)
        slip = Slip(
            amount,
            now.mono + self.guard + self.limit.seconds,
            at=now.mono,
            others=self.in_flight,
            taken=self.taken + amount,
            freed=self.freed,
            level=used + amount,
            charged=amount,
        )
        self.in_flight += amount
        self.taken += amount
        self.slips.append(slip)
        return slip

    def settle(self, slip: Slip, actual: float | None, now: Now) -> None:
        self.in_order(now)
        change = 0.0
        if slip.open:
            slip.open = False
            self.in_flight -= slip.amount
            change = 0.0 if actual is None else self._turned_out(slip, actual)
        if change > 0:
            self.slips.append(Slip(change, now.mono + self.limit.seconds, False, True))
        elif slip in self.slips:
            slip.amount += change

    def sent(self, slip: Slip, now: Now) -> None:
        mark = now.mono + self.guard + self.limit.seconds
        if slip.open and slip in self.in_order(now) and slip.mark < mark:
            slip.mark, slip.sure = mark, False

    def confirm(self, slip: Slip, now: Now) -> None:
        mark = now.mono + self.limit.seconds
        if slip.open and not slip.sure and slip in self.in_order(now) and slip.mark > mark:
            slip.mark, slip.sure = mark, True

    def used(self, now: Now) -> float:
        self.in_order(now)
        return self.level

    def resets_in(self, now: Now) -> float:
        return max((slip.mark - now.mono for slip in self.in_order(now) if slip.amount), default=0.0)

    def kept(self, now: Now) -> KeptSliding:
        return KeptSliding([(slip.mark, slip.amount) for slip in self.in_order(now) if slip.amount])

    def recall(self, now: Now) -> float:
        again = 0.0
        for slip in self.in_order(now):
            back = slip.charged + min(0.0, slip.change) - slip.amount
            if not slip.open and back > 0:
                slip.amount += back
                again += back
        self._raise(again)
        return again

    def lengthen(self, guard: float, now: Now) -> None:
        self.in_order(now)
        for slip in (*self.gone, *self.slips):
            slip.mark += 0.0 if slip.sure else guard - self.guard
        back = [slip for slip in self.gone if slip.mark > now.mono]
        self.gone = [slip for slip in self.gone if slip not in back]
        self.slips += back
        self.freed -= sum(slip.amount for slip in back)
        self.guard = guard

    def counted_beside(self, slip: Slip, now: Now) -> float:
        beside = super().counted_beside(slip, now)
        return beside + sum(gone.amount for gone in self.gone if gone is not slip and gone.mark > slip.at)

    def _correct(self, used: float, now: Now, back_in: float | None) -> None:
        change = used - self.used(now)
        if change > 0:
            span = self.limit.seconds if not back_in else min(back_in, self.limit.seconds)
            self.slips.append(Slip(change, now.mono + span, False, True))
        for slip in self.in_order(now):
            part = 0.0 if slip.open else min(slip.amount, max(0.0, -change))
            slip.amount -= part
            change += part

    def _returned(self, slip: Slip, now: Now) -> float:
        soon = sum(other.amount for other in self.in_order(now) if other.mark <= now.mono + self.guard)
        return self.freed - slip.freed + soon

    def _back_at(self, amount: float, now: Now) -> float:
        missing = self.used(now) + amount - self.limit.amount - NOISE
        for slip in self.in_order(now):
            missing -= slip.amount
            if missing <= 0:
                return slip.mark
        raise AssertionError("it is full of nothing")


class TwoWindows(RuleBasedStateMachine):
    """The same calls at both."""

    def __init__(self):
        super().__init__()
        self.clock = ManualClock()
        self.windows = Sliding(LIMIT, GUARD), OneHeap(LIMIT, GUARD)
        self.slips: list[tuple[Slip, Slip]] = []

    def each(self, data: st.DataObject) -> list[tuple[Counter, Slip]]:
        assume(self.slips)
        return list(
            zip(self.windows, self.slips[data.draw(st.integers(0, len(self.slips) - 1))], strict=True)
        )

    @rule(seconds=SPANS)
    def time_passes(self, seconds):
        self.clock.advance(seconds)

    @rule(amounts=st.lists(AMOUNTS, min_size=1, max_size=5), seconds=st.sampled_from([0.0, 0.25, 2.0]))
    def calls_begin(self, amounts, seconds):
        for amount in amounts:
            now = self.clock.advance(seconds)
            one, other = (window.take(amount, now) for window in self.windows)
            self.slips.append((one, other))

    @rule(data=st.data())
    def a_call_goes_out_only_now(self, data):
        for window, slip in self.each(data):
            window.sent(slip, self.clock.now())

    @rule(data=st.data(), since=st.sampled_from([0.0, 0.25]))
    def an_answer_began(self, data, since):
        now = self.clock.now()
        for window, slip in self.each(data):
            window.confirm(slip, now.later(-since))

    @rule(data=st.data(), used=AMOUNTS | st.sampled_from([None, -1.0]))
    def a_call_ends(self, data, used):
        for window, slip in self.each(data):
            window.settle(slip, used, self.clock.now())

    @rule(used=AMOUNTS, back_in=st.sampled_from([None, 1.0, 30.0]))
    def an_answer_corrects(self, used, back_in):
        for window in self.windows:
            window.correct(used, self.clock.now(), back_in)

    @rule(data=st.data(), told=AMOUNTS)
    def an_answer_tells(self, data, told):
        for window, slip in self.each(data):
            window.learn(slip, told, None, self.clock.now())

    @rule()
    def what_answers_gave_back_is_taken_again(self):
        one, other = (window.recall(self.clock.now()) for window in self.windows)
        assert one == other

    @rule()
    def the_guard_proves_too_short(self):
        for window in self.windows:
            window.lengthen(window.guard + 1.0, self.clock.now())

    @rule(guard=st.sampled_from([0.0, 1.0, GUARD]))
    def the_guard_changes(self, guard):
        for window in self.windows:
            window.guard = guard

    @invariant()
    def both_agree(self):
        now = self.clock.now()
        one, other = self.windows
        assert one.used(now) == other.used(now)
        assert one.resets_in(now) == other.resets_in(now)
        assert _summed(one.kept(now)) == _summed(other.kept(now))
        for amount in (1.0, 50.0, 100.0):
            assert one.fits_at(amount, now) == other.fits_at(amount, now)
        for slip, twin in self.slips[-3:]:
            assert one.counted_beside(slip, now) == other.counted_beside(twin, now)


def _summed(kept: KeptSliding) -> list[tuple[float, float]]:
    return sorted(kept.slips)


TestTwoWindows = TwoWindows.TestCase
TestTwoWindows.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


def test_answers_in_any_order_leave_no_call_twice():
    clock, window = ManualClock(), Sliding(LIMIT, GUARD)
    slips = [window.take(1.0, clock.advance(0.01)) for _ in range(90)]
    for slip in (*slips[1::7], *slips[::-2], *slips[2::3]):
        window.confirm(slip, clock.advance(0.001))
    late = window.take(1.0, clock.now())
    assert window.used(clock.now()) == 91
    kept = [mark for mark, _ in window.kept(clock.now()).slips]
    assert sorted(kept) == sorted(slip.mark for slip in (*slips, late))
    assert window.used(clock.advance(late.mark - 0.001 - clock.now().mono)) == 1
    assert window.used(clock.advance(0.01)) == 0
    assert not [*window._guessed, *window._sure]


def test_instants_a_little_older_than_others_are_put_in_their_order():
    clock, window = ManualClock(), Sliding(LIMIT, GUARD)
    first, second, third = (window.take(50.0, clock.advance(0.1)) for _ in range(3))
    now = clock.advance(0.5)
    window.confirm(second, now)
    window.sent(third, now)
    window.confirm(first, now.later(-0.2))
    assert window.fits_at(1.0, now) == pytest.approx(now.mono + 60.0)
    assert window.resets_in(now) == pytest.approx(60.0 + GUARD)
    assert window.used(now.later(59.9)) == 100.0
    assert window.used(now.later(60.1)) == 50.0


def test_a_call_that_is_said_to_go_out_after_its_answer_has_its_guard_again():
    clock, window = ManualClock(), Sliding(LIMIT, GUARD)
    window.take(1.0, clock.now())
    slip = window.take(1.0, clock.now())
    window.confirm(slip, clock.advance(1.0))
    window.sent(slip, clock.now())
    assert window.resets_in(clock.now()) == 60.0 + GUARD
    assert window.resets_in(clock.advance(61.5)) == 0.5
    assert window.used(clock.advance(1.0)) == 0


def test_grains_leave_out_what_took_nothing():
    clock, window = ManualClock(), Sliding(LIMIT, GUARD)
    for number in range(3 * GRAINS):
        window.take(float(number % 2), clock.advance(0.01))
        window.confirm(window.take(0.0, clock.now()), clock.now())
    kept = window.kept(clock.now())
    assert 0 < len(kept.slips) <= GRAINS
    assert sum(amount for _, amount in kept.slips) == window.used(clock.now())


def test_what_was_answered_last_comes_back_last_though_something_older_never_was():
    clock, window = ManualClock(), Sliding(LIMIT, GUARD)
    window.take(1.0, clock.now())
    window.confirm(window.take(1.0, clock.advance(5.0)), clock.now())
    assert window.resets_in(clock.now()) == 60.0


def test_what_is_a_guess_comes_back_before_what_was_answered_later():
    clock, window = ManualClock(), Sliding(LIMIT, GUARD)
    window.take(1.0, clock.now())
    window.take(1.0, clock.advance(0.5))
    window.confirm(window.take(1.0, clock.advance(2.5)), clock.now())
    assert [window.used(clock.advance(seconds)) for seconds in (59.25, 0.25, 0.5)] == [2.0, 1.0, 0.0]


def test_less_than_nothing_is_nothing():
    clock, window = ManualClock(), Sliding(LIMIT, GUARD)
    window.settle(window.take(5.0, clock.now()), -1.0, clock.now())
    assert (window.used(clock.now()), window.taken, window.freed) == (0.0, 5.0, 5.0)
