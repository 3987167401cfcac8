"""Ollama's bytes: no key, no limits but its slots, models that load, and prompts that are cut without a word.

Its own API is beside ``/v1``: a JSON value a line, a context for each call, and no cut where none is wanted.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from freeroute.upstreams.simulated.limits import Meter
from freeroute.upstreams.simulated.pace import Frame
from freeroute.upstreams.simulated.shapes import Dialect, Model, Problem, Request
from freeroute.upstreams.simulated.text import Answer, ToolCall

VERSION = "0.23.1"
# What the simulated models were made for, in tokens.
LONGEST = 131_072
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

    # How long a model takes to load, in seconds.
    loading = 0.0

    def __init__(self) -> None:
        """Begin with nothing loaded."""
        self.loaded: dict[str, int] = {}
        self.loads = 0

    def at(self, path: str) -> Dialect | None:
        return _Native(self) if path == "/api/chat" else super().at(path)

    def context(self, body: Mapping[str, Any], model: Model) -> int:
        asked = body.get("num_ctx") or self.loaded.get(model.id, model.context)
        return min(asked, LONGEST)

    def load(self, body: Mapping[str, Any], model: Model) -> float:
        wanted = self.context(body, model)
        if self.loaded.get(model.id) == wanted:
            return 0.0
        self.loaded[model.id] = wanted
        self.loads += 1
        return self.loading

    def prompt_counted(self, tokens: int, body: Mapping[str, Any], room: int) -> int:
        # The oldest messages are dropped silently; the count tells of what was kept.
        return min(tokens, room)

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
                running = [model for model in models if model.id in self.loaded]
                return {"models": [_tag(one) | {"context_length": self.loaded[one.id]} for one in running]}
            case _:
                return None


class _Native(Ollama):
    """The same server, spoken to in its own way."""

    stream_type = "application/x-ndjson"
    obeys_tool_choice: ClassVar[bool] = False

    def __init__(self, server: Ollama) -> None:
        """Speak for *server*."""
        self._server = server
        self.loaded = server.loaded

    def load(self, body: Mapping[str, Any], model: Model) -> float:
        return self._server.load(body, model)

    def read(self, body: dict[str, Any]) -> dict[str, Any]:
        options = body.get("options") or {}
        form = body.get("format")
        schema = {"type": "json_schema", "json_schema": {"schema": form}}
        read = {
            "model": body["model"],
            "messages": [_openai_message(message) for message in body["messages"]],
            "stream": body.get("stream", True),
            "tools": body.get("tools"),
            "truncate": body.get("truncate", True),
            "num_ctx": options.get("num_ctx"),
            "max_tokens": options.get("num_predict"),
            "stop": options.get("stop"),
            "seed": options.get("seed"),
            "response_format": {"type": "json_object"} if form == "json" else schema if form else None,
        }
        return {name: value for name, value in read.items() if value is not None}

    def prompt_counted(self, tokens: int, body: Mapping[str, Any], room: int) -> int:
        return min(tokens, room) if body["truncate"] else tokens

    def error(self, problem: Problem, meter: Meter | None = None) -> tuple[int, Any]:
        status, text = self._words(problem)
        if problem.kind == "context_too_long":
            text = msgspec.json.encode(_overflow(problem)).decode()
        return status, {"error": text}

    def completion(self, answer: Answer) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": answer.text}
        if answer.tool_calls:
            message["tool_calls"] = [self.tool_call(call, 0) for call in answer.tool_calls]
        return self._line(answer, message) | self._done(answer)

    def hollow(self, answer: Answer) -> dict[str, Any]:
        return {"model": answer.model}

    def tool_call(self, call: ToolCall, index: int) -> dict[str, Any]:
        arguments = msgspec.json.decode(call.arguments)
        return {"function": {"index": index, "name": call.name, "arguments": arguments}}

    def frames(self, answer: Answer, asked_usage: bool) -> Iterator[Frame]:
        for piece in answer.pieces:
            yield self._framed(self._line(answer, {"role": "assistant", "content": piece}), 1)
        for call in answer.tool_calls:
            calls = {"role": "assistant", "content": "", "tool_calls": [self.tool_call(call, 0)]}
            yield self._framed(self._line(answer, calls), call.tokens)
        last = self._line(answer, {"role": "assistant", "content": ""}) | self._done(answer)
        yield self._framed(last, final=True)

    def hollow_frames(self, answer: Answer) -> Iterator[Frame]:
        yield self._framed(self.hollow(answer))

    def failing_event(self, answer: Answer) -> Frame:
        return self._framed({"error": "llama runner process has terminated"}, final=True)

    def _framed(self, value: Any, tokens: int = 0, *, final: bool = False) -> Frame:
        return Frame(msgspec.json.encode(value) + b"\n", tokens, final)

    def _line(self, answer: Answer, message: dict[str, Any]) -> dict[str, Any]:
        made = {"model": answer.model, "created_at": "2026-09-01T12:00:00.0Z"}
        return {**made, "message": message, "done": False}

    def _done(self, answer: Answer) -> dict[str, Any]:
        return {
            "done": True,
            "done_reason": "length" if answer.finish == "length" else "stop",
            "total_duration": 1_000_000,
            "load_duration": 1000,
            "prompt_eval_count": answer.prompt_tokens,
            "eval_count": answer.completion_tokens,
        }


def _overflow(problem: Problem) -> dict[str, Any]:
    """Return the error of the runner, which Ollama passes on as a text."""
    told = f"request ({problem.requested} tokens) exceeds the available context size ({problem.limit} tokens)"
    sizes = {"n_prompt_tokens": problem.requested, "n_ctx": problem.limit}
    error = {"code": 400, "message": told, "type": "exceed_context_size_error", **sizes}
    return {"error": error}


def _openai_message(message: dict[str, Any]) -> dict[str, Any]:
    images = [{"type": "image_url", "image_url": {"url": data}} for data in message.get("images") or ()]
    if not images:
        return message
    return {**message, "content": [{"type": "text", "text": message["content"]}, *images]}


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
