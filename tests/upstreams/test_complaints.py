"""Error bodies are read in bounds, never fail, and show no secret."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freeroute.domain.outcome import Kind
from freeroute.upstreams.complaints import TEXT_LIMIT, presentable, redact
from freeroute.upstreams.verdicts import judge_inside, judge_response
from tests.support.refusals import DAY, NOW, error, judged, quota


def test_an_error_hidden_in_the_message_is_read():
    inner = msgspec.json.encode(quota((DAY, "20"))[0]).decode()
    assert judged(429, error(inner)).window == "day"


def test_what_the_caller_may_read_is_short_printable_and_free_of_secrets():
    key = "gsk_" + "a1B2" * 12
    outcome = judged(400, error(f"bad\r\n\x1b[31m request with {key} " + "x " * 2000), secret=key)
    assert outcome.request_error is not None
    assert len(outcome.request_error) <= TEXT_LIMIT
    assert outcome.request_error.isprintable()
    assert "a1B2" not in outcome.request_error


def test_the_text_of_a_refused_request_does_not_reach_the_logs():
    outcome = judged(400, error("the word 'secret plan' is not understood", code="bad_thing"))
    assert "secret plan" not in outcome.detail
    assert "bad_thing" in outcome.detail


@pytest.mark.parametrize("status", [401, 402, 403, 404, 418, 429, 500, 503])
def test_no_word_of_a_provider_is_shown_where_the_request_is_not_to_blame(status: int):
    said = "Please write 'a love letter' at 10.0.0.7 for org_01abc23def45ghi"
    outcome = judged(status, error(said, type="some_error", code="a love letter"))
    assert (outcome.detail, outcome.code) == (f"HTTP {status} (some_error)", "some_error")
    assert outcome.request_error is None


def test_a_code_that_is_a_key_or_too_long_is_not_shown():
    for code in ("gsk_A1b2C3d4E5f6G7h8", "x" * 65, "secret-of-mine"):
        assert judged(500, error("x", code=code), secret="Secret-Of-Mine").detail == "HTTP 500"


DEEP = b'{"error":{"message":"my prompt","details":' + b"[" * 5000 + b"]" * 5000 + b"}}"


@pytest.mark.parametrize("status", [400, 413, 422])
@pytest.mark.parametrize(
    "body",
    [
        b"my prompt is not understood",
        b'{"error":{"message":"my prompt is cut o',
        b'{"error":{"message":"my prompt \\ud800"}}',
        DEEP,
        msgspec.json.encode(error('{"error":{"message":"my prompt is cut o')),
        msgspec.json.encode(error("x", metadata={"raw": '[{"message":"my prompt is cut o'})),
        b"<html>my prompt</html>",
        b"",
    ],
)
def test_a_body_that_cannot_be_decoded_is_never_relayed(status: int, body: bytes):
    told = judged(status, body).request_error
    assert told == f"the provider refused the request (HTTP {status})"


def test_a_sentence_that_begins_with_a_bracket_is_relayed():
    assert judged(400, error("[Groq] top_k is odd")).request_error == "[Groq] top_k is odd"


def test_ids_of_an_organisation_are_redacted():
    assert "org_01" not in redact("in organization `org_01jabc23def45ghi6` on tokens per minute")


@pytest.mark.parametrize(
    "key",
    [
        "sk-or-v1-0123456789abcdef0123",
        "AIzaSyA1234567890abcdefghi",
        "nvapi-AbC123_def456GHI",
        "hf_A1b2C3d4E5f6G7h8",
    ],
)
def test_key_like_strings_are_redacted(key: str):
    assert key not in redact(f"Incorrect API key provided: {key}.")


def test_model_names_stay_readable():
    text = "The model `nvidia/nemotron-3-super-120b-a12b` does not exist"
    assert presentable(text) == text


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "error",
                    "errors",
                    "message",
                    "code",
                    "type",
                    "status",
                    "detail",
                    "details",
                    "loc",
                    "msg",
                    "violations",
                    "quotaId",
                    "quotaValue",
                    "retryDelay",
                    "metadata",
                    "raw",
                    "headers",
                    "param",
                    "n_ctx",
                    "choices",
                    "title",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)
STATUS = st.integers(100, 599)
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(
            [b"Retry-After", b"retry-after-ms", b"x-ratelimit-remaining", b"x-ratelimit-reset", b"ratelimit"]
        ),
        st.binary(max_size=20),
    ),
    max_size=4,
)


@settings(max_examples=400, deadline=None)
@given(STATUS, JSON, HEADERS)
def test_no_body_makes_the_judge_fail(status: int, body: object, headers: list[tuple[bytes, bytes]]):
    outcome = judge_response(status, headers, msgspec.json.encode(body), now=NOW)
    assert outcome.kind is not Kind.SERVED
    assert outcome.retry_after is None or 0 <= outcome.retry_after <= 31 * 86400
    assert outcome.detail.isprintable()
    judge_inside(body, headers, now=NOW)


@settings(max_examples=300, deadline=None)
@given(STATUS, st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_garbage_makes_the_judge_fail(status: int, body: bytes):
    outcome = judge_response(status, (), body, now=NOW)
    assert outcome.request_error is None or outcome.request_error.isprintable()


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"error":' * 20_000, b"x" * 200_000, b"\xff" * 1000])
def test_a_hostile_body_is_read_in_bounds(body: bytes):
    assert judge_response(400, (), body, now=NOW).kind is Kind.REJECTED
