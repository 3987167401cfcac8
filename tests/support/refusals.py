"""Error answers in the shapes providers give them, and a short way to have them judged."""

import msgspec

from freeroute.clock import Now
from freeroute.domain.outcome import Outcome
from freeroute.upstreams.verdicts import judge_response

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
        "Rate limit reached for model `openai/gpt-oss-120b` in organization `org_01` service tier "
        f"`on_demand` on {name}: Limit 200000, Used 197494, Requested 4035. Please try again in {wait}. "
        "Need more tokens? Upgrade to Dev Tier today."
    )
    return error(text, type="tokens", code="rate_limit_exceeded")


MINUTE = "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"
DAY = "GenerateRequestsPerDayPerProjectPerModel-FreeTier"
MINUTE_TOKENS = "GenerateContentInputTokensPerModelPerMinute-FreeTier"
