"""Looking into an answer, whole or a chunk of a stream, as cheaply as routing needs."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from freeroute.domain.usage import Usage, tokens_in
from freeroute.wire.finishes import finish_of, is_failure


class Said(Struct):
    """A message, or the part of one a chunk brings. Loosely typed: providers differ."""

    content: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    refusal: Any = None
    tool_calls: Any = None
    function_call: Any = None
    audio: Any = None
    images: Any = None


class Choice(Struct):
    """One of an answer's choices; *delta* in a stream, *message* in a whole answer, *text* of old.

    *stop_reason* is vLLM's: the sequence that it stopped at.
    """

    index: Any = 0
    delta: Said | None = None
    message: Said | None = None
    finish_reason: Any = None
    error: Any = None
    text: Any = None
    stop_reason: Any = None
    logprobs: Any = None

    @property
    def said(self) -> Said | None:
        """Return what this choice says."""
        return self.delta if self.delta is not None else self.message


class Piece(Struct):
    """An answer or a chunk of one; *choices* is None where the object has none."""

    choices: Sequence[Choice] | None = None
    usage: Any = None
    error: Any = None
    object: Any = None
    id: Any = None
    model: Any = None
    created: Any = None
    x_groq: Any = None

    @property
    def finish(self) -> str | None:
        """Return the last finish reason given."""
        for choice in reversed(self.choices or ()):
            if _is_word(choice.finish_reason):
                return finish_of(choice.finish_reason)
        return None

    @property
    def is_usage_only(self) -> bool:
        """Say whether this is the extra chunk that only tells the usage."""
        return not self.choices and self.usage is not None


_CALL_LABELS = frozenset({"index", "id", "type", "function"})
_PIECE = msgspec.json.Decoder(Piece)
_ENCODER = msgspec.json.Encoder()


def inspect(body: bytes) -> Piece | None:
    """Return what *body* says, or None if it is not a JSON object of a chat answer's shape."""
    try:
        return _PIECE.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def is_finished(piece: Piece) -> bool:
    """Say whether every choice of the whole answer *piece* tells why it ended."""
    return all(_is_word(choice.finish_reason) for choice in piece.choices or ())


def _is_word(told: Any) -> bool:
    return isinstance(told, str) and bool(told)


def is_meaningful(piece: Piece) -> bool:
    """Say whether *piece* brings anything to read: a role, a blank or a finish alone does not."""
    for choice in piece.choices or ():
        said = choice.delta if choice.delta is not None else choice.message
        if said is not None and says_something(said):
            return True
    return False


def says_something(said: Said) -> bool:
    """Say whether *said* holds content, reasoning, a refusal, a tool call, sound or an image."""
    content = said.content
    if isinstance(content, str):
        if content and not content.isspace():
            return True
    elif content and _parts_text(content):
        return True
    return bool(
        _has_call(said.tool_calls)
        or _has_text(said.reasoning_content)
        or _has_text(said.reasoning)
        or _has_text(said.refusal)
        or said.function_call
        or said.audio
        or said.images
    )


def _has_call(calls: Any) -> bool:
    return isinstance(calls, list) and any(_says_call(call) for call in calls if isinstance(call, dict))


def _says_call(call: dict[str, Any]) -> bool:
    """Say whether *call* names or asks anything: an id alone may be all that ever comes."""
    function = call.get("function")
    if isinstance(function, dict) and (function.get("name") or function.get("arguments")):
        return True
    return any(value for name, value in call.items() if name not in _CALL_LABELS)


def _has_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value) and not value.isspace()


def error_in(piece: Piece) -> Any:
    """Return the error object inside *piece* (top level, or of a choice), or None."""
    if piece.error:
        return piece.error
    for choice in piece.choices or ():
        if choice.error:
            return choice.error
        if isinstance(choice.finish_reason, str) and is_failure(choice.finish_reason):
            return {"message": "the provider ended the answer with an error"}
    return None


def text_size(piece: Piece) -> int:
    """Return how many bytes of generated text *piece* holds; for estimates."""
    size = 0
    for choice in piece.choices or ():
        said = choice.delta if choice.delta is not None else choice.message
        if said is not None:
            size += said_size(said)
    return size


def said_size(said: Said) -> int:
    """Return how many bytes of generated text *said* holds."""
    size = _size(said.content) if not isinstance(said.content, list) else len(_parts_text(said.content))
    size += _size(said.reasoning_content) or _size(said.reasoning)
    size += _size(said.refusal)
    if isinstance(said.tool_calls, list):
        size += sum(_call_size(call) for call in said.tool_calls)
    return size


def _call_size(call: Any) -> int:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        return 0
    return _size(function.get("name")) + _size(function.get("arguments"))


def _size(text: Any) -> int:
    if not isinstance(text, str):
        return 0
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def _parts_text(content: Any) -> str:
    text, thinking = split_parts(content)
    return (text + thinking).strip()


def split_parts(content: Any) -> tuple[str, str]:
    """Return the text and the thinking of a content list."""
    text: list[str] = []
    thinking: list[str] = []
    for part in content if isinstance(content, list) else ():
        if isinstance(part, str):
            text.append(part)
        elif isinstance(part, dict):
            if isinstance(part.get("text"), str):
                text.append(part["text"])
            thought = part.get("thinking")
            if isinstance(thought, str):
                thinking.append(thought)
            elif isinstance(thought, list):
                thinking.append(split_parts(thought)[0])
    return "".join(text), "".join(thinking)


