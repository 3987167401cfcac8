"""Gemini's bytes on its OpenAI route: no rate headers, errors in an array, streams of its own making."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from freeroute.upstreams.simulated.limits import Meter, Metric, Per, Refusal
from freeroute.upstreams.simulated.pace import Frame
from freeroute.upstreams.simulated.shapes import DONE, Dialect, Problem, side_by_side, sse
from freeroute.upstreams.simulated.text import Answer, ToolCall

_KNOWN = frozenset(
    "model messages stream stream_options max_tokens max_completion_tokens n temperature top_p stop tools"
    " tool_choice parallel_tool_calls response_format reasoning_effort extra_body modalities user".split()
)
_PENALTIES = ("frequency_penalty", "presence_penalty")
_FOREIGN_KEYWORDS = ("$schema", "$ref", "additionalProperties")
_TYPE = "type.googleapis.com/google.rpc."
_STATUS = {
    400: "INVALID_ARGUMENT",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_QUOTA: dict[tuple[Metric, Per], str] = {
    ("requests", "minute"): "GenerateRequestsPerMinutePerProjectPerModel-FreeTier",
    ("requests", "day"): "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
    ("input_tokens", "minute"): "GenerateContentInputTokensPerModelPerMinute-FreeTier",
    ("input_tokens", "day"): "GenerateContentInputTokensPerModelPerDay-FreeTier",
}


class Gemini(Dialect):
    """Google AI Studio, a project without billing."""

    id = "gemini"
    origins = ("https://generativelanguage.googleapis.com",)
    base_path = "/v1beta/openai"
    counts_failures: ClassVar[bool] = True
    filters_by_error: ClassVar[bool] = False

    def invalid(self, body: Mapping[str, Any]) -> Problem | None:
        for name in body:
            if name in _PENALTIES:
                return Problem("bad_param", param=name, text="Penalty is not enabled for this model")
            if name not in _KNOWN:
                return _unknown(name)
        for index, tool in enumerate(body.get("tools") or ()):
            foreign = _foreign(tool.get("function", {}).get("parameters"))
            if foreign:
                return _unknown(foreign, f" at 'tools[{index}].function_declarations[0].parameters'")
        return _unsigned(body)

    def error(self, problem: Problem, meter: Meter | None = None) -> tuple[int, Any]:
        status, text, details = self._words(problem)
        error: dict[str, Any] = {"code": status, "message": text, "status": _STATUS.get(status, "UNKNOWN")}
        # This route wraps the error object in an array, unlike the native one.
        return status, [{"error": error | ({"details": details} if details else {})}]

    def _words(self, problem: Problem) -> tuple[int, str, list[Any]]:
        match problem.kind:
            case "bad_key" | "no_key":
                info = {"reason": "API_KEY_INVALID", "domain": "googleapis.com"}
                text = "API key not valid. Please pass a valid API key."
                return 400, text, [{"@type": _TYPE + "ErrorInfo"} | info]
            case "payment":
                return 402, "Billing is not enabled for this project.", []
            case "forbidden":
                return 403, "Your project has been denied access.", []
            case "model_gone":
                return 404, f"models/{problem.model} is not found for API version v1main", []
            case "no_path":
                return 404, "Requested entity was not found.", []
            case "bad_param" | "malformed" | "content_filter":
                return 400, problem.text or "The prompt was blocked.", []
            case "quota" | "too_large":
                assert problem.refusal is not None
                return self._exhausted(problem, problem.refusal)
            case "capacity":
                return 503, "The model is overloaded. Please try again later.", []
            case "context_too_long":
                text = (
                    f"The input token count ({problem.requested}) exceeds the maximum number of tokens "
                    f"allowed ({problem.limit})."
                )
                return 400, text, []
            case "server":
                return problem.status, "An internal error has occurred.", []

    def _exhausted(self, problem: Problem, refusal: Refusal) -> tuple[int, str, list[Any]]:
        rule = refusal.rule
        kind = "requests" if rule.metric == "requests" else "input_token_count"
        metric = f"generativelanguage.googleapis.com/generate_content_free_tier_{kind}"
        # The delay never looks beyond a minute, even when the day is spent: believe only the quota's id.
        delay = max(1, math.ceil(problem.wait if rule.per == "minute" else problem.wait % 60))
        violation = {
            "quotaMetric": metric,
            "quotaId": _QUOTA.get((rule.metric, rule.per), _QUOTA["requests", "minute"]),
            "quotaDimensions": {"location": "global", "model": problem.model},
            "quotaValue": str(rule.amount),
        }
        text = (
            "You exceeded your current quota, please check your plan and billing details. "
            f"\n* Quota exceeded for metric: {metric}, limit: {rule.amount}, model: {problem.model}"
            f"\nPlease retry in {delay}s."
        )
        details = [
            {"@type": _TYPE + "QuotaFailure", "violations": [violation]},
            {"@type": _TYPE + "RetryInfo", "retryDelay": f"{delay}s"},
        ]
        return 429, text, details

    def tool_call(self, call: ToolCall, index: int) -> dict[str, Any]:
        plain = super().tool_call(call, index)
        # Only the first of parallel calls is signed.
        signed = {"extra_content": {"google": {"thought_signature": f"sig-{call.id}"}}}
        return plain | (signed if index == 0 else {})

    def frames(self, answer: Answer, asked_usage: bool) -> Iterator[Frame]:
        made = 0
        for answering, delta, tokens in side_by_side([self._deltas(one) for one in answer.choices]):
            made += tokens
            yield self._event(answering, {"role": "assistant"} | delta, made, tokens)
        for one in answer.choices:
            # A stream says stop even after a tool call.
            finish = "stop" if one.finish == "tool_calls" else one.finish
            yield self._event(one, {"role": "assistant"}, made, 0, finish)
        yield DONE

    def _deltas(self, answer: Answer) -> Iterator[tuple[Answer, dict[str, Any], int]]:
        """Yield what one choice says, piece by piece, with the tokens made for each."""
        for piece in answer.pieces:
            yield answer, {"content": piece}, 1
        for index, call in enumerate(answer.tool_calls):
            yield answer, {"tool_calls": [self.tool_call(call, index)]}, call.tokens
        if answer.pieces:
            # A delta of its own that holds nothing but metadata.
            signature = {"google": {"thought_signature": f"sig-{answer.id[-12:]}"}}
            yield answer, {"extra_content": signature}, 0

    def _event(
        self, answer: Answer, delta: dict[str, Any], made: int, tokens: int, finish: str | None = None
    ) -> Frame:
        usage = {
            "completion_tokens": made,
            "prompt_tokens": answer.prompt_tokens,
            "total_tokens": made + answer.prompt_tokens,
        }
        return sse(self.chunk(answer, delta, finish) | {"usage": usage}, tokens, final=finish is not None)

    def chunk(self, answer: Answer, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice: dict[str, Any] = {"delta": delta, "index": answer.index}
        return {
            "choices": [choice | ({"finish_reason": finish} if finish else {})],
            "created": answer.created,
            "id": answer.id.removeprefix("chatcmpl-"),
            "model": answer.model,
            "object": "chat.completion.chunk",
        }

    def listed(self, model: Any) -> dict[str, Any]:
        return {"id": f"models/{model.id}", "object": "model", "owned_by": "google", "display_name": model.id}


def _unknown(name: str, where: str = "") -> Problem:
    text = f'Invalid JSON payload received. Unknown name "{name}"{where}: Cannot find field.'
    return Problem("bad_param", param=name, text=text)


def _foreign(schema: Any) -> str | None:
    """Return a keyword of JSON Schema that Gemini's subset lacks."""
    if isinstance(schema, list):
        return next((found for found in map(_foreign, schema) if found), None)
    if not isinstance(schema, dict):
        return None
    here = next((name for name in _FOREIGN_KEYWORDS if name in schema), None)
    return here or next((found for found in map(_foreign, schema.values()) if found), None)


def _unsigned(body: Mapping[str, Any]) -> Problem | None:
    """Gemini 3 wants the signature of this turn's tool calls back."""
    if not str(body.get("model")).removeprefix("models/").startswith("gemini-3"):
        return None
    for message in reversed(body["messages"]):
        if message.get("role") == "user":
            return None
        calls = message.get("tool_calls")
        google = (calls[0].get("extra_content") or {}).get("google") if calls else None
        if calls and not (google or {}).get("thought_signature"):
            text = "Function call is missing a thought_signature in functionCall parts."
            return Problem("bad_param", param="messages", text=text)
    return None
