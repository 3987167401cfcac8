"""Every provider that speaks OpenAI's chat API: one call, as bytes, to an answer or an outcome.

Another shape of API is spoken by the same upstream with a ``Shape`` of its own.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import cached_property, lru_cache, partial
from typing import Any, Protocol

from msgspec import Struct

from freeroute.clock import Clock
from freeroute.domain.catalogue import Candidate, Provider
from freeroute.domain.outcome import Kind, Outcome
from freeroute.domain.tasks import Task
from freeroute.domain.usage import Usage
from freeroute.engine.ports import Answer, Sent, Terms, Upstream
from freeroute.upstreams.bodies import ANSWER_LIMIT, whole_body
from freeroute.upstreams.completions import CompletionsShape
from freeroute.upstreams.counting import Counting
from freeroute.upstreams.exchanging import Exchanges, of_path, served
from freeroute.upstreams.heads import JSON
from freeroute.upstreams.parameters import as_asked_for
from freeroute.upstreams.quirks import NotTaken, Outgoing, outgoing
from freeroute.upstreams.reading import Events, read_whole
from freeroute.upstreams.repairs import Repairs
from freeroute.upstreams.signatures import Signatures, maker_of
from freeroute.upstreams.streams import ChatStream, Judge
from freeroute.upstreams.structured import Checking, as_asked, conforming
from freeroute.upstreams.tasks import TaskUpstream
from freeroute.upstreams.templates import Templates
from freeroute.upstreams.transport import Exchange, Transport
from freeroute.upstreams.unmet import Lacking, insisted_on, may_lack, not_taken, unmet
from freeroute.upstreams.wholes import failure_in, finished, usage_of_whole
from freeroute.upstreams.writing import habits_of
from freeroute.wire.answers import Piece, chunk_of, inspect, usage_of, with_usage
from freeroute.wire.chat import ChatCall
from freeroute.wire.finishes import SILENT_FINISHES
from freeroute.wire.mending import Mender
from freeroute.wire.sse import SseParser
from freeroute.wire.strict import plain_text

Headers = Sequence[tuple[bytes, bytes]]
COMPLETIONS = CompletionsShape()
_CHAT = Task.CHAT  # what nearly every call is; a member of an enum is looked up at length


def build(transport: Transport, clock: Clock) -> Upstream:
    """Return the upstream for providers of this kind."""
    return OpenAiUpstream(transport, clock)


class Shape(Protocol):
    """Where a kind of API differs: how a call goes up, and how its answer is made OpenAI's.

    *accept* is the content type of its streams.
    """

    accept: bytes

    @property
    def whole(self) -> Callable[[bytes], bytes] | None:
        """Return what makes a whole answer OpenAI's, and leaves what is none; None if it is that already."""
        ...

    def url(self, provider: Provider) -> str:
        """Return where calls go."""
        ...

    def outgoing(self, call: ChatCall, candidate: Candidate, terms: Terms) -> Outgoing:
        """Return the body of *call*; raises NotTaken for what would be lost."""
        ...

    def events(self) -> Events:
        """Return what reads one stream."""
        ...


class OpenAiShape:
    """OpenAI's own."""

    accept = b"text/event-stream"

    def __init__(self, signatures: Signatures) -> None:
        """Give calls back the *signatures* they came with."""
        self._signatures = signatures
        self.whole = None

    def url(self, provider: Provider) -> str:
        """Return where calls go."""
        return _chat_at(provider.base_url)

    def outgoing(self, call: ChatCall, candidate: Candidate, terms: Terms) -> Outgoing:
        """Return the body of *call*, bytes kept."""
        return outgoing(call, candidate, terms, self._signatures)

    def events(self) -> Events:
        """Return a parser of server-sent events."""
        return SseParser()


@lru_cache(maxsize=1024)
def _chat_at(base_url: str) -> str:
    return base_url.rstrip("/") + "/chat/completions"


