"""What providers' error answers mean: one row for each ending that has been seen or documented."""

import msgspec
import pytest

from freeroute.config.entries import or_else, read_catalogue
from freeroute.domain.catalogue import ErrorRule, Scope, Unit
from freeroute.domain.outcome import Kind, Outcome
from freeroute.resources import config_dir
from freeroute.upstreams.verdicts import judge_inside, judge_response
from tests.support.refusals import DAY, MINUTE, NOW, error, google, judged, quota

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
    # A web server, not an API, says that there is nothing: the address is wrong.
    (404, b"404 page not found", Kind.REDIRECTED),
    (404, b"<html>Not Found</html>", Kind.REDIRECTED),
    (404, b"", Kind.REDIRECTED),
    (404, {"detail": "Not Found"}, Kind.REDIRECTED),
    (404, {"message": "no Route matched with those values"}, Kind.REDIRECTED),
    (404, error("Unknown request URL: POST /v2/chat.", code="unknown_url"), Kind.REDIRECTED),
    (404, b'{"error": {"message": "cut o', Kind.MODEL_GONE),
    (404, {"status": 404, "title": "Not Found"}, Kind.MODEL_GONE),
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
    (503, error("no capacity available, overloaded"), Kind.NO_CAPACITY),
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
    (0, b"", Kind.GARBAGE),
    (101, b"", Kind.GARBAGE),
    (600, error("x"), Kind.GARBAGE),
    (409, error("conflict"), Kind.FAULT),
    (418, error("a teapot"), Kind.FAULT),
    (451, b"", Kind.FAULT),
    (413, b"<html>Request Entity Too Large</html>", Kind.TOO_LARGE),
]


@pytest.mark.parametrize(("status", "body", "kind"), KINDS)
def test_an_error_answer_has_one_meaning(status: int, body: object, kind: Kind):
    assert judged(status, body).kind is kind


def test_nvidias_plain_404_is_a_model_that_is_gone():
    rules = or_else(read_catalogue(config_dir() / "providers")["nvidia"].errors, ())
    outcome = judge_response(404, (), b"404 page not found", now=NOW, rules=rules)
    assert outcome.kind is Kind.MODEL_GONE


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
