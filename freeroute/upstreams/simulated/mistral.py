"""Mistral's bytes: a closed request schema, flat errors, counts without any reset time."""

from collections.abc import Iterator, Mapping
from typing import Any

from freeroute.upstreams.simulated.limits import Meter, Metric, Per
from freeroute.upstreams.simulated.pace import Frame
from freeroute.upstreams.simulated.shapes import Dialect, Pairs, Problem, pair, sse
from freeroute.upstreams.simulated.text import Answer

_KNOWN = frozenset(
    "model messages temperature top_p max_tokens stream stop random_seed metadata response_format tools"
    " tool_choice presence_penalty frequency_penalty n prediction parallel_tool_calls prompt_mode"
    " reasoning_effort guardrails prompt_cache_key safe_prompt".split()
)
_BOUNDS = {"temperature": (0.0, 1.5), "presence_penalty": (-2.0, 2.0), "frequency_penalty": (-2.0, 2.0)}
_COUNTS: tuple[tuple[str, Metric, Per], ...] = (
    ("req-minute", "requests", "minute"),
    ("tokens-minute", "tokens", "minute"),
    ("tokens-month", "tokens", "month"),
)


class Mistral(Dialect):
    """La Plateforme, free mode."""

    id = "mistral"
    origins = ("https://api.mistral.ai",)
    base_path = "/v1"
    output_fields = ("max_tokens",)
    takes = _KNOWN

    def at(self, path: str) -> Dialect | None:
        return _Filling() if path == f"{self.base_path}/fim/completions" else super().at(path)

    def invalid(self, body: Mapping[str, Any]) -> Problem | None:
        for name in body:
            if name not in self.takes:
                return _forbidden(name)
        for name, (low, high) in _BOUNDS.items():
            value = body.get(name)
            if isinstance(value, int | float) and not low <= value <= high:
                text = f"Input should be between {low:g} and {high:g}"
                return Problem("bad_param", param=name, at=("body", name), text=text)
        for index, message in enumerate(body["messages"]):
            if "name" in message and message.get("role") in ("user", "system"):
                return _forbidden("messages", index, message["role"], "name")
        if len(body.get("tools") or ()) > 128:
            text = "List should have at most 128 items"
            return Problem("bad_param", param="tools", at=("body", "tools"), text=text)
        return None

    def rate_headers(self, meter: Meter) -> Pairs:
        headers: Pairs = []
        for name, metric, per in _COUNTS:
            rule = meter.find(metric, per)
            if rule is not None:
                headers += [
                    pair(f"x-ratelimit-limit-{name}", rule.amount),
                    pair(f"x-ratelimit-remaining-{name}", meter.remaining(rule)),
                ]
        return headers

    def error(self, problem: Problem, meter: Meter | None = None) -> tuple[int, Any]:
        if problem.kind == "bad_param":
            kind = "extra_forbidden" if problem.text.startswith("Extra") else "value_error"
            where = list(problem.at or ("body",))
            return 422, {"detail": [{"type": kind, "loc": where, "msg": problem.text}]}
        status, text, kind, code = self._words(problem)
        body = {"object": "error", "message": text, "type": kind, "param": None, "code": code}
        return status, body | {"raw_status_code": status}

    def _words(self, problem: Problem) -> tuple[int, str, str, str | None]:
        bad = "invalid_request_error"
        match problem.kind:
            case "bad_key" | "no_key":
                return 401, "Unauthorized", "unauthorized", None
            case "payment":
                return 402, "Payment required.", "payment_required", None
            case "forbidden":
                return 403, "This model is not part of your plan.", "tier_not_allowed", "1910"
            case "model_gone":
                return 404, f"Invalid model: {problem.model}", "invalid_model", "1500"
            case "no_path":
                return 404, "no Route matched with those values", "not_found", None
            case "quota" | "too_large":
                return 429, "Rate limit exceeded", "rate_limited", "1300"
            case "capacity":
                text = "Service tier capacity exceeded for this model."
                return 429, text, "service_tier_capacity_exceeded", "3505"
            case "context_too_long":
                text = (
                    f"Prompt contains {problem.requested} tokens, too large for model with "
                    f"{problem.limit} maximum context length"
                )
                return 400, text, "invalid_request_prompt", "3051"
            case "server":
                return problem.status, "Internal server error", "unreachable_backend", "1100"
            case _:
                return 400, problem.text or "The prompt was stopped by the content filter.", bad, None

    def closing(self, answer: Answer, asked_usage: bool) -> Iterator[Frame]:
        # Nobody has to ask: the last chunk carries the usage.
        last = self.chunk(answer, {"content": ""}, answer.finish)
        yield sse(last | {"usage": self.usage(answer)}, final=True)

    def listed(self, model: Any) -> dict[str, Any]:
        capabilities = {"completion_chat": True, "function_calling": True, "vision": False}
        return super().listed(model) | {
            "owned_by": "mistralai",
            "capabilities": capabilities,
            "max_context_length": model.context,
            "aliases": [],
            "type": "base",
        }


class _Filling(Mistral):
    """Filling in the middle, which Codestral alone does: a text to go on with, and one to end at."""

    takes = frozenset(
        "model messages temperature top_p max_tokens min_tokens stream stop random_seed metadata".split()
    )

    def messages(self, body: Mapping[str, Any]) -> Any:
        prompt, suffix = body.get("prompt"), body.get("suffix") or ""
        is_text = isinstance(prompt, str) and isinstance(suffix, str) and prompt + suffix
        return [{"role": "user", "content": f"{prompt}{suffix}"}] if is_text else None

    def read(self, body: dict[str, Any]) -> dict[str, Any]:
        others = {name: value for name, value in body.items() if name not in ("prompt", "suffix")}
        return {**others, "messages": self.messages(body)}

    def invalid(self, body: Mapping[str, Any]) -> Problem | None:
        if not str(body["model"]).startswith("codestral"):
            return Problem("model_gone", model=body["model"])
        return super().invalid(body)


def _forbidden(*where: str | int) -> Problem:
    return Problem(
        "bad_param", param=str(where[-1]), at=("body", *where), text="Extra inputs are not permitted"
    )