class OpenAiUpstream:
    """Talks to one provider once, in OpenAI's shape unless given another."""

    def __init__(self, transport: Transport, clock: Clock, shape: Shape | None = None) -> None:
        """Send through *transport*."""
        self._exchanges = Exchanges(transport, clock)
        self._clock = clock
        self._signatures = Signatures()
        self._templates = Templates()
        self._shape = shape or OpenAiShape(self._signatures)
        self._tasks = TaskUpstream(self._exchanges)

    def send(self, call: ChatCall, candidate: Candidate, terms: Terms) -> Coroutine[Any, Any, Sent]:
        """Make the call; every failure is an outcome. Cancelling it closes the connection."""
        if call.task is _CHAT:
            shape = self._shape
        elif call.task is Task.COMPLETIONS:
            shape = COMPLETIONS
        else:
            return self._tasks.send(call, candidate, terms)
        asked, accept = call, JSON
        if call.stream and (asked := as_asked(call, candidate)).stream:
            accept = shape.accept
        try:
            ready = shape.outgoing(asked, candidate, terms)
        except RecursionError:
            return _unsent(Outcome(Kind.REJECTED, detail="nested too deeply", counted=False))
        except NotTaken as exc:
            return _unsent(_not_taken(candidate, exc.field))
        if ready.dropped and (lost := insisted_on(asked, ready.dropped)) is not None:
            return _unsent(_not_taken(candidate, lost))
        url = shape.url(candidate.provider)
        # The question is put together and asked in one go: a coroutine between would cost on every step.
        return self._exchanges.make(
            _Question(self, call, candidate, terms, shape, url, ready.body, accept, ready.dropped)
        )

    def judged(self, error: Any, exchange: Exchange, candidate: Candidate) -> Outcome:
        """Return what an *error* inside the answer of *exchange* means."""
        return self._exchanges.judged(error, exchange, candidate)

    def repairs(self, call: ChatCall, candidate: Candidate, terms: Terms) -> Repairs:
        """Return what repairs the answer to *call*."""
        signed = partial(self._signatures.note, maker_of(candidate, terms))
        return Repairs(candidate.provider.quirks, habits_of(candidate, call, self._templates), signed)

    def mender(self, call: ChatCall, candidate: Candidate) -> Mender:
        """Return what fills in what the answer to *call* lacks."""
        now = self._clock.now()
        return Mender(
            model=candidate.model.id, created=int(now.wall), completes=call.task is Task.COMPLETIONS
        )


async def _unsent(outcome: Outcome) -> Sent:
    return Sent(outcome)


def _not_taken(candidate: Candidate, field: str) -> Outcome:
    return not_taken(field, f"{candidate.provider.name} does not take {field}")