def usage_in(piece: Piece) -> Any:
    """Return the raw usage object of *piece*, wherever the provider put it, or None."""
    if piece.usage:
        return piece.usage
    if isinstance(piece.x_groq, dict):
        return piece.x_groq.get("usage") or None
    return None


def usage_of(raw: Any) -> Usage | None:
    """Return *raw* as Usage, or None if it holds no figures."""
    if not isinstance(raw, dict):
        return None
    prompt, completion = _count(raw.get("prompt_tokens")), _count(raw.get("completion_tokens"))
    if prompt is None:
        prompt = _count(raw.get("input_tokens"))
    if completion is None:
        completion = _count(raw.get("output_tokens"))
    total = _count(raw.get("total_tokens"))
    if prompt is None and completion is None and total is None:
        return None
    prompt, completion = prompt or 0, completion or 0
    # Some providers leave thought tokens out of the completion but not out of the total.
    thought = (total or 0) - prompt - completion
    if thought < 0:
        thought = 0
    reasoning = _detail(raw.get("completion_tokens_details"), "reasoning_tokens")
    return Usage(
        prompt,
        completion + thought,
        reasoning or (thought if completion else 0),
        _detail(raw.get("prompt_tokens_details"), "cached_tokens"),
        raw.get("estimated") is True,
    )


def _count(told: Any) -> int | None:
    if not isinstance(told, (int, float)) or isinstance(told, bool) or not 0 <= told < 1e12:
        return None
    return int(told)


def _detail(details: Any, name: str) -> int:
    return (_count(details.get(name)) or 0) if isinstance(details, dict) else 0


def estimated_usage(prompt: int, text_bytes: int) -> Usage:
    """Return the usage of an answer whose provider gave none."""
    return Usage(prompt=prompt, completion=tokens_in(text_bytes) if text_bytes else 0, estimated=True)


def usage_object(usage: Usage) -> dict[str, Any]:
    """Return *usage* in OpenAI's shape."""
    raw: dict[str, Any] = {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.total,
    }
    if usage.reasoning:
        raw["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning}
    if usage.cached:
        raw["prompt_tokens_details"] = {"cached_tokens": usage.cached}
    if usage.estimated:
        raw["estimated"] = True
    return raw


def usage_chunk(raw: Any, like: Piece | None) -> bytes:
    """Return the extra chunk that tells the usage *raw*, with the identity of the chunk *like*."""
    return _ENCODER.encode({**identity(like), "choices": [], "usage": raw})


def delta_chunk(index: int, delta: dict[str, Any], like: Piece | None) -> bytes:
    """Return a chunk in which the choice *index* says *delta*, with the identity of the chunk *like*."""
    return _ENCODER.encode(
        {**identity(like), "choices": [{"index": index, "delta": delta, "finish_reason": None}]}
    )


def error_events(
    message: str,
    *,
    code: str,
    kind: str = "upstream_error",
    metadata: dict[str, Any] | None = None,
    like: Piece | None = None,
) -> tuple[bytes, bytes]:
    """Return an error in the middle of a stream, said twice: with a choice that finishes with it, as
    OpenRouter does, and alone, as OpenAI does. Some clients take whatever has choices for an answer.
    """
    error: dict[str, Any] = {"message": message, "type": kind, "param": None, "code": code}
    if metadata is not None:
        error["metadata"] = metadata
    choice = {"index": 0, "delta": {"content": ""}, "finish_reason": "error"}
    chunk = {**identity(like), "error": error, "choices": [choice]}
    return _ENCODER.encode(chunk), _ENCODER.encode({"error": error})


def identity(like: Piece | None) -> dict[str, Any]:
    """Return the fields that are the same in all chunks of a stream, as the chunk *like* has them."""
    return {
        "id": like.id if like is not None and isinstance(like.id, str) else "chatcmpl-freeroute",
        "object": "chat.completion.chunk",
        "created": like.created if like is not None and isinstance(like.created, int) else 0,
        "model": like.model if like is not None and isinstance(like.model, str) else "",
    }


def chunk_of(body: bytes) -> bytes:
    """Return the whole answer *body* as the one chunk of a stream; raises ValueError."""
    try:
        whole = msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError) as exc:
        raise ValueError("not JSON") from exc
    if not isinstance(whole, dict) or not isinstance(whole.get("choices"), list):
        raise ValueError("not an answer")
    for choice in whole["choices"]:
        message = choice.pop("message", None) if isinstance(choice, dict) else None
        if not isinstance(message, dict):
            raise ValueError("not an answer")
        calls = message.get("tool_calls")
        for index, call in enumerate(calls if isinstance(calls, list) else ()):
            if isinstance(call, dict):
                call["index"] = index
        choice["delta"] = message
    whole["object"] = "chat.completion.chunk"
    whole.pop("usage", None)
    return _ENCODER.encode(whole)


def with_finish(body: bytes, finish: str) -> bytes:
    """Return the whole answer *body* with *finish* where a choice does not tell its own: tool calls do."""
    answer = msgspec.json.decode(body)
    for choice in answer["choices"]:
        if not _is_word(choice.get("finish_reason")):
            called = (choice.get("message") or {}).get("tool_calls")
            choice["finish_reason"] = "tool_calls" if called else finish
    return _ENCODER.encode(answer)


def with_usage(body: bytes, usage: Usage) -> bytes:
    """Return the whole answer *body* with *usage* as its own; everything else keeps its bytes."""
    fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    fields["usage"] = msgspec.Raw(_ENCODER.encode(usage_object(usage)))
    return _ENCODER.encode(fields)
