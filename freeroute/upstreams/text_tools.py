"""Tool calls that a model writes into its text, made into real ones.

Three forms are known, as the chat templates of their models have them:

- hermes: ``<tool_call>{"name": .., "arguments": {..}}</tool_call>``, one after the other (Hermes, Qwen);
- llama: ``{"name": .., "parameters": {..}}`` and nothing else, several with ``;`` between them, the first
  perhaps behind ``<|python_tag|>`` (Llama 3 and 4);
- mistral: ``[TOOL_CALLS]`` before ``[{"name": .., "arguments": {..}}, ..]`` or before ``name{..}``, with or
  without ``[ARGS]`` in between, as often as there are calls (Mistral).

What is no call of a tool that the caller offered stays text.
"""

import json
import re
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from freeroute.upstreams.thoughts import begun_at_end

HELD_LIMIT = 1024 * 1024
"""Characters that may be held back. Own design: far beyond any call; it is text then, and flows."""


class Call(Struct, frozen=True):
    """A function's *name*, and its *arguments* as JSON."""

    name: str
    arguments: str


class TextTools:
    """Reads one text. It flows on, but from where a call may begin it is held to its end."""

    def __init__(self, form: str, tools: frozenset[str]) -> None:
        """Look for calls in *form*, one of ``FORMS``, of *tools*, by name."""
        self._tag, self._bare, self._read = FORMS[form]
        self._tools = tools
        self._held = ""
        self._untold = True  # nothing but blanks came so far, and they are held
        self._calling = False
        self._given_up = False

    @property
    def is_calling(self) -> bool:
        """Say whether a call may have begun."""
        return self._calling and not self._given_up

    def feed(self, text: str) -> str:
        """Return what of the text flows on."""
        self._held += text
        if self._given_up or len(self._held) > HELD_LIMIT:
            self._given_up = True
            return self._let_go(len(self._held))
        if self._calling:
            return ""
        before, tag, _ = self._held.partition(self._tag)
        begun = self._held.lstrip()
        if self._untold and (not begun or (self._bare and begun.startswith("{"))):
            self._calling = bool(begun)
            return ""
        self._calling = bool(tag)
        size = len(before) - (0 if self._calling else begun_at_end(before, self._tag))
        return "" if self._untold and not before[:size].strip() else self._let_go(size)

    def rest(self) -> tuple[str, list[Call]]:
        """Return the text and the calls in what was held back, at the end of the text."""
        held, self._held = self._held, ""
        if not self._calling or self._given_up:
            return held, []
        try:
            calls, text = self._read(held.strip())
            found = [_call(call) for call in calls]
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return held, []
        if not found or any(call.name not in self._tools for call in found):
            return held, []
        return text.strip(), found

    def _let_go(self, size: int) -> str:
        told, self._held = self._held[:size], self._held[size:]
        self._untold = self._untold and not told
        return told


def _call(written: Any) -> Call:
    """Return the call that *written* is; raises ValueError if it is none."""
    if not isinstance(written, dict) or not isinstance(written.get("name"), str):
        raise ValueError("no name")
    arguments = written.get("arguments", written.get("parameters", {}))
    if isinstance(arguments, str):
        arguments = msgspec.json.decode(arguments)
    if not isinstance(arguments, dict):
        raise ValueError("no arguments")
    return Call(written["name"], msgspec.json.encode(arguments).decode())


# Each reader returns the calls in a text that may hold some, undecided whether they are any, and what of the
# text is around them; it raises ValueError where the text has another form.

_TOOL_CALL = "<tool_call>"
_OPENING = re.compile(r"<tool_call>\s*")
_CLOSING = re.compile(r"\s*(?:</tool_call>|\Z)")


def _hermes(text: str) -> tuple[list[Any], str]:
    calls: list[Any] = []
    around: list[str] = []
    at = 0
    while opening := _OPENING.search(text, at):
        # A call ends where its JSON does: that may hold the closing tag.
        call, end = json.JSONDecoder().raw_decode(text, opening.end())
        closing = _CLOSING.match(text, end)
        if closing is None:
            raise ValueError("more than a call")
        calls.append(call)
        around.append(text[at : opening.start()])
        at = closing.end()
    return calls, "".join([*around, text[at:]])


def _llama(text: str) -> tuple[list[Any], str]:
    return _values(text.removeprefix(_PYTHON_TAG)), ""


def _mistral(text: str) -> tuple[list[Any], str]:
    calls: list[Any] = []
    for part in text.split(_TOOL_CALLS)[1:]:
        name, brace, arguments = part.partition("{")
        name = name.split("[")[0].strip()  # [CALL_ID]..[ARGS] may follow
        if name:
            calls.append({"name": name, "arguments": json.loads(brace + arguments)})
        else:
            calls += [
                call for value in _values(part) for call in (value if isinstance(value, list) else [value])
            ]
    return calls, ""


_SEPARATORS = re.compile(r"[\s;,]*")


def _values(text: str) -> list[Any]:
    """Return the JSON values *text* consists of; raises ValueError if there is anything else."""
    decoder, values = json.JSONDecoder(), []
    text = text.strip()
    at = 0
    while at < len(text):
        value, at = decoder.raw_decode(text, at)
        values.append(value)
        at = _SEPARATORS.match(text, at).end()  # type: ignore[union-attr]
    return values


_PYTHON_TAG, _TOOL_CALLS = "<|python_tag|>", "[TOOL_CALLS]"
_Reader = Callable[[str], tuple[list[Any], str]]
FORMS: dict[str, tuple[str, bool, _Reader]] = {
    "hermes": (_TOOL_CALL, False, _hermes),
    "llama": (_PYTHON_TAG, True, _llama),
    "mistral": (_TOOL_CALLS, False, _mistral),
}
"""How a call begins, whether the bare JSON of one may too at the text's beginning, and how it is read."""
