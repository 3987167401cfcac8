"""What is held against what: losses within the bound, nothing twice, sums that are those of the receipts."""

import pytest

from bench.kills.judge import BOUND, Life, judge

RECEIPT = {
    "at": 7_300.0,
    "client": "-",
    "provider": "own",
    "model": "m",
    "caller_left": False,
    "status": 200,
    "code": "",
    "prompt": 12,
    "completion": 40,
    "total": 0.5,
}
KILLED = 100.0


def receipt(name, **changes):
    return {**RECEIPT, "request_id": name, **changes}


def hour(requests, **changes):
    sums = {"prompt": 12 * requests, "completion": 40 * requests, "total": 0.5 * requests}
    row = {"start": 7_200, "client": "-", "provider": "own", "model": "m", "requests": requests}
    return {**row, "failed": 0, "callers_left": 0, **sums, **changes}


def life(*ages, counted=0):
    return Life(KILLED, {str(number): KILLED - age for number, age in enumerate(ages)}, counted)


def test_what_was_stored_once_and_summed_up_is_as_promised():
    found = judge([life(5.0, 0.1)], [receipt("0"), receipt("1")], [hour(2)])
    assert (found.answered, found.stored, found.lost, found.is_good) == (2, 2, 0, True)


@pytest.mark.parametrize(("age", "good"), [(BOUND - 0.1, True), (BOUND + 0.1, False)])
def test_only_the_last_second_before_a_kill_may_be_lost(age, good):
    found = judge([life(5.0, age)], [receipt("0")], [hour(1)])
    assert found.oldest == pytest.approx(age)
    assert (found.lost, found.is_good) == (1, good)


def test_a_receipt_that_is_stored_twice_is_found():
    found = judge([life(5.0)], [receipt("0"), receipt("0")], [hour(2)])
    assert (found.doubled, found.is_good) == (1, False)


@pytest.mark.parametrize(
    "hours",
    [[], [hour(1)], [hour(2, failed=1)], [hour(2, total=9.0)], [hour(2), hour(1, client="somebody else")]],
)
def test_sums_that_are_not_those_of_the_receipts_are_found(hours):
    found = judge([life(5.0, 4.0)], [receipt("0"), receipt("1")], hours)
    assert (found.wrong_sums, found.is_good) == (1, False)


def test_those_that_failed_and_those_that_left_are_told_apart():
    rows = [receipt("0", status=502), receipt("1", status=499, caller_left=True), receipt("2", code="cut")]
    assert judge([], rows, [hour(3, failed=2, callers_left=1)]).wrong_sums == 0


@pytest.mark.parametrize(
    ("counted", "forgotten", "low", "high"), [(2, 0, 1, 0), (1, 1, 2, 0), (3, 0, 0, 0), (9, 0, 0, 6)]
)
def test_a_counter_may_forget_the_last_second_and_nothing_older(counted, forgotten, low, high):
    found = judge([life(5.0, 4.0, 0.5), life(counted=counted)], [receipt("0"), receipt("1")], [hour(2)])
    assert (found.forgotten, found.low, found.high) == (forgotten, low, high)
    assert found.is_good == (not forgotten)