class _Question(Struct, dict=True):
    """One call as it is asked; it reads its answer up to the point where that is served or judged."""

    _upstream: OpenAiUpstream
    call: ChatCall
    candidate: Candidate
    terms: Terms
    _shape: Shape
    url: str
    body: bytes
    accept: bytes
    dropped: tuple[str, ...]
    kind: bytes = JSON

    @cached_property
    def _repairs(self) -> Repairs:
        return self._upstream.repairs(self.call, self.candidate, self.terms)

    @property
    def _silent(self) -> frozenset[str]:
        """Return the finishes that explain why there is nothing to read.

        Whoever was given the beginning of the answer, or its end as well, may have nothing to add.
        """
        call = self.call
        given = call.task is Task.COMPLETIONS or (call.begun and self.candidate.prefill != "none")
        return SILENT_FINISHES | {"stop"} if given else SILENT_FINISHES

    @property
    def _prompt(self) -> int:
        return self.call.demand.prompt_of(self.candidate.tokenizer)

    def meant(self, outcome: Outcome) -> Outcome:
        """Return what *outcome* means of this call: which of its parameters, or only of its model."""
        if self.call.task is not _CHAT:
            outcome = of_path(outcome)
        return outcome if outcome.param is None else as_asked_for(outcome, self.call)

    def read(self, exchange: Exchange, told_as: str) -> Answer | Sent | Awaitable[Answer | Sent]:
        """Return how *exchange* went, or what it brought, whose answer is *told_as* of this content type."""
        if self.call.stream and ("json" not in told_as or "ndjson" in told_as or "jsonl" in told_as):
            return self._stream(exchange)
        body = exchange.rest()
        return self._to_its_end(exchange) if body is None else self._read(exchange, body)

    async def _to_its_end(self, exchange: Exchange) -> Answer | Sent:
        body = await whole_body(exchange)
        if body is None:
            return Sent(Outcome(Kind.GARBAGE, exchange.status, f"an answer of over {ANSWER_LIMIT} bytes"))
        return self._read(exchange, body)

    def _read(self, exchange: Exchange, body: bytes) -> Answer | Sent:
        """Serve the answer *body*, as it came if it is plain text.

        What `_whole` does comes to the same for that, in many more steps.
        """
        if self._shape.whole is not None:
            body = self._shape.whole(body)
        plain = plain_text(body) if self._takes_text() else None
        return self._whole(exchange, body) if plain is None else Answer(body, plain.usage, plain.finish)

    def _takes_text(self) -> bool:
        """Say whether text is all that was asked for, and nothing has to be looked for in it."""
        call, quirks = self.call, self.candidate.provider.quirks
        if call.stream or call.schema is not None or (call.features and may_lack(call)):
            return False
        return not ((quirks.think_tags or quirks.text_tools) and self._repairs.reads_text)

    def _judge(self, exchange: Exchange) -> Judge:
        """Return what judges an error inside of *exchange*; it does not keep what was asked."""
        return partial(self._upstream.judged, exchange=exchange, candidate=self.candidate)

    async def _stream(self, exchange: Exchange) -> Sent:
        stream = self._new_stream(exchange)
        failed = await stream.begin(partial(self._more_time, exchange), lenient=self.terms.probe)
        if failed is None and stream.is_unproven:
            exchange.answer_by = math.inf  # it has begun: what bounds it now is silence, and the total
            failed = await stream.prove()
        if failed is not None:
            return Sent(failed)
        if (insisted := self._insisted(stream.lost, exchange)) is not None:
            return insisted
        return _streaming(exchange, stream, stream.lost)

    def _more_time(self, exchange: Exchange) -> None:
        """Give the attempt the time of a silence between events, from now on, if it has less."""
        until = asyncio.get_running_loop().time() + self.terms.between_events
        exchange.answer_by = max(until, exchange.answer_by)

    def _new_stream(self, exchange: Exchange) -> ChatStream:
        return ChatStream(
            exchange,
            events=self._shape.events(),
            repairs=self._repairs,
            mender=self._mender(),
            judge=self._judge(exchange),
            counting=self._counting(),
            silent=self._silent,
            between=self.terms.between_events,
            watch=self.terms.first_event > self.terms.between_events,
            checking=Checking(self.call.schema) if self.call.schema is not None else None,
            lacking=Lacking(self.call) if may_lack(self.call) else None,
        )

    def _counting(self) -> Counting:
        wanted, bound = self.call.include_usage, self._bound()
        return Counting(self._prompt, thinks=self._thinks(), wanted=wanted, bound=bound)

    def _mender(self) -> Mender:
        return self._upstream.mender(self.call, self.candidate)

    def _thinks(self) -> bool:
        return "reasoning" in self.candidate.model.capabilities

    def _bound(self) -> int | None:
        """Return the tokens that all choices of the answer may take, if they are bounded."""
        each = self.terms.max_output or self.call.demand.max_output
        return None if each is None else each * self.call.choices

    def _whole(self, exchange: Exchange, body: bytes) -> Sent:
        body, piece = read_whole(body)
        failed = self._failed(exchange, piece, body)
        if failed is not None or piece is None:
            return Sent(failed or Outcome(Kind.GARBAGE, exchange.status))
        usage = usage_of_whole(piece, self._prompt, thinks=self._thinks())
        body, piece = finished(body, piece, usage, self._bound())
        read, body = body, self._repairs.whole(body, piece)
        if body is not read and (failed := self._failed(exchange, inspect(body), body)) is not None:
            return Sent(failed)  # tags and nothing else, say
        if self.call.schema is not None:
            body, wrong = conforming(body, self.call.schema)
            if wrong:
                return Sent(Outcome(Kind.NONCONFORMING, exchange.status, wrong))
        if not self.call.stream:
            body = self._mender().whole(body, piece)
        lost = unmet(self.call, body)
        if (insisted := self._insisted(lost, exchange)) is not None:
            return insisted
        told = self._told_whole(exchange, body, piece, usage)
        told.dropped = lost
        return told

    def _insisted(self, lost: Sequence[str], exchange: Exchange) -> Sent | None:
        """Return the ending of an answer that has *lost* what its caller insists on; None if it has not."""
        name = insisted_on(self.call, lost)
        if name is None:
            return None
        return Sent(not_taken(name, f"{self.candidate.provider.name} did not honour {name}", exchange.status))

    def _told_whole(self, exchange: Exchange, body: bytes, piece: Piece, usage: Usage) -> Sent:
        """Return the whole answer *body* as the caller asked for it: whole, or as a stream."""
        if not self.call.stream:
            if usage != usage_of(piece.usage):
                body = with_usage(body, usage)
            answer = Answer(body, usage, self._repairs.finish(piece.finish))
            return Sent(served(exchange), answer)
        stream = self._new_stream(exchange)
        try:
            chunk = chunk_of(body)
        except ValueError:
            return Sent(Outcome(Kind.GARBAGE, exchange.status, "an answer without a message"))
        stream.begin_with(chunk, usage)
        return _streaming(exchange, stream)

    def _failed(self, exchange: Exchange, piece: Piece | None, body: bytes) -> Outcome | None:
        """Return why a whole answer of 2xx is none, or None if it is one."""
        outcome = failure_in(
            body,
            piece,
            self._judge(exchange),
            status=exchange.status,
            silent=self._silent,
            says_why=self.candidate.provider.quirks.whole_finish,
        )
        passes = self.terms.probe and outcome is not None and outcome.kind in (Kind.EMPTY, Kind.TRUNCATED)
        return None if passes else outcome


def _streaming(exchange: Exchange, stream: ChatStream, lost: tuple[str, ...] = ()) -> Sent:
    return Sent(served(exchange), None, stream, dropped=lost)
