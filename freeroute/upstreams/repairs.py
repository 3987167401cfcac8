"""An answer as OpenAI would have given it: a provider's quirks undone on the way back.

Payloads keep their bytes unless something in them has to change.
"""

import uuid
from typing import Any

import msgspec
from msgspec import Struct

from freeroute.domain.catalogue import Quirks
from freeroute.wire.answers import Choice, Piece, Said, split_parts


class _Calls(Struct):
    """The tool calls one choice of a stream has begun, by id in order."""

    ids: list[str] = msgspec.field(default_factory=list)


class Repairs:
    """Repairs the chunks of one stream, or one whole answer."""

    def __init__(self, quirks: Quirks) -> None:
        """Undo *quirks*; what is plainly not OpenAI's form is repaired in any case."""
        self._quirks = quirks
        self._calls: dict[int, _Calls] = {}

    @property
    def holds_usage(self) -> bool:
        """Say whether usage is taken out of every chunk, to be told once at the end."""
        return self._quirks.usage_every_chunk

    def finish(self, reason: str | None) -> str | None:
        """Return the finish *reason* as the caller is told it."""
        begun = not self._quirks.tool_finish and any(calls.ids for calls in self._calls.values())
        return "tool_calls" if begun and reason == "stop" else reason

    def chunk(self, payload: bytes, piece: Piece) -> bytes:
        """Return the chunk *payload*, which reads as *piece*, repaired."""
        calls = [self._repaired_calls(choice) for choice in piece.choices or ()]
        strips_usage = self._quirks.usage_every_chunk and piece.usage is not None
        if not strips_usage and not any(calls) and not any(map(self._needs_repair, piece.choices or ())):
            return payload
        body = msgspec.json.decode(payload)
        if strips_usage:
            body.pop("usage", None)
        for choice, raw, repaired in zip(piece.choices or (), body["choices"], calls, strict=True):
            self._mend(choice, raw, "delta", repaired)
        return msgspec.json.encode(body)

    def whole(self, payload: bytes, piece: Piece) -> bytes:
        """Return the whole answer *payload*, which reads as *piece*, repaired."""
        calls = [_with_ids(choice.message) for choice in piece.choices or ()]
        for choice in piece.choices or ():
            if choice.message is not None and choice.message.tool_calls:
                self._begun(choice).ids.append("")
        if not any(calls) and not any(map(self._needs_repair, piece.choices or ())):
            return payload
        body = msgspec.json.decode(payload)
        for choice, raw, repaired in zip(piece.choices or (), body["choices"], calls, strict=True):
            self._mend(choice, raw, "message", repaired)
        return msgspec.json.encode(body)

    def _needs_repair(self, choice: Choice) -> bool:
        said = choice.delta if choice.delta is not None else choice.message
        if said is not None and (isinstance(said.content, list) or _has_bare_reasoning(said)):
            return True
        return self._ends_wrongly(choice)

    def _ends_wrongly(self, choice: Choice) -> bool:
        return (
            not self._quirks.tool_finish
            and choice.finish_reason == "stop"
            and bool(self._calls)
            and bool(self._begun(choice).ids)
        )

    def _mend(self, choice: Choice, raw: dict[str, Any], where: str, calls: list[Any] | None) -> None:
        said = choice.delta if where == "delta" else choice.message
        if said is not None:
            _mend_said(said, raw[where], calls)
        if self._ends_wrongly(choice):
            raw["finish_reason"] = "tool_calls"

    def _begun(self, choice: Choice) -> _Calls:
        return self._calls.setdefault(choice.index if isinstance(choice.index, int) else 0, _Calls())

    def _repaired_calls(self, choice: Choice) -> list[Any] | None:
        """Return the tool calls of a chunk with index and id, or None if they have them already."""
        calls = choice.said.tool_calls if choice.said is not None else None
        if not isinstance(calls, list) or not calls:
            return None
        begun = self._begun(choice)
        repaired = [self._repaired(call, begun) for call in calls]
        return repaired if repaired != calls else None

    def _repaired(self, call: Any, begun: _Calls) -> Any:
        if not isinstance(call, dict):
            return call
        index, name = call.get("index"), call.get("id")
        if isinstance(index, int) and 0 <= index < 1024 and self._quirks.tool_call_index:
            return _noted(call, index, begun)
        if isinstance(name, str) and name in begun.ids:
            return {**call, "index": begun.ids.index(name)}
        if not name and not _is_new(call) and begun.ids:
            return {**call, "index": len(begun.ids) - 1}
        begun.ids.append(name or _new_id())
        return {**call, "index": len(begun.ids) - 1, "id": begun.ids[-1]}


def _noted(call: dict[str, Any], index: int, begun: _Calls) -> dict[str, Any]:
    """Note the call at *index*; a new one without an id gets one, so that its result can name it."""
    is_new = index >= len(begun.ids)
    while len(begun.ids) <= index:
        begun.ids.append("")
    if not is_new:
        return call
    begun.ids[index] = call.get("id") or _new_id()
    return call if call.get("id") else {**call, "id": begun.ids[index]}


def _is_new(call: dict[str, Any]) -> bool:
    function = call.get("function")
    return isinstance(function, dict) and bool(function.get("name"))


def _new_id() -> str:
    return f"call_{uuid.uuid4().hex[:24]}"


def _with_ids(said: Said | None) -> list[Any] | None:
    calls = said.tool_calls if said is not None else None
    if not isinstance(calls, list) or all(isinstance(c, dict) and c.get("id") for c in calls):
        return None
    return [
        {"id": _new_id(), **{k: v for k, v in c.items() if k != "id"}} if _lacks_id(c) else c for c in calls
    ]


def _lacks_id(call: Any) -> bool:
    return isinstance(call, dict) and not call.get("id")


def _has_bare_reasoning(said: Said) -> bool:
    return isinstance(said.reasoning, str) and bool(said.reasoning) and not said.reasoning_content


def _mend_said(said: Said, body: dict[str, Any], calls: list[Any] | None) -> None:
    if calls is not None:
        body["tool_calls"] = calls
    if _has_bare_reasoning(said):
        body["reasoning_content"] = body.pop("reasoning")
    if isinstance(said.content, list):
        text, thinking = split_parts(said.content)
        body["content"] = text
        if thinking:
            body["reasoning_content"] = f"{body.get('reasoning_content') or ''}{thinking}"
