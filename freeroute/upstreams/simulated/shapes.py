"""What a provider's bytes look like: the base of all dialects, which is plain OpenAI."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeVar

import msgspec
from msgspec import Struct

from freeroute.upstreams.simulated.faults import Speed
from freeroute.upstreams.simulated.limits import Meter, Refusal, Rule
from freeroute.upstreams.simulated.pace import Frame
from freeroute.upstreams.simulated.text import Answer, ToolCall

ProblemKind = Literal[
    "bad_key",
    "no_key",
    "payment",
    "forbidden",
    "model_gone",
    "no_path",
    "bad_param",
    "malformed",
    "too_large",
    "quota",
    "capacity",
    "server",
    "content_filter",
    "context_too_long",
]
Said = TypeVar("Said")
Pairs = list[tuple[bytes, bytes]]

DONE = Frame(b"data: [DONE]\n\n", final=True)


class Model(Struct, frozen=True):
    """One model on offer."""

    id: str
    rules: Sequence[Rule] = ()
    context: int = 131_072
    max_output: int = 32_768
    speed: Speed = Speed()


class Problem(Struct, frozen=True):
    """Why there is no answer; each dialect has its own words for it."""

    kind: ProblemKind
    model: str = ""
    param: str = ""
    text: str = ""
    status: int = 0
    requested: int = 0
    limit: int = 0
    refusal: Refusal | None = None
    at: Sequence[str | int] = ()

    @property
    def wait(self) -> float:
        """Seconds until a refused call fits; a call that never fits is told one span."""
        assert self.refusal is not None
        return self.refusal.wait if math.isfinite(self.refusal.wait) else self.refusal.rule.seconds


class Request(Struct, frozen=True):
    """What reached the provider."""

    method: str
    path: str
    key: str | None
    body: bytes


def pair(name: str, value: object) -> tuple[bytes, bytes]:
    """Return one header as bytes."""
    return name.encode("ascii"), str(value).encode("ascii")


def go_duration(seconds: float) -> str:
    """Print a duration as Go does: ``825ms``, ``7.66s``, ``1m26.4s``, ``2h0m1s``."""
    millis = max(0, math.ceil(seconds * 1000 - 1e-6))
    if millis < 1000:
        return f"{millis}ms" if millis else "0s"
    minutes, rest = divmod(millis, 60_000)
    tail = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else "") + tail


def sse(value: object, tokens: int = 0, *, final: bool = False) -> Frame:
    """Return *value* as one server-sent event."""
    return Frame(b"data: " + msgspec.json.encode(value) + b"\n\n", tokens, final)


def side_by_side(choices: Sequence[Iterator[Said]]) -> Iterator[Said]:
    """Yield what all *choices* say, one piece of each in turn, as models make them."""
    turns = itertools.zip_longest(*choices)
    return (said for turn in turns for said in turn if said is not None)


class Dialect:
    """Plain OpenAI. A provider overrides what it does in its own way."""

    id: ClassVar[str]
    origins: ClassVar[Sequence[str]]
    base_path: ClassVar[str]
    keyless: ClassVar[bool] = False
    # The list of models needs no key.
    lists_openly: ClassVar[bool] = False
    # max_tokens is held against the limits before anything is generated; and what is assumed without one.
    reserves_output: ClassVar[bool] = False
    assumed_output: ClassVar[int] = 0
    # A call that fails still counts as a request.
    counts_failures: ClassVar[bool] = False
    # A call refused by one limit still counts against the day.
    counts_refusals: ClassVar[bool] = False
    # The content filter answers with an error; elsewhere with an empty answer of that finish_reason.
    filters_by_error: ClassVar[bool] = True
    # Streams answer with their head at once, long before the first token.
    early_head: ClassVar[bool] = False
    # What a stream says meanwhile, once a second.
    keepalive: ClassVar[bytes] = b""
    obeys_tool_choice: ClassVar[bool] = True
    # More than one choice is made where n asks for it; elsewhere n means nothing.
    heeds_n: ClassVar[bool] = True
    output_fields: ClassVar[Sequence[str]] = ("max_completion_tokens", "max_tokens")
    json_type: ClassVar[str] = "application/json"
    stream_type: ClassVar[str] = "text/event-stream"
    # Slots for calls at a time, and how many may queue for one; 0 is no bound.
    parallel: int = 0
    queue: int = 0

    def at(self, path: str) -> "Dialect | None":
        """Return the dialect in which chat is spoken at *path*, or None where it is not."""
        return self if path == f"{self.base_path}/chat/completions" else None

    def messages(self, body: Mapping[str, Any]) -> Any:
        """Return what a request's *body* has for the messages of a chat."""
        return body.get("messages")

    def read(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return a request's *body* in OpenAI's form."""
        return body

    def context(self, body: Mapping[str, Any], model: Model) -> int:
        """Return how many tokens *model* has room for in this call."""
        return model.context

    def load(self, body: Mapping[str, Any], model: Model) -> float:
        """Load *model* for this call if need be; return how many seconds it takes."""
        return 0.0

    # --- what is refused -------------------------------------------------------------------------------

    def invalid(self, body: Mapping[str, Any]) -> Problem | None:
        """Return what this provider dislikes in *body*, beyond what nobody would take."""
        return None

    def output_allowed(self, body: Mapping[str, Any]) -> int | None:
        """Return the caller's bound on the answer, in the field this provider reads."""
        given = (body.get(name) for name in self.output_fields)
        return next((value for value in given if isinstance(value, int)), None)

    def prompt_counted(self, tokens: int, body: Mapping[str, Any], room: int) -> int:
        """Return how many prompt tokens the model sees, which has *room* for so many."""
        return tokens

    def error(self, problem: Problem, meter: Meter | None = None) -> tuple[int, Any]:
        """Return status and JSON value of *problem*."""
        raise NotImplementedError

    def error_headers(self, problem: Problem, meter: Meter | None) -> Pairs:
        """Return what an error adds to the headers."""
        return []

    def rate_headers(self, meter: Meter) -> Pairs:
        """Return the rate-limit headers of any answer."""
        return []

    # --- answers ---------------------------------------------------------------------------------------

    def completion(self, answer: Answer) -> dict[str, Any]:
        """Return the value of a JSON answer."""
        return {
            "id": answer.id,
            "object": "chat.completion",
            "created": answer.created,
            "model": answer.model,
            "choices": [self.choice(one) for one in answer.choices],
            "usage": self.usage(answer),
        }

    def choice(self, answer: Answer) -> dict[str, Any]:
        """Return one choice of a JSON answer."""
        message: dict[str, Any] = {"role": "assistant", "content": answer.text or None}
        if answer.tool_calls:
            calls = enumerate(answer.tool_calls)
            message["tool_calls"] = [self.tool_call(call, index) for index, call in calls]
        elif not answer.text:
            message["content"] = ""
        return {"index": answer.index, "message": message, "logprobs": None, "finish_reason": answer.finish}

    def usage(self, answer: Answer) -> dict[str, Any]:
        """Return the usage object."""
        return dict(answer.usage)

    def tool_call(self, call: ToolCall, index: int) -> dict[str, Any]:
        """Return one call of a JSON answer."""
        return {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }

    def hollow(self, answer: Answer) -> dict[str, Any]:
        """Return an answer that has nothing in it, not even an empty choice."""
        return self.completion(answer) | {"choices": []}

    # --- streams ---------------------------------------------------------------------------------------

    def frames(self, answer: Answer, asked_usage: bool) -> Iterator[Frame]:
        """Yield the events of a stream."""
        yield from side_by_side([self.saying(one) for one in answer.choices])
        for other in answer.others:
            yield sse(self.chunk(other, {}, other.finish), final=True)
        yield from self.closing(answer, asked_usage)
        yield DONE

    def saying(self, answer: Answer) -> Iterator[Frame]:
        """Yield the events in which one choice says what it says."""
        yield sse(self.chunk(answer, {"role": "assistant", "content": ""}))
        for piece in answer.pieces:
            yield sse(self.chunk(answer, {"content": piece}), 1)
        for index, call in enumerate(answer.tool_calls):
            yield from self.calling(answer, call, index)

    def calling(self, answer: Answer, call: ToolCall, index: int) -> Iterator[Frame]:
        """Yield the events in which a tool is called: in one piece, as most providers send it."""
        delta = {"tool_calls": [{"index": index} | self.tool_call(call, index)]}
        yield sse(self.chunk(answer, delta), call.tokens)

    def closing(self, answer: Answer, asked_usage: bool) -> Iterator[Frame]:
        """Yield what follows the last token: the finish, then usage where it was asked for."""
        yield sse(self.chunk(answer, {}, answer.finish), final=True)
        if asked_usage:
            usage = self.chunk(answer, {}) | {"choices": [], "usage": self.usage(answer)}
            yield sse(usage, final=True)

    def chunk(self, answer: Answer, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        """Return one event's value."""
        return {
            "id": answer.id,
            "object": "chat.completion.chunk",
            "created": answer.created,
            "model": answer.model,
            "choices": [{"index": answer.index, "delta": delta, "logprobs": None, "finish_reason": finish}],
        }

    def hollow_frames(self, answer: Answer) -> Iterator[Frame]:
        """Yield the events of a stream that has nothing in it."""
        yield sse(self.chunk(answer, {}) | {"choices": []})
        yield DONE

    def failing_event(self, answer: Answer) -> Frame:
        """Return the event with which a stream of status 200 fails."""
        return sse(self.error(Problem("server", model=answer.model, status=500))[1], final=True)

    # --- the other routes ------------------------------------------------------------------------------

    def listing(self, models: Sequence[Model]) -> dict[str, Any]:
        """Return the value of ``GET {base}/models``."""
        return {"object": "list", "data": [self.listed(model) for model in models]}

    def listed(self, model: Model) -> dict[str, Any]:
        """Return one entry of the list."""
        return {"id": model.id, "object": "model", "created": 1_780_000_000, "owned_by": self.id}

    def other(self, request: Request, models: Sequence[Model]) -> Any | None:
        """Return the value of a route only this provider has, or None."""
        return None
