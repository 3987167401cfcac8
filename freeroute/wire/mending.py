"""Answers that lack something of OpenAI's form get it: clients with strict types fail on what is missing.

What a provider adds stays. What it says in another form is said in OpenAI's, or left out where nothing of
it could be told without inventing.
"""

import json
import uuid
from collections.abc import Callable
from typing import Any

import msgspec

from freeroute.wire.answers import Piece, usage_object, usage_of
from freeroute.wire.finishes import FINISHES, finish_of
from freeroute.wire.strict import Logprobs, OlderLogprobs, ServiceTier, fits, has_form, is_usage

_ROLES = ("developer", "system", "user", "assistant", "tool")
_DETAILS = ("prompt_tokens_details", "completion_tokens_details")


class Mender:
    """Mends the chunks of one stream, or one whole answer, which share their identity."""

    def __init__(self, *, model: str, created: int, completes: bool = False) -> None:
        """Take *model* and *created* (Unix seconds) where the provider names none.

        Where the model *completes* a text, log probabilities are in the form of OpenAI's older completions.
        """
        self._mend_logprobs = _mend_older_logprobs if completes else _mend_logprobs
        self._id = ""
        self._model = model
        self._created = created

    def chunk(self, payload: bytes, piece: Piece) -> bytes:
        """Return the chunk *payload*, which was read as *piece*, in OpenAI's form."""
        return self._mended(payload, piece, "chat.completion.chunk", _mend_part)

    def whole(self, body: bytes, piece: Piece) -> bytes:
        """Return the whole answer *body*, which was read as *piece*, in OpenAI's form."""
        return self._mended(body, piece, "chat.completion", _mend_whole)

    def like(self, piece: Piece | None) -> Piece:
        """Return the identity that a chunk of our own beside *piece* has."""
        head: dict[str, Any] = {}
        if piece is not None:
            head = {"id": piece.id, "created": piece.created, "model": piece.model}
        self._identify(head)
        return Piece(id=head["id"], created=head["created"], model=head["model"])

    def _mended(
        self, payload: bytes, piece: Piece, form: str, mend: Callable[[dict[str, Any]], None]
    ) -> bytes:
        if has_form(piece):
            return payload
        value = msgspec.json.decode(payload)
        self._identify(value)
        value["object"] = form
        _mend_extras(value)
        for index, choice in enumerate(value.get("choices") or ()):
            if type(choice.get("index")) is not int:
                choice["index"] = index
            _mend_finish(choice)
            self._mend_logprobs(choice)
            mend(choice)
        return msgspec.json.encode(value)

    def _identify(self, value: dict[str, Any]) -> None:
        """Give *value* what it lacks of an identity; the first id of a stream is the id of what has none."""
        given = value.get("id")
        if isinstance(given, str) and given:
            self._id = self._id or given
        else:
            self._id = self._id or f"chatcmpl-{uuid.uuid4().hex[:24]}"
            value["id"] = self._id
        if type(value.get("created")) is not int:
            value["created"] = self._created
        if not isinstance(value.get("model"), str):
            value["model"] = self._model


def mended_usage(raw: dict[str, Any]) -> dict[str, Any] | None:
    """Return the usage *raw* in OpenAI's form, None if it tells nothing; what it tells beside that stays."""
    if is_usage(raw):
        return raw
    usage = usage_of(raw)
    if usage is None:
        return None
    told = {name: value for name, value in raw.items() if name not in _DETAILS} | usage_object(usage)
    for group in _DETAILS:
        details = raw.get(group)
        if isinstance(details, dict):
            counts = {name: count for name, count in details.items() if type(count) is int and count >= 0}
            told[group] = counts | told.get(group, {})
    return told


def _mend_extras(value: dict[str, Any]) -> None:
    for name, form in (("service_tier", ServiceTier), ("system_fingerprint", str)):
        if name in value and not fits(value[name], form):
            value[name] = None
    if "usage" in value:
        raw = value["usage"]
        value["usage"] = mended_usage(raw) if isinstance(raw, dict) else None


def _mend_finish(choice: dict[str, Any]) -> None:
    """Say the finish in OpenAI's words, and keep the provider's own beside it."""
    told = choice.get("finish_reason")
    if not isinstance(told, str) or not told:
        choice["finish_reason"] = None
    elif told not in FINISHES:
        choice.setdefault("native_finish_reason", told)
        choice["finish_reason"] = finish_of(told)


def _mend_logprobs(choice: dict[str, Any]) -> None:
    logprobs = choice.get("logprobs")
    if logprobs is None or fits(logprobs, Logprobs):
        return
    tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
    for token in tokens if isinstance(tokens, list) else ():
        if isinstance(token, dict) and token.get("top_logprobs") is None:
            token["top_logprobs"] = []
    if not fits(logprobs, Logprobs):
        choice["logprobs"] = None


def _mend_older_logprobs(choice: dict[str, Any]) -> None:
    if choice.get("logprobs") is not None and not fits(choice["logprobs"], OlderLogprobs):
        choice["logprobs"] = None


def _mend_part(choice: dict[str, Any]) -> None:
    """Mend a choice of a chunk."""
    delta = choice.get("delta")
    if not isinstance(delta, dict):
        message = choice.pop("message", None)
        delta = choice["delta"] = message if isinstance(message, dict) else {}
    _mend_said(delta)
    if delta.get("role") not in _ROLES:
        delta.pop("role", None)
    for index, call in enumerate(delta.get("tool_calls") or ()):
        if type(call.get("index")) is not int:
            call["index"] = index
        if call.get("type") != "function":
            call.pop("type", None)
        if not isinstance(call.get("id"), str):
            call.pop("id", None)
        if isinstance(call.get("function"), dict):
            _mend_called(call["function"])
        else:
            call.pop("function", None)


def _mend_whole(choice: dict[str, Any]) -> None:
    """Mend a choice of a whole answer."""
    message = choice.get("message")
    if not isinstance(message, dict):
        message = choice["message"] = {}
    _mend_said(message)
    message["role"] = "assistant"
    message.setdefault("content", None)
    for call in message.get("tool_calls") or ():
        call["type"] = "function"
        function = call.get("function")
        call["function"] = function if isinstance(function, dict) else {}
        _mend_called(call["function"])
        if not isinstance(call.get("id"), str):
            call["id"] = f"call_{uuid.uuid4().hex[:24]}"
    for called in (message.get("function_call"), *(c["function"] for c in message.get("tool_calls") or ())):
        if called is not None:
            called.setdefault("name", "")
            called.setdefault("arguments", "")


def _mend_said(said: dict[str, Any]) -> None:
    for name in ("content", "refusal"):
        if said.get(name) is not None and not isinstance(said[name], str):
            said[name] = None
    if isinstance(said.get("function_call"), dict):
        _mend_called(said["function_call"])
    elif "function_call" in said:
        del said["function_call"]
    calls = said.get("tool_calls")
    if calls is not None:
        said["tool_calls"] = (
            [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else None
        )


def _mend_called(function: dict[str, Any]) -> None:
    """Write arguments that came as an object as the text they are in OpenAI's form."""
    arguments = function.get("arguments")
    if arguments is not None and not isinstance(arguments, str):
        function["arguments"] = json.dumps(arguments, ensure_ascii=False)
    for name in ("name", "arguments"):
        if not isinstance(function.get(name), str):
            function.pop(name, None)
