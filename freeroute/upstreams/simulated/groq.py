"""Groq's bytes: rate headers on every answer, Go durations, limits named in the text only."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from freeroute.upstreams.simulated.limits import Meter, Per
from freeroute.upstreams.simulated.pace import Frame
from freeroute.upstreams.simulated.shapes import Dialect, Pairs, Problem, go_duration, pair, sse
from freeroute.upstreams.simulated.text import Answer

_REJECTED = ("logprobs", "top_logprobs", "logit_bias")
_LETTER: dict[Per, str] = {"minute": "M", "hour": "H", "day": "D", "month": "MONTH"}


class Groq(Dialect):
    """console.groq.com, free plan."""

    id = "groq"
    origins = ("https://api.groq.com",)
    base_path = "/openai/v1"
    reserves_output: ClassVar[bool] = True

    def invalid(self, body: Mapping[str, Any]) -> Problem | None:
        for name in _REJECTED:
            if body.get(name):
                return _unsupported(name)
        if body.get("n") not in (None, 1):
            return Problem("bad_param", param="n", text="'n' : number must be at most 1")
        for index, message in enumerate(body["messages"]):
            if "name" in message:
                return _unsupported("name", f"messages.{index}")
        return None

    def rate_headers(self, meter: Meter) -> Pairs:
        # The requests headers speak of the day, the tokens headers of the minute.
        headers: Pairs = []
        for metric, per in (("requests", "day"), ("tokens", "minute")):
            rule = meter.find(metric, per)  # type: ignore[arg-type]
            if rule is not None:
                headers += [
                    pair(f"x-ratelimit-limit-{metric}", rule.amount),
                    pair(f"x-ratelimit-remaining-{metric}", meter.remaining(rule)),
                    pair(f"x-ratelimit-reset-{metric}", go_duration(meter.reset(rule))),
                ]
        return headers

    def error_headers(self, problem: Problem, meter: Meter | None) -> Pairs:
        if problem.kind != "quota":
            return []
        return [pair("retry-after", max(1, math.ceil(problem.wait)))]

    def error(self, problem: Problem, meter: Meter | None = None) -> tuple[int, Any]:
        status, text, kind, code, more = self._words(problem)
        error = {"message": text, "type": kind} | ({"code": code} if code else {}) | more
        return status, {"error": error}

    def _words(self, problem: Problem) -> tuple[int, str, str, str | None, dict[str, Any]]:
        bad = "invalid_request_error"
        match problem.kind:
            case "bad_key" | "no_key":
                return 401, "Invalid API Key", bad, "invalid_api_key", {}
            case "payment":
                return 402, "The organization has an unpaid balance.", bad, "billing_required", {}
            case "forbidden":
                text = f"The model `{problem.model}` is blocked at the organization level."
                return 403, text, "permissions_error", "model_permission_blocked_org", {}
            case "model_gone":
                text = f"The model `{problem.model}` does not exist or you do not have access to it."
                return 404, text, bad, "model_not_found", {}
            case "no_path":
                return 404, f"Unknown request URL: {problem.text}.", bad, "unknown_url", {}
            case "bad_param" | "malformed":
                return 400, problem.text, bad, None, {"param": problem.param} if problem.param else {}
            case "too_large" | "quota":
                return self._limit(problem)
            case "capacity":
                return 498, "Flex tier capacity exceeded.", "server_error", "capacity_exceeded", {}
            case "content_filter":
                return 400, "The prompt was stopped by the content filter.", bad, "content_filter", {}
            case "context_too_long":
                text = "Please reduce the length of the messages or completion."
                return 400, text, bad, "context_length_exceeded", {"param": "messages"}
            case "server":
                return problem.status, "Service temporarily unavailable.", "internal_server_error", None, {}

    def _limit(self, problem: Problem) -> tuple[int, str, str, str | None, dict[str, Any]]:
        refusal = problem.refusal
        assert refusal is not None
        rule = refusal.rule
        metric = "requests" if rule.metric == "requests" else "tokens"
        name = f"{metric} per {rule.per} ({metric[0].upper()}P{_LETTER[rule.per]})"
        where = f"model `{problem.model}` in organization `org_simulated` service tier `on_demand` on {name}"
        if problem.kind == "too_large":
            text = (
                f"Request too large for {where}: Limit {rule.amount}, Requested {refusal.requested:.0f}, "
                "please reduce your message size and try again."
            )
            return 413, text, metric, "rate_limit_exceeded", {}
        text = (
            f"Rate limit reached for {where}: Limit {rule.amount}, Used {refusal.used:.0f}, "
            f"Requested {refusal.requested:.0f}. Please try again in {go_duration(problem.wait)}."
        )
        return 429, text, metric, "rate_limit_exceeded", {}

    def usage(self, answer: Answer) -> dict[str, Any]:
        # The timings are there in every answer; their values say nothing here.
        timings = {"queue_time": 0.01, "prompt_time": 0.02, "completion_time": 0.1, "total_time": 0.12}
        return timings | answer.usage

    def completion(self, answer: Answer) -> dict[str, Any]:
        return super().completion(answer) | {
            "system_fingerprint": "fp_simulated",
            "x_groq": {"id": f"req_{answer.id[-24:]}"},
        }

    def closing(self, answer: Answer, asked_usage: bool) -> Iterator[Frame]:
        finish = self.chunk(answer, {}, answer.finish)
        finish["x_groq"] = {"id": f"req_{answer.id[-24:]}", "usage": self.usage(answer)}
        yield sse(finish, final=True)
        if asked_usage:
            yield sse(self.chunk(answer, {}) | {"choices": [], "usage": self.usage(answer)}, final=True)

    def listed(self, model: Any) -> dict[str, Any]:
        return super().listed(model) | {
            "active": True,
            "context_window": model.context,
            "max_completion_tokens": model.max_output,
        }


def _unsupported(name: str, where: str | None = None) -> Problem:
    return Problem("bad_param", param=name, text=f"'{where or name}' : property '{name}' is unsupported")
