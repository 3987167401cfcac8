"""Answers that lie or rave, from their bytes to the counters: nothing raises, and no counter goes astray."""

import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freeroute.clock import Now
from freeroute.domain.catalogue import Limit, Pool, Unit, WindowKind
from freeroute.domain.headers import RateHeaders
from freeroute.domain.leases import Charges, Lease
from freeroute.stores.memory import MemoryCounters
from freeroute.upstreams.hints import LONGEST, headers_of, limit_is_zero, retry_after, spent_in
from freeroute.upstreams.rates import facts_of
from freeroute.upstreams.verdicts import judge_response
from tests.support.clocks import EPOCH

NOW = Now(1_000.0, EPOCH)
DAY = 86_400.0
ANY = RateHeaders("day", "minute", plain=True)
POOLS = (
    Pool("requests/minute", Limit(Unit.REQUESTS, 30, 60.0, span="minute")),
    Pool("tokens/minute", Limit(Unit.TOKENS, 6_000, 60.0, WindowKind.BUCKET, "minute")),
    Pool("requests/day", Limit(Unit.REQUESTS, 1_000, DAY, WindowKind.CALENDAR, "day")),
    Pool("input_tokens/minute", Limit(Unit.INPUT_TOKENS, 6_000, 60.0, span="minute")),
    Pool("slots", Limit(Unit.CONCURRENCY, 4)),
)
DIGITS = "9" * 5_000  # more than Python turns into an integer

# Every number a rate header or a refusal may hold that is none, or none that can be.
NUMBERS = [
    "",
    " ",
    "-1",
    "-0",
    "+5",
    "nan",
    "NaN",
    "inf",
    "-Infinity",
    "1e5",
    "1e400",
    "0x10",
    "1_000",
    "1,000",
    "5, 5",
    "٣",
    "½",
    "9" * 13,
    "9" * 400,
    DIGITS,
    f"{DIGITS}.{DIGITS}",
    "1." + "0" * 5_000,
    "null",
    "true",
    "[1]",
    "1\x00",
    "\ud7ff",
]


async def learned(pairs, body, status) -> list[tuple[float, float]]:
    """Tell counters what an answer says, after one call of each pool; return (used, limit) of each."""
    counters = MemoryCounters()
    lease = await counters.acquire(Charges(POOLS, [1.0] * len(POOLS)), NOW)
    assert isinstance(lease, Lease)
    await counters.learn(lease, facts_of(status, pairs, body, ANY, NOW), NOW)
    await counters.settle(lease, {}, NOW)
    readings = counters.readings(POOLS, NOW)
    later = NOW.later(40 * DAY)
    for pool in POOLS:
        at = counters.fits_at(Charges((pool,), (1.0,)), NOW)
        assert at <= NOW.mono + LONGEST
        assert (
            counters.fits_at(Charges((pool,), (1.0,)), later) == later.mono
        )  # whatever was said, it comes back
    return [(reading.used, reading.limit) for reading in readings]


UNTOLD = [(1.0, 30), (1.0, 6_000), (1.0, 1_000), (1.0, 6_000), (0.0, 4)]


def told(name: str, value: str) -> tuple[bytes, bytes]:
    return name.encode(), value.encode(errors="replace")


@pytest.mark.parametrize("status", [200, 429])
@pytest.mark.parametrize("good", ["limit", "remaining", None])
async def test_a_header_that_holds_no_number_moves_no_counter(status, good):
    for number in NUMBERS:
        pairs = [
            told(f"x-ratelimit-{part}-{unit}", "5" if part == good else number)
            for part in ("limit", "remaining")
            for unit in ("requests", "tokens", "requests-minute", "tokens-day")
        ]
        assert await learned(pairs, b"", status) == UNTOLD, number[:20]


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: ascii(number[:9]))
def test_a_wait_that_is_no_number_is_bounded_or_none(number):
    pairs = [
        told(name, number)
        for name in ("retry-after", "retry-after-ms", "x-retry-after", "x-ratelimit-reset", "ratelimit")
    ]
    found = headers_of([*pairs, (b"x-ratelimit-remaining", b"0"), told("x-ratelimit-limit-requests", number)])
    limit_is_zero(found)
    spent = spent_in(found, NOW)
    for wait in (retry_after(found, NOW), spent.resets_in if spent else None):
        assert wait is None or 0 <= wait <= LONGEST
    assert judge_response(429, pairs, b"", now=NOW).kind


