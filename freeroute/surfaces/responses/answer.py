"""Answers in the words of the Responses API: items, and the events that tell them as they grow."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw

from freeroute.domain.usage import Usage
from freeroute.errors import ApiError
from freeroute.surfaces.conversing import EVENT_STREAM
from freeroute.surfaces.responses.events import Events, Unheard
from freeroute.surfaces.responses.tools import FreeText, Source
from freeroute.wire.answers import Piece
from freeroute.wire.hearing import CallPiece, Heard, Hearing, hear

_encode = msgspec.json.Encoder().encode
# Why an answer is not whole, by its finish in OpenAI's words.
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
# The code of a failed response is one of a closed set; the error's own stands in the event beside it.
_CODES = {"rate_limit_exceeded": "rate_limit_exceeded", "capacity_exhausted": "rate_limit_exceeded"}
_IN_PROGRESS, _COMPLETED, _ENDED_EARLY = "in_progress", "completed", "incomplete"

Keep = Callable[[dict[str, Any]], bool]
"""Keeps a response that is whole; says whether it will be found again."""


class _Growing:
    """One item of the output while it grows: *item* is what it is so far."""

    def __init__(self, events: Events, place: int, item: dict[str, Any]) -> None:
        self.item = item
        self._events = events
        self._at = {"item_id": item["id"], "output_index": place}
        self._told("response.output_item.added")

    def end(self, status: str) -> None:
        """Tell the whole item."""
        self.item["status"] = status
        self._told("response.output_item.done")

    def _tell(self, kind: str, **fields: Any) -> None:
        self._events.tell(kind, **self._at, **fields)

    def _told(self, kind: str) -> None:
        self._events.tell(kind, output_index=self._at["output_index"], item=self.item)


class _Message(_Growing):
    """What is said: parts of text, or of a refusal."""

    def __init__(self, events: Events, place: int, name: str) -> None:
        item = {"id": f"msg_{name}", "type": "message", "status": _IN_PROGRESS}
        super().__init__(events, place, {**item, "role": "assistant", "content": []})
        self._part: dict[str, Any] | None = None
        self._words: list[str] = []

    def say(self, text: str) -> None:
        """Go on with *text*."""
        if self._part is None or self._part["type"] != "output_text":
            self._in_part("output_text", "text")
        self._words.append(text)
        self._tell("response.output_text.delta", content_index=self._index, delta=text, logprobs=[])

    def refuse(self, text: str) -> None:
        """Go on with *text*, a refusal."""
        self._in_part("refusal", "refusal")
        self._words.append(text)
        self._tell("response.refusal.delta", content_index=self._index, delta=text)

    def end(self, status: str) -> None:
        self._end_part()
        super().end(status)

    @property
    def _index(self) -> int:
        return len(self.item["content"]) - 1

    def _in_part(self, kind: str, field: str) -> None:
        if self._part is not None and self._part["type"] == kind:
            return
        self._end_part()
        more: dict[str, Any] = {"annotations": [], "logprobs": []} if kind == "output_text" else {}
        self._part = {"type": kind, field: "", **more}
        self.item["content"].append(self._part)
        self._tell("response.content_part.added", content_index=self._index, part=self._part)

    def _end_part(self) -> None:
        part, self._part = self._part, None
        if part is None:
            return
        text, self._words = "".join(self._words), []
        if part["type"] == "output_text":
            part["text"] = text
            self._tell("response.output_text.done", content_index=self._index, text=text, logprobs=[])
        else:
            part["refusal"] = text
            self._tell("response.refusal.done", content_index=self._index, refusal=text)
        self._tell("response.content_part.done", content_index=self._index, part=part)


class _Thoughts(_Growing):
    """What was thought: as a *summary* if the caller asked for one, else as it is."""

    def __init__(self, events: Events, place: int, name: str, *, summary: bool) -> None:
        item = {"id": f"rs_{name}", "type": "reasoning", "status": _IN_PROGRESS, "summary": []}
        super().__init__(events, place, item)
        self._words: list[str] = []
        self._kind = "reasoning_summary_text" if summary else "reasoning_text"
        self._place = {"summary_index" if summary else "content_index": 0}
        self._part = {"type": "summary_text" if summary else "reasoning_text", "text": ""}
        self._frame = "response.reasoning_summary_part" if summary else "response.content_part"
        self._list = "summary" if summary else "content"
        self._tell(f"{self._frame}.added", **self._place, part=self._part)

    def say(self, text: str) -> None:
        """Go on with *text*."""
        self._words.append(text)
        self._tell(f"response.{self._kind}.delta", **self._place, delta=text)

    def end(self, status: str) -> None:
        self._part["text"] = "".join(self._words)
        self.item[self._list] = [self._part]
        self._tell(f"response.{self._kind}.done", **self._place, text=self._part["text"])
        self._tell(f"{self._frame}.done", **self._place, part=self._part)
        super().end(status)


class _Call(_Growing):
    """A call of a function."""

    def __init__(self, events: Events, place: int, name: str, call_id: str, source: Source) -> None:
        item = {"id": f"fc_{name}", "type": "function_call", "status": _IN_PROGRESS}
        super().__init__(events, place, {**item, **_called(call_id, source), "arguments": ""})
        self._pieces: list[str] = []

    def say(self, arguments: str) -> None:
        """Go on with *arguments*."""
        self._pieces.append(arguments)
        self._tell("response.function_call_arguments.delta", delta=arguments)

    def end(self, status: str) -> None:
        if status == _COMPLETED and not "".join(self._pieces).strip():
            self.say("{}")
        whole = self.item["arguments"] = "".join(self._pieces)
        self._tell("response.function_call_arguments.done", arguments=whole, name=self.item["name"])
        super().end(status)


class _FreeCall(_Growing):
    """A call of a tool that takes free text."""

    def __init__(self, events: Events, place: int, name: str, call_id: str, source: Source) -> None:
        item = {"id": f"ctc_{name}", "type": "custom_tool_call", "status": _IN_PROGRESS}
        super().__init__(events, place, {**item, **_called(call_id, source), "input": ""})
        self._input = FreeText()

    def say(self, arguments: str) -> None:
        """Go on with *arguments*, which hold the text."""
        self._add(self._input.feed(arguments))

    def end(self, status: str) -> None:
        self._add(self._input.end())
        self.item["input"] = self._input.text
        self._tell("response.custom_tool_call_input.done", input=self._input.text)
        super().end(status)

    def _add(self, text: str) -> None:
        if text:
            self._tell("response.custom_tool_call_input.delta", delta=text)


def _called(call_id: str, source: Source) -> dict[str, Any]:
    space = {"namespace": source.namespace} if source.namespace is not None else {}
    return {"call_id": call_id, "name": source.name, **space}


class ResponseTelling:
    """Tells one answer as a response, which is *response_id*."""

    stream_type = EVENT_STREAM
    comment = b": waiting\n\n"

    def __init__(
        self,
        response_id: str,
        head: Mapping[str, Any],
        sources: Mapping[str, Source],
        *,
        summary: bool,
        keep: Keep,
    ) -> None:
        """Tell it with the fields of *head*; *sources* says what each function was offered as."""
        self._name = response_id.removeprefix("resp_")
        self._head = {"id": response_id, "object": "response", **head}
        self._sources = sources
        self._summary = summary
        self._keep = keep
        self._hearing = Hearing()
        self._events = Events()
        self._output: list[dict[str, Any]] = []
        self._open: _Message | _Thoughts | None = None
        self._calls: dict[int, _Call | _FreeCall] = {}
        self._naming: CallPiece | None = None  # a call whose name may not be whole yet
        self._usage: Usage | None = None
        self._finish: str | None = None
        self._begun = self._failed = False

    def whole(self, body: bytes) -> bytes:
        """Return the response to which the answer *body* comes."""
        self._events = Unheard()
        self._take(hear(body))
        return _encode(self._ended())

    def events(self, payloads: Sequence[bytes]) -> bytes:
        """Return the events that *payloads* bring."""
        for payload in payloads:
            if self._failed:
                break
            heard = self._hearing.hear(payload)
            self._begin(heard.model)
            if heard.error is not None:
                self._fail(heard.error)
            else:
                self._take(heard)
        return self._events.taken()

    def end(self) -> bytes:
        """Return the last events; nothing once the response has failed."""
        if not self._failed:
            self._begin(None)
            response = self._ended()
            self._events.tell(f"response.{response['status']}", response=response)
        return self._events.taken()

    def fault(self, error: ApiError, like: Piece | None) -> bytes:
        """Return the events that tell *error*."""
        if not self._failed:
            self._begin(like.model if like is not None and isinstance(like.model, str) else None)
            self._fail({"message": error.message, "code": error.code})
        return self._events.taken()

    # --- beginning and ending ------------------------------------------------------------------------

    def _begin(self, model: str | None) -> None:
        if self._begun:
            return
        self._begun = True
        self._head["model"] = model or self._head["model"]
        for kind in ("response.created", "response.in_progress"):
            self._events.tell(kind, response=self._response(_IN_PROGRESS))

    def _fail(self, error: Mapping[str, Any]) -> None:
        self._failed = True
        self._output = [item for item in self._output if item["status"] != _IN_PROGRESS]
        message, code = str(error.get("message") or "The provider failed."), str(error.get("code") or "")
        # Some clients read the fields of this event, others an object in it.
        told = {"code": code, "message": message, "param": None}
        self._events.tell("error", **told, error={"type": "server_error", **told})
        response = self._response("failed")
        response["store"] = False  # nobody comes back to it
        response["error"] = {"code": _CODES.get(code, "server_error"), "message": message}
        self._events.tell("response.failed", response=response)

    def _ended(self) -> dict[str, Any]:
        """Return the whole response, everything in it at its end, and have it kept."""
        reason = _INCOMPLETE.get(self._finish or "")
        status = _ENDED_EARLY if reason else _COMPLETED
        self._close(status)
        for call in self._calls.values():
            call.end(status)
        response = self._response(status)
        response["incomplete_details"] = {"reason": reason} if reason else None
        response["usage"] = _usage(self._usage or Usage(estimated=True))
        response["store"] = self._keep(response)
        return response

    def _response(self, status: str) -> dict[str, Any]:
        return {
            **self._head,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "output": self._output,
            "usage": None,
        }

    # --- what is said ----------------------------------------------------------------------------------

    def _take(self, heard: Heard) -> None:
        if heard.model is not None:
            self._head["model"] = heard.model
        if heard.plain:
            self._message().say(heard.text)
            return
        if heard.reasoning:
            self._thoughts().say(heard.reasoning)
        if heard.text:
            self._message().say(heard.text)
        if heard.refusal:
            self._message().refuse(heard.refusal)
        for image in heard.images:
            self._show(image)
        for piece in heard.calls:
            self._call(piece)
        self._finish = heard.finish or self._finish
        self._usage = heard.usage or self._usage

    def _named(self) -> tuple[Events, int, str]:
        return self._events, len(self._output), f"{self._name}_{len(self._output)}"

    def _message(self) -> _Message:
        if not isinstance(self._open, _Message):
            self._close(_COMPLETED)
            self._open = _Message(*self._named())
            self._output.append(self._open.item)
        return self._open

    def _thoughts(self) -> _Thoughts:
        if not isinstance(self._open, _Thoughts):
            self._close(_COMPLETED)
            self._open = _Thoughts(*self._named(), summary=self._summary)
            self._output.append(self._open.item)
        return self._open

    def _close(self, status: str) -> None:
        if self._open is not None:
            self._open.end(status)
            self._open = None
        if self._naming is not None:
            self._begin_call(self._naming)

    def _call(self, piece: CallPiece) -> None:
        """Go on with a call. All stay open to the end: their pieces may come in turns."""
        if piece.index not in self._calls:
            self._name_call(piece)
        if piece.arguments:
            self._calls[piece.index].say(piece.arguments)

    def _name_call(self, piece: CallPiece) -> None:
        """Take in what a call is named, until arguments or another item say that its name is whole."""
        named = self._naming
        if named is None or named.index != piece.index:
            self._close(_COMPLETED)
            named = CallPiece(piece.index, "", "", "")
        self._naming = CallPiece(piece.index, named.id or piece.id, named.name + piece.name, "")
        if piece.arguments:
            self._begin_call(self._naming)

    def _begin_call(self, named: CallPiece) -> None:
        self._naming = None
        source = self._sources.get(named.name, Source(named.name))
        made = _FreeCall if source.custom else _Call
        call = self._calls[named.index] = made(*self._named(), named.id, source)
        self._output.append(call.item)

    def _show(self, image: str) -> None:
        """Tell an image that the model made; one that is only an address cannot be told."""
        head, _, encoded = image.partition(";base64,")
        if not head.startswith("data:"):
            return
        self._close(_COMPLETED)
        events, place, name = self._named()
        item = {"id": f"ig_{name}", "type": "image_generation_call", "result": encoded}
        growing = _Growing(events, place, {**item, "status": _IN_PROGRESS})
        self._output.append(growing.item)
        growing.end(_COMPLETED)


def _usage(usage: Usage) -> dict[str, Any]:
    told: dict[str, Any] = {
        "input_tokens": usage.prompt,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": 0},
        "output_tokens": usage.completion,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total,
    }
    return {**told, "estimated": True} if usage.estimated else told


def raw(value: Any) -> Raw:
    """Return *value* as it is written, to be written often."""
    return Raw(_encode(value))
