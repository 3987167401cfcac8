"""Ollama's own answers as OpenAI's: lines of a stream to chunks, a whole answer to a completion."""

import uuid
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from freeroute.wire.ndjson import LineParser
from freeroute.wire.sse import DONE


class Message(Struct):
    """What the model said, or the part of it that a line brings."""

    content: str | None = None
    thinking: str | None = None
    tool_calls: list[dict[str, Any]] | None = None


class Line(Struct):
    """One line of a stream, or a whole answer."""

    model: str = ""
    message: Message | None = None
    done: bool = False
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    logprobs: list[Any] | None = None
    error: Any = None

    @property
    def is_answer(self) -> bool:
        """Say whether this is part of an answer, rather than an error or something unknown."""
        return not self.error and (self.message is not None or self.done)


_LINE = msgspec.json.Decoder(Line)
_encode = msgspec.json.encode


class Answering:
    """One answer: what its chunks share, and what came before the one at hand.

    As the events of a stream it yields OpenAI's chunks, usage and ``[DONE]`` included. Lines that are no
    part of an answer stay as they are: whoever reads on knows errors and garbage.
    """

    stray: bytes | None = None

    def __init__(self, *, created: int) -> None:
        """Take *created* (Unix seconds) as the time of all chunks."""
        self._created = created
        self._id = f"chatcmpl-{uuid.uuid4().hex[:24]}"
        self._lines = LineParser()
        self._calls = 0
        self._begun = False

    def feed(self, data: bytes) -> list[bytes]:
        """Return the chunks that *data* completes; raises EventTooLarge."""
        return [chunk for line in self._lines.feed(data) for chunk in self._chunks(line)]

    is_between = False  # what comes is never a chunk as it is

    def alone(self, data: bytes) -> None:
        """Return nothing, for the same reason."""

    def finish(self) -> list[bytes]:
        """Return the chunks of a last line without its line break."""
        return [chunk for line in self._lines.finish() for chunk in self._chunks(line)]

    def whole(self, body: bytes) -> bytes:
        """Return the whole answer *body* as a completion; what is none stays as it is."""
        line = _read(body)
        if line is None:
            return body
        said = self._said(line)
        message = {"role": "assistant", "content": said.pop("content", None), **said}
        for call in said.get("tool_calls", ()):
            del call["index"]
        finish = self._finish(line) if line.done else None
        choice = {"index": 0, "message": message, "finish_reason": finish, **_logprobs(line)}
        usage = self._usage(line)
        told = {"usage": usage} if usage else {}
        return _encode({**self._head(line, "chat.completion"), "choices": [choice], **told})

    def _chunks(self, raw: bytes) -> Iterator[bytes]:
        line = _read(raw)
        if line is None:
            yield raw
            return
        said = self._said(line)
        if said:
            yield self._chunk(line, said, None)
        if line.done:
            yield self._chunk(line, {}, self._finish(line))
            usage = self._usage(line)
            if usage:
                head = self._head(line, "chat.completion.chunk")
                yield _encode({**head, "choices": [], "usage": usage})
            yield DONE

    def _chunk(self, line: Line, delta: dict[str, Any], finish: str | None) -> bytes:
        if not self._begun:
            self._begun = True
            delta = {"role": "assistant", **delta}
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        choice |= {} if finish else _logprobs(line)
        return _encode({**self._head(line, "chat.completion.chunk"), "choices": [choice]})

    def _head(self, line: Line, kind: str) -> dict[str, Any]:
        return {"id": self._id, "object": kind, "created": self._created, "model": line.model}

    def _said(self, line: Line) -> dict[str, Any]:
        message = line.message or Message()
        said: dict[str, Any] = {}
        if message.thinking:
            said["reasoning_content"] = message.thinking
        if message.content:
            said["content"] = message.content
        if message.tool_calls:
            said["tool_calls"] = [self._call(call) for call in message.tool_calls]
        return said

    def _call(self, call: dict[str, Any]) -> dict[str, Any]:
        """Return a tool call, numbered on: Ollama's own numbers begin anew with every line."""
        function = call.get("function")
        function = function if isinstance(function, dict) else {}
        arguments = function.get("arguments")
        written = arguments if isinstance(arguments, str) else _encode(arguments or {}).decode()
        index, self._calls = self._calls, self._calls + 1
        return {
            "index": index,
            "id": call.get("id") or f"call_{uuid.uuid4().hex[:24]}",
            "type": "function",
            "function": {"name": function.get("name", ""), "arguments": written},
        }

    def _finish(self, line: Line) -> str:
        """Return why it ended; older versions do not say it."""
        reason = line.done_reason or "stop"
        return "tool_calls" if self._calls and reason == "stop" else reason

    def _usage(self, line: Line) -> dict[str, int] | None:
        """Return the tokens told; older versions leave the prompt out if all of it was cached: 0 is none."""
        if line.prompt_eval_count is None and line.eval_count is None:
            return None
        prompt = line.prompt_eval_count or 0
        completion = line.eval_count or 0
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        }


def _read(raw: bytes) -> Line | None:
    """Return what *raw* says, or None if it is no part of an answer."""
    try:
        line = _LINE.decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return line if line.is_answer else None


def _logprobs(line: Line) -> dict[str, Any]:
    return {"logprobs": {"content": line.logprobs}} if line.logprobs else {}
