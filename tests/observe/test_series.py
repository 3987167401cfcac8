"""Counters and histograms: what is counted, and how many series there may be."""

import math

from hypothesis import given
from hypothesis import strategies as st

from freeroute.observe.exposition import Family
from freeroute.observe.series import OTHER, Counter, Histogram, Series

BOUNDS = (0.1, 1.0, 10.0)


def counters(most: int = 3) -> Series[Counter]:
    return Series(Family("x_total", "counter", "", ()), Counter, ("model", "kind"), {"model"}, most)


def written(series) -> dict[str, float]:
    return dict(series.family().lines)


@given(st.lists(st.one_of(st.sampled_from(BOUNDS), st.floats(0, 100))))
def test_a_bucket_holds_what_is_at_most_its_bound(values):
    histogram = Histogram(BOUNDS)
    for value in values:
        histogram.observe(value)
    told = dict(histogram.lines("x", {"a": "b"}))
    for bound in BOUNDS:
        assert told[f'x_bucket{{a="b",le="{bound}"}}'] == sum(value <= bound for value in values)
    assert told['x_bucket{a="b",le="+Inf"}'] == told['x_count{a="b"}'] == len(values)
    assert told['x_sum{a="b"}'] == sum(values)


@given(st.lists(st.lists(st.one_of(st.sampled_from(BOUNDS), st.integers(0, 20), st.floats(0, 100)))))
def test_values_that_are_counted_together_count_as_one_by_one(batches):
    together, one_by_one = Histogram(BOUNDS), Histogram(BOUNDS)
    for values in batches:
        for value in values:
            one_by_one.observe(value)
        together.take(values)
        assert values == []
        assert list(together.lines("x", {})) == list(one_by_one.lines("x", {}))


def test_what_is_no_number_keeps_no_other_from_being_counted():
    histogram = Histogram(BOUNDS)
    histogram.take([5.0, math.nan, 0.5, math.inf])
    assert dict(histogram.lines("x", {}))["x_count"] == 4


def test_a_series_is_found_again_by_its_labels():
    series = counters()
    series.of("m", "served").inc()
    series.of("m", "served").inc(2.5)
    assert written(series) == {'x_total{model="m",kind="served"}': 3.5}


def test_beyond_so_many_series_names_become_other_and_enumerations_stay():
    series = counters(most=2)
    for model in ("a", "b", "c", "d"):
        series.of(model, "served").inc()
    series.of("e", "fault").inc()
    series.of("a", "served").inc()
    assert written(series) == {
        'x_total{model="a",kind="served"}': 2,
        'x_total{model="b",kind="served"}': 1,
        f'x_total{{model="{OTHER}",kind="served"}}': 2,
        f'x_total{{model="{OTHER}",kind="fault"}}': 1,
    }


def test_what_has_no_labels_is_there_from_the_start():
    series = Series(Family("x_total", "counter", "", ()), Counter, (), set(), 1)
    assert written(series) == {"x_total": 0}
    series.of().inc()
    assert written(series) == {"x_total": 1}


def test_a_page_may_be_read_while_series_are_added():
    series = counters()
    series.of("a", "served").inc()
    lines = iter(series.family().lines)
    next(lines)
    series.of("b", "served").inc()
    assert list(lines) == []
