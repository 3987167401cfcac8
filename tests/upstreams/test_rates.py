"""Rate headers and refusals: what they say of which counter, and that garbage says nothing."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.clock import Now
from freeroute.domain.catalogue import Scope, Unit
from freeroute.domain.headers import RateHeaders
from freeroute.domain.rates import RateFact
from freeroute.upstreams.hints import seconds_of
from freeroute.upstreams.rates import facts_of
from tests.support.clocks import EPOCH

NOW = Now(1_000.0, EPOCH)
MINUTE, HOUR, DAY, MONTH = 60.0, 3_600.0, 86_400.0, 30 * 86_400.0
GROQ = RateHeaders(requests="day", tokens="minute")
PLAIN = RateHeaders(plain=True)


def read(headers=None, meaning=GROQ, *, status=200, body=b"") -> list[RateFact]:
    pairs = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    return list(facts_of(status, pairs, body, meaning, NOW))


def test_headers_without_a_window_speak_of_the_one_the_catalogue_names():
    told = {
        "x-ratelimit-limit-requests": "14400",
        "X-RateLimit-Remaining-Requests": "14370",
        "x-ratelimit-reset-requests": "2m59.56s",
        "x-ratelimit-limit-tokens": "8000",
        "x-ratelimit-remaining-tokens": "7997",
        "x-ratelimit-reset-tokens": "250ms",
    }
    assert read(told) == [
        RateFact(Unit.REQUESTS, DAY, 14_400, 14_370, 179.56),
        RateFact(Unit.TOKENS, MINUTE, 8_000, 7_997, 0.25),
    ]
    assert read(told, RateHeaders()) == []


def test_headers_that_name_their_window_need_no_catalogue():
    cerebras = {
        "x-ratelimit-limit-requests-minute": "5",
        "x-ratelimit-remaining-requests-minute": "4",
        "x-ratelimit-reset-requests-minute": "11.28",
        "x-ratelimit-limit-tokens-hour": "1000000",
        "x-ratelimit-remaining-tokens-hour": "999000",
        "x-ratelimit-limit-tokens-day": "1000000",
        "x-ratelimit-remaining-tokens-day": "0",
        "x-ratelimit-reset-tokens-day": "11726.28",
    }
    assert read(cerebras, RateHeaders()) == [
        RateFact(Unit.REQUESTS, MINUTE, 5, 4, 11.28),
        RateFact(Unit.TOKENS, HOUR, 1_000_000, 999_000),
        RateFact(Unit.TOKENS, DAY, 1_000_000, 0, 11_726.28),
    ]
    mistral = {
        "x-ratelimit-limit-req-minute": "60",
        "x-ratelimit-remaining-req-minute": "59",
        "x-ratelimit-limit-tokens-month": "1000000000",
        "x-ratelimit-remaining-tokens-month": "999999000",
        "x-ratelimit-tokens-query-cost": "17",
    }
    assert read(mistral, RateHeaders()) == [
        RateFact(Unit.REQUESTS, MINUTE, 60, 59),
        RateFact(Unit.TOKENS, MONTH, 1e9, 999_999_000),
    ]


def test_a_trial_keys_headers_count_calls_of_a_minute():
    told = {
        "x-endpoint-monthly-call-limit": "1000",
        "x-trial-endpoint-call-limit": "20",
        "x-trial-endpoint-call-remaining": "17",
    }
    assert read(told, RateHeaders()) == [RateFact(Unit.REQUESTS, MINUTE, 20, 17)]


@pytest.mark.parametrize(("distance", "seconds"), [(41.0, MINUTE), (60.5, MINUTE), (20_000.0, DAY)])
def test_plain_headers_speak_of_the_window_their_reset_is_near(distance, seconds):
    told = {
        "X-RateLimit-Limit": "50",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": str(round((NOW.wall + distance) * 1000)),
    }
    [fact] = read(told, PLAIN, status=429)
    assert (fact.unit, fact.seconds, fact.limit, fact.remaining) == (Unit.REQUESTS, seconds, 50, 0)
    assert fact.reset_in == pytest.approx(distance, abs=0.01)
    assert read(told, GROQ) == []


def test_plain_headers_without_a_reset_say_nothing():
    assert read({"x-ratelimit-limit": "50", "x-ratelimit-remaining": "0"}, PLAIN) == []


def test_headers_quoted_in_a_refusal_are_read_too():
    body = (
        b'{"error":{"code":429,"message":"Rate limited","metadata":{"headers":{"X-RateLimit-Limit":"50",'
        b'"X-RateLimit-Remaining":0,"X-RateLimit-Reset":"%d","Other":true}}}}' % ((NOW.wall + 30_000) * 1000)
    )
    [fact] = read({}, PLAIN, status=429, body=body)
    assert (fact.seconds, fact.remaining, fact.source) == (DAY, 0, "body")


def test_googles_quotas_are_limits_that_are_spent():
    body = b"""[{"error":{"code":429,"message":"quota","status":"RESOURCE_EXHAUSTED","details":[
        {"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[
        {"quotaId":"GenerateRequestsPerMinutePerProjectPerModel-FreeTier","quotaValue":"10"},
        {"quotaId":"GenerateContentInputTokensPerModelPerMinute-FreeTier","quotaValue":"250000"},
        {"quotaId":"GenerateRequestsPerDayPerProject-FreeTier","quotaValue":"0"}]}]}}]"""
    requests, tokens = read({"retry-after": "7"}, status=429, body=body)
    assert requests == RateFact(Unit.REQUESTS, MINUTE, 10, 0, 7.0, "body", Scope.MODEL)
    assert (tokens.unit, tokens.limit, tokens.remaining) == (Unit.INPUT_TOKENS, 250_000, None)


def test_googles_delay_says_when_a_minute_is_back_and_nothing_of_a_day():
    body = b"""{"error":{"code":429,"details":[{"violations":[
        {"quotaId":"GenerateRequestsPerMinutePerProjectPerModel-FreeTier","quotaValue":"15"},
        {"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier","quotaValue":"200"}]},
        {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"8s"}]}}"""
    told = read(status=429, body=body)
    assert [(fact.seconds, fact.reset_in) for fact in told] == [(MINUTE, 8), (DAY, None)]
    header = read({"retry-after": "7"}, status=429, body=body)
    assert [fact.reset_in for fact in header] == [7, 7]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Tokens per day (TPD): Limit 200000, Used 198371, Requested 3158. Please try again in 11m0.528s.",
            RateFact(Unit.TOKENS, DAY, 200_000, 1_629, 660.528, "body"),
        ),
        (
            "Rate limit reached on requests per minute (RPM): Limit 30, Used 31, Requested 1.",
            RateFact(Unit.REQUESTS, MINUTE, 30, 0, None, "body"),
        ),
        (
            "Request too large on tokens per minute (TPM): Limit 8000, Requested 9000",
            RateFact(Unit.TOKENS, MINUTE, 8_000, None, None, "body"),
        ),
    ],
)
def test_a_refusal_in_words_tells_a_counter_no_header_does(text, expected):
    body = b'{"error":{"message":"%s"}}' % text.encode()
    assert read(status=429, body=body) == [expected]
    assert read(status=500, body=body) == []


@pytest.mark.parametrize(
    "text",
    [
        "Limit 30, Used 31, Requested 1",
        "requests per day: Limit 0, Used 0, Requested 1",
        "requests per minute",
    ],
)
def test_words_without_a_counter_or_a_number_say_nothing(text):
    assert read(status=429, body=b'{"error":{"message":"%s"}}' % text.encode()) == []


@pytest.mark.parametrize(
    ("limit", "remaining"),
    [
        ("10", "-1"),
        ("10", "11"),
        ("0", "0"),
        ("0.5", "0"),
        ("-10", "0"),
        ("nan", "1"),
        ("inf", "1"),
        ("10", "nan"),
        ("10", ""),
        ("1e300", "1"),
        ("9" * 13, "1"),
        ("10", "5, 5"),
        ("\u0661\u0660", "5"),
    ],
)
def test_numbers_that_cannot_be_say_nothing(limit, remaining):
    told = {"x-ratelimit-limit-tokens": limit, "x-ratelimit-remaining-tokens": remaining}
    assert read(told) == []


def test_a_remainder_alone_is_believed():
    assert read({"x-ratelimit-remaining-tokens": "5"}) == [RateFact(Unit.TOKENS, MINUTE, None, 5)]


def test_what_is_said_twice_counts_only_if_it_is_the_same():
    name, limit = b"x-ratelimit-remaining-tokens", (b"x-ratelimit-limit-tokens", b"10")
    assert facts_of(200, [limit, (name, b"5"), (name, b"6"), (name, b"5")], b"", GROQ, NOW) == ()
    assert len(facts_of(200, [limit, (name, b"5"), (name, b"5")], b"", GROQ, NOW)) == 1


PARTS = ["limit", "remaining", "reset"]
NAMES = st.one_of(
    st.builds(
        lambda part, unit, window: f"x-ratelimit-{part}{unit}{window}".encode(),
        st.sampled_from(PARTS),
        st.sampled_from(["", "-requests", "-req", "-tokens"]),
        st.sampled_from(["", "-minute", "-hour", "-day", "-week", "-month"]),
    ),
    st.sampled_from([b"x-trial-endpoint-call-limit", b"x-trial-endpoint-call-remaining", b"retry-after"]),
    st.binary(max_size=20),
)
VALUES = st.one_of(
    st.integers(-10, 10**14).map(lambda number: str(number).encode()),
    st.floats().map(lambda number: repr(number).encode()),
    st.sampled_from([b"2m59.56s", b"NaN", b"-0", b"1e5", b"", b"0x10", b"1,2"]),
    st.binary(max_size=40),
)


_ANY_RATE = re.compile(
    rb"x-ratelimit-(limit|remaining|reset)(?:-(requests|req|tokens))?(?:-(minute|hour|day|week|month))?",
    re.IGNORECASE,
)
_SPANS = {"minute": MINUTE, "hour": HOUR, "day": DAY, "week": 7 * DAY, "month": MONTH}


def one_after_the_other(pairs, meaning: RateHeaders, status: int) -> list[RateFact]:
    """Return what headers say, each looked at alone."""
    told: dict[tuple[str, str], dict[str, set[bytes]]] = {}
    for name, value in pairs[:200]:
        trial = re.fullmatch(b"x-trial-endpoint-call-(limit|remaining)", name, re.IGNORECASE)
        match = _ANY_RATE.fullmatch(b"x-ratelimit-%b-requests-minute" % trial[1] if trial else name)
        if match is not None:
            fact, unit, window = (group.decode().lower() for group in match.groups(default=b""))
            told.setdefault((unit, window), {}).setdefault(fact, set()).add(value.strip()[:64])
    facts = []
    for (unit, window), said in told.items():
        values = {fact: many.pop() if len(many) == 1 else b"?" for fact, many in said.items()}
        if status == 429 and len(told) == 1 and "reset" in values:
            values.setdefault("remaining", b"0")
        given = meaning.tokens if unit == "tokens" else meaning.requests
        reset = seconds_of(values["reset"].decode("latin-1"), NOW) if "reset" in values else None
        seconds = _SPANS.get(window or (given or "" if unit else ""))
        if not unit and not window and meaning.plain and reset is not None:
            seconds = MINUTE if reset <= 90 else DAY
        numbers = {
            fact: float(value) if re.fullmatch(rb"[0-9]{1,12}(\.[0-9]{1,9})?", value) else math.nan
            for fact, value in values.items()
            if fact != "reset"
        }
        limit, remaining = numbers.get("limit"), numbers.get("remaining", math.nan)
        if seconds and remaining >= 0 and (limit is None or (limit >= 1 and limit >= remaining)):
            counted = Unit.TOKENS if unit == "tokens" else Unit.REQUESTS
            # A 429 that does not say when to come again has no other reset than none.
            facts.append(
                RateFact(counted, seconds, limit, remaining, reset or None if status == 429 else reset)
            )
    return facts


_AS_WRITTEN = st.sampled_from([bytes, bytes.upper, bytes.title])


@given(
    st.lists(st.tuples(st.builds(lambda name, how: how(name), NAMES, _AS_WRITTEN), VALUES), max_size=12),
    st.lists(st.integers(0, 11), max_size=6),
    st.builds(RateHeaders, st.sampled_from([None, "day"]), st.sampled_from([None, "minute"]), st.booleans()),
    st.sampled_from([200, 429]),
)
def test_headers_say_together_what_they_say_one_after_the_other(pairs, again, meaning, status):
    pairs += [pairs[index] for index in again if index < len(pairs)]
    pairs = [pair for pair in pairs if pair[0].lower() != b"retry-after"]  # which a 429 is believed
    for padding in ((), ((b"x-padding-of-the-head", b"1"),) * 190):
        said = [*padding, *pairs]
        assert list(facts_of(status, said, b"", meaning, NOW)) == one_after_the_other(said, meaning, status)


@given(
    st.lists(st.tuples(NAMES, VALUES), max_size=12),
    st.one_of(st.binary(max_size=80), st.text(max_size=80).map(lambda text: text.encode(errors="replace"))),
    st.sampled_from([200, 413, 429, 500]),
)
def test_garbage_never_raises_and_every_fact_could_be_true(pairs, body, status):
    for fact in facts_of(status, pairs, body, RateHeaders("day", "minute", plain=True), NOW):
        assert fact.limit is None or 1 <= fact.limit < 1e12
        assert fact.remaining is None or 0 <= fact.remaining <= (fact.limit or math.inf)
        assert fact.reset_in is None or 0 <= fact.reset_in < math.inf
        assert fact.seconds in (MINUTE, HOUR, DAY, 7 * DAY, MONTH)


def test_a_429_whose_one_counter_tells_no_remainder_speaks_of_the_spent_one():
    said = {"x-ratelimit-limit-requests-minute": "30", "x-ratelimit-reset-requests-minute": "12"}
    [fact] = read(said, status=429)
    assert (fact.limit, fact.remaining, fact.reset_in) == (30, 0, 12)
    assert read(said) == []
    more = {"x-ratelimit-limit-tokens-minute": "900", "x-ratelimit-reset-tokens-minute": "3"}
    assert read(said | more, status=429) == []
