"""An answer as OpenAI would have given it: a provider's quirks undone on the way back.

Payloads keep their bytes unless something in them has to change.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from freeroute.domain.catalogue import Quirks
from freeroute.upstreams.signatures import signature_of
from freeroute.upstreams.text_tools import Call
from freeroute.upstreams.tool_calls import ToolCalls, with_ids
from freeroute.upstreams.writing import Habits, Heard, Writing
from freeroute.wire.answers import Choice, Piece, Said, delta_chunk, split_parts
from freeroute.wire.finishes import finish_of


class Repairs:
    """Repairs the chunks of one stream, or one whole answer."""

    def __init__(
        self, quirks: Quirks, habits: Habits | None = None, signed: Callable[[str, str], None] | None = None
    ) -> None:
        """Undo *quirks* and *habits*; what is plainly not OpenAI's form is repaired in any case.

        *signed* is told the id and the signature of each tool call that has one.
        """
        self._quirks = quirks
        self._habits = habits or Habits()
        # Whether a chunk that is a piece of text and nothing else, as most are, stays as it is.
        self.takes_text = not (self._habits.is_any or quirks.usage_every_chunk)
        self._signed = signed if quirks.echo_signature else None
        self._calls: dict[int, ToolCalls] = {}
        self._writings: dict[int, Writing] = {}
        self._rescued: dict[int, None] = {}  # choices whose text held tool calls

    @property
    def holds_usage(self) -> bool:
        """Say whether usage is taken out of every chunk, to be told once at the end."""
        return self._quirks.usage_every_chunk

    @property
    def begun(self) -> int:
        """Return how many characters are held back that may become tool calls."""
        return sum(writing.begun for writing in self._writings.values())

    def finish(self, reason: str | None) -> str | None:
        """Return the finish *reason* as the caller is told it."""
        begun = not self._quirks.tool_finish and any(map(len, self._calls.values()))
        return "tool_calls" if (begun or self._rescued) and reason == "stop" else reason

    def chunk(self, payload: bytes, piece: Piece) -> bytes:
        """Return the chunk *payload*, which reads as *piece*, repaired."""
        choices = piece.choices or []
        if self.takes_text and all(map(_is_text, choices)):
            return payload
        heard = [self._heard(choice, ends=bool(choice.finish_reason)) for choice in choices]
        calls = [self._repaired_calls(choice) for choice in choices]
        self._note_signatures(choices, calls)
        strips_usage = self._quirks.usage_every_chunk and piece.usage is not None
        if not (strips_usage or any(heard) or any(calls) or any(map(self._needs_repair, choices))):
            return payload
        body = msgspec.json.decode(payload)
        if strips_usage:
            body.pop("usage", None)
        for choice, raw, repaired, told in zip(choices, body["choices"], calls, heard, strict=True):
            self._mend(choice, raw, "delta", repaired, told)
        return msgspec.json.encode(body)

    @property
    def reads_text(self) -> bool:
        """Say whether the text itself may have to be repaired, and not only what is beside it."""
        return self._habits.is_any

    def whole(self, payload: bytes, piece: Piece) -> bytes:
        """Return the whole answer *payload*, which reads as *piece*, repaired."""
        choices = piece.choices or []
        heard = [self._heard(choice, ends=True) for choice in choices]
        calls = [with_ids(choice.message.tool_calls) if choice.message else None for choice in choices]
        self._note_signatures(choices, calls)
        for choice in choices:
            if choice.message is not None and choice.message.tool_calls:
                self._begun(choice).begin()
        if not (any(heard) or any(calls) or any(map(self._needs_repair, choices))):
            return payload
        body = msgspec.json.decode(payload)
        for choice, raw, repaired, told in zip(choices, body["choices"], calls, heard, strict=True):
            self._mend(choice, raw, "message", repaired, told)
        return msgspec.json.encode(body)

    def rest(self, like: Piece | None) -> list[bytes]:
        """Return what was held back of choices that never finished, once, as chunks of the answer *like*."""
        left = [(index, writing.rest(None)) for index, writing in self._writings.items()]
        return [
            delta_chunk(index, self._told(heard, index), like) for index, heard in left if heard != Heard()
        ]

    def _heard(self, choice: Choice, *, ends: bool) -> Heard | None:
        """Return what the text of *choice* turned out to be, or None if it is what it seems."""
        if not self._habits.is_any:
            return None
        index = _index(choice)
        said = choice.said or Said()
        text = said.content if isinstance(said.content, str) else ""
        if index not in self._writings:
            self._writings[index] = Writing(self._habits, whole=text if choice.delta is None else None)
        writing = self._writings[index]
        heard = writing.feed(text, beside=bool(said.reasoning_content or said.reasoning))
        if ends:
            finish = choice.finish_reason
            heard += writing.rest(finish if isinstance(finish, str) else None)
        return None if heard == Heard(text) else heard

    def _note_signatures(self, choices: Sequence[Choice], repaired: list[list[Any] | None]) -> None:
        if self._signed is None:
            return
        for choice, calls in zip(choices, repaired, strict=True):
            for call in calls or (choice.said.tool_calls if choice.said is not None else None) or ():
                signature = signature_of(call)
                if signature is not None and (name := self._id_of(call, choice)):
                    self._signed(name, signature)

    def _id_of(self, call: dict[str, Any], choice: Choice) -> str | None:
        """Return the id of *call*, which only its first piece carries."""
        if isinstance(name := call.get("id"), str) and name:
            return name
        return self._begun(choice).id_at(call.get("index"))

    def _needs_repair(self, choice: Choice) -> bool:
        said = choice.delta if choice.delta is not None else choice.message
        if said is not None and (isinstance(said.content, list) or _has_reasoning(said)):
            return True
        return self._ends_wrongly(choice)

    def _ends_wrongly(self, choice: Choice) -> bool:
        if not isinstance(choice.finish_reason, str) or finish_of(choice.finish_reason) != "stop":
            return False
        index = _index(choice)
        begun = not self._quirks.tool_finish and bool(self._calls.get(index))
        return begun or index in self._rescued

    def _mend(
        self, choice: Choice, raw: dict[str, Any], where: str, calls: list[Any] | None, heard: Heard | None
    ) -> None:
        said = choice.delta if where == "delta" else choice.message
        if said is not None:
            _mend_said(said, raw[where], calls)
        if heard is not None:
            body = raw.get(where) or {}
            told = self._told(heard, _index(choice), body)
            if where == "message":
                for call in told.get("tool_calls", ()):
                    call.pop("index", None)
            raw[where] = {**body, "content": None if heard.calls else "", **told}
        if self._ends_wrongly(choice):
            if choice.finish_reason != "stop":
                raw.setdefault("native_finish_reason", choice.finish_reason)
            raw["finish_reason"] = "tool_calls"

    def _told(self, heard: Heard, index: int, before: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the choice *index* says, after what it said *before* in the same piece."""
        thought, called = (before or {}).get("reasoning_content"), (before or {}).get("tool_calls")
        told: dict[str, Any] = {"content": heard.text} if heard.text else {}
        if heard.thoughts:
            told["reasoning_content"] = f"{thought or ''}{heard.thoughts}"
        if heard.calls:
            self._rescued[index] = None
            told["tool_calls"] = [*(called or ()), *(self._rescue(call, index) for call in heard.calls)]
        return told

    def _rescue(self, call: Call, index: int) -> dict[str, Any]:
        """Return the *call* found in the text of the choice *index* as a call in its own right."""
        place, name = self._calls_of(index).begin()
        function = {"name": call.name, "arguments": call.arguments}
        return {"index": place, "id": name, "type": "function", "function": function}

    def _begun(self, choice: Choice) -> ToolCalls:
        return self._calls_of(_index(choice))

    def _calls_of(self, index: int) -> ToolCalls:
        if index not in self._calls:
            self._calls[index] = ToolCalls(trusts_index=self._quirks.tool_call_index)
        return self._calls[index]

    def _repaired_calls(self, choice: Choice) -> list[Any] | None:
        """Return the tool calls of a chunk with index and id, or None if they have them already."""
        calls = choice.said.tool_calls if choice.said is not None else None
        if not isinstance(calls, list) or not calls:
            return None
        begun = self._begun(choice)
        repaired = [begun.repaired(call) for call in calls]
        return repaired if repaired != calls else None


def _is_text(choice: Choice) -> bool:
    said = choice.delta
    return (
        said is not None
        and isinstance(said.content, str)
        and not (said.tool_calls or said.reasoning or choice.finish_reason)
    )


def _index(choice: Choice) -> int:
    return choice.index if isinstance(choice.index, int) else 0


def _has_reasoning(said: Said) -> bool:
    return isinstance(said.reasoning, str) and bool(said.reasoning)


def _mend_said(said: Said, body: dict[str, Any], calls: list[Any] | None) -> None:
    if calls is not None:
        body["tool_calls"] = calls
    if _has_reasoning(said):
        # Where both names are there, they hold the same.
        reasoning = body.pop("reasoning")
        body["reasoning_content"] = body.get("reasoning_content") or reasoning
    if isinstance(said.content, list):
        text, thinking = split_parts(said.content)
        body["content"] = text
        if thinking:
            body["reasoning_content"] = f"{body.get('reasoning_content') or ''}{thinking}"
