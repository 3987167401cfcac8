"""One exchange with a provider: sent, timed, judged by its status. What an answer says is read elsewhere."""

import math
from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import structs

from freeroute.clock import Clock, Now
from freeroute.domain.catalogue import Candidate
from freeroute.domain.outcome import Kind, Outcome
from freeroute.domain.rates import RateFact
from freeroute.domain.tasks import Task
from freeroute.engine.ports import Sent, Terms
from freeroute.upstreams.bodies import error_body
from freeroute.upstreams.faults import before_answer
from freeroute.upstreams.heads import JSON, RequestHeaders, content_type
from freeroute.upstreams.rates import facts_of
from freeroute.upstreams.transport import Deadlines, Exchange, Transport, TransportError
from freeroute.upstreams.verdicts import judge_inside, judge_response

_CHAT = Task.CHAT  # a member of an enum is looked up at length

Read = Callable[[Exchange, str], Sent | Awaitable[Sent]]
"""Reads an answer of 2xx, of the content type that it is told, until it is served or judged: at once where
nothing of it has to be waited for."""


class Exchanges:
    """Makes exchanges, one for each call."""

    def __init__(self, transport: Transport, clock: Clock) -> None:
        """Send through *transport*."""
        self._transport = transport
        self._clock = clock
        self._headers = RequestHeaders()

    async def make(
        self,
        task: Task,
        candidate: Candidate,
        terms: Terms,
        url: str,
        body: bytes,
        read: Read,
        *,
        kind: bytes = JSON,
        accept: bytes = JSON,
    ) -> Sent:
        """Send *body* to *url* and have the answer *read*; every failure is an outcome.

        Cancelling it closes the connection, as does everything but a stream that is served. The body is of
        the content type *kind*, and its answer to be of *accept*.
        """
        try:
            headers = self._headers.of(candidate, terms, kind, accept)
        except ValueError:
            return Sent(Outcome(Kind.KEY_INVALID, detail="the key cannot stand in a header", counted=False))
        began = self._clock.now()
        exchange: Exchange | None = None
        sent: Sent | None = None
        status: int | None = None
        head_at: Now | None = None
        facts: tuple[RateFact, ...] = ()
        try:
            exchange = await self._transport.open(
                "POST", url, headers, body, _deadlines(terms), dispatch=terms.dispatch
            )
            head_at = self._clock.now()
            status, head, meaning = exchange.status, exchange.headers, candidate.provider.rate_headers
            if 200 <= status < 300:
                facts = facts_of(status, head, b"", meaning, head_at)
                told_as = content_type(head)
                came = _page(exchange) if "html" in told_as else read(exchange, told_as)
                if isinstance(came, Sent):
                    sent, came.read_at = came, head_at
                else:
                    sent = await came
            else:
                told = await error_body(exchange)
                now = self._clock.now()
                facts = facts_of(status, head, told, meaning, now)
                sent = Sent(_refused(exchange, told, candidate, now))
        except TransportError as exc:
            sent = Sent(before_answer(exc, status, unsent=terms.dispatch.unsent))
        finally:
            if exchange is not None and (sent is None or sent.stream is None):
                exchange.abort()
        if exchange is not None:
            if sent.stream is not None:
                exchange.answer_by = math.inf  # it has begun: what bounds it now is silence, and the total
            sent.sent_at = began.later(exchange.sent_in) if exchange.sent_in else began
        sent.head_at = head_at
        if facts:
            sent.facts = facts
        if task is not _CHAT:
            sent.outcome = _of_path(sent.outcome)
        return sent

    def judged(self, error: Any, exchange: Exchange, candidate: Candidate) -> Outcome:
        """Return what an *error* (or bytes of one) inside the answer of *exchange* means."""
        rules, secret = candidate.provider.errors, candidate.key.secret
        return judge_inside(error, exchange.headers, now=self._clock.now(), rules=rules, secret=secret)


def _page(exchange: Exchange) -> Sent:
    return Sent(Outcome(Kind.GARBAGE, exchange.status, "an HTML page instead of an answer"))


def _refused(exchange: Exchange, body: bytes, candidate: Candidate, now: Now) -> Outcome:
    rules, secret = candidate.provider.errors, candidate.key.secret
    return judge_response(exchange.status, exchange.headers, body, now=now, rules=rules, secret=secret)


def _of_path(outcome: Outcome) -> Outcome:
    """Return *outcome*, of a task with a path of its own, as one of the model alone: others may be right."""
    return structs.replace(outcome, scope="model") if outcome.kind is Kind.REDIRECTED else outcome


def _deadlines(terms: Terms) -> Deadlines:
    # Silence before the first event is bounded by first_event as a whole, silence between events by the
    # stream itself: the transport's own bound is only the longer of the two.
    first = idle = terms.first_event
    if terms.between_events > first:
        idle = terms.between_events
    return Deadlines(
        connect=terms.connect,
        first_byte=first,
        idle=idle,
        total=terms.total,
        answer=first,
    )
