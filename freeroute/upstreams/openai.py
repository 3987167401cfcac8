"""Every provider that speaks OpenAI's chat API: one call, as bytes, to an answer or an outcome.

Another shape of API is spoken by the same upstream with a ``Shape`` of its own.
"""

import asyncio
import math
from collections.abc import Awaitable, Sequence
from functools import cached_property, partial
from typing import Any, Protocol

from msgspec import Struct

from freeroute.clock import Clock
from freeroute.domain.catalogue import Candidate, Provider
from freeroute.domain.outcome import Kind, Outcome
from freeroute.domain.tasks import Task
from freeroute.domain.usage import Usage, believed, is_common
from freeroute.engine.ports import Answer, Sent, Terms, Upstream
from freeroute.upstreams.bodies import ANSWER_LIMIT, whole_body
from freeroute.upstreams.completions import CompletionsShape
from freeroute.upstreams.counting import Counting
from freeroute.upstreams.exchanging import Exchanges
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
from freeroute.wire.strict import Plain, plain_text

Headers = Sequence[tuple[bytes, bytes]]
COMPLETIONS = CompletionsShape()
_CHAT = Task.CHAT  # what nearly every call is; a member of an enum is looked up at length
_SERVED = Outcome(Kind.SERVED, 200)  # and how nearly every one ends


def build(transport: Transport, clock: Clock) -> Upstream:
    """Return the upstream for providers of this kind."""
    return OpenAiUpstream(transport, clock)


class Shape(Protocol):
    """Where a kind of API differs: how a call goes up, and how its answer is made OpenAI's.

    *accept* is the content type of its streams.
    """

    accept: bytes

    def url(self, provider: Provider) -> str:
        """Return where calls go."""
        ...

    def outgoing(self, call: ChatCall, candidate: Candidate, terms: Terms) -> Outgoing:
        """Return the body of *call*; raises NotTaken for what would be lost."""
        ...

    def events(self) -> Events:
        """Return what reads one stream."""
        ...

    def whole(self, body: bytes) -> bytes:
        """Return the answer *body* as OpenAI's; what is no answer stays as it is."""
        ...


class OpenAiShape:
    """OpenAI's own."""

    accept = b"text/event-stream"

    def __init__(self, signatures: Signatures) -> None:
        """Give calls back the *signatures* they came with."""
        self._signatures = signatures

    def url(self, provider: Provider) -> str:
        """Return where calls go."""
        return provider.base_url.rstrip("/") + "/chat/completions"

    def outgoing(self, call: ChatCall, candidate: Candidate, terms: Terms) -> Outgoing:
        """Return the body of *call*, bytes kept."""
        return outgoing(call, candidate, terms, self._signatures)

    def events(self) -> Events:
        """Return a parser of server-sent events."""
        return SseParser()

    def whole(self, body: bytes) -> bytes:
        """Return *body*."""
        return body


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

    async def send(self, call: ChatCall, candidate: Candidate, terms: Terms) -> Sent:
        """Make the call; every failure is an outcome. Cancelling it closes the connection."""
        if call.task is _CHAT:
            shape = self._shape
        elif call.task is Task.COMPLETIONS:
            shape = COMPLETIONS
        else:
            return await self._tasks.send(call, candidate, terms)
        asked = as_asked(call, candidate)
        ready = _ready(asked, candidate, terms, shape)
        if isinstance(ready, Outcome):
            return Sent(ready)
        sent = await self._exchanges.make(
            call.task,
            candidate,
            terms,
            shape.url(candidate.provider),
            ready.body,
            _Reading(self, call, candidate, terms, shape).read,
            accept=shape.accept if asked.stream else JSON,
        )
        if ready.dropped:
            sent.dropped = (*ready.dropped, *sent.dropped)
        if sent.outcome.param is not None:
            sent.outcome = as_asked_for(sent.outcome, call)
        return sent

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


def _ready(call: ChatCall, candidate: Candidate, terms: Terms, shape: Shape) -> Outgoing | Outcome:
    """Return what goes up, or why nothing does."""
    try:
        ready = shape.outgoing(call, candidate, terms)
        lost = insisted_on(call, ready.dropped) if ready.dropped else None
    except RecursionError:
        return Outcome(Kind.REJECTED, detail="nested too deeply", counted=False)
    except NotTaken as exc:
        ready, lost = Outgoing(b""), exc.field
    if lost is None:
        return ready
    return not_taken(lost, f"{candidate.provider.name} does not take {lost}")


