"""A speaker of OpenAI's Responses API."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from tests.contract.speaking import Called, Function, Heard, Posted, Question, Turn, server_sent

_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
_INCOMPLETE = {"max_output_tokens": "length", "content_filter": "content_filter"}


class Responses:
    """Speaks as OpenAI's clients do, and holds every event to the types of OpenAI's own package."""

    name = "responses"
    cannot = frozenset({"stop"})

    def post(self, question: Question) -> Posted:
        """Return *question* as a response to be made."""
        body: dict[str, Any] = {
            "model": question.model,
            "input": _items(question),
            "max_output_tokens": question.limit,
        }
        if question.system is not None:
            body["instructions"] = question.system
        if question.stream:
            body["stream"] = True
        if question.tools:
            body["tools"] = [_tool(function) for function in question.tools]
        if question.must_call:
            body["tool_choice"] = "required"
        if question.temperature is not None:
            body["temperature"] = question.temperature
        if question.answer_schema is not None:
            body["text"] = {
                "format": {"type": "json_schema", "name": "answer", "schema": question.answer_schema}
            }
        return Posted("/v1/responses", msgspec.json.encode(body | question.more))

    def key(self, key: str) -> dict[str, str]:
        """Return the header of a bearer."""
        return {"authorization": f"Bearer {key}"}

    def hear(self, status: int, headers: Mapping[str, str], body: bytes, *, stream: bool) -> Heard:
        """Return what a response, or its events, say."""
        if status != 200:
            assert headers["content-type"] == "application/json"
            error = json.loads(body)["error"]
            return Heard(error=error["message"], kind=error["code"])
        if not stream:
            return whole(json.loads(body))
        assert headers["content-type"].startswith("text/event-stream")
        return streamed(server_sent(body))


def _items(question: Question) -> Any:
    before = [item for turn in question.before for item in _said(turn)]
    if not before and question.image is None:
        return question.text
    parts: list[dict[str, Any]] = [{"type": "input_text", "text": question.text}]
    if question.image is not None:
        parts.append({"type": "input_image", "image_url": f"data:image/png;base64,{question.image}"})
    last = [{"role": "user", "content": parts}] if question.text else []
    return [*before, *last]


def _said(turn: Turn) -> list[dict[str, Any]]:
    kind = "output_text" if turn.role == "assistant" else "input_text"
    said = [{"type": "message", "role": turn.role, "content": [{"type": kind, "text": turn.text}]}]
    if turn.called is None:
        return said
    called = turn.called
    call = {"type": "function_call", "call_id": called.id, "name": called.name}
    given = {"type": "function_call_output", "call_id": called.id, "output": called.result}
    return [*(said if turn.text else []), {**call, "arguments": json.dumps(called.arguments)}, given]


def _tool(function: Function) -> dict[str, Any]:
    return {"type": "function", "name": function.name, "parameters": function.parameters}


def whole(told: Any) -> Heard:
    """Return what a whole response says."""
    Response.model_validate(told, strict=True)
    heard = Heard()
    _note(heard, told)
    texts = [part["text"] for item in _of(told, "message") for part in item["content"] if "text" in part]
    heard.pieces = texts
    for item in _of(told, "reasoning"):
        heard.reasoning += "".join(part["text"] for part in [*item["summary"], *item.get("content", ())])
    return heard


def _of(response: Any, kind: str) -> list[Any]:
    return [item for item in response["output"] if item["type"] == kind]


def _note(heard: Heard, response: Any) -> None:
    """Note what the whole *response* says besides its text."""
    heard.calls = [
        Called(item["name"], json.loads(item["arguments"]), item["call_id"])
        for item in _of(response, "function_call")
    ]
    reason = (response["incomplete_details"] or {}).get("reason")
    heard.finish = _INCOMPLETE[reason] if reason else "tool_calls" if heard.calls else "stop"
    assert response["status"] == ("incomplete" if reason else "completed")
    heard.prompt = response["usage"]["input_tokens"]
    heard.completion = response["usage"]["output_tokens"]
    assert response["usage"]["total_tokens"] == heard.prompt + heard.completion


def streamed(events: list[tuple[str | None, str]]) -> Heard:
    """Return what events say; fails where they are not those that OpenAI's package knows, in their order."""
    heard = Heard(ended=False)
    items: dict[int, Any] = {}
    texts: dict[tuple[str, int], str] = {}
    for number, (name, data) in enumerate(events):
        event = json.loads(data)
        _EVENT.validate_python(event, strict=True)
        assert (event["type"], event["sequence_number"]) == (name, number)
        assert not heard.ended, "an event after the last"
        if number == 0:
            assert name == "response.created"
        match name.removeprefix("response."):  # type: ignore[union-attr]
            case "error":
                heard.error, heard.kind = event["message"], event["code"]
            case "completed" | "incomplete":
                heard.ended = True
                assert [items[at] for at in sorted(items)] == event["response"]["output"]
                _note(heard, event["response"])
            case "failed":
                heard.ended = True
                assert event["response"]["error"]["message"] == heard.error
            case "output_item.added":
                assert event["output_index"] == len(items)
                items[event["output_index"]] = event["item"]
            case "output_item.done":
                assert items[event["output_index"]]["id"] == event["item"]["id"]
                items[event["output_index"]] = event["item"]
            case kind if kind.endswith(".delta"):
                assert items[event["output_index"]]["id"] == event["item_id"]
                place = (kind.removesuffix(".delta"), event["output_index"])
                texts[place] = texts.get(place, "") + event["delta"]
                _hear_delta(heard, kind, event["delta"])
            case kind if kind.endswith(("text.done", "arguments.done", "input.done", "refusal.done")):
                whole_ = event.get("text", event.get("arguments", event.get("input", event.get("refusal"))))
                assert texts.get((kind.removesuffix(".done"), event["output_index"]), "") == whole_
    return heard


def _hear_delta(heard: Heard, kind: str, delta: str) -> None:
    if kind.startswith("output_text"):
        heard.pieces.append(delta)
    elif kind.startswith("reasoning"):
        heard.reasoning += delta
