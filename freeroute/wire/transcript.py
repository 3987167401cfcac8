"""What a request asked and was told, taken down as it passes: for those who keep prompts and answers."""

from collections.abc import Sequence
from typing import Any

import msgspec

from freeroute.wire.answers import Said, inspect, split_parts
from freeroute.wire.chat import ChatCall


class Transcript:
    """The texts of one request: of what it asked, and of what it was told, so many bytes each at most.

    *prompt* is the caller's ``messages`` as it wrote them; *cut* says that a text is not whole. Of several
    choices the first is taken down.
    """

    def __init__(self, call: ChatCall, longest: int) -> None:
        """Take down what *call* asks, and later what it is told, *longest* bytes of each."""
        messages = memoryview(call.fields.get("messages", msgspec.Raw()))
        self.prompt = bytes(messages[:longest]).decode("utf-8", "ignore")
        self.cut = len(messages) > longest
        self._room = longest
        self._texts: list[str] = []
        self._calls: dict[Any, dict[str, str]] = {}

    @property
    def answer(self) -> str:
        """Return the text that was told."""
        return "".join(self._texts)

    @property
    def calls(self) -> str:
        """Return the tools that were to be called: JSON, a list of names and arguments; empty without any."""
        return msgspec.json.encode([*self._calls.values()]).decode() if self._calls else ""

    @property
    def size(self) -> int:
        """Return the bytes of all texts."""
        return sum(len(text.encode()) for text in (self.prompt, self.answer, self.calls))

    def hear(self, payloads: Sequence[bytes]) -> None:
        """Take down what events tell, or a whole answer; what cannot be read says nothing."""
        for payload in payloads:
            piece = inspect(payload)
            for choice in (piece.choices if piece is not None else None) or ():
                if choice.index == 0 and choice.said is not None:
                    self._note(choice.said)

    def _note(self, said: Said) -> None:
        text = said.content if isinstance(said.content, str) else split_parts(said.content)[0]
        if text:
            self._texts.append(self._taken(text))
        for place, call in enumerate(said.tool_calls if isinstance(said.tool_calls, list) else ()):
            if isinstance(call, dict) and isinstance(call.get("function"), dict):
                self._note_call(call.get("index", place), call["function"])

    def _note_call(self, index: object, function: dict[str, Any]) -> None:
        there = self._calls.get(str(index))
        if there is None:
            if self._room <= 0:
                self.cut = True
                return
            there = self._calls[str(index)] = {"name": "", "arguments": ""}
        for name in there:
            if isinstance(function.get(name), str):
                there[name] += self._taken(function[name])

    def _taken(self, text: str) -> str:
        """Return as much of *text* as there is room for."""
        raw = text.replace("\0", "?").encode("utf-8", "replace")
        self.cut = self.cut or len(raw) > self._room
        raw = raw[: self._room]
        self._room -= len(raw)
        return raw.decode("utf-8", "ignore")
