"""Answers as providers write them, byte by byte: ``tests/corpus/<provider>/<scenario>.<ending>``.

Each provider says the same in its own form: fields left out, other words, usage here or there, comments, line
ends of every kind, a byte order mark. ``error-<status>.json`` is the body of a refusal, ``broken`` a stream
that fails in its middle. Made by hand after documentation and reports; no recording of anybody's call.
"""

from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from tests.support.transports import Reply

ROOT = Path(__file__).parent.parent / "corpus"
TEXT = "Grüße aus Zürich 😀 – 你好."
THOUGHT = "Let me think: 六 × sieben."
OBJECT = '{"city":"Zürich","ok":true}'
CALLS = (("get_weather", '{"city":"Zürich"}'), ("get_time", '{"zone":"Europe/Zurich"}'))
TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}
    for name, _ in CALLS
]
_TYPES = {".json": "application/json", ".sse": "text/event-stream", ".ndjson": "application/x-ndjson"}


class Entry(Struct, frozen=True):
    """One answer of one provider."""

    provider: str
    scenario: str
    ending: str
    body: bytes

    @property
    def id(self) -> str:
        return f"{self.provider}/{self.scenario}{self.ending}"

    @property
    def streams(self) -> bool:
        return self.ending != ".json"

    @property
    def asked(self) -> dict[str, Any]:
        """The fields of a request that is answered like this."""
        fields: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
        fields = fields if self.streams else {}
        if self.scenario == "tools":
            fields["tools"] = TOOLS
        if self.scenario == "object" and self.provider != "kilo":
            fields["response_format"] = {"type": "json_object"}
        return fields

    def reply(self, *cuts: int) -> Reply:
        """The answer on the wire, its body cut at *cuts*."""
        pieces = [self.body[a:b] for a, b in zip((0, *cuts), (*cuts, None), strict=True)]
        _, _, status = self.scenario.partition("-")
        return Reply([p for p in pieces if p], int(status or 200), _TYPES[self.ending] + "; charset=utf-8")


def entries() -> list[Entry]:
    """Return the whole corpus."""
    paths = sorted(path for path in ROOT.glob("*/*") if path.is_file())
    return [Entry(path.parent.name, path.stem, path.suffix, path.read_bytes()) for path in paths]


class Heard(Struct):
    """What an answer said, whatever form it came in."""

    text: str = ""
    thought: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    ids: tuple[str, ...] = ()
    finish: str | None = None
    usage: dict[str, Any] | None = None

    @classmethod
    def whole(cls, body: bytes) -> "Heard":
        value = msgspec.json.decode(body)
        [choice] = value["choices"]
        message = choice["message"]
        calls = message.get("tool_calls") or []
        return cls(
            message["content"] or "",
            message.get("reasoning_content") or "",
            tuple((call["function"]["name"], call["function"]["arguments"]) for call in calls),
            tuple(call["id"] for call in calls),
            choice["finish_reason"],
            value["usage"],
        )

    @classmethod
    def stream(cls, payloads: list[bytes]) -> "Heard":
        heard, calls = cls(), dict[int, list[str]]()
        for value in map(msgspec.json.decode, payloads):
            heard.usage = value.get("usage") or heard.usage
            for choice in value["choices"]:
                delta = choice["delta"]
                heard.text += delta.get("content") or ""
                heard.thought += delta.get("reasoning_content") or ""
                heard.finish = choice.get("finish_reason") or heard.finish
                for call in delta.get("tool_calls") or ():
                    said = calls.setdefault(call["index"], ["", "", ""])
                    function = call["function"]
                    for place, part in enumerate(
                        (call.get("id"), function.get("name"), function.get("arguments"))
                    ):
                        said[place] += part or ""
        listed = [calls[index] for index in sorted(calls)]
        heard.ids = tuple(one[0] for one in listed)
        heard.calls = tuple((one[1], one[2]) for one in listed)
        return heard
