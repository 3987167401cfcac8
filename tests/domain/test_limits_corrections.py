"""Many answers at once that tell of the same difference: it is made up for once, whatever their order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from freeroute.clock import Now
from freeroute.domain.catalogue import Limit, Unit, WindowKind
from freeroute.domain.counters import Counter, Slip
from freeroute.domain.limits import counter_for
from tests.support.clocks import EPOCH
from tests.support.oracle import Count, Quota, used

DAY = 86_400.0
HOUR = 3_600.0
GUARD = 0.5
START = Now(1_000.0, EPOCH - EPOCH % DAY + DAY / 2)  # in the middle of a day: no calendar turns by itself
LIMIT = 1_000.0

every_window = pytest.mark.parametrize("window", list(WindowKind))
parallel = pytest.mark.parametrize("calls", [1, 2, 5, 10, 50])


def counter(window: WindowKind, unit: Unit = Unit.REQUESTS, amount: float = LIMIT) -> Counter:
    return counter_for(Limit(unit, amount, DAY, window, "day"), GUARD)


def spent(ours: Counter, amount: float, now: Now) -> None:
    ours.settle(ours.take(amount, now), None, now)


@every_window
@parallel
class TestAtOnce:
    def test_what_others_took_is_added_once(self, window, calls):
        ours = counter(window)
        spent(ours, 1, START)
        slips = [ours.take(1, START) for _ in range(calls)]
        now = START.later(1)
        for slip in slips:
            ours.learn(slip, 300, LIMIT, now, 2 * HOUR)
            ours.settle(slip, None, now)
        assert 299 <= ours.used(now) <= 301

    def test_what_the_provider_never_counted_is_given_back_once(self, window, calls):
        ours = counter(window)
        spent(ours, 60, START)
        slips = [ours.take(1, START) for _ in range(calls)]
        now = START.later(1)
        for slip in slips:
            ours.learn(slip, 45, LIMIT, now)
            ours.settle(slip, None, now)
        assert 45 - 1 <= ours.used(now) <= 45 + max(calls, 16)

    def test_a_refusal_that_all_of_them_get_spends_no_more_than_there_is(self, window, calls):
        ours = counter(window, Unit.TOKENS, 100_000)
        slips = [ours.take(200, START) for _ in range(calls)]
        now = START.later(0.2)
        for slip in slips:
            ours.settle(slip, 0.0, now)
            ours.learn(slip, 99_990, 100_000, now, 5.0)
        in_flight = 200 * calls
        assert 99_990 - in_flight <= ours.used(now) <= 99_990


@every_window
class TestOlderAnswers:
    def test_one_that_says_more_than_all_that_was_sent_later_explains_still_raises(self, window):
        ours = counter(window)
        older, newer = ours.take(1, START), ours.take(1, START.later(0.1))
        now = START.later(0.2)
        assert ours.learn(newer, 70, LIMIT, now)
        assert not ours.learn(older, 90, LIMIT, now)  # counted after the newer one
        assert ours.used(now) == pytest.approx(90, abs=0.1)

    def test_one_that_says_less_lowers_nothing(self, window):
        ours = counter(window)
        spent(ours, 50, START)
        older, newer = ours.take(1, START.later(1)), ours.take(1, START.later(2))
        now = START.later(3)
        assert ours.learn(newer, 52, LIMIT, now)
        before = ours.used(now)
        assert not ours.learn(older, 3, LIMIT, now)
        assert ours.used(now) == before

    def test_one_of_another_limit_says_nothing_of_what_is_used(self, window):
        ours = counter(window)
        older, newer = ours.take(1, START), ours.take(1, START.later(0.1))
        now = START.later(0.2)
        ours.learn(newer, 2, LIMIT, now)
        before = ours.used(now)
        assert not ours.learn(older, 400, 500, now)
        assert (ours.used(now), ours.limit.amount) == (before, LIMIT)


class TestRecalling:
    def test_what_answers_gave_back_of_calls_that_ended_is_taken_again_until_it_comes_back_by_itself(self):
        ours = counter_for(Limit(Unit.REQUESTS, LIMIT, 60.0), GUARD)
        for _ in range(20):
            spent(ours, 1, START)
        last, others = ours.take(1, START), 3
        ours.learn(last, 1, LIMIT, START)
        ours.correct(ours.used(START) + others, START)
        assert ours.used(START) == 1 + others
        assert ours.recall(START) == 20
        assert ours.used(START) == 21 + others
        assert ours.recall(START) == 0
        ours.learn(last, 1, LIMIT, START)  # the same answer explains no more than before
        assert ours.used(START.later(60 + GUARD)) == 0

    def test_what_a_call_cost_beyond_its_charge_or_less_was_never_given_back(self):
        ours = counter(WindowKind.SLIDING, Unit.TOKENS)
        ours.settle(ours.take(10, START), 25, START)
        ours.settle(ours.take(10, START), 4, START)
        ours.take(7, START)
        assert (ours.recall(START), ours.used(START)) == (0, 36)

    @pytest.mark.parametrize("window", [WindowKind.BUCKET, WindowKind.CALENDAR])
    def test_other_windows_keep_no_calls(self, window):
        ours = counter(window)
        spent(ours, 20, START)
        ours.learn(ours.take(1, START), 1, LIMIT, START)
        assert ours.recall(START) == 0
        assert ours.used(START) == pytest.approx(1, abs=0.01)


class Call(Struct, frozen=True):
    """A call *sent* seconds after the start, counted and answered so much later; *tells* what is left."""

    sent: float
    counted: float
    answered: float
    tells: bool


PAUSE = st.floats(0, 2)
CALLS = st.lists(
    st.builds(
        lambda sent, trip, back, tells: Call(sent, sent + trip, sent + trip + back, tells),
        st.floats(0, 4),
        st.floats(0, GUARD),
        PAUSE,
        st.booleans(),
    ),
    min_size=1,
    max_size=12,
)
QUOTAS = {WindowKind.SLIDING: "sliding", WindowKind.BUCKET: "bucket", WindowKind.CALENDAR: "day"}
REFILL = 10 * LIMIT / DAY + 1  # what a bucket gains in the time that this takes, in whole calls


@every_window
@given(calls=CALLS, by_others=st.integers(0, 600), never_counted=st.integers(0, 300))
def test_a_provider_that_tells_the_truth_is_believed_in_any_order(window, calls, by_others, never_counted):
    ours = counter(window)
    quota = Quota(QUOTAS[window], LIMIT, DAY)
    spent(ours, never_counted, START)
    counts = [Count(START.mono, START.wall, by_others)]
    slips: dict[int, Slip] = {}
    told: dict[int, float] = {}

    def truth(now: Now) -> float:
        return used(quota, counts, now.mono, now.wall)

    steps = sorted(
        (at, number, place)
        for place, call in enumerate(calls)
        for number, at in enumerate((call.sent, call.counted, call.answered))
    )
    most_under_way, heard = 0.0, False
    for at, number, place in steps:
        now = START.later(at)
        if number == 0:
            slips[place] = ours.take(1, now)
            most_under_way = max(most_under_way, ours.in_flight)
        elif number == 1:
            counts.append(Count(now.mono, now.wall, 1))
            told[place] = truth(now)
        else:
            if calls[place].tells:
                before = ours.used(now)
                ours.learn(slips[place], told[place], LIMIT, now, HOUR)
                heard = True
                assert ours.used(now) <= max(before, told[place]) + 1e-6
                assert ours.used(now) >= min(before, told[place]) - REFILL
            ours.settle(slips[place], None, now)
    now = START.later(10)
    # An answer may have missed, or included, all that was under way when its own call was.
    if heard:
        slack = most_under_way + REFILL
        assert truth(now) - slack <= ours.used(now) <= truth(now) + slack
