"""Answers in Anthropic's words: blocks that are begun, added to and ended, one after the other."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct, field

from freeroute.domain.usage import Usage
from freeroute.errors import ApiError, ContextTooLong
from freeroute.surfaces.conversing import EVENT_STREAM
from freeroute.wire.answers import Piece
from freeroute.wire.growing import GrowingObject
from freeroute.wire.hearing import CallPiece, Heard, Hearing, hear

Told = dict[str, Any]

_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
_STOPS = {"length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
# What stands where Anthropic's models sign their thoughts, so that nobody mistakes it for theirs.
_SIGNATURE = "freeroute"
_ENCODER = msgspec.json.Encoder()
_TEXT, _THINKING = "text", "thinking"
_EMPTY: dict[str, Told] = {
    _TEXT: {"type": "text", "text": ""},
    _THINKING: {"type": "thinking", "thinking": "", "signature": ""},
}


def error_object(error: ApiError) -> Told:
    """Return *error* as Anthropic's clients read it; its code stands where they look for one."""
    kind = _KINDS.get(error.status) or ("api_error" if error.status >= 500 else "invalid_request_error")
    details: Told = {"error_code": error.code}
    if error.param is not None:
        details["param"] = error.param
    return {"type": kind, "message": _message(error), "details": details | (error.metadata or {})}


def _message(error: ApiError) -> str:
    """Return what *error* says: before a prompt that is too long, Anthropic's own words for it.

    Claude Code looks for them, and then shortens its conversation or asks for less.
    """
    if not isinstance(error, ContextTooLong):
        return error.message
    known = error.metadata or {}
    prompt, output, context = (known.get(n) for n in ("prompt_tokens", "max_tokens", "context_length"))
    if prompt is None or context is None:
        told = "prompt is too long"
    elif output and prompt < context < prompt + output:
        told = f"input length and `max_tokens` exceed context limit: {prompt} + {output} > {context}"
    else:
        told = f"prompt is too long: {prompt} tokens > {context} maximum"
    return f"{told}. {error.message}"


def in_anthropics_shape(error: ApiError, request_id: str) -> bytes:
    """Return the body that tells *error* to clients of Anthropic."""
    return _ENCODER.encode({"type": "error", "error": error_object(error), "request_id": request_id})


