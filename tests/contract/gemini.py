"""A speaker of Gemini's API."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from tests.contract.speaking import Called, Function, Heard, Posted, Question, Turn, server_sent

_FINISHES = {"STOP": "stop", "MAX_TOKENS": "length", "SAFETY": "content_filter"}


class Gemini:
    """Speaks as Google's SDKs do."""

    name = "gemini"
    cannot: frozenset[str] = frozenset()

    def post(self, question: Question) -> Posted:
        """Return *question* as a request to generate."""
        config: dict[str, Any] = {
            "maxOutputTokens": question.limit,
            "thinkingConfig": {"includeThoughts": True},
        }
        if question.stop:
            config["stopSequences"] = list(question.stop)
        if question.temperature is not None:
            config["temperature"] = question.temperature
        if question.answer_schema is not None:
            shaped = _in_googles_dialect(question.answer_schema)
            config |= {"responseMimeType": "application/json", "responseSchema": shaped}
        body: dict[str, Any] = {"contents": _contents(question), "generationConfig": config}
        if question.system:
            body["systemInstruction"] = {"parts": [{"text": question.system}]}
        if question.tools:
            body["tools"] = [{"functionDeclarations": [_declared(tool) for tool in question.tools]}]
        if question.must_call:
            body["toolConfig"] = {"functionCallingConfig": {"mode": "ANY"}}
        verb = "streamGenerateContent?alt=sse" if question.stream else "generateContent"
        path = f"/v1beta/models/{quote(question.model)}:{verb}"
        return Posted(path, msgspec.json.encode(body | question.more))

    def key(self, key: str) -> dict[str, str]:
        """Return Google's own header."""
        return {"x-goog-api-key": key}

    def hear(self, status: int, headers: Mapping[str, str], body: bytes, *, stream: bool) -> Heard:
        """Return what an answer, or its events, say."""
        if status != 200:
            assert headers["content-type"] == "application/json"
            error = json.loads(body)["error"]
            assert error["code"] == status
            return Heard(error=error["message"], kind=error["status"])
        if not stream:
            return _heard([json.loads(body)])
        assert headers["content-type"].startswith("text/event-stream")
        return _heard([json.loads(data) for _, data in server_sent(body)])


def _heard(events: list[Any]) -> Heard:
    heard = Heard(ended="error" in events[-1] or "finishReason" in events[-1]["candidates"][0])
    for event in events:
        if error := event.get("error"):
            heard.error, heard.kind = error["message"], error["status"]
            continue
        [candidate] = event["candidates"]
        assert candidate["content"]["role"] == "model"
        for part in candidate["content"]["parts"]:
            _take(heard, part)
        if finish := candidate.get("finishReason"):
            usage = event["usageMetadata"]
            heard.prompt = usage["promptTokenCount"]
            heard.completion = usage["candidatesTokenCount"] + usage.get("thoughtsTokenCount", 0)
            # Gemini has no word for an answer that ends with a call.
            heard.finish = "tool_calls" if finish == "STOP" and heard.calls else _FINISHES[finish]
    return heard


def _take(heard: Heard, part: Any) -> None:
    if call := part.get("functionCall"):
        heard.calls.append(Called(call["name"], call["args"], call["id"]))
    elif part.get("thought"):
        heard.reasoning += part["text"]
    elif part["text"]:
        heard.pieces.append(part["text"])


def _contents(question: Question) -> list[dict[str, Any]]:
    before = [content for turn in question.before for content in _said(turn)]
    parts: list[dict[str, Any]] = [{"text": question.text}] if question.text else []
    if question.image is not None:
        parts.append({"inlineData": {"mimeType": "image/png", "data": question.image}})
    return [*before, *([{"role": "user", "parts": parts}] if parts else [])]


def _said(turn: Turn) -> list[dict[str, Any]]:
    if turn.called is None:
        role = "model" if turn.role == "assistant" else "user"
        return [{"role": role, "parts": [{"text": turn.text}]}]
    called = turn.called
    call = {"functionCall": {"name": called.name, "args": called.arguments}, "thoughtSignature": "c2lnbmVk"}
    given = {"functionResponse": {"name": called.name, "response": {"result": called.result}}}
    return [{"role": "model", "parts": [call]}, {"role": "user", "parts": [given]}]


def _declared(function: Function) -> dict[str, Any]:
    return {"name": function.name, "parameters": _in_googles_dialect(function.parameters)}


def _in_googles_dialect(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    return {
        name: value.upper()
        if name == "type"
        else {key: _in_googles_dialect(inner) for key, inner in value.items()}
        if name == "properties"
        else value
        for name, value in schema.items()
    }
