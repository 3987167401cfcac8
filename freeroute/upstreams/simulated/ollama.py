"""Ollama's bytes: no key, no limits but its slots, and prompts that are cut without a word."""

from collections.abc import Sequence
from typing import Any, ClassVar

from freeroute.upstreams.simulated.limits import Meter
from freeroute.upstreams.simulated.pace import Frame
from freeroute.upstreams.simulated.shapes import Dialect, Model, Problem, Request
from freeroute.upstreams.simulated.text import Answer

VERSION = "0.23.1"
_TYPES = {400: "invalid_request_error", 404: "not_found_error"}


class Ollama(Dialect):
    """A local Ollama with its /v1 route."""

    id = "ollama"
    origins = ("http://localhost:11434", "http://127.0.0.1:11434")
    base_path = "/v1"
    keyless: ClassVar[bool] = True
    filters_by_error: ClassVar[bool] = False
    obeys_tool_choice: ClassVar[bool] = False
    heeds_n: ClassVar[bool] = False
    output_fields = ("max_tokens",)
    parallel = 1
    queue = 512

    def prompt_counted(self, tokens: int, model: Model) -> int:
        # The oldest messages are dropped silently; the count tells of what was kept.
        return min(tokens, model.context)

    def error(self, problem: Problem, meter: Meter | None = None) -> tuple[int, Any]:
        status, text = self._words(problem)
        kind = _TYPES.get(status, "api_error")
        return status, {"error": {"message": text, "type": kind, "param": None, "code": None}}

    def _words(self, problem: Problem) -> tuple[int, str]:
        match problem.kind:
            case "bad_key" | "no_key":
                return 401, "unauthorized"
            case "payment":
                return 402, "payment required"
            case "forbidden":
                return 403, "access to this model is not allowed"
            case "model_gone":
                return 404, f"model '{problem.model}' not found"
            case "no_path":
                return 404, "page not found"
            case "quota" | "too_large":
                return 429, "too many requests"
            case "capacity":
                return 503, "server busy, please try again. maximum pending requests exceeded"
            case "context_too_long":
                return 400, "the input length exceeds the context length"
            case "server":
                return problem.status, "llama runner process has terminated"
            case _:
                return 400, problem.text or "invalid request"

    def failing_event(self, answer: Answer) -> Frame:
        # Mid-stream errors come as a bare JSON line, without the event framing.
        line = b'{"error":{"message":"llama runner process has terminated","type":"api_error"}}\n'
        return Frame(line, final=True)

    def chunk(self, answer: Answer, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return super().chunk(answer, delta, finish) | {"system_fingerprint": "fp_ollama"}

    def listed(self, model: Model) -> dict[str, Any]:
        return super().listed(model) | {"owned_by": "library"}

    def other(self, request: Request, models: Sequence[Model]) -> Any | None:
        match request.path:
            case "/api/version":
                return {"version": VERSION}
            case "/api/tags":
                return {"models": [_tag(model) for model in models]}
            case "/api/ps":
                return {"models": [_tag(model) | {"context_length": model.context} for model in models]}
            case _:
                return None


def _tag(model: Model) -> dict[str, Any]:
    family, _, size = model.id.partition(":")
    details = {"format": "gguf", "family": family, "parameter_size": size.upper()}
    return {
        "name": model.id,
        "model": model.id,
        "modified_at": "2026-09-01T12:00:00Z",
        "size": 2_019_393_189,
        "digest": "0" * 64,
        "details": details,
        "capabilities": ["completion", "tools"],
    }
