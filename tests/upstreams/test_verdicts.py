"""What providers' error answers mean: one row for each ending that has been seen or documented."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freeroute.clock import Now
from freeroute.domain.catalogue import ErrorRule, Scope, Unit
from freeroute.domain.outcome import Kind, Outcome
from freeroute.upstreams.complaints import TEXT_LIMIT, presentable, redact
from freeroute.upstreams.verdicts import judge_inside, judge_response

NOW = Now(1_000.0, 1_790_000_000.0)  # 2026-09-21T14:13:20Z
GOOGLE = "type.googleapis.com/google.rpc."


def judged(status: int, body: object, secret: str = "", **headers: str) -> Outcome:
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return judge_response(status, pairs, raw, now=NOW, secret=secret)


def error(message: str, **more: object) -> dict[str, object]:
    return {"error": {"message": message, **more}}


def google(message: str, code: int = 400, status: str = "INVALID_ARGUMENT", *details: object) -> list[object]:
    return [{"error": {"code": code, "message": message, "status": status, "details": list(details)}}]


def quota(*violations: tuple[str, str], delay: str | None = None) -> list[object]:
    failure = {
        "@type": GOOGLE + "QuotaFailure",
        "violations": [{"quotaId": name, "quotaValue": value} for name, value in violations],
    }
    retry = [{"@type": GOOGLE + "RetryInfo", "retryDelay": delay}] if delay else []
    text = (
        "You exceeded your current quota, please check your plan and billing details. Please retry in 38.2s."
    )
    return google(text, 429, "RESOURCE_EXHAUSTED", failure, *retry)


def groq_limit(name: str, wait: str) -> dict[str, object]:
    text = (
        f"Rate limit reached for model `openai/gpt-oss-120b` in organization `org_01` service tier `on_demand` "
        f"on {name}: Limit 200000, Used 197494, Requested 4035. Please try again in {wait}. Need more tokens? "
        "Upgrade to Dev Tier today."
    )
    return error(text, type="tokens", code="rate_limit_exceeded")


MINUTE = "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"
DAY = "GenerateRequestsPerDayPerProjectPerModel-FreeTier"
MINUTE_TOKENS = "GenerateContentInputTokensPerModelPerMinute-FreeTier"

KINDS = [
    # Keys, credit, permission.
    (401, error("Invalid API Key", code="invalid_api_key"), Kind.KEY_INVALID),
    (401, b"", Kind.KEY_INVALID),
    (401, b"<html><title>Just a moment...</title>", Kind.FAULT),
    (400, google("API key not valid. Please pass a valid API key."), Kind.KEY_INVALID),
    (400, google("x", 400, "INVALID_ARGUMENT", {"reason": "API_KEY_INVALID"}), Kind.KEY_INVALID),
    (402, error("Insufficient credits"), Kind.NO_CREDIT),
    (
        429,
        {"error": {"code": "1113", "message": "Insufficient balance or no resource package."}},
        Kind.NO_CREDIT,
    ),
    (429, error("You exceeded your quota", code="insufficient_quota"), Kind.NO_CREDIT),
    (429, quota((DAY, "0"), (MINUTE, "0")), Kind.NO_CREDIT),
    (
        429,
        google("Quota exceeded for metric: x, limit: 0, model: y", 429, "RESOURCE_EXHAUSTED"),
        Kind.NO_CREDIT,
    ),
    (
        403,
        {"object": "error", "message": "Not on your tier", "type": "tier_not_allowed", "code": "1910"},
        Kind.NO_CREDIT,
    ),
    (403, {"error": "this model requires a subscription, upgrade for access"}, Kind.NO_CREDIT),
    (
        403,
        error("The model `x` is blocked at the organization level.", code="model_permission_blocked_org"),
        Kind.FORBIDDEN,
    ),
    (403, google("denied", 403, "PERMISSION_DENIED"), Kind.FORBIDDEN),
    (
        403,
        {"error": {"code": 403, "message": "Input was flagged", "metadata": {"reasons": ["x"]}}},
        Kind.FILTERED,
    ),
    (403, b"<!DOCTYPE html><html>attention required", Kind.FAULT),
    (
        400,
        google("User location is not supported for the API use.", 400, "FAILED_PRECONDITION"),
        Kind.FORBIDDEN,
    ),
    # Models that are gone.
    (404, error("The model `x` does not exist", code="model_not_found"), Kind.MODEL_GONE),
    (404, b"404 page not found", Kind.MODEL_GONE),
    (
        404,
        {"status": 404, "title": "Not Found", "detail": "Function 'f': Not found for account 'a'"},
        Kind.MODEL_GONE,
    ),
    (410, {"status": 410, "title": "Gone", "detail": "ended"}, Kind.MODEL_GONE),
    (400, error("The model `x` has been decommissioned.", code="model_decommissioned"), Kind.MODEL_GONE),
    (400, {"success": False, "errors": [{"code": 5007, "message": "No such model @cf/x"}]}, Kind.MODEL_GONE),
    (
        400,
        {"object": "error", "message": "Invalid model: x", "type": "invalid_model", "code": "1500"},
        Kind.MODEL_GONE,
    ),
    (400, error("x is not a valid model ID", code=400), Kind.MODEL_GONE),
    (404, {"error": "model 'x' not found"}, Kind.MODEL_GONE),
    (404, error("No endpoints found for x:free."), Kind.MODEL_GONE),
    (404, error("No endpoints found that support tool use."), Kind.BAD_PARAMETER),
    # Their capacity, not our quota.
    (
        429,
        {"object": "error", "message": "Service tier capacity exceeded for this model.", "code": "3505"},
        Kind.NO_CAPACITY,
    ),
    (
        429,
        {"success": False, "errors": [{"code": 3040, "message": "No more data centers to forward to"}]},
        Kind.NO_CAPACITY,
    ),
    (
        429,
        {"message": "too busy", "type": "too_many_requests_error", "code": "queue_exceeded"},
        Kind.NO_CAPACITY,
    ),
    (
        429,
        {
            "error": {
                "message": "Provider returned error",
                "code": 429,
                "metadata": {"provider_name": "Chutes", "raw": "x is temporarily rate-limited upstream"},
            }
        },
        Kind.NO_CAPACITY,
    ),
    (
        400,
        {
            "status": 400,
            "title": "Bad Request",
            "detail": "Function id 'f': DEGRADED function cannot be invoked",
        },
        Kind.NO_CAPACITY,
    ),
    (498, error("Flex tier capacity exceeded."), Kind.NO_CAPACITY),
    (503, {"error": "server busy, please try again.  maximum pending requests exceeded"}, Kind.NO_CAPACITY),
    # Faults.
    (503, google("The model is overloaded.", 503, "UNAVAILABLE"), Kind.FAULT),
    (500, google("An internal error has occurred.", 500, "INTERNAL"), Kind.FAULT),
    (500, b"", Kind.FAULT),
    (502, b"<html>Bad gateway</html>", Kind.FAULT),
    (504, b"", Kind.FAULT),
    (529, error("Overloaded", type="overloaded_error"), Kind.FAULT),
    (408, {"success": False, "errors": [{"code": 3007, "message": "timeout"}]}, Kind.FAULT),
    (425, b"", Kind.FAULT),
    (499, {"id": "1", "message": "client closed"}, Kind.FAULT),
    (405, b"", Kind.FAULT),
    (301, b"", Kind.REDIRECTED),
    (307, b"<html>moved", Kind.REDIRECTED),
    (503, error("Loading model", code=503, type="unavailable_error"), Kind.LOADING),
    # The request.
    (
        400,
        error("Failed to call a function.", code="tool_use_failed", failed_generation="x"),
        Kind.MISGENERATED,
    ),
    (400, error("Failed to generate JSON.", code="json_validate_failed"), Kind.MISGENERATED),
    (
        413,
        error(
            "Request too large for model `x` on tokens per minute (TPM): Limit 8000, Requested 9000",
            type="tokens",
            code="rate_limit_exceeded",
        ),
        Kind.TOO_LARGE,
    ),
    (413, {"success": False, "errors": [{"code": 3006, "message": "Request is too large"}]}, Kind.TOO_LARGE),
    (413, error("Your prompt is too long: it exceeds the context window"), Kind.CONTEXT_TOO_LONG),
    (
        400,
        error("Please reduce the length of the messages.", code="context_length_exceeded"),
        Kind.CONTEXT_TOO_LONG,
    ),
    (
        400,
        google("The input token count (9) exceeds the maximum number of tokens allowed (8)."),
        Kind.CONTEXT_TOO_LONG,
    ),
    (400, {"error": {"code": "1261", "message": "Prompt exceeds max length"}}, Kind.CONTEXT_TOO_LONG),
    (400, error("The response was filtered", code="content_filter"), Kind.FILTERED),
    (400, error("x", code="content_policy_violation"), Kind.FILTERED),
    (400, google("Request contains an invalid argument."), Kind.REJECTED),
    (400, b"nonsense", Kind.REJECTED),
    (400, b"", Kind.REJECTED),
    (
        422,
        {"detail": [{"loc": ["body", "messages", 0, "content"], "msg": "Input should be a valid string"}]},
        Kind.REJECTED,
    ),
    (
        400,
        error("Invalid content", param="messages.[0].content", type="invalid_request_error"),
        Kind.REJECTED,
    ),
    (200, b"hello", Kind.GARBAGE),
]


@pytest.mark.parametrize(("status", "body", "kind"), KINDS)
def test_an_error_answer_has_one_meaning(status: int, body: object, kind: Kind):
    assert judged(status, body).kind is kind


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
            "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free model requests per day",
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
        ({"retry_after": "Mon, 21 Sep 2020 14:14:20 GMT"}, 0.0),
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


PARAMETERS = [
    (
        400,
        error(
            "'messages.0' : for 'role:user' the following must be satisfied[('messages.0' : property 'name' "
            "is unsupported)]"
        ),
        "messages[].name",
    ),
    (400, error("property 'logit_bias' is unsupported"), "logit_bias"),
    (400, error("'n' : number must be at most 1", param="n"), "n"),
    (
        400,
        google('Invalid JSON payload received. Unknown name "frequency_penalty": Cannot find field.'),
        "frequency_penalty",
    ),
    (
        400,
        google(
            "Unknown name \"additionalProperties\" at 'tools[0].function_declarations[0].parameters': "
            "Cannot find field."
        ),
        "tools",
    ),
    (400, google("Penalty is not enabled for this model"), "penalties"),
    (400, error("Unrecognized request argument supplied: top_k"), "top_k"),
    (400, error("`logprobs` is not supported with this model"), "logprobs"),
    (
        400,
        error(
            "Unsupported parameter: 'reasoning_effort' is not supported with this model.",
            param="reasoning_effort",
            code="unsupported_parameter",
        ),
        "reasoning_effort",
    ),
    (
        400,
        error("max_tokens must be less than or equal to `8192`, the maximum for the context_window"),
        "max_tokens",
    ),
    (
        422,
        {
            "detail": [
                {
                    "type": "extra_forbidden",
                    "loc": ["body", "logit_bias"],
                    "msg": "Extra inputs are not permitted",
                    "input": {},
                }
            ]
        },
        "logit_bias",
    ),
    (
        422,
        {
            "object": "error",
            "message": {"detail": [{"loc": ["body", "user"], "msg": "extra fields not permitted"}]},
        },
        "user",
    ),
    (
        422,
        {
            "detail": [
                {
                    "type": "extra_forbidden",
                    "loc": ["body", "messages", 1, "assistant", "reasoning_content"],
                    "msg": "Extra inputs are not permitted",
                }
            ]
        },
        "messages[].reasoning_content",
    ),
    (
        400,
        error('"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'),
        "tools",
    ),
    (400, error("registry.ollama.ai/library/x does not support tools"), "tools"),
    (400, error("This model only supports single tool-calls at once!"), "parallel_tool_calls"),
    (400, error('json: unknown field "store"'), "store"),
]


@pytest.mark.parametrize(("status", "body", "param"), PARAMETERS)
def test_a_refused_parameter_is_named(status: int, body: object, param: str):
    outcome = judged(status, body)
    assert (outcome.kind, outcome.param) == (Kind.BAD_PARAMETER, param)


@pytest.mark.parametrize(
    ("body", "context"),
    [
        (
            error(
                "the request exceeds the available context size",
                type="exceed_context_size_error",
                n_prompt_tokens=9000,
                n_ctx=4096,
            ),
            4096,
        ),
        (
            error("This model's maximum context length is 32768 tokens. However, you requested 40000 tokens"),
            32768,
        ),
        (
            google("The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."),
            1048576,
        ),
        (error("Please reduce the length of the messages", code="context_length_exceeded"), None),
    ],
)
def test_the_real_context_is_learned_from_the_refusal(body: object, context: int | None):
    outcome = judged(400, body)
    assert (outcome.kind, outcome.context) == (Kind.CONTEXT_TOO_LONG, context)


def test_the_catalogues_rules_come_before_the_general_ones():
    rules = [
        ErrorRule(kind="no_capacity", status=503, contains="OVER capacity"),
        ErrorRule(kind="rate_limited", code="E7", window="week", scope=Scope.ACCOUNT, unit=Unit.TOKENS),
        ErrorRule(kind="nonsense", status=500),
    ]

    def ruled(status: int, body: object) -> Outcome:
        return judge_response(status, (), msgspec.json.encode(body), now=NOW, rules=rules)

    assert ruled(503, error("We are over capacity")).kind is Kind.NO_CAPACITY
    assert ruled(503, error("gone")).kind is Kind.FAULT
    outcome = ruled(400, error("x", code="e7"))
    assert (outcome.kind, outcome.window, outcome.scope, outcome.unit) == (
        Kind.RATE_LIMITED,
        "week",
        "account",
        "tokens",
    )
    assert ruled(500, {}).kind is Kind.FAULT


@pytest.mark.parametrize(
    ("inside", "kind"),
    [
        ({"code": 429, "message": "slow down"}, Kind.RATE_LIMITED),
        ({"code": 502, "message": "Provider disconnected"}, Kind.FAULT),
        ({"code": "server_error", "message": "x"}, Kind.FAULT),
        ({"type": "overloaded_error", "message": "x"}, Kind.FAULT),
        ({"code": 401, "message": "x"}, Kind.KEY_INVALID),
        ({"code": "context_length_exceeded", "message": "x"}, Kind.CONTEXT_TOO_LONG),
        ({"message": "something broke"}, Kind.FAULT),
        ("model runner has unexpectedly stopped", Kind.FAULT),
        (b'{"error":{"code":404,"message":"no such model"}}', Kind.MODEL_GONE),
    ],
)
def test_an_error_inside_a_200_is_judged_by_its_own_code(inside: object, kind: Kind):
    assert judge_inside(inside, (), now=NOW).kind is kind


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
