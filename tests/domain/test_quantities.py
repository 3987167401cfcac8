"""Durations, sizes and spans as people write them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.domain.quantities import duration, size, span

WRONG = [
    "",
    " ",
    "s",
    "3x",
    "-3s",
    "3 s 4",
    "1m30",
    "1..5s",
    "3s!",
    "m3",
    True,
    None,
    [3],
    math.nan,
    math.inf,
    -1,
]


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("200ms", 0.2),
        ("3s", 3),
        ("1.5s", 1.5),
        ("1m30s", 90),
        ("1m 30s", 90),
        (" 2H ", 7_200),
        ("1d", 86_400),
        ("1w", 604_800),
        (0, 0),
        (2, 2),
        (0.25, 0.25),
        ("0s", 0),
    ],
)
def test_a_duration_is_a_number_of_seconds_or_text_with_units(written, seconds):
    assert duration(written) == pytest.approx(seconds)


@pytest.mark.parametrize("written", WRONG)
def test_anything_else_is_no_duration(written):
    with pytest.raises(ValueError, match=r"is not a duration: (write 3s|it must be finite)"):
        duration(written)


@given(
    parts=st.lists(
        st.tuples(st.integers(0, 999), st.sampled_from(["ms", "s", "m", "h", "d", "w"])), min_size=1
    )
)
def test_the_parts_of_a_duration_add_up(parts):
    whole = duration("".join(f"{count}{unit}" for count, unit in parts))
    assert whole == pytest.approx(sum(duration(f"{count}{unit}") for count, unit in parts))


@given(st.text(max_size=12))
def test_any_text_is_a_finite_duration_or_refused(text):
    try:
        seconds = duration(text)
    except ValueError:
        return
    assert 0 <= seconds < math.inf


@pytest.mark.parametrize(
    ("written", "count"),
    [
        (0, 0),
        (1_000, 1_000),
        ("1000", 1_000),
        ("20MiB", 20 * 2**20),
        ("20 mib", 20 * 2**20),
        ("64KiB", 2**16),
        ("1GiB", 2**30),
        ("1.5kB", 1_500),
        ("2MB", 2_000_000),
        ("1GB", 10**9),
        ("7b", 7),
    ],
)
def test_a_size_is_a_number_of_bytes_or_text_with_a_unit(written, count):
    assert size(written) == count


@pytest.mark.parametrize("written", ["", "MiB", "3TiBs", "-3MiB", "3 4", True, None, 1.5, -1])
def test_anything_else_is_no_size(written):
    with pytest.raises(ValueError, match=r"is not a size: (write 20MiB|it must not be negative)"):
        size(written)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("second", 1),
        ("minute", 60),
        ("hour", 3_600),
        ("day", 86_400),
        ("week", 604_800),
        ("month", 2_592_000),
        ("5h", 18_000),
        (90, 90),
    ],
)
def test_a_span_is_a_word_of_the_calendar_or_a_duration(written, seconds):
    assert span(written) == seconds


@pytest.mark.parametrize("written", ["fortnight", "", "minutes", None, True, "-5h"])
def test_anything_else_is_no_span(written):
    with pytest.raises(ValueError, match="is not a span: write second"):
        span(written)


@pytest.mark.parametrize("written", ["0s", 0])
def test_a_span_is_longer_than_zero(written):
    with pytest.raises(ValueError, match="longer than zero"):
        span(written)
