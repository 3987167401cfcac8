"""OpenRouter's bytes: silent about limits until they bite, chatty while it works."""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from msgspec.structs import replace

from freeroute.upstreams.simulated.limits import Meter
from freeroute.upstreams.simulated.pace import Frame
from freeroute.upstreams.simulated.shapes import Dialect, Model, Pairs, Problem, Request, pair, sse
from freeroute.upstreams.simulated.text import Answer, ToolCall, split

_HOST = "Simulated Host"


class OpenRouter(Dialect):
    """openrouter.ai, :free variants, no credit ever bought."""

    id = "openrouter"
    origins = ("https://openrouter.ai",)
    base_path = "/api/v1"
    counts_failures: ClassVar[bool] = True
    counts_refusals: ClassVar[bool] = True
    lists_openly: ClassVar[bool] = True
    early_head: ClassVar[bool] = True
    keepalive: ClassVar[bytes] = b": OPENROUTER PROCESSING\n\n"

    def error_headers(self, problem: Problem, meter: Meter | None) -> Pairs:
        if problem.kind != "quota" or meter is None:
            return []
        return [pair(name, value) for name, value in _limit_headers(problem, meter).items()]

    def error(self, problem: Problem, meter: Meter | None = None) -> tuple[int, Any]:
        metadata: dict[str, Any] = {}
        if problem.kind == "quota" and meter is not None:
            # A spent limit repeats its headers in the body.
            metadata = {"headers": _limit_headers(problem, meter), "provider_name": None}
        status, text, more = self._words(problem)
        error: dict[str, Any] = {"message": text, "code": status}
        if more or metadata:
            error["metadata"] = more | metadata
        return status, {"error": error, "user_id": "user_simulated"}

    def _words(self, problem: Problem) -> tuple[int, str, dict[str, Any]]:
        match problem.kind:
            case "bad_key":
                return 401, "User not found.", {}
            case "no_key":
                return 401, "No auth credentials found", {}
            case "payment":
                return 402, "Insufficient credits. Your account has a negative balance.", {}
            case "forbidden":
                return 403, "Your guardrail settings do not allow this model.", {}
            case "model_gone":
                return 404, f"No endpoints found for {problem.model}.", {"error_type": "no_endpoints"}
            case "no_path":
                return 404, "Not Found", {}
            case "quota" | "too_large":
                assert problem.refusal is not None
                if problem.refusal.rule.per == "day":
                    text = "free-models-per-day. Add credits to unlock 1000 free model requests per day"
                    return 429, f"Rate limit exceeded: {text}", {}
                return 429, "Rate limit exceeded: free-models-per-min. ", {}
            case "capacity":
                raw = f"{problem.model} is temporarily rate-limited upstream. Please retry shortly."
                return 429, "Provider returned error", {"raw": raw, "provider_name": _HOST}
            case "content_filter":
                more = {"reasons": ["violence"], "flagged_input": "...", "provider_name": _HOST}
                return 403, "Your input was flagged by moderation", more
            case "context_too_long":
                text = (
                    f"This endpoint's maximum context length is {problem.limit} tokens. "
                    f"However, you requested about {problem.requested} tokens."
                )
                return 400, text, {"error_type": "context_length_exceeded"}
            case "server":
                return problem.status, "Provider returned error", {"provider_name": _HOST}
            case _:
                return 400, problem.text, {}

    def completion(self, answer: Answer) -> dict[str, Any]:
        return super().completion(answer) | {"id": _id(answer), "provider": _HOST}

    def choice(self, answer: Answer) -> dict[str, Any]:
        return super().choice(answer) | {"native_finish_reason": answer.finish}

    def usage(self, answer: Answer) -> dict[str, Any]:
        return answer.usage | {"cost": 0}

    def tool_call(self, call: ToolCall, index: int) -> dict[str, Any]:
        return {"index": index} | super().tool_call(call, index)

    def calling(self, answer: Answer, call: ToolCall, index: int) -> Iterator[Frame]:
        # Piece by piece, as the models behind it write their calls.
        begun = self.tool_call(replace(call, arguments=""), index)
        yield sse(self.chunk(answer, {"tool_calls": [begun]}), call.tokens)
        for piece in split(call.arguments):
            delta = {"index": index, "type": "function", "function": {"arguments": piece}}
            yield sse(self.chunk(answer, {"tool_calls": [delta]}))

    def closing(self, answer: Answer, asked_usage: bool) -> Iterator[Frame]:
        yield sse(self.chunk(answer, {"role": "assistant", "content": ""}, answer.finish), final=True)
        # Asked or not, the last chunk carries the usage, and its choices are not empty.
        last = self.chunk(answer, {"role": "assistant", "content": ""})
        yield sse(last | {"usage": self.usage(answer)}, final=True)

    def chunk(self, answer: Answer, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        whole = super().chunk(answer, delta, finish) | {"id": _id(answer), "provider": _HOST}
        whole["choices"][0]["native_finish_reason"] = finish
        return whole

    def failing_event(self, answer: Answer) -> Frame:
        error = {"code": 502, "message": "Provider disconnected unexpectedly"}
        return sse(self.chunk(answer, {"content": ""}, "error") | {"error": error}, final=True)

    def listing(self, models: Sequence[Model]) -> dict[str, Any]:
        return {"data": [self.listed(model) for model in models]}

    def listed(self, model: Model) -> dict[str, Any]:
        return {
            "id": model.id,
            "name": model.id,
            "created": 1_780_000_000,
            "context_length": model.context,
            "architecture": {"input_modalities": ["text"], "output_modalities": ["text"]},
            "pricing": {"prompt": "0", "completion": "0"},
            "top_provider": {"context_length": model.context, "max_completion_tokens": model.max_output},
            "supported_parameters": ["max_tokens", "response_format", "stop", "temperature", "tools"],
        }

    def other(self, request: Request, models: Sequence[Model]) -> Any | None:
        if request.path != f"{self.base_path}/key":
            return None
        return {
            "data": {
                "label": "demo",
                "usage": 0,
                "usage_daily": 0,
                "usage_weekly": 0,
                "usage_monthly": 0,
                "limit": None,
                "limit_remaining": None,
                "is_free_tier": True,
            }
        }


def _id(answer: Answer) -> str:
    return "gen-" + answer.id.removeprefix("chatcmpl-")


def _limit_headers(problem: Problem, meter: Meter) -> dict[str, str]:
    assert problem.refusal is not None
    return {
        "X-RateLimit-Limit": str(problem.refusal.rule.amount),
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": str(round((meter.now.wall + problem.wait) * 1000)),
    }
