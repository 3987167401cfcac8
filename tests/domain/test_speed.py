"""Estimates of speed, what calls under way already tell, and how long a first event may take."""

import math
import random
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.domain.keepsake import KeptSpeed, Rebase
from freeroute.domain.speed import (
    ENOUGH,
    FASTEST_RATE,
    LEAST_PATIENCE,
    LONGER,
    STALE,
    UNBOUNDED_OUTPUT,
    USUAL,
    Awaited,
    Lapses,
    Speed,
)
from tests.support.clocks import ManualClock
from tests.support.world import model

CEILING = 20.0
MODEL = model(first_token=1.0, tokens_per_second=100)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def known(clock, *first_events) -> Speed:
    speed = Speed.prior(MODEL)
    for seconds in first_events:
        speed.measured(seconds, 100, 1.0, clock.now())
    return speed


class Outlook(NamedTuple):
    """What a `Speed` tells of an answer, by name."""

    first: float
    patience: float
    pressed: float
    whole: float
    expected: float


def outlook(speed, bound, now) -> Outlook:
    return Outlook(*speed.outlook(MODEL, 0, bound, 300, CEILING, now))


def patience(speed, prompt, ceiling, now) -> float:
    return Outlook(*speed.outlook(MODEL, prompt, None, 300, ceiling, now)).patience


def test_the_catalogue_is_believed_until_something_was_measured(clock):
    assert Speed.prior(MODEL).expected(MODEL, 300, clock.now()) == 4.0


def test_measurements_move_the_estimate_and_silence_takes_it_back(clock):
    speed = known(clock, *[3.0] * 50)
    assert outlook(speed, None, clock.now()).first == pytest.approx(3.0, abs=0.01)
    assert outlook(speed, None, clock.advance(600)).first == pytest.approx(2.0, abs=0.01)


def test_an_odd_rate_cannot_make_a_model_unpickable(clock):
    speed = Speed.prior(model(tokens_per_second=0.0))
    assert speed.expected(model(tokens_per_second=0.0), 10, clock.now()) == 11.0
    found = speed.outlook(model(tokens_per_second=0.0), 0, 10, 300, CEILING, clock.now())
    assert Outlook(*found).whole == 10.0


def test_an_answer_in_one_piece_of_a_model_without_a_rate_is_split_by_the_least(clock):
    slow = model(first_token=10.0, tokens_per_second=0.0)
    speed = Speed.prior(slow)
    speed.measured_whole(slow, 4.0, 10, 1, clock.now())
    assert speed.slowest == 2.0
    assert speed.longest == 4.0


def test_answers_in_one_piece_come_to_what_they_take_and_never_run_away(clock):
    model_, dice = model(first_token=1.0, tokens_per_second=50.0), random.Random(7)
    speed = Speed.prior(model_)
    for _ in range(20_000):
        speed.measured_whole(model_, dice.expovariate(2000), 40, 20, clock.advance(0.01))
    assert speed.rate < FASTEST_RATE
    assert speed.first_token + 40 / speed.rate == pytest.approx(0.0005, rel=0.9)
    for _ in range(100):
        speed.measured_whole(model_, 4.0, 100, 20, clock.advance(1))
    assert speed.expected(model_, 100, clock.now()) == pytest.approx(4.0, rel=0.01)


@given(st.lists(st.tuples(st.floats(1e-9, 1e6), st.integers(0, 10**9)), max_size=50))
def test_whatever_was_measured_all_that_is_expected_is_a_number(seen):
    clock, speed = ManualClock(), Speed.prior(MODEL)
    for seconds, tokens in seen:
        speed.measured(seconds, tokens, seconds, clock.advance(seconds))
        speed.measured_whole(MODEL, seconds, tokens, 0, clock.advance(seconds))
    now = clock.now()
    assert 0 < speed.expected(MODEL, 10**6, now) < math.inf
    assert 0 < outlook(speed, 1000, now).whole < math.inf


