"""Ollama's own API: what ``/v1`` cannot say, above all how long a prompt may be.

Ollama loads a model with a context of a certain size, and loads it again for another size. A longer prompt
would be cut without a word. So each call says which context it needs, in steps, and that nothing be cut.
"""

import math

import msgspec
from msgspec import Struct, structs

from freeroute.clock import Clock, Now
from freeroute.domain.catalogue import Candidate, Provider
from freeroute.domain.outcome import Kind, Outcome
from freeroute.domain.tasks import Task
from freeroute.engine.ports import Sent, Terms, Upstream
from freeroute.upstreams.ollama_answer import Answering
from freeroute.upstreams.ollama_request import native
from freeroute.upstreams.openai import OpenAiUpstream
from freeroute.upstreams.quirks import Outgoing, adapted
from freeroute.upstreams.reading import Events
from freeroute.upstreams.transport import Transport
from freeroute.wire.chat import ChatCall

# Tokens Ollama loads a model with on a small machine. Each larger context is twice the one before, so that a
# model is loaded again a few times at most while conversations grow. Own design.
SMALLEST = 4096
# A prompt that is longer than estimated would be refused by the server. Own design.
MARGIN = 1.25
# Room for an answer without a bound, in tokens. Own design.
OPEN_ANSWER = 1024
# How long a model stays loaded when nobody asks (OLLAMA_KEEP_ALIVE's default), in seconds.
KEPT = 300.0
_MOST_KEPT = 300


def build(transport: Transport, clock: Clock) -> Upstream:
    """Return the upstream for providers of this kind."""
    return OllamaUpstream(transport, clock)


def wanted_context(prompt: int, max_output: int | None, held: int | None, ceiling: int | None) -> int | None:
    """Return the context in tokens to ask for, or None where the server's default will do.

    *held* is what the model is loaded with, or would be, as far as known: it stays if the call fits, since
    another one means another load. *ceiling* is the most the model may be loaded with.
    """
    need = math.ceil(prompt * MARGIN) + (OPEN_ANSWER if max_output is None else max_output)
    if need <= (held or SMALLEST):
        return held
    asked = SMALLEST
    while asked < need:
        asked *= 2
    # What is loaded already does not shrink for a call that no context would be large enough for.
    return asked if ceiling is None else max(min(asked, ceiling), held or 0)


class _Held(Struct, frozen=True):
    tokens: int
    used_at: float


class Contexts:
    """Which context each model was last asked for, while it is likely to be loaded with it."""

    def __init__(self) -> None:
        """Begin without knowing any."""
        self._held: dict[tuple[str, str], _Held] = {}

    def held(self, candidate: Candidate, now: Now) -> int | None:
        """Return the larger of what was asked for and what the server told, or None if neither is known."""
        held = self._held.get(_place(candidate))
        kept = held.tokens if held is not None and now.mono - held.used_at < KEPT else 0
        return max(kept, candidate.model.default_context or 0) or None

    def used(self, candidate: Candidate, tokens: int, now: Now) -> None:
        """Note that the model answered with a context of *tokens*."""
        self._held.pop(_place(candidate), None)
        self._held[_place(candidate)] = _Held(tokens, now.mono)
        if len(self._held) > _MOST_KEPT:
            del self._held[next(iter(self._held))]


def _place(candidate: Candidate) -> tuple[str, str]:
    return candidate.provider.base_url, candidate.model.id


class OllamaUpstream:
    """Talks to one Ollama once."""

    def __init__(self, transport: Transport, clock: Clock) -> None:
        """Send through *transport*."""
        self._transport = transport
        self._clock = clock
        self._contexts = Contexts()
        self._others = OpenAiUpstream(transport, clock)

    async def send(self, call: ChatCall, candidate: Candidate, terms: Terms) -> Sent:
        """Make the call; every failure is an outcome. Cancelling it closes the connection."""
        if call.task is not Task.CHAT:  # OpenAI's form of it says all there is to say
            return await self._others.send(call, candidate, terms)
        now = self._clock.now()
        bound = terms.max_output if terms.max_output is not None else call.demand.max_output
        held, ceiling = self._contexts.held(candidate, now), candidate.model.context
        prompt = call.demand.prompt_of(candidate.tokenizer)
        num_ctx = wanted_context(prompt, bound, held, ceiling)
        shape = _Shape(num_ctx, Answering(created=int(now.wall)))
        sent = await OpenAiUpstream(self._transport, self._clock, shape).send(call, candidate, terms)
        if sent.outcome.kind is Kind.SERVED and num_ctx is not None:
            self._contexts.used(candidate, num_ctx, self._clock.now())
        sent.outcome = _without_lesson(sent.outcome, ceiling)
        return sent


def _without_lesson(outcome: Outcome, ceiling: int | None) -> Outcome:
    """Return *outcome* without a context that is only what the model was loaded with this time."""
    if outcome.context is None or (ceiling is not None and outcome.context >= ceiling):
        return outcome
    return structs.replace(outcome, context=None)


class _Shape:
    """One call in Ollama's form."""

    accept = b"application/x-ndjson"

    def __init__(self, num_ctx: int | None, answering: Answering) -> None:
        self._num_ctx = num_ctx
        self._answering = answering

    def url(self, provider: Provider) -> str:
        """Return where calls go: beside ``/v1``, which the settings name."""
        return provider.base_url.rstrip("/").removesuffix("/v1") + "/api/chat"

    def outgoing(self, call: ChatCall, candidate: Candidate, terms: Terms) -> Outgoing:
        """Return the body of *call*; raises NotTaken."""
        fields, dropped = adapted(call, candidate, terms)
        thinks = "reasoning" in candidate.model.capabilities
        body, lost = native(fields, stream=call.stream, thinks=thinks, num_ctx=self._num_ctx)
        # The wish for the usage is the gateway's own; Ollama always tells it.
        lost = tuple(name for name in lost if name != "stream_options")
        return Outgoing(msgspec.json.encode(body), (*dropped, *lost))

    def events(self) -> Events:
        """Return what reads the stream."""
        return self._answering

    def whole(self, body: bytes) -> bytes:
        """Return the answer as a completion."""
        return self._answering.whole(body)
