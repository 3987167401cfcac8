"""A speaker of Anthropic's messages."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from tests.contract.speaking import Called, Function, Heard, Posted, Question, Turn, server_sent

FINISHES = {"end_turn": "stop", "max_tokens": "length", "tool_use": "tool_calls", "refusal": "content_filter"}


class Anthropic:
    """Speaks as Anthropic's clients do."""

    name = "anthropic"
    cannot: frozenset[str] = frozenset()

    def post(self, question: Question) -> Posted:
        """Return *question* as a message."""
        body: dict[str, Any] = {
            "model": question.model,
            "messages": _messages(question),
            "max_tokens": question.limit,
            "stream": question.stream,
        }
        if question.system is not None:
            body["system"] = [
                {"type": "text", "text": question.system, "cache_control": {"type": "ephemeral"}}
            ]
        if question.tools:
            body["tools"] = [_tool(function) for function in question.tools]
        if question.must_call:
            body["tool_choice"] = {"type": "any"}
        if question.stop:
            body["stop_sequences"] = list(question.stop)
        if question.temperature is not None:
            body["temperature"] = question.temperature
        if question.answer_schema is not None:
            form = {"type": "json_schema", "schema": question.answer_schema}
            body["output_config"] = {"format": form}
        headers = {"anthropic-version": "2023-06-01"}
        return Posted("/v1/messages", msgspec.json.encode(body | question.more), headers)

    def key(self, key: str) -> dict[str, str]:
        """Return the header of Anthropic's keys."""
        return {"x-api-key": key}

    def hear(self, status: int, headers: Mapping[str, str], body: bytes, *, stream: bool) -> Heard:
        """Return what a message, or its events, say."""
        assert headers["request-id"] == headers["x-request-id"]
        if status != 200:
            assert headers["content-type"] == "application/json"
            told = json.loads(body)
            assert (told["type"], told["request_id"]) == ("error", headers["request-id"])
            return Heard(error=told["error"]["message"], kind=told["error"]["type"])
        if not stream:
            return _whole(json.loads(body))
        assert headers["content-type"].startswith("text/event-stream")
        return _streamed(server_sent(body))


def _messages(question: Question) -> list[dict[str, Any]]:
    before = [message for turn in question.before for message in _said(turn)]
    content: Any = question.text
    if question.image is not None:
        source = {"type": "base64", "media_type": "image/png", "data": question.image}
        content = [{"type": "text", "text": question.text}, {"type": "image", "source": source}]
    last = [{"role": "user", "content": content}] if question.text else []
    return [*before, *last]


def _said(turn: Turn) -> list[dict[str, Any]]:
    if turn.called is None:
        return [{"role": turn.role, "content": turn.text}]
    called = turn.called
    text = [{"type": "text", "text": turn.text}] if turn.text else []
    call = {"type": "tool_use", "id": called.id, "name": called.name, "input": called.arguments}
    given = {"type": "tool_result", "tool_use_id": called.id, "content": called.result}
    return [{"role": "assistant", "content": [*text, call]}, {"role": "user", "content": [given]}]


def _tool(function: Function) -> dict[str, Any]:
    return {"name": function.name, "input_schema": function.parameters}


def _whole(message: Any) -> Heard:
    assert (message["type"], message["role"]) == ("message", "assistant")
    blocks = message["content"]
    usage = message["usage"]
    return Heard(
        pieces=[block["text"] for block in blocks if block["type"] == "text"],
        calls=[
            Called(block["name"], block["input"], block["id"])
            for block in blocks
            if block["type"] == "tool_use"
        ],
        reasoning="".join(block["thinking"] for block in blocks if block["type"] == "thinking"),
        finish=FINISHES[message["stop_reason"]],
        prompt=usage["input_tokens"] + usage["cache_read_input_tokens"],
        completion=usage["output_tokens"],
    )


def _streamed(events: list[tuple[str | None, str]]) -> Heard:
    """Follow the events as Anthropic's SDKs do: one block after the other, each begun and ended."""
    heard = Heard(ended=False)
    message: Any = None
    is_open = False
    for name, data in events:
        told = json.loads(data)
        assert told["type"] == name
        assert not heard.ended, "something follows the end"
        match name:
            case "message_start":
                message = told["message"]
            case "content_block_start":
                assert (is_open, told["index"]) == (False, len(message["content"]))
                message["content"].append(told["content_block"] | {"json": ""})
                is_open = True
            case "content_block_delta":
                assert (is_open, told["index"]) == (True, len(message["content"]) - 1)
                _grow(message["content"][-1], told["delta"], heard)
            case "content_block_stop":
                assert (is_open, told["index"]) == (True, len(message["content"]) - 1)
                is_open = False
            case "message_delta":
                assert not is_open
                message |= told["delta"]
                message["usage"] |= told["usage"]
            case "message_stop":
                heard.ended = True
            case "error":
                heard.error, heard.kind, heard.ended = told["error"]["message"], told["error"]["type"], True
            case _:
                assert name == "ping"
    if message is not None and message["stop_reason"]:
        whole = _whole(message)
        heard.calls, heard.reasoning, heard.finish = whole.calls, whole.reasoning, whole.finish
        heard.prompt, heard.completion = whole.prompt, whole.completion
        assert heard.pieces == [] or "".join(heard.pieces) == "".join(whole.pieces)
    return heard


def _grow(block: Any, delta: Any, heard: Heard) -> None:
    match delta["type"]:
        case "text_delta":
            block["text"] += delta["text"]
            heard.pieces.append(delta["text"])
        case "thinking_delta":
            block["thinking"] += delta["thinking"]
        case "signature_delta":
            block["signature"] = delta["signature"]
        case kind:
            assert kind == "input_json_delta"
            block["json"] += delta["partial_json"]
            block["input"] = _parsed(block["json"])


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return {}
