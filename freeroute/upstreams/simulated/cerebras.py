"""Cerebras' bytes: eighteen rate headers with float seconds, and errors without a wrapper."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from freeroute.upstreams.simulated.limits import Meter, Metric, Per
from freeroute.upstreams.simulated.pace import Frame
from freeroute.upstreams.simulated.shapes import Dialect, Pairs, Problem, pair, sse
from freeroute.upstreams.simulated.text import Answer

_REJECTED = ("frequency_penalty", "presence_penalty", "logit_bias")
_METRICS: tuple[Metric, ...] = ("requests", "tokens")
_SPANS: tuple[Per, ...] = ("minute", "hour", "day")


class Cerebras(Dialect):
    """cloud.cerebras.ai, trial credit."""

    id = "cerebras"
    origins = ("https://api.cerebras.ai",)
    base_path = "/v1"
    reserves_output: ClassVar[bool] = True
    assumed_output: ClassVar[int] = 16_384

    def invalid(self, body: Mapping[str, Any]) -> Problem | None:
        for name in _REJECTED:
            if body.get(name):
                return Problem("bad_param", param=name, text=f"Unsupported parameter: {name}")
        return None

    def rate_headers(self, meter: Meter) -> Pairs:
        headers: Pairs = []
        for metric in _METRICS:
            for per in _SPANS:
                rule = meter.find(metric, per)
                if rule is not None:
                    headers += [
                        pair(f"x-ratelimit-limit-{metric}-{per}", rule.amount),
                        pair(f"x-ratelimit-remaining-{metric}-{per}", meter.remaining(rule)),
                        pair(f"x-ratelimit-reset-{metric}-{per}", round(meter.reset(rule), 6)),
                    ]
        return headers

    def error_headers(self, problem: Problem, meter: Meter | None) -> Pairs:
        return [pair("retry-after", max(1, math.ceil(problem.wait)))] if problem.kind == "quota" else []

    def error(self, problem: Problem, meter: Meter | None = None) -> tuple[int, Any]:
        status, text, kind, param, code = self._words(problem)
        return status, {"message": text, "type": kind, "param": param, "code": code}

    def _words(self, problem: Problem) -> tuple[int, str, str, str, str]:
        bad, many = "invalid_request_error", "too_many_requests_error"
        match problem.kind:
            case "bad_key" | "no_key":
                return 401, "Wrong API Key", bad, "api_key", "wrong_api_key"
            case "payment":
                return 402, "The credit is spent.", "payment_required_error", "", "payment_required"
            case "forbidden":
                return 403, "This model is not open to you.", "permission_error", "model", "forbidden"
            case "model_gone":
                text = f"Model {problem.model} does not exist or you do not have access to it."
                return 404, text, "not_found_error", "model", "model_not_found"
            case "no_path":
                return 404, "Not found", "not_found_error", "", "not_found"
            case "bad_param" | "malformed":
                return 400, problem.text, bad, problem.param, "wrong_parameter"
            case "too_large":
                return 413, "The request is larger than the limit.", bad, "messages", "request_too_large"
            case "quota":
                assert problem.refusal is not None
                rule = problem.refusal.rule
                if rule.metric == "requests":
                    text = f"Requests per {rule.per} limit exceeded - too many requests sent."
                    return 429, text, many, "quota", "request_quota_exceeded"
                text = f"Tokens per {rule.per} limit exceeded - too many tokens processed."
                return 429, text, many, "quota", "token_quota_exceeded"
            case "capacity":
                text = "We are experiencing high traffic right now. Please try again soon."
                return 429, text, many, "queue", "queue_exceeded"
            case "content_filter":
                return 400, "The prompt was stopped by the content filter.", bad, "messages", "content_filter"
            case "context_too_long":
                text = (
                    "Please reduce the length of the messages or completion. "
                    f"Current length is {problem.requested} while limit is {problem.limit}"
                )
                return 400, text, bad, "messages", "context_length_exceeded"
            case "server":
                return problem.status, "Encountered a server error.", "server_error", "", "server_error"

    def closing(self, answer: Answer, asked_usage: bool) -> Iterator[Frame]:
        yield sse(self.chunk(answer, {}, answer.finish) | {"usage": self.usage(answer)}, final=True)
