"""Breakers: when they open, for how long, and how a single trial closes them."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from freeroute.clock import Now
from freeroute.domain.breaker import LONGEST_REST, Breaker, ProviderBreaker, State
from tests.support.clocks import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def breaker() -> Breaker:
    return Breaker()


@pytest.fixture
def provider() -> ProviderBreaker:
    return ProviderBreaker()


def fail(breaker: Breaker, now: Now, times: int = 1, jitter: float = 0.0) -> None:
    for _ in range(times):
        breaker.failure(now, breaker.begin_trial(now), jitter=jitter)


def opened(breaker: Breaker, clock: ManualClock) -> Breaker:
    fail(breaker, clock.now(), 3)
    assert breaker.state(clock.now()) is State.OPEN
    return breaker


def test_suspicion_fades_so_that_quota_is_not_lost_to_one_failure(breaker, clock):
    breaker.failure(clock.now(), jitter=0.0)
    clock.advance(59)
    assert breaker.suspect(clock.now())
    clock.advance(1)
    assert not breaker.suspect(clock.now())


def test_a_failure_makes_suspect_until_a_success(breaker, clock):
    assert not breaker.suspect(clock.now())
    fail(breaker, clock.now())
    assert breaker.suspect(clock.now())
    assert breaker.permits(clock.now())
    breaker.success(clock.now(), breaker.begin_trial(clock.now()))
    assert not breaker.suspect(clock.now())


def test_three_failures_in_a_row_open_it_for_ten_seconds(breaker, clock):
    fail(breaker, clock.now(), 2)
    breaker.success(clock.now())
    fail(breaker, clock.now(), 2)
    assert breaker.state(clock.now()) is State.CLOSED
    assert breaker.opens_until == 0
    fail(breaker, clock.now())
    assert breaker.opens_until == clock.now().mono + 10
    assert not breaker.permits(clock.now())
    assert not breaker.permits(clock.advance(9.999))
    assert breaker.permits(clock.advance(0.001))
    assert breaker.state(clock.now()) is State.HALF_OPEN


def half_failing(breaker: Breaker, clock: ManualClock, pairs: int, gap: float) -> None:
    for _ in range(pairs):
        breaker.success(clock.advance(gap))
        fail(breaker, clock.now())


def test_half_of_ten_answers_within_a_minute_open_it(breaker, clock):
    half_failing(breaker, clock, pairs=4, gap=10)
    assert breaker.state(clock.now()) is State.CLOSED
    half_failing(breaker, clock, pairs=1, gap=10)
    assert breaker.state(clock.now()) is State.OPEN


def test_answers_of_more_than_a_minute_ago_do_not_count(breaker, clock):
    half_failing(breaker, clock, pairs=20, gap=15)
    assert breaker.state(clock.now()) is State.CLOSED


def test_fewer_than_half_failing_leave_it_closed(breaker, clock):
    for _ in range(20):
        breaker.success(clock.now())
        half_failing(breaker, clock, pairs=1, gap=0.1)
    assert breaker.state(clock.now()) is State.CLOSED


def test_each_failed_trial_doubles_the_rest_up_to_five_minutes(breaker, clock):
    opened(breaker, clock)
    rests = []
    for _ in range(40):
        rests.append(breaker.opens_until - clock.now().mono)
        fail(breaker, clock.advance(rests[-1]))
    assert rests[:7] == [10, 20, 40, 80, 160, 300, 300]
    assert set(rests[7:]) == {300}


def test_jitter_lengthens_a_rest_by_a_quarter_at_most(breaker, clock):
    fail(breaker, clock.now(), 3, jitter=0.5)
    assert breaker.opens_until == clock.now().mono + 11.25


def test_openings_are_counted_whatever_closed_it_again(breaker, clock):
    opened(breaker, clock)
    breaker.reset()
    opened(breaker, clock)
    clock.advance(10)
    fail(breaker, clock.now())
    assert breaker.opened == 3


def test_half_open_grants_one_trial(breaker, clock):
    opened(breaker, clock)
    assert breaker.begin_trial(clock.advance(5)) is None
    assert breaker.begin_trial(clock.advance(5)) is not None
    assert breaker.state(clock.now()) is State.HALF_OPEN
    assert not breaker.permits(clock.now())
    assert breaker.begin_trial(clock.now()) is None


def test_one_success_closes_it_and_forgets_the_failures(breaker, clock):
    opened(breaker, clock)
    trial = breaker.begin_trial(clock.advance(10))
    breaker.success(clock.now(), trial)
    assert breaker.state(clock.now()) is State.CLOSED
    assert not breaker.suspect(clock.now())
    fail(breaker, clock.now(), 2)
    assert breaker.state(clock.now()) is State.CLOSED
    fail(breaker, clock.now())
    assert breaker.opens_until == clock.now().mono + 10


def test_late_answers_of_calls_from_before_it_opened_do_not_count(breaker, clock):
    early = breaker.begin_trial(clock.now())
    opened(breaker, clock)
    until = breaker.opens_until
    breaker.success(clock.now(), early)
    breaker.failure(clock.now(), early, jitter=0)
    breaker.success(clock.now())
    breaker.failure(clock.now(), jitter=0)
    assert breaker.state(clock.now()) is State.OPEN
    assert breaker.opens_until == until


def test_an_abandoned_trial_is_given_back_and_its_late_answer_does_not_count(breaker, clock):
    opened(breaker, clock)
    abandoned = breaker.begin_trial(clock.advance(10))
    breaker.end_trial(abandoned)
    assert breaker.permits(clock.now())
    breaker.success(clock.now(), abandoned)
    assert breaker.state(clock.now()) is State.HALF_OPEN
    trial = breaker.begin_trial(clock.now())
    breaker.end_trial(abandoned)
    breaker.failure(clock.now(), abandoned, jitter=0)
    assert breaker.state(clock.now()) is State.HALF_OPEN
    assert not breaker.permits(clock.now())
    breaker.success(clock.now(), trial)
    assert breaker.state(clock.now()) is State.CLOSED


def test_ending_an_ordinary_call_gives_nothing_back(breaker, clock):
    call = breaker.begin_trial(clock.now())
    breaker.end_trial(call)
    breaker.failure(clock.now(), call, jitter=0)
    assert breaker.suspect(clock.now())


def test_the_least_bad_may_be_tried_while_open_and_closes_with_a_success(breaker, clock):
    opened(breaker, clock)
    trial = breaker.forced_trial(clock.now())
    assert breaker.forced_trial(clock.now()) == trial
    breaker.success(clock.now(), trial)
    assert breaker.state(clock.now()) is State.CLOSED


def test_calls_that_have_to_be_made_while_it_is_open_do_not_lengthen_the_rest(breaker, clock):
    opened(breaker, clock)
    until = breaker.opens_until
    for _ in range(20):
        breaker.failure(clock.advance(0.1), breaker.forced_trial(clock.now()), jitter=0)
    assert breaker.opens_until == until
    late = breaker.forced_trial(clock.now())
    breaker.failure(clock.advance(10), late, jitter=0)
    assert breaker.permits(clock.now())


def test_of_calls_that_share_a_trial_only_the_first_failure_doubles_the_rest(breaker, clock):
    opened(breaker, clock)
    trial = breaker.forced_trial(clock.advance(10))
    assert breaker.forced_trial(clock.now()) == trial
    breaker.failure(clock.now(), trial, jitter=0)
    breaker.failure(clock.now(), trial, jitter=0)
    assert breaker.opens_until == clock.now().mono + 20


def test_a_reset_closes_it_and_calls_from_before_do_not_count(breaker, clock):
    opened(breaker, clock)
    trial = breaker.begin_trial(clock.advance(10))
    breaker.reset()
    assert breaker.state(clock.now()) is State.CLOSED
    assert breaker.opens_until == 0
    breaker.failure(clock.now(), trial, jitter=0)
    assert not breaker.suspect(clock.now())


def test_memory_is_bounded_however_many_answers_come(breaker, clock):
    for _ in range(1_000):
        breaker.success(clock.advance(0.2))
    assert len(breaker._seconds) <= 60


def fault(provider: ProviderBreaker, now: Now, model: str, *, unreachable: bool = False) -> None:
    provider.failure(now, provider.begin_trial(now), model=model, unreachable=unreachable, jitter=0)


def test_a_provider_that_cannot_be_reached_opens_at_once(provider, clock):
    fault(provider, clock.now(), "a", unreachable=True)
    assert provider.opens_until == clock.now().mono + 10


def test_two_models_failing_within_thirty_seconds_open_their_provider(provider, clock):
    fault(provider, clock.now(), "a")
    fault(provider, clock.advance(30), "b")
    assert provider.state(clock.now()) is State.OPEN


def test_one_model_failing_or_two_far_apart_do_not_open_their_provider(provider, clock):
    fault(provider, clock.now(), "a")
    fault(provider, clock.advance(1), "a")
    fault(provider, clock.advance(30.001), "b")
    assert provider.state(clock.now()) is State.CLOSED


def test_a_success_between_two_failures_clears_their_provider(provider, clock):
    fault(provider, clock.now(), "a")
    provider.success(clock.now(), provider.begin_trial(clock.now()))
    fault(provider, clock.now(), "b")
    assert provider.state(clock.now()) is State.CLOSED


def test_a_provider_comes_back_through_one_trial_of_any_model(provider, clock):
    fault(provider, clock.now(), "a", unreachable=True)
    trial = provider.begin_trial(clock.advance(10))
    assert trial is not None
    assert provider.begin_trial(clock.now()) is None
    provider.failure(clock.now(), trial, model="a", unreachable=False, jitter=0)
    assert provider.opens_until == clock.now().mono + 20
    trial = provider.begin_trial(clock.advance(20))
    provider.success(clock.now(), trial)
    assert provider.state(clock.now()) is State.CLOSED
    fault(provider, clock.now(), "b")
    assert provider.state(clock.now()) is State.CLOSED


def test_what_was_asked_before_a_provider_rests_does_not_end_its_rest(provider, clock):
    early = provider.begin_trial(clock.now())
    fault(provider, clock.now(), "a", unreachable=True)
    provider.success(clock.now(), early)
    assert provider.state(clock.now()) is State.OPEN


def test_calls_that_have_to_be_made_do_not_lengthen_a_provider_s_rest(provider, clock):
    fault(provider, clock.now(), "x", unreachable=True)
    until = provider.opens_until
    for model in ("x", "y", "x"):
        trial = provider.forced_trial(clock.advance(1))
        provider.failure(clock.now(), trial, model=model, unreachable=True, jitter=0)
    assert provider.opens_until == until


def test_late_answers_do_not_count_for_a_provider(provider, clock):
    early = provider.begin_trial(clock.now())
    fault(provider, clock.now(), "a", unreachable=True)
    provider.success(clock.now(), early)
    provider.failure(clock.now(), early, model="b", unreachable=True, jitter=0)
    assert provider.opens_until == clock.now().mono + 10


class Calls(RuleBasedStateMachine):
    """Calls in any order with any endings: never two trials, never a rest beyond the longest."""

    def __init__(self):
        super().__init__()
        self.clock = ManualClock()
        self.breaker = Breaker()
        self.calls: list[int] = []
        self.trials: set[int] = set()

    @rule(seconds=st.sampled_from([0.0, 1.0, 10.0, 61.0, LONGEST_REST]))
    def time_passes(self, seconds):
        self.clock.advance(seconds)

    @rule()
    def a_call_begins_if_permitted(self):
        now = self.clock.now()
        closed, permitted = self.breaker.state(now) is State.CLOSED, self.breaker.permits(now)
        call = self.breaker.begin_trial(now)
        assert (call is not None) == permitted
        if call is not None:
            assert closed or not self.trials
            self.calls.append(call)
            self.trials |= set() if closed else {call}

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), jitter=st.floats(0, 1, exclude_max=True))
    def a_call_ends(self, data, jitter):
        call = self.calls.pop(data.draw(st.integers(0, len(self.calls) - 1)))
        now, trial = self.clock.now(), call in self.trials
        self.trials.discard(call)
        ending = data.draw(st.sampled_from(["success", "failure", "abandoned"]))
        if ending == "success":
            self.breaker.success(now, call)
            assert not trial or self.breaker.state(now) is State.CLOSED
        elif ending == "failure":
            self.breaker.failure(now, call, jitter=jitter)
            assert not trial or self.breaker.state(now) is State.OPEN
        else:
            self.breaker.end_trial(call)
            assert not trial or self.breaker.permits(now)

    @invariant()
    def it_is_back_within_the_longest_rest(self):
        assert self.breaker.opens_until <= self.clock.now().mono + LONGEST_REST
        assert self.breaker.state(self.clock.now().later(LONGEST_REST)) is not State.OPEN


TestCalls = Calls.TestCase
TestCalls.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