def event(name: str, **told: Any) -> bytes:
    """Return one event of a stream."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), _ENCODER.encode({"type": name, **told}))


_PING = event("ping")


class _Call(Struct):
    """A call of a tool that has begun to be told; its block is begun once its *name* is whole."""

    id: str = ""
    name: str = ""
    begun: bool = False
    arguments: GrowingObject = field(default_factory=GrowingObject)

    def take(self, piece: CallPiece) -> None:
        """Take in what *piece* adds."""
        self.id = self.id or piece.id
        self.name += piece.name
        self.arguments.feed(piece.arguments)

    @property
    def is_whole(self) -> bool:
        """Say whether nothing more can come."""
        return self.arguments.ended or self.arguments.broken


class Message:
    """Tells one answer.

    In a stream one block is open at a time. What belongs to another while the arguments of a call are not
    whole yet waits for them: hardly any model tells two calls at once.
    """

    stream_type = EVENT_STREAM
    comment = _PING

    def __init__(self, request_id: str, model: str, prompt: int, stop: frozenset[str]) -> None:
        """Answer the request *request_id* to *model*, of about *prompt* tokens, that may end at *stop*."""
        self._id = "msg_" + request_id.removeprefix("req_")
        self._model = model
        self._usage = Usage(prompt=prompt)
        self._stop = stop
        self._hearing = Hearing()
        self._started = False
        self._failed = False
        self._blocks = 0
        self._open: str | int | None = None  # a kind of text, or the index of a call
        self._calls: dict[int, _Call] = {}
        self._waiting: list[CallPiece | tuple[str, str]] = []
        self._end: Told = {"stop_reason": "end_turn", "stop_sequence": None}

    # --- whole -------------------------------------------------------------------------------------

    def whole(self, body: bytes) -> bytes:
        """Return the answer *body* as a message."""
        heard = hear(body)
        self._note(heard)
        content: list[Told] = []
        if heard.reasoning:
            content.append(_EMPTY[_THINKING] | {"thinking": heard.reasoning, "signature": _SIGNATURE})
        if text := heard.text + heard.refusal:
            content.append({"type": "text", "text": text})
        content += [
            {"type": "tool_use", "id": call.id, "name": call.name, "input": _input(call.arguments)}
            for call in heard.calls
        ]
        return _ENCODER.encode(self._message(heard, content) | self._ended(called=bool(heard.calls)))

    def _message(self, heard: Heard, content: Sequence[Told]) -> Told:
        return {
            "id": self._id,
            "type": "message",
            "role": "assistant",
            "model": heard.model or self._model,
            "content": content,
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage_object(self._usage),
        }

    def _note(self, heard: Heard) -> None:
        """Take in why the answer ended and what it took, if *heard* says so."""
        self._usage = heard.usage or self._usage
        if heard.finish in _STOPS:
            self._end["stop_reason"] = _STOPS[heard.finish]
        if heard.refusal:
            self._end["stop_reason"] = "refusal"
        if heard.stopped_at in self._stop:
            self._end |= {"stop_reason": "stop_sequence", "stop_sequence": heard.stopped_at}

    def _ended(self, *, called: bool) -> Told:
        """Return why the answer ended; some models *called* a tool and say no more than that it did."""
        only = called and self._end["stop_reason"] == "end_turn"
        return self._end | {"stop_reason": "tool_use"} if only else self._end

    # --- streamed ----------------------------------------------------------------------------------

    def events(self, payloads: Sequence[bytes]) -> bytes:
        """Return the events that the chunks *payloads* make."""
        return b"".join([self._told(self._hearing.hear(payload)) for payload in payloads])

    def _told(self, heard: Heard) -> bytes:
        if heard.plain and self._open == _TEXT and not self._failed:
            return self._delta({"type": "text_delta", "text": heard.text})  # what most of a stream comes to
        return b"".join(self._events(heard))

    def _events(self, heard: Heard) -> Iterator[bytes]:
        if self._failed:
            return
        if heard.error is not None:
            self._failed = True
            yield _broken(heard.error)
            return
        yield from self._start(heard)
        self._note(heard)
        for kind, text in ((_THINKING, heard.reasoning), (_TEXT, heard.text), (_TEXT, heard.refusal)):
            if text:
                yield from self._say((kind, text))
        for piece in heard.calls:
            yield from self._say(piece)

    def _start(self, heard: Heard) -> Iterator[bytes]:
        if not self._started:
            self._started = True
            yield event("message_start", message=self._message(heard, ()))

    def _say(self, said: CallPiece | tuple[str, str]) -> Iterator[bytes]:
        """Tell what was *said*, or let it wait."""
        owner = said.index if isinstance(said, CallPiece) else said[0]
        open_call = self._calls.get(self._open) if isinstance(self._open, int) else None
        if open_call is not None and owner != self._open and not open_call.is_whole:
            self._waiting.append(said)
            return
        if isinstance(said, CallPiece):
            yield from self._call(said)
            if self._waiting and self._calls[said.index].is_whole:
                yield from self._resume()
        else:
            yield from self._write(*said)

    def _resume(self) -> Iterator[bytes]:
        """Tell what waited."""
        waiting, self._waiting = self._waiting, []
        for said in waiting:
            yield from self._say(said)

    def _write(self, kind: str, text: str) -> Iterator[bytes]:
        if self._open != kind:
            yield from self._begin(kind, _EMPTY[kind])
        yield self._delta({"type": f"{kind}_delta", kind: text})

    def _call(self, piece: CallPiece) -> Iterator[bytes]:
        """Tell a piece of a call; of one that is over nothing can be told."""
        known = self._calls.get(piece.index)
        if known is None:
            yield from self._close()
            known = self._calls[piece.index] = _Call()
            self._open = piece.index
        elif self._open != piece.index:
            return
        known.take(piece)
        if piece.arguments:
            yield from self._begin_call(known)
            yield self._delta({"type": "input_json_delta", "partial_json": piece.arguments})

    def _begin_call(self, call: _Call) -> Iterator[bytes]:
        if not call.begun:
            call.begun = True
            yield from self._begin(
                self._open, {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
            )

    def _begin(self, owner: str | int | None, block: Told) -> Iterator[bytes]:
        if self._open != owner:
            yield from self._close()
        self._open = owner
        yield event("content_block_start", index=self._blocks, content_block=block)
        if not self._blocks:
            yield _PING

    def _delta(self, delta: Told) -> bytes:
        return event("content_block_delta", index=self._blocks, delta=delta)

    def _close(self) -> Iterator[bytes]:
        """End the block that is open, if one is."""
        if isinstance(self._open, int):
            yield from self._begin_call(self._calls[self._open])
        if self._open == _THINKING:
            yield self._delta({"type": "signature_delta", "signature": _SIGNATURE})
        if self._open is not None:
            yield event("content_block_stop", index=self._blocks)
            self._blocks += 1
            self._open = None

    def end(self) -> bytes:
        """Return the events that say why it ended and what it took; after an error nothing comes."""
        return b"" if self._failed else b"".join(self._ending())

    def _ending(self) -> Iterator[bytes]:
        yield from self._start(Heard())
        yield from self._close()
        while self._waiting:
            yield from self._resume()
            yield from self._close()
        ended = self._ended(called=bool(self._calls))
        yield event("message_delta", delta=ended, usage=usage_object(self._usage))
        yield event("message_stop")

    def fault(self, error: ApiError, like: Piece | None) -> bytes:
        """Return the event that tells *error*."""
        self._failed = True
        return event("error", error=error_object(error))


def _broken(error: Mapping[str, Any]) -> bytes:
    """Return the event that tells OpenAI's *error*, which broke an answer off."""
    told: Told = {"type": "api_error", "message": str(error.get("message") or "the answer broke off")}
    if isinstance(error.get("code"), str):
        told["details"] = {"error_code": error["code"]}
    return event("error", error=told)


def _input(arguments: str) -> Any:
    """Return the *arguments* of a call as an object; what is none is told as it was written."""
    if not arguments.strip():
        return {}
    try:
        found = msgspec.json.decode(arguments)
    except (msgspec.MsgspecError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {"arguments": arguments}


def usage_object(usage: Usage) -> Told:
    """Return *usage* in Anthropic's shape: what came from a cache is not in ``input_tokens``."""
    thought: Told = {"output_tokens_details": {"thinking_tokens": usage.reasoning}} if usage.reasoning else {}
    return {
        "input_tokens": max(0, usage.prompt - usage.cached),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached,
        "output_tokens": usage.completion,
        **thought,
    }
