"""Answers in Ollama's words: a JSON object a line."""

import functools
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from freeroute.clock import Clock
from freeroute.domain.usage import Usage
from freeroute.errors import ApiError
from freeroute.wire.answers import Piece
from freeroute.wire.called import Calls, WholeCall
from freeroute.wire.hearing import Heard, hear

LINES = b"application/x-ndjson"
# What ends a line for some clients, httpx's iter_lines among them, though not in JSON.
_LINE_ENDS = [(mark.encode(), b"\\u%04x" % ord(mark)) for mark in "\u0085\u2028\u2029"]

Wording = Callable[[str, dict[str, Any]], dict[str, Any]]
"""Puts a text, and what came beside it, where one of the two kinds of requests has them."""


def _encode(told: dict[str, Any]) -> bytes:
    line = msgspec.json.encode(told)
    if line.isascii():
        return line
    for mark, escaped in _LINE_ENDS:
        line = line.replace(mark, escaped)
    return line


def in_ollamas_shape(error: ApiError, request_id: str) -> bytes:
    """Return the body that tells *error* to clients of Ollama."""
    return _encode({"error": error.message})


def as_chat(text: str, beside: dict[str, Any]) -> dict[str, Any]:
    """Return what ``/api/chat`` answers."""
    return {"message": {"role": "assistant", "content": text, **beside}}


def as_generated(text: str, beside: dict[str, Any]) -> dict[str, Any]:
    """Return what ``/api/generate`` answers."""
    return {"response": text, **beside}


def stamp(wall: float) -> str:
    """Return the Unix time *wall* as Ollama writes it."""
    whole, part = divmod(round(wall * 1e9), 10**9)
    return f"{_second(whole)}.{part:09d}Z"


@functools.lru_cache(maxsize=4)  # what is told now is mostly of the same second
def _second(whole: int) -> str:
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}"


def loaded(model: str, wording: Wording, clock: Clock, reason: str) -> bytes:
    """Return the answer to a request that only loads, or unloads, *model*."""
    head = {"model": model, "created_at": stamp(clock.now().wall)}
    return _encode({**head, **wording("", {}), "done": True, "done_reason": reason})


class OllamaTelling:
    """Tells one answer as lines.

    Ollama has no pieces of tool calls, so each is told as soon as it is complete. The line that ends the
    answer tells why, and the usage: it waits for both.
    """

    stream_type = LINES
    comment = b""

    def __init__(self, model: str, wording: Wording, clock: Clock) -> None:
        """Answer for *model*, as it was asked for; the time counts from now."""
        self._model = model
        self._wording = wording
        self._clock = clock
        self._began = clock.now().mono
        self._first: float | None = None
        self._calls = Calls()
        self._finish: str | None = None
        self._usage: Usage | None = None
        self._over = False

    def whole(self, body: bytes) -> bytes:
        """Return the answer *body* as one object."""
        heard = hear(body)
        self._finish, self._usage = heard.finish, heard.usage
        calls = [*self._calls.take(heard.calls), *self._calls.rest(heard.finish)]
        return _encode(self._line(_text(heard), _beside(heard, calls)) | self._ending())

    def events(self, payloads: Sequence[bytes]) -> bytes:
        """Return the lines that *payloads* make."""
        return b"".join([self._lines(hear(payload)) for payload in payloads if not self._over])

    def end(self) -> bytes:
        """Return the last line, if it is not told yet."""
        return b"" if self._over else self._last()

    def fault(self, error: ApiError, like: Piece | None) -> bytes:
        """Return the line that tells *error*."""
        return self._broken(error.message)

    def _lines(self, heard: Heard) -> bytes:
        if heard.plain and self._first is not None:
            return self._more(heard.text, {})
        if heard.error is not None:
            return self._broken(str(heard.error.get("message") or "the provider stopped in the middle"))
        calls = self._calls.take(heard.calls)
        if heard.finish:
            self._finish = heard.finish
            calls += self._calls.rest(heard.finish)
        text, beside = _text(heard), _beside(heard, calls)
        told = b""
        if text or beside:
            self._first = self._clock.now().mono if self._first is None else self._first
            told = self._more(text, beside)
        if heard.usage is not None:
            self._usage = heard.usage
            told += self._last() if self._finish else b""
        return told

    def _more(self, text: str, beside: dict[str, Any]) -> bytes:
        return _encode(self._line(text, beside) | {"done": False}) + b"\n"

    def _broken(self, message: str) -> bytes:
        self._over = True
        return _encode({"error": message}) + b"\n"

    def _last(self) -> bytes:
        self._over = True
        return _encode(self._line("", {}) | self._ending()) + b"\n"

    def _line(self, text: str, beside: dict[str, Any]) -> dict[str, Any]:
        head = {"model": self._model, "created_at": stamp(self._clock.now().wall)}
        return {**head, **self._wording(text, beside)}

    def _ending(self) -> dict[str, Any]:
        now, usage = self._clock.now().mono, self._usage or Usage()
        first = self._first if self._first is not None else now
        return {
            "done": True,
            # Ollama has no word for calls, nor for content that is withheld.
            "done_reason": {None: "stop", "tool_calls": "stop"}.get(self._finish, self._finish),
            "total_duration": _nanoseconds(now - self._began),
            "load_duration": 0,
            "prompt_eval_count": usage.prompt,
            "prompt_eval_duration": _nanoseconds(first - self._began),
            "eval_count": usage.completion,
            "eval_duration": _nanoseconds(now - first),
        }


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)


def _text(heard: Heard) -> str:
    return heard.text + heard.refusal


def _beside(heard: Heard, calls: Sequence[WholeCall]) -> dict[str, Any]:
    beside: dict[str, Any] = {"thinking": heard.reasoning} if heard.reasoning else {}
    if images := [data for url in heard.images if (data := _inline(url))]:
        beside["images"] = images
    if calls:
        beside["tool_calls"] = [_call(call) for call in calls]
    return beside


def _inline(url: str) -> str:
    """Return the base64 of a data URL, nothing of another."""
    return url.partition(";base64,")[2] if url.startswith("data:") else ""


def _call(call: WholeCall) -> dict[str, Any]:
    told = {"id": call.id} if call.id else {}
    return {**told, "function": {"name": call.name, "arguments": call.arguments}}
