"""How long a way is kept busy."""

import pytest

from bench.busy import LONGEST, UNDER_WAY, Busy, long_enough


def seen(done, seconds=1.0):
    return Busy(done=done, failed=0, seconds=seconds, p50=0.0, p99=0.0)


def test_a_quick_way_is_kept_busy_for_as_long_as_was_asked_for():
    assert long_enough(seen(2000), 64, 1.0) == 1.0
    assert long_enough(seen(2000), 64, 6.0) == 6.0


@pytest.mark.parametrize("rate", [25, 60, 75, 400])
def test_a_slow_way_is_kept_busy_until_what_is_under_way_hardly_counts(rate):
    turn = long_enough(seen(2 * rate, seconds=2.0), 64, 1.0)
    assert 64 / (rate * turn) == pytest.approx(UNDER_WAY)


@pytest.mark.parametrize("done", [0, 1])
def test_a_way_that_hardly_answers_has_an_end(done):
    assert long_enough(seen(done), 64, 1.0) == LONGEST


def test_one_connection_needs_no_longer():
    assert long_enough(seen(60), 1, 1.0) == 1.0