class _Reading(Struct, dict=True):
    """Reads the answer of one call up to the point where it is served or judged."""

    _upstream: OpenAiUpstream
    _call: ChatCall
    _candidate: Candidate
    _terms: Terms
    _shape: Shape

    @cached_property
    def _repairs(self) -> Repairs:
        return self._upstream.repairs(self._call, self._candidate, self._terms)

    @cached_property
    def _silent(self) -> frozenset[str]:
        """Return the finishes that explain why there is nothing to read.

        Whoever was given the beginning of the answer, or its end as well, may have nothing to add.
        """
        call = self._call
        given = call.task is Task.COMPLETIONS or (call.begun and self._candidate.prefill != "none")
        return SILENT_FINISHES | {"stop"} if given else SILENT_FINISHES

    @property
    def _prompt(self) -> int:
        return self._call.demand.prompt_of(self._candidate.model.tokenizer)

    def read(self, exchange: Exchange, kind: str) -> Sent | Awaitable[Sent]:
        """Return how *exchange* went, whose answer is of a content type of this *kind*."""
        if self._call.stream and ("json" not in kind or "ndjson" in kind or "jsonl" in kind):
            return self._stream(exchange)
        body = exchange.rest()
        return self._to_its_end(exchange) if body is None else self._read(exchange, body)

    async def _to_its_end(self, exchange: Exchange) -> Sent:
        body = await whole_body(exchange)
        if body is None:
            return Sent(Outcome(Kind.GARBAGE, exchange.status, f"an answer of over {ANSWER_LIMIT} bytes"))
        return self._read(exchange, body)

    def _read(self, exchange: Exchange, body: bytes) -> Sent:
        body = self._shape.whole(body)
        return self._as_it_came(exchange, body) or self._whole(exchange, body)

    def _as_it_came(self, exchange: Exchange, body: bytes) -> Sent | None:
        """Serve the answer *body* if it is plain text, of which nothing that was asked for can be missing.

        What `_whole` does comes to the same for it, in many more steps.
        """
        call, quirks = self._call, self._candidate.provider.quirks
        if call.stream or call.schema is not None or may_lack(call):
            return None
        if (quirks.think_tags or quirks.text_tools) and self._repairs.reads_text:
            return None
        plain = plain_text(body)
        if plain is None or not self._believes(plain):
            return None
        return self._served(exchange, answer=Answer(body, plain.usage, plain.finish))

    def _believes(self, plain: Plain) -> bool:
        """Say whether what *plain* tells of its tokens can be true."""
        told, size = plain.usage, plain.size
        # Nearly all can, and then the prompt need not be counted.
        return is_common(told, size) or believed(told, self._prompt, size, thinks=self._thinks()) is told

    def _judge(self, exchange: Exchange) -> Judge:
        """Return what judges an error inside of *exchange*; it does not keep what was asked."""
        return partial(self._upstream.judged, exchange=exchange, candidate=self._candidate)

    async def _stream(self, exchange: Exchange) -> Sent:
        stream = self._new_stream(exchange)
        failed = await stream.begin(partial(self._more_time, exchange), lenient=self._terms.probe)
        if failed is None and stream.is_unproven:
            exchange.answer_by = math.inf  # it has begun: what bounds it now is silence, and the total
            failed = await stream.prove()
        if failed is not None:
            return Sent(failed)
        if (insisted := self._insisted(stream.lost, exchange)) is not None:
            return insisted
        sent = self._served(exchange, stream=stream)
        sent.dropped = stream.lost
        return sent

    def _more_time(self, exchange: Exchange) -> None:
        """Give the attempt the time of a silence between events, from now on, if it has less."""
        until = asyncio.get_running_loop().time() + self._terms.between_events
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
            between=self._terms.between_events,
            watch=self._terms.first_event > self._terms.between_events,
            checking=Checking(self._call.schema) if self._call.schema is not None else None,
            lacking=Lacking(self._call) if may_lack(self._call) else None,
        )

    def _counting(self) -> Counting:
        wanted, bound = self._call.include_usage, self._bound()
        return Counting(self._prompt, thinks=self._thinks(), wanted=wanted, bound=bound)

    def _mender(self) -> Mender:
        return self._upstream.mender(self._call, self._candidate)

    def _thinks(self) -> bool:
        return "reasoning" in self._candidate.model.capabilities

    def _bound(self) -> int | None:
        """Return the tokens that all choices of the answer may take, if they are bounded."""
        each = self._terms.max_output or self._call.demand.max_output
        return None if each is None else each * self._call.choices

    def _served(
        self, exchange: Exchange, *, answer: Answer | None = None, stream: ChatStream | None = None
    ) -> Sent:
        status = exchange.status
        return Sent(_SERVED if status == 200 else Outcome(Kind.SERVED, status), answer, stream)

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
        if self._call.schema is not None:
            body, wrong = conforming(body, self._call.schema)
            if wrong:
                return Sent(Outcome(Kind.NONCONFORMING, exchange.status, wrong))
        if not self._call.stream:
            body = self._mender().whole(body, piece)
        lost = unmet(self._call, body)
        if (insisted := self._insisted(lost, exchange)) is not None:
            return insisted
        sent = self._told_whole(exchange, body, piece, usage)
        sent.dropped = lost
        return sent

    def _insisted(self, lost: Sequence[str], exchange: Exchange) -> Sent | None:
        """Return the ending of an answer that has *lost* what its caller insists on; None if it has not."""
        name = insisted_on(self._call, lost)
        if name is None:
            return None
        return Sent(
            not_taken(name, f"{self._candidate.provider.name} did not honour {name}", exchange.status)
        )

    def _told_whole(self, exchange: Exchange, body: bytes, piece: Piece, usage: Usage) -> Sent:
        """Return the whole answer *body* as the caller asked for it: whole, or as a stream."""
        if not self._call.stream:
            if usage != usage_of(piece.usage):
                body = with_usage(body, usage)
            return self._served(exchange, answer=Answer(body, usage, self._repairs.finish(piece.finish)))
        stream = self._new_stream(exchange)
        try:
            chunk = chunk_of(body)
        except ValueError:
            return Sent(Outcome(Kind.GARBAGE, exchange.status, "an answer without a message"))
        stream.begin_with(chunk, usage)
        return self._served(exchange, stream=stream)

    def _failed(self, exchange: Exchange, piece: Piece | None, body: bytes) -> Outcome | None:
        """Return why a whole answer of 2xx is none, or None if it is one."""
        outcome = failure_in(
            body,
            piece,
            self._judge(exchange),
            status=exchange.status,
            silent=self._silent,
            says_why=self._candidate.provider.quirks.whole_finish,
        )
        passes = self._terms.probe and outcome is not None and outcome.kind in (Kind.EMPTY, Kind.TRUNCATED)
        return None if passes else outcome