TEXTS = [
    "Limit {0}, Used {0}, Requested {0} tokens per minute. Please try again in {0}s",
    "requests per minute: limit {0}, used 1, requested 1",
    "requests per day (RPD): Limit 10, Used {0}, Requested 1. retry after {0} days",
]


@pytest.mark.parametrize("text", TEXTS)
async def test_a_refusal_in_words_without_numbers_moves_no_counter(text):
    for number in NUMBERS:
        body = msgspec.json.encode({"error": {"message": text.format(number)}})
        assert await learned([], body, 429) == UNTOLD, number[:20]


RAW_NUMBERS = [
    "-1",
    "1e400",
    "1e-5",
    "0.5",
    DIGITS,
    "-" + DIGITS,
    "9" * 30,
    "true",
    "null",
    "[]",
    "{}",
    '"x"',
    '""',
]
RAW_BODIES = [
    '{{"error":{{"details":[{{"violations":[{{"quotaId":"RequestsPerMinute","quotaValue":{0}}}]}}]}}}}',
    '[{{"error":{{"details":[{{"violations":{{"quotaId":"RequestsPerDay","quotaValue":{0}}}}}]}}}}]',
    '{{"error":{{"details":[{{"violations":[{{"quotaId":{0},"quotaValue":"5"}}]}}]}}}}',
    '{{"error":{{"details":[{{"retryDelay":{0}}}]}}}}',
    '{{"error":{{"details":{{"0":{{"retryDelay":{0}}}}}}}}}',
    '{{"error":{{"metadata":{{"headers":{{"X-RateLimit-Remaining":{0},"X-RateLimit-Reset":{0}}}}}}}}}',
    '{{"error":{{"metadata":{{"headers":[["X-RateLimit-Remaining",{0}]]}}}}}}',
    '{{"error":{{"code":{0},"message":{0},"metadata":{0}}}}}',
    '{{"error":{0}}}',
    '{{"detail":[{{"loc":{0},"msg":{0},"type":{0}}}],"n_ctx":{0}}}',
    "[{0},{0}]",
    "{0}",
]


@pytest.mark.parametrize("body", RAW_BODIES)
async def test_a_body_of_other_types_moves_no_counter(body):
    for number in RAW_NUMBERS:
        raw = body.format(number).encode()
        assert await learned([], raw, 429) == UNTOLD, raw[:120]
        assert judge_response(429, [], raw, now=NOW).kind


PARTS = st.sampled_from(["limit", "remaining", "reset"])
UNITS = st.sampled_from(["", "-requests", "-req", "-tokens"])
WINDOWS = st.sampled_from(["", "-minute", "-hour", "-day", "-week", "-month"])
NAMES = st.builds("x-ratelimit-{}{}{}".format, PARTS, UNITS, WINDOWS) | st.just("retry-after")
VALUES = (
    st.sampled_from(NUMBERS) | st.integers(-5, 10**13).map(str) | st.floats().map(repr) | st.text(max_size=8)
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-5, 10**18)
    | st.floats(allow_nan=False, allow_infinity=False)
    | VALUES
)
KEYS = "error details violations quotaId quotaValue retryDelay metadata headers X-RateLimit-Limit".split()
BODIES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(NAMES, VALUES), max_size=10), BODIES, st.sampled_from([200, 413, 429]))
async def test_whatever_is_told_counters_stay_in_bounds_and_quota_comes_back(headers, body, status):
    pairs = [told(name, value) for name, value in headers]
    raw = msgspec.json.encode(body)
    for used, limit in await learned(pairs, raw, status):
        assert 0 <= used < math.inf
        assert 1 <= limit < 1e12