@given(st.floats(0.0, 1e3), st.floats(0.0, 1e5), st.integers(0, 10**6), st.booleans(), st.integers(0, 8))
def test_an_outlook_expects_of_an_answer_what_its_speed_does(seconds, rate, output, cold, seen):
    clock, model_ = ManualClock(), model(first_token=seconds, tokens_per_second=rate, cold=cold)
    speed = Speed.prior(model_)
    for _ in range(seen):
        speed.measured(seconds / 2, output, 3.0, clock.advance(1))
    now = clock.advance(5)
    found = Outlook(*speed.outlook(model_, 10, None, output, CEILING, now))
    assert found.expected == speed.expected(model_, output, now)


def test_a_candidate_that_timed_out_for_days_is_given_up_as_soon_as_others_once_it_answers(clock):
    speed = known(clock, *[0.1] * ENOUGH)
    for _ in range(2000):
        speed.timed_out()
    assert patience(speed, 0, CEILING, clock.now()) == CEILING
    for _ in range(300):
        speed.measured(2.0, 100, 1.0, clock.now())
    assert patience(speed, 0, CEILING, clock.now()) == pytest.approx(8.0, abs=0.1)


def test_what_cannot_be_true_is_not_gone_on_from(clock):
    endless, no_number = math.inf, math.nan
    kept = KeptSpeed(1.0, no_number, clock.now().mono, 9, endless, no_number, endless)
    speed = Speed.restored(kept, Rebase(clock.now()))
    for _ in range(200):
        speed.measured(1.0, 100, 1.0, clock.now())
    assert speed.expected(MODEL, 100, clock.now()) == pytest.approx(2.0, rel=0.01)
    assert patience(speed, 0, CEILING, clock.now()) < CEILING
    assert outlook(speed, 100, clock.now()).pressed == pytest.approx(2.0, rel=0.6)


def test_a_short_answer_says_nothing_of_the_rate(clock):
    speed = known(clock)
    speed.measured(1.0, 1, 0.5, clock.now())
    assert speed.rate == 100


# --- how long a first event may take ---------------------------------------------------------------------


def test_a_first_event_may_take_what_the_settings_say_while_little_is_known(clock):
    assert patience(known(clock, *[0.3] * (ENOUGH - 1)), 10, CEILING, clock.now()) == CEILING


def test_a_fast_model_that_hangs_is_noticed_early(clock):
    assert patience(known(clock, *[0.3] * ENOUGH), 0, CEILING, clock.now()) == LEAST_PATIENCE


def test_patience_follows_the_slowest_first_event_of_late(clock):
    assert patience(known(clock, 3.0, *[0.3] * ENOUGH), 0, CEILING, clock.now()) == pytest.approx(10, abs=1)
    assert patience(known(clock, 3.0, *[0.3] * 60), 0, CEILING, clock.now()) == LEAST_PATIENCE


def test_a_long_prompt_may_take_longer(clock):
    assert patience(known(clock, *[0.3] * ENOUGH), 8_000, CEILING, clock.now()) == LEAST_PATIENCE + 8


def test_a_model_that_became_slower_is_not_cut_for_ever(clock):
    speed = known(clock, *[0.3] * ENOUGH)
    speed.timed_out()
    assert patience(speed, 0, CEILING, clock.now()) == CEILING
    speed.timed_out()
    assert patience(speed, 0, 60.0, clock.now()) == 40.0


def test_what_was_long_ago_bounds_nothing(clock):
    speed = known(clock, *[0.3] * ENOUGH)
    assert patience(speed, 0, CEILING, clock.advance(STALE + 1)) == CEILING


@given(
    st.lists(st.floats(0, 300), max_size=30), st.integers(0, 10**6), st.floats(0.1, 600), st.integers(0, 5)
)
def test_patience_never_passes_what_the_settings_say_and_never_falls_below_the_least(
    events, prompt, ceiling, timeouts
):
    clock = ManualClock()
    speed = known(clock, *events)
    for _ in range(timeouts):
        speed.timed_out()
    assert min(ceiling, LEAST_PATIENCE) <= patience(speed, prompt, ceiling, clock.now()) <= ceiling


# --- calls under way ---------------------------------------------------------------------------------------


