"""Which quota a 429 speaks of, and until when."""

import pytest

from freeroute.domain.outcome import Kind
from tests.support.refusals import DAY, MINUTE, MINUTE_TOKENS, error, google, groq_limit, judged, quota

LIMITS = [
    (groq_limit("tokens per day (TPD)", "11m0.528s"), "day", "tokens", 660.528, None),
    (groq_limit("tokens per minute (TPM)", "7.66s"), "minute", "tokens", 7.66, None),
    (groq_limit("requests per day (RPD)", "1m26.4s"), "day", "requests", 86.4, None),
    (groq_limit("requests per minute (RPM)", "825ms"), "minute", "requests", 0.825, None),
    (quota((DAY, "20"), delay="38s"), "day", "requests", None, "model"),
    (quota((MINUTE, "5"), delay="38s"), "minute", "requests", 38.0, "model"),
    (quota((MINUTE, "5"), (DAY, "20"), delay="9s"), "day", "requests", None, "model"),
    (quota((MINUTE_TOKENS, "250000")), "minute", "input_tokens", 38.2, "model"),
    (
        error(
            "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free model requests "
            "per day",
            code=429,
            metadata={
                "headers": {
                    "X-RateLimit-Limit": "50",
                    "X-RateLimit-Remaining": "0",
                    "X-RateLimit-Reset": "1790000090000",
                },
                "provider_name": None,
            },
        ),
        "day",
        "requests",
        90.0,
        "account",
    ),
    (error("Rate limit exceeded: free-models-per-min. ", code=429), "minute", "requests", None, "account"),
    (
        {
            "success": False,
            "errors": [
                {"code": 3036, "message": "you have used up your daily free allocation of 10,000 neurons"}
            ],
        },
        "day",
        "neurons",
        None,
        "account",
    ),
    (
        {
            "message": "Requests per day limit exceeded",
            "type": "too_many_requests_error",
            "param": "quota",
            "code": "request_quota_exceeded",
        },
        "day",
        "requests",
        None,
        None,
    ),
    (
        {"id": "1", "message": "You are using a Trial key, which is limited to 40 API calls / minute."},
        "minute",
        "requests",
        None,
        None,
    ),
    (
        {"id": "1", "message": "You are using a Trial key, which is limited to 1000 API calls / month."},
        "month",
        "requests",
        None,
        "account",
    ),
    ({"status": 429, "title": "Too Many Requests"}, None, "requests", None, None),
    (
        {"object": "error", "message": "Rate limit exceeded", "type": "rate_limited", "code": "1300"},
        None,
        None,
        None,
        None,
    ),
    (b"slow down", None, None, None, None),
]


@pytest.mark.parametrize(("body", "window", "unit", "wait", "scope"), LIMITS)
def test_a_spent_quota_tells_which_and_until_when(
    body: object, window: str | None, unit: str | None, wait: float | None, scope: str | None
):
    outcome = judged(429, body)
    assert outcome.kind is Kind.RATE_LIMITED
    assert (outcome.window, outcome.unit, outcome.scope) == (window, unit, scope)
    assert outcome.retry_after == (None if wait is None else pytest.approx(wait))


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "0.5"}, 0.5),
        ({"retry_after": "Mon, 21 Sep 2026 14:14:20 GMT"}, 60.0),
        ({"retry_after": "Mon, 21 Sep 2020 14:14:20 GMT"}, None),
        ({"retry_after": "0"}, None),
        ({"retry_after": "-7"}, None),
        ({"retry_after_ms": "0", "retry_after": "3"}, 3.0),
        ({"retry_after": "0", "x_ratelimit_remaining": "0", "x_ratelimit_reset": "0"}, None),
        ({"retry_after": "1790000030"}, 30.0),
        ({"retry_after": "2m1s"}, 121.0),
        ({"retry_after_ms": "250", "retry_after": "1"}, 0.25),
        ({"retry_after": "99999999"}, 31 * 86400.0),
        ({"retry_after": "soon"}, None),
        ({"x_ratelimit_remaining": "0", "x_ratelimit_reset": "1790000012000"}, 12.0),
        ({"x_ratelimit_remaining_requests_minute": "0", "x_ratelimit_reset_requests_minute": "11.5"}, 11.5),
        ({"x_ratelimit_remaining_requests_day": "9", "x_ratelimit_reset_requests_day": "50000"}, None),
        ({"ratelimit": '"default";r=0;t=12'}, 12.0),
    ],
)
def test_every_form_of_retry_after_is_understood(headers: dict[str, str], wait: float | None):
    assert judged(429, b"", **headers).retry_after == wait


def test_headers_tell_the_month_from_the_minute_where_the_text_does_not():
    body = {"object": "error", "message": "Rate limit exceeded", "code": "1300"}
    headers = {"x_ratelimit_remaining_req_minute": "3", "x_ratelimit_remaining_tokens_month": "0"}
    outcome = judged(429, body, **headers)
    assert (outcome.window, outcome.unit) == ("month", "tokens")


def test_a_limit_of_zero_in_the_headers_is_no_quota_at_all():
    assert judged(429, b"", x_ratelimit_limit_req_minute="0").kind is Kind.NO_CREDIT


@pytest.mark.parametrize(
    ("delay", "wait"),
    [
        ("21s", 21.0),
        ({"seconds": 21, "nanos": 500_000_000}, 21.5),
        ({"seconds": "21"}, 21.0),
        ({"nanos": 900_000_000}, 0.9),
        ({"seconds": None}, None),
        ({"seconds": "soon"}, None),
        ({"seconds": -4}, None),
        ({"seconds": 10**400}, None),
        ({}, None),
        (21, None),
    ],
)
def test_googles_delay_is_read_as_a_text_and_as_an_object(delay: object, wait: float | None):
    body = google("Resource exhausted", 429, "RESOURCE_EXHAUSTED", {"retryDelay": delay})
    assert judged(429, body).retry_after == wait
