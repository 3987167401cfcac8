"""A speaker of Ollama's API."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from tests.contract.speaking import Called, Function, Heard, Posted, Question, Turn


class Ollama:
    """Speaks as Ollama's clients do."""

    name = "ollama"
    # Whether a function is called is left to the model.
    cannot: frozenset[str] = frozenset({"insisting"})

    def post(self, question: Question) -> Posted:
        """Return *question* as a chat."""
        options: dict[str, Any] = {"num_predict": question.limit, "num_ctx": 8192}
        if question.stop:
            options["stop"] = list(question.stop)
        if question.temperature is not None:
            options["temperature"] = question.temperature
        body: dict[str, Any] = {
            "model": question.model,
            "messages": _messages(question),
            "options": options,
            "keep_alive": "5m",
        }
        if not question.stream:
            body["stream"] = False
        if question.tools:
            body["tools"] = [_tool(function) for function in question.tools]
        if question.answer_schema is not None:
            body["format"] = question.answer_schema
        return Posted("/api/chat", msgspec.json.encode(body | question.more))

    def key(self, key: str) -> dict[str, str]:
        """Return the header of a bearer."""
        return {"authorization": f"Bearer {key}"}

    def hear(self, status: int, headers: Mapping[str, str], body: bytes, *, stream: bool) -> Heard:
        """Return what an answer, or its lines, say."""
        if status != 200:
            assert headers["content-type"] == "application/json"
            return Heard(error=json.loads(body)["error"])
        assert headers["content-type"] == ("application/x-ndjson" if stream else "application/json")
        lines = [json.loads(line) for line in body.decode().split("\n") if line]
        assert stream or len(lines) == 1
        heard = Heard(ended="error" in lines[-1] or lines[-1]["done"])
        for line in lines:
            _take(heard, line)
        return heard


def _take(heard: Heard, line: Any) -> None:
    if "error" in line:
        heard.error = line["error"]
        return
    message = line["message"]
    assert message["role"] == "assistant"
    heard.pieces += [message["content"]] if message["content"] else []
    heard.reasoning += message.get("thinking", "")
    for call in message.get("tool_calls", ()):
        heard.calls.append(Called(call["function"]["name"], call["function"]["arguments"], call["id"]))
    if line["done"]:
        # Ollama has no word for an answer that ends with a call.
        stopped = line["done_reason"] == "stop"
        heard.finish = "tool_calls" if stopped and heard.calls else line["done_reason"]
        heard.prompt, heard.completion = line["prompt_eval_count"], line["eval_count"]


def _messages(question: Question) -> list[dict[str, Any]]:
    system = [{"role": "system", "content": question.system}] if question.system else []
    before = [message for turn in question.before for message in _said(turn)]
    images = {"images": [question.image]} if question.image is not None else {}
    last = [{"role": "user", "content": question.text, **images}] if question.text else []
    return [*system, *before, *last]


def _said(turn: Turn) -> list[dict[str, Any]]:
    if turn.called is None:
        return [{"role": turn.role, "content": turn.text}]
    called = turn.called
    function = {"name": called.name, "arguments": called.arguments}
    asked = {"role": "assistant", "content": turn.text, "tool_calls": [{"function": function}]}
    return [asked, {"role": "tool", "tool_name": called.name, "content": called.result}]


def _tool(function: Function) -> dict[str, Any]:
    return {"type": "function", "function": {"name": function.name, "parameters": function.parameters}}
