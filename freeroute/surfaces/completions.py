"""OpenAI's older API for completions: a text that is gone on with, or filled in."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw

from freeroute.domain.tasks import Task
from freeroute.errors import ApiError, InvalidRequest
from freeroute.surfaces.conversing import EVENT_STREAM, Asked, Conversations
from freeroute.surfaces.http import Request
from freeroute.surfaces.routes import Route
from freeroute.surfaces.tasks import task_route
from freeroute.wire.answers import Choice, Piece, error_events, error_in, identity, inspect, split_parts
from freeroute.wire.asking import asked_for, completion_of
from freeroute.wire.decode import decode_chat, read
from freeroute.wire.sse import DONE, frame

_SURFACE = "completions"
_LAST_EVENT = frame(DONE)
_PROMPT = msgspec.json.Decoder(str | list[Raw])
_TEXT = msgspec.json.Decoder(str)
_FLAG = msgspec.json.Decoder(bool)
_WHOLE = msgspec.json.Decoder(int)
_OWN = frozenset({"prompt", "suffix", "echo", "best_of", "logprobs"})
_SAYING = ("text", "logprobs", "finish_reason")
_encode = msgspec.json.encode


class CompletionsSurface:
    """The route of completions over a gateway."""

    def __init__(self, conversations: Conversations) -> None:
        """Serve calls by *conversations*."""
        self._conversations = conversations
        self._gateway = conversations.gateway

    def routes(self) -> list[Route]:
        """Return what is served."""
        return [task_route(self._conversations, "/v1/completions", _SURFACE, self.understand)]

    def understand(self, request: Request, body: bytes) -> Asked:
        """Return what *body* asks for; raises InvalidRequest.

        A model that goes on with texts gets the text as it is, and so does whoever can fill in the middle of
        one. All others are asked by chat, with the text as what the user says.
        """
        given = asked_for(Task.COMPLETIONS, body, wanted="model and prompt")
        prompt = _prompt(given)
        given["prompt"] = Raw(_encode(prompt))
        suffix = read(given["suffix"], _TEXT, "suffix") if "suffix" in given else ""
        model = read(given["model"], _TEXT, "model") if "model" in given else ""
        if suffix or self._gateway.completes(model):
            return Asked(completion_of(given), _Telling())
        _refuse_what_no_chat_does(given)
        echo = "echo" in given and read(given["echo"], _FLAG, "echo")
        chat = {name: value for name, value in given.items() if name not in _OWN}
        messages = [{"role": "user", "content": prompt}]
        call = decode_chat(_encode({**chat, "messages": messages}))
        return Asked(call, _Telling(prompt if echo else ""))


def _prompt(given: dict[str, Raw]) -> str:
    if "prompt" not in given:
        raise InvalidRequest("prompt is missing: send the text to go on with.", param="prompt")
    found: str | list[Raw] = read(given["prompt"], _PROMPT, "prompt")
    if isinstance(found, list):
        if len(found) != 1:
            raise InvalidRequest("prompt: one text in each request.", param="prompt")
        found = str(read(found[0], _TEXT, "prompt[0]"))
    return found


def _refuse_what_no_chat_does(given: dict[str, Raw]) -> None:
    for name, most in (("best_of", 1), ("logprobs", -1)):
        if name in given and read(given[name], _WHOLE, name) > most:
            told = f"{name}: only models with the capability `completions` do this; others are asked by chat."
            raise InvalidRequest(told, param=name)


class _Telling:
    """Tells an answer as texts that follow the *echo* of the prompt, if that is wanted."""

    stream_type = EVENT_STREAM
    comment = b": waiting\n\n"

    def __init__(self, echo: str = "") -> None:
        self._echo = echo
        self._echoed: set[int] = set()

    def whole(self, body: bytes) -> bytes:
        """Return the completion to which the answer *body* comes."""
        answer = msgspec.json.decode(body)
        found = inspect(body) or Piece()
        answer["object"] = "text_completion"
        answer["choices"] = [self._choice(choice) for choice in found.choices or ()]
        return _encode(answer)

    def events(self, payloads: Sequence[bytes]) -> bytes:
        """Return the events that *payloads* bring."""
        return b"".join(map(self._event, payloads))

    def end(self) -> bytes:
        """Return the event that OpenAI's streams end with."""
        return _LAST_EVENT

    def fault(self, error: ApiError, like: Piece | None) -> bytes:
        """Return the event that tells *error*."""
        told = error_events(
            error.message, code=error.code, kind=error.kind, metadata=error.metadata, like=like
        )
        return self.events(told)

    def _event(self, payload: bytes) -> bytes:
        piece = inspect(payload) or Piece()
        if error := error_in(piece):
            # Of an error that is told twice the choice is no completion.
            return b"" if piece.choices and piece.error else frame(_encode({"error": error}))
        choices = [self._choice(choice) for choice in piece.choices or ()]
        choices = [choice for choice in choices if any(choice[said] for said in _SAYING)]
        usage = {} if piece.usage is None else {"usage": piece.usage}
        if not choices and not usage:
            return b""
        head = {**identity(piece), "object": "text_completion"}
        return frame(_encode({**head, "choices": choices, **usage}))

    def _choice(self, choice: Choice) -> dict[str, Any]:
        index = choice.index if isinstance(choice.index, int) else 0
        text = self._echo if index not in self._echoed else ""
        self._echoed.add(index)
        logprobs = choice.logprobs
        return {
            "text": text + _text_of(choice),
            "index": index,
            "logprobs": logprobs if isinstance(logprobs, dict) and "content" not in logprobs else None,
            "finish_reason": choice.finish_reason,
        }


def _text_of(choice: Choice) -> str:
    if isinstance(choice.text, str):
        return choice.text
    if choice.said is None:
        return ""
    content, refusal = choice.said.content, choice.said.refusal
    text = content if isinstance(content, str) else split_parts(content)[0]
    return text + refusal if isinstance(refusal, str) else text
