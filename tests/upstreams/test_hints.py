"""Durations in every notation providers use, and the counters that headers and words name."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freeroute.clock import Now
from freeroute.upstreams.hints import LONGEST, Spent, asked_wait, counter_in, seconds_of

NOW = Now(1_000.0, 1_790_000_000.0)  # 2026-09-21T14:13:20Z


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("12", 12),
        ("11726.28", 11726.28),
        ("2m59.56s", 179.56),
        ("825ms", 0.825),
        ("1m26.4s", 86.4),
        ("1h23m45.6s", 5025.6),
        ("11m 0.528s", 660.528),
        ("38.2s", 38.2),
        ("1 minute and 30 seconds", 90),
        ("2 hours, 3 minutes", 7380),
        ("Mon, 21 Sep 2026 14:14:00 GMT", 40),
        ("1790000012", 12),
        ("1790000012000", 12),
        ("-5", 0),
        ("1000000000", LONGEST),
    ],
)
def test_a_duration_is_read_in_any_notation(text: str, seconds: float):
    assert seconds_of(text, NOW) == pytest.approx(seconds)


@given(
    st.lists(st.tuples(st.decimals(0, 10**6, places=3), st.sampled_from(["h", "m", "s", "ms"])), max_size=4)
)
def test_a_duration_without_gaps_lasts_as_long_as_one_with_gaps(parts: list[tuple[object, str]]):
    text = [f"{number}".removesuffix(".000") + unit for number, unit in parts]
    assert seconds_of("".join(text), NOW) == seconds_of(" ".join(text), NOW)
    assert seconds_of("".join(text).upper(), NOW) == seconds_of(", ".join(text), NOW)


@pytest.mark.parametrize("text", ["", "soon", "5 monkeys", "1s2", "nan", "inf", "1e5", "x" * 1000])
def test_what_is_no_duration_is_none(text: str):
    assert seconds_of(text, NOW) is None


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=70))
def test_any_text_is_a_bounded_wait_or_none(text: str):
    for seconds in (seconds_of(text, NOW), asked_wait("try again in " + text, NOW)):
        assert seconds is None or 0 <= seconds <= LONGEST


@pytest.mark.parametrize(
    ("text", "counter"),
    [
        ("on tokens per day (TPD): Limit 200000. Need more requests?", Spent("day", "tokens")),
        ("Requests per minute limit exceeded", Spent("minute", "requests")),
        ("limited to 40 API calls / minute", Spent("minute", "requests")),
        ("free-models-per-min", Spent("minute", "requests")),
        ("your weekly usage limit", Spent("week", None)),
        ("Too many concurrent requests", Spent(None, "concurrency")),
        ("slow down", Spent(None, None)),
    ],
)
def test_words_name_a_counter(text: str, counter: Spent):
    assert counter_in(text) == counter
