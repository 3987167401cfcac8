"""Answers in Gemini's words: objects with candidates, in a stream as events or as the items of one array."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from freeroute.domain.usage import Usage
from freeroute.errors import ApiError
from freeroute.surfaces.conversing import EVENT_STREAM
from freeroute.surfaces.http import JSON
from freeroute.wire.answers import Piece
from freeroute.wire.called import Calls, WholeCall
from freeroute.wire.hearing import Heard, hear
from freeroute.wire.sse import frame

_encode = msgspec.json.encode
_FINISHES = {"length": "MAX_TOKENS", "content_filter": "SAFETY"}
# What Google calls the errors of each status.
_STATUSES = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_RPC = "type.googleapis.com/google.rpc."


def in_geminis_shape(error: ApiError, request_id: str) -> bytes:
    """Return the body that tells *error* to clients of Gemini."""
    return _encode(_error(error))


def _error(error: ApiError) -> dict[str, Any]:
    details: list[dict[str, Any]] = [
        {"@type": f"{_RPC}ErrorInfo", "reason": error.code.upper(), "domain": "freeroute"}
    ]
    if error.retry_after is not None:
        seconds = error.response_headers()["retry-after"]
        details.append({"@type": f"{_RPC}RetryInfo", "retryDelay": f"{seconds}s"})
    return _told(error.status, error.message, details)


def _told(status: int, message: str, details: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    name = _STATUSES.get(status, "INVALID_ARGUMENT")
    error: dict[str, Any] = {"code": status, "message": message, "status": name}
    return {"error": error | ({"details": details} if details else {})}


class GeminiTelling:
    """Tells one answer.

    Gemini has no pieces of function calls, so each is told as soon as it is complete. The event that ends the
    answer tells why, and the usage: it waits for both. Google's clients choke on comments between events.
    """

    stream_type = EVENT_STREAM
    comment = b""

    def __init__(self, *, thoughts: bool) -> None:
        """Tell *thoughts* as well, or leave them out."""
        self._thoughts = thoughts
        self._calls = Calls()
        self._finish: str | None = None
        self._usage: Usage | None = None
        self._identity: dict[str, Any] = {}
        self._over = False

    def whole(self, body: bytes) -> bytes:
        """Return the answer *body* as one object."""
        heard = hear(body)
        self._finish, self._usage = heard.finish, heard.usage
        self._know(heard)
        calls = [*self._calls.take(heard.calls), *self._calls.rest(heard.finish)]
        return _encode(self._ending(self._parts(heard, calls)))

    def events(self, payloads: Sequence[bytes]) -> bytes:
        """Return the events that *payloads* make."""
        return b"".join([self._heard(hear(payload)) for payload in payloads if not self._over])

    def end(self) -> bytes:
        """Return the last event, if it is not told yet."""
        return b"" if self._over else self._last()

    def fault(self, error: ApiError, like: Piece | None) -> bytes:
        """Return the event that tells *error*."""
        self._over = True
        return self._event(_error(error))

    def _event(self, said: dict[str, Any]) -> bytes:
        return frame(_encode(said))

    def _heard(self, heard: Heard) -> bytes:
        if heard.plain and self._identity:
            return self._event(self._said([{"text": heard.text}]))
        if heard.error is not None:
            self._over = True
            return self._event(_told(502, str(heard.error.get("message") or "the provider stopped")))
        self._know(heard)
        calls = self._calls.take(heard.calls)
        if heard.finish:
            self._finish = heard.finish
            calls += self._calls.rest(heard.finish)
        parts = self._parts(heard, calls)
        told = self._event(self._said(parts)) if parts else b""
        if heard.usage is not None:
            self._usage = heard.usage
            told += self._last() if self._finish else b""
        return told

    def _know(self, heard: Heard) -> None:
        if not self._identity and heard.id and heard.model:
            self._identity = {"modelVersion": heard.model, "responseId": heard.id}

    def _parts(self, heard: Heard, calls: Sequence[WholeCall]) -> list[dict[str, Any]]:
        thought = heard.reasoning if self._thoughts else ""
        text = heard.text + heard.refusal
        return [
            *([{"text": thought, "thought": True}] if thought else []),
            *([{"text": text}] if text else []),
            *(_image(url) for url in heard.images),
            *(_call(call) for call in calls),
        ]

    def _last(self) -> bytes:
        self._over = True
        return self._event(self._ending([]))

    def _said(self, parts: Sequence[Mapping[str, Any]], **more: Any) -> dict[str, Any]:
        # A content without parts is taken for no answer.
        content = {"parts": parts or [{"text": ""}], "role": "model"}
        return {"candidates": [{"content": content, **more, "index": 0}], **self._identity}

    def _ending(self, parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        said = self._said(parts, finishReason=_FINISHES.get(self._finish or "", "STOP"))
        return {**said, "usageMetadata": _usage(self._usage or Usage())}


class GeminiItems(GeminiTelling):
    """Tells the events of a stream as the items of one array, as Gemini does unless it is asked for SSE."""

    stream_type = JSON
    comment = b"\n"

    def __init__(self, *, thoughts: bool) -> None:
        """Tell *thoughts* as well, or leave them out."""
        super().__init__(thoughts=thoughts)
        self._begun = False

    def end(self) -> bytes:
        """Return the last item, if it is not told yet, and what closes the array."""
        return super().end() + b"]"

    def _event(self, said: dict[str, Any]) -> bytes:
        before, self._begun = (b",\n" if self._begun else b"["), True
        return before + _encode(said)


def _usage(usage: Usage) -> dict[str, int]:
    told = {
        "promptTokenCount": usage.prompt,
        "candidatesTokenCount": usage.completion - usage.reasoning,
        "totalTokenCount": usage.total,
    }
    told |= {"thoughtsTokenCount": usage.reasoning} if usage.reasoning else {}
    return told | ({"cachedContentTokenCount": usage.cached} if usage.cached else {})


def _call(call: WholeCall) -> dict[str, Any]:
    told = {"id": call.id} if call.id else {}
    return {"functionCall": {**told, "name": call.name, "args": call.arguments}}


def _image(url: str) -> dict[str, Any]:
    kind, _, data = url.removeprefix("data:").partition(";base64,")
    if url.startswith("data:"):
        return {"inlineData": {"mimeType": kind, "data": data}}
    return {"fileData": {"fileUri": url}}
