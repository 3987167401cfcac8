"""A speaker of OpenAI's older API for completions."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec
from openai.types import Completion

from tests.contract.speaking import Heard, Posted, Question, server_sent


class Completions:
    """Speaks as OpenAI's clients do, and holds every event to the types of OpenAI's own package."""

    name = "completions"
    cannot = frozenset({"system", "turns", "tools", "images", "schema", "reasoning"})

    def post(self, question: Question) -> Posted:
        """Return *question* as a text to go on with."""
        body: dict[str, Any] = {
            "model": question.model,
            "prompt": question.text,
            "max_tokens": question.limit,
        }
        if question.stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        if question.stop:
            body["stop"] = list(question.stop)
        if question.temperature is not None:
            body["temperature"] = question.temperature
        return Posted("/v1/completions", msgspec.json.encode(body | question.more))

    def key(self, key: str) -> dict[str, str]:
        """Return the header of a bearer."""
        return {"authorization": f"Bearer {key}"}

    def hear(self, status: int, headers: Mapping[str, str], body: bytes, *, stream: bool) -> Heard:
        """Return what a completion, or its events, say."""
        if status != 200:
            assert headers["content-type"] == "application/json"
            error = json.loads(body)["error"]
            return Heard(error=error["message"], kind=error["code"])
        if not stream:
            heard = Heard()
            _note(heard, json.loads(body))
            return heard
        assert headers["content-type"].startswith("text/event-stream")
        data = [data for _, data in server_sent(body)]
        heard = Heard(ended=data[-1:] == ["[DONE]"])
        for event in (json.loads(one) for one in data if one != "[DONE]"):
            if error := event.get("error"):
                assert heard.error is None, "an error told twice"
                heard.error, heard.kind = error["message"], error["code"]
            else:
                _note(heard, event)
        return heard


def _note(heard: Heard, told: Any) -> None:
    if not told["choices"] or not told["choices"][0]["finish_reason"]:
        told = {**told, "choices": [{**one, "finish_reason": "stop"} for one in told["choices"]]}
        finish = None
    else:
        finish = told["choices"][0]["finish_reason"]
    Completion.model_validate(told, strict=True)  # whose finish is never empty, though chunks' are
    heard.finish = finish or heard.finish
    heard.pieces += [choice["text"] for choice in told["choices"] if choice["text"]]
    if usage := told.get("usage"):
        heard.prompt, heard.completion = usage["prompt_tokens"], usage["completion_tokens"]
