"""Answers that have to fit a JSON Schema: asked of models that only write JSON, and checked from all."""

from io import StringIO
from typing import Any

import msgspec
from msgspec import Raw, structs

from freeroute.domain.catalogue import Candidate
from freeroute.wire.answers import Choice, inspect
from freeroute.wire.chat import ChatCall
from freeroute.wire.conformance import fitted
from freeroute.wire.finishes import SILENT_FINISHES, finish_of

CHECKED = 4 * 1024 * 1024
"""Characters of a stream that are kept to be checked at its end. Own design: far beyond what JSON takes."""

_encode = msgspec.json.encode
_JSON_OBJECT = Raw(b'{"type":"json_object"}')
_MESSAGES = msgspec.json.Decoder(list[dict[str, Raw]])
# Own design: the least that models need; some providers want the word JSON in the prompt as well.
_INSTRUCTION = (
    "Answer with one JSON value and nothing else: no explanation, no code fence. "
    "It has to be valid against this JSON Schema:\n"
)


def instruct(fields: dict[str, Raw], schema: bytes) -> None:
    """Ask in *fields* for plain JSON, and for *schema* in words: after the system's own, or before all."""
    fields["response_format"] = _JSON_OBJECT
    told = _INSTRUCTION + schema.decode()
    messages = _MESSAGES.decode(fields["messages"])
    if not messages or not _extended(messages[0], told):
        messages.insert(0, {"role": Raw(b'"system"'), "content": Raw(_encode(told))})
    fields["messages"] = Raw(_encode(messages))


def _extended(message: dict[str, Raw], told: str) -> bool:
    """Add *told* to a *message* of the system; say whether it is one."""
    if msgspec.json.decode(message["role"]) not in ("system", "developer"):
        return False
    content = msgspec.json.decode(message["content"])
    more: Any = f"{content}\n\n{told}"
    if isinstance(content, list):
        more = [*content, {"type": "text", "text": told}]
    message["content"] = Raw(_encode(more))
    return True


def as_asked(call: ChatCall, candidate: Candidate) -> ChatCall:
    """Return *call* as *candidate* is asked: for a whole answer where it is checked before it shows."""
    held = call.stream and candidate.model.emulates(call.needs)
    return structs.replace(call, stream=False, include_usage=False) if held else call


def conforming(body: bytes, schema: bytes) -> tuple[bytes, str]:
    """Return the whole answer *body*, what was around its JSON gone, and why it does not fit if it does not.

    Tool calls, refusals and answers that say themselves that they were cut are no claim to fit.
    """
    piece = inspect(body)
    mended: dict[int, str] = {}
    for place, choice in enumerate((piece.choices if piece is not None else None) or ()):
        said = choice.message
        if said is None or said.tool_calls or said.refusal or _is_cut(choice):
            continue
        text = said.content if isinstance(said.content, str) else ""
        found = fitted(text, schema)
        if found.text is None:
            return body, found.wrong
        if found.text != text:
            mended[place] = found.text
    return _with_contents(body, mended) if mended else body, ""


class Checking:
    """A stream that has to fit a schema: it flows, and each choice is held to the schema where it ends."""

    def __init__(self, schema: bytes) -> None:
        """Hold it to *schema*."""
        self._schema = schema
        self._texts: dict[int, StringIO] = {}
        self._size = 0
        self._exempt: set[int] = set()  # choices that make no claim to fit, and those that have ended

    def take(self, chunk: bytes) -> str:
        """Take the next *chunk* as the caller gets it; return why what ends with it does not fit, or ""."""
        piece = inspect(chunk)
        wrongs = map(self._taken, (piece.choices if piece is not None else None) or ())
        return next(filter(None, wrongs), "")

    def _taken(self, choice: Choice) -> str:
        index = choice.index if isinstance(choice.index, int) else 0
        said = choice.said
        if said is not None and (said.tool_calls or said.refusal):
            self._exempt.add(index)
        if index in self._exempt:
            return ""
        text = self._texts.setdefault(index, StringIO())
        if said is not None and isinstance(said.content, str):
            self._size += text.write(said.content)
        if self._size > CHECKED:
            return f"the answer is longer than the {CHECKED} characters that are checked"
        return self._ended(index, choice.finish_reason) if choice.finish_reason else ""

    def _ended(self, index: int, finish: str) -> str:
        text = self._texts.pop(index).getvalue()
        self._exempt.add(index)
        if finish in SILENT_FINISHES:
            return ""
        found = fitted(text, self._schema)
        return found.wrong if found.text in (text, None) else "the answer is more than its JSON"


def _is_cut(choice: Choice) -> bool:
    """Say whether *choice* tells, in whatever words, that it was cut."""
    told = choice.finish_reason
    return isinstance(told, str) and finish_of(told) in SILENT_FINISHES


def _with_contents(body: bytes, contents: dict[int, str]) -> bytes:
    answer = msgspec.json.decode(body)
    for place, text in contents.items():
        answer["choices"][place]["message"]["content"] = text
    return _encode(answer)