def test_a_call_that_is_overdue_tells_before_it_ends(clock):
    awaited = Awaited()
    awaited.began(1, clock.now().mono + 1)
    assert awaited.late(clock.now()) == 0
    assert awaited.late(clock.advance(5)) == 4
    awaited.ended(1)
    assert awaited.late(clock.now()) == 0


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.floats(0, 100), st.booleans())))
def test_the_latest_of_all_calls_under_way_counts(steps):
    clock, awaited = ManualClock(), Awaited()
    due: dict[int, float] = {}
    for begins, call, seconds, is_looked_at in steps:
        if begins and call not in due:
            due[call] = clock.now().mono + seconds
            awaited.began(call, due[call])
        else:
            awaited.ended(call)
            due.pop(call, None)
        now = clock.advance(seconds / 2)
        if is_looked_at:
            assert awaited.late(now) == max([0.0, *(now.mono - at for at in due.values())])


def test_a_lapse_is_forgotten_by_half_each_minute(clock):
    lapses = Lapses()
    assert lapses.seconds(clock.now()) == 0
    lapses.add(clock.now())
    assert lapses.seconds(clock.now()) == 10
    assert lapses.seconds(clock.advance(60)) == 5
    lapses.add(clock.now())
    assert lapses.seconds(clock.now()) == 15


# --- when a first event is late --------------------------------------------------------------------------


def test_nothing_is_late_while_little_is_known_or_was_long_ago(clock):
    assert known(clock, *[0.3] * (USUAL - 1)).late(0, clock.now()) == math.inf
    speed = known(clock, *[0.3] * USUAL)
    assert speed.late(0, clock.now()) < 1
    assert speed.late(0, clock.advance(STALE + 1)) == math.inf


def test_answers_of_even_pace_are_late_after_half_as_much_again_and_the_prompt_s_time(clock):
    speed = known(clock, *[0.4] * 200)
    assert speed.late(0, clock.now()) == pytest.approx(0.6, abs=0.01)
    assert speed.late(2000, clock.now()) == pytest.approx(2.6, abs=0.01)


@pytest.mark.parametrize("draw", ["normal", "exponential"])
def test_about_one_of_twenty_is_late(clock, draw):
    rng = random.Random(1)
    one = {"normal": lambda: rng.gauss(1.0, 0.5), "exponential": lambda: rng.expovariate(1.0)}[draw]
    speed, late = known(clock, *[1.0] * USUAL), 0
    for _ in range(5000):
        seconds = max(one(), 0.01)
        late += seconds > speed.late(0, clock.now())
        speed.measured(seconds, 100, 1.0, clock.now())
    assert 0.01 < late / 5000 < 0.08


def test_one_that_was_outrun_counts_as_slow_as_it_was_by_then(clock):
    speed = known(clock, *[0.4] * 200)
    speed.outrun(0.1)
    assert speed.first_token == pytest.approx(0.4)
    speed.outrun(2.4)
    assert speed.first_token == pytest.approx(0.8)
    assert speed.samples == 200
    assert speed.late(0, clock.now()) > 1.4


def test_an_answer_that_is_seen_only_at_its_end_has_time_for_long_output_while_nothing_is_known(clock):
    speed = Speed.prior(MODEL)
    unbound, bound = outlook(speed, None, clock.now()), outlook(speed, 10, clock.now())
    assert unbound.whole == unbound.pressed == UNBOUNDED_OUTPUT / 50
    assert bound.whole == bound.pressed == 10 / 50


def test_what_takes_longer_than_answers_of_late_is_given_up_only_if_somebody_else_can_be_asked(clock):
    speed = Speed.prior(MODEL)
    for _ in range(ENOUGH):
        speed.measured(1.0, 100, 1.0, clock.now())
    assert outlook(speed, None, clock.now()).pressed == LONGER * 2.0
    assert outlook(speed, 5, clock.now()).pressed == 5 / 50
    assert outlook(speed, None, clock.now()).whole == UNBOUNDED_OUTPUT / 50
    speed.measured(1.0, 10_000, 100.0, clock.now())
    assert outlook(speed, None, clock.now()).whole == LONGER * 101.0
    clock.advance(STALE + 1)
    assert outlook(speed, None, clock.now()).pressed > LONGER * 2.0


def test_whether_a_call_is_under_way_of_which_nothing_came_is_known():
    awaited = Awaited()
    assert (awaited.is_any, awaited.streams) == (False, 0)
    awaited.began(1, 5.0)
    assert awaited.is_any
    awaited.ended(1)
    assert not awaited.is_any
