"""A speaker of OpenAI's chat completions."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from tests.contract.speaking import Called, Function, Heard, Posted, Question, Turn, server_sent


class OpenAi:
    """Speaks as OpenAI's clients do."""

    name = "openai"
    cannot: frozenset[str] = frozenset()

    def post(self, question: Question) -> Posted:
        """Return *question* as a chat completion."""
        body: dict[str, Any] = {
            "model": question.model,
            "messages": _messages(question),
            "max_tokens": question.limit,
        }
        if question.stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        if question.tools:
            body["tools"] = [_tool(function) for function in question.tools]
        if question.must_call:
            body["tool_choice"] = "required"
        if question.stop:
            body["stop"] = list(question.stop)
        if question.temperature is not None:
            body["temperature"] = question.temperature
        if question.answer_schema is not None:
            named = {"name": "answer", "schema": question.answer_schema}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        return Posted("/v1/chat/completions", msgspec.json.encode(body | question.more))

    def key(self, key: str) -> dict[str, str]:
        """Return the header of a bearer."""
        return {"authorization": f"Bearer {key}"}

    def hear(self, status: int, headers: Mapping[str, str], body: bytes, *, stream: bool) -> Heard:
        """Return what a completion, or its chunks, say."""
        if status != 200:
            assert headers["content-type"] == "application/json"
            error = json.loads(body)["error"]
            return Heard(error=error["message"], kind=error["code"])
        if not stream:
            return _whole(json.loads(body))
        assert headers["content-type"].startswith("text/event-stream")
        return _streamed([data for _, data in server_sent(body)])


def _messages(question: Question) -> list[dict[str, Any]]:
    system = [{"role": "system", "content": question.system}] if question.system else []
    before = [message for turn in question.before for message in _said(turn)]
    content: Any = question.text
    if question.image is not None:
        url = {"url": f"data:image/png;base64,{question.image}"}
        content = [{"type": "text", "text": question.text}, {"type": "image_url", "image_url": url}]
    last = [{"role": "user", "content": content}] if question.text else []
    return [*system, *before, *last]


def _said(turn: Turn) -> list[dict[str, Any]]:
    if turn.called is None:
        return [{"role": turn.role, "content": turn.text}]
    called = turn.called
    function = {"name": called.name, "arguments": json.dumps(called.arguments)}
    call = {"id": called.id, "type": "function", "function": function}
    asked = {"role": "assistant", "content": turn.text or None, "tool_calls": [call]}
    given = {"role": "tool", "tool_call_id": called.id, "content": called.result}
    return [asked, given]


def _tool(function: Function) -> dict[str, Any]:
    return {"type": "function", "function": {"name": function.name, "parameters": function.parameters}}


def _whole(answer: Any) -> Heard:
    [choice] = answer["choices"]
    message = choice["message"]
    return Heard(
        pieces=[message["content"]] if message.get("content") else [],
        calls=[_called(call) for call in message.get("tool_calls") or ()],
        reasoning=message.get("reasoning_content") or "",
        finish=choice["finish_reason"],
        prompt=answer["usage"]["prompt_tokens"],
        completion=answer["usage"]["completion_tokens"],
    )


def _called(call: Any) -> Called:
    function = call["function"]
    return Called(function["name"], json.loads(function["arguments"] or "{}"), call["id"])


def _streamed(data: list[str]) -> Heard:
    heard = Heard(ended=data[-1:] == ["[DONE]"])
    calls: dict[int, Any] = {}
    for event in (json.loads(one) for one in data if one != "[DONE]"):
        if error := event.get("error"):
            heard.error, heard.kind = error["message"], error["code"]
        if usage := event.get("usage"):
            heard.prompt, heard.completion = usage["prompt_tokens"], usage["completion_tokens"]
        for choice in event.get("choices", ()):
            delta = choice["delta"]
            if delta.get("content"):
                heard.pieces.append(delta["content"])
            heard.reasoning += delta.get("reasoning_content") or ""
            heard.finish = choice["finish_reason"] or heard.finish
            for call in delta.get("tool_calls") or ():
                known = calls.setdefault(call["index"], {"id": "", "function": {"name": "", "arguments": ""}})
                known["id"] = call.get("id") or known["id"]
                for name in ("name", "arguments"):
                    known["function"][name] += call["function"].get(name) or ""
    heard.calls = [_called(call) for call in calls.values()]
    return heard
