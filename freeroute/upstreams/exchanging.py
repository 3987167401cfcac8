"""One exchange with a provider: sent, timed, judged by its status. What an answer says is read elsewhere."""

import math
from collections.abc import Awaitable
from typing import Any, Protocol

from msgspec import structs

from freeroute.clock import Clock, Now
from freeroute.domain.catalogue import Candidate
from freeroute.domain.outcome import Kind, Outcome
from freeroute.domain.rates import RateFact
from freeroute.engine.ports import Answer, Sent, Terms
from freeroute.errors import forget_way
from freeroute.upstreams.bodies import error_body
from freeroute.upstreams.faults import before_answer
from freeroute.upstreams.heads import RequestHeaders
from freeroute.upstreams.rates import facts_in, facts_of
from freeroute.upstreams.transport import Deadlines, Exchange, Transport, TransportError
from freeroute.upstreams.verdicts import judge_inside, judge_response

_UNUSABLE = Outcome(Kind.KEY_INVALID, detail="the key cannot stand in a header", counted=False)

SERVED = Outcome(Kind.SERVED, 200)
"""How nearly every exchange ends."""


class Question(Protocol):
    """What goes up in one exchange, and what becomes of its answer.

    The *body* goes to *url* and is of the content type *kind*, its answer to be of *accept*; *dropped* names
    what of its call is not in it.
    """

    candidate: Candidate
    terms: Terms
    url: str
    body: bytes
    kind: bytes
    accept: bytes
    dropped: tuple[str, ...]

    def read(self, exchange: Exchange, told_as: str) -> Answer | Sent | Awaitable[Answer | Sent]:
        """Read an answer of 2xx, *told_as* of that content type, until it is served or judged: at once where
        nothing of it has to be waited for. An `Answer` is one that is served.
        """
        ...

    def meant(self, outcome: Outcome) -> Outcome:
        """Return what an *outcome* but `SERVED` means where this was asked."""
        ...


class Exchanges:
    """Makes exchanges, one for each call."""

    def __init__(self, transport: Transport, clock: Clock) -> None:
        """Send through *transport*."""
        self._transport = transport
        self._clock = clock
        self._headers = RequestHeaders()

    async def make(self, question: Question) -> Sent:
        """Ask *question* and have its answer read; every failure is an outcome.

        Cancelling it closes the connection, as does everything but a stream that is served.
        """
        candidate, terms, clock = question.candidate, question.terms, self._clock
        try:
            headers = self._headers.of(candidate, terms, question.kind, question.accept)
        except ValueError:
            return Sent(_UNUSABLE, dropped=question.dropped)
        began = clock.now()
        exchange: Exchange | None = None
        sent: Sent | None = None
        status: int | None = None
        head_at: Now | None = None
        facts: tuple[RateFact, ...] = ()
        try:
            exchange = await self._transport.open(
                "POST", question.url, headers, question.body, _deadlines(terms), dispatch=terms.dispatch
            )
            head_at = clock.now()
            status, meaning = exchange.status, candidate.provider.rate_headers
            if 200 <= status < 300:
                telling = exchange.telling
                told_as = telling.kind
                if telling.names:
                    facts = facts_in(telling, meaning, head_at)
                came = _page(exchange) if "html" in told_as else question.read(exchange, told_as)
                if isinstance(came, Answer):  # as nearly always: all that is known of it is told at once
                    sent_at = began.later(exchange.sent_in) if exchange.sent_in else began
                    outcome = SERVED if status == 200 else served(exchange)
                    return Sent(outcome, came, None, sent_at, head_at, head_at, question.dropped, facts)
                if isinstance(came, Sent):
                    sent, came.read_at = came, head_at
                else:
                    later = await came
                    sent = Sent(served(exchange), later) if isinstance(later, Answer) else later
            else:
                told = await error_body(exchange)
                now = clock.now()
                facts = facts_of(status, exchange.headers, told, meaning, now)
                sent = Sent(_refused(exchange, told, candidate, now))
        except TransportError as exc:
            sent = Sent(before_answer(exc, status, unsent=terms.dispatch.unsent))
            forget_way(exc)  # its exchange holds it
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
        if question.dropped:
            sent.dropped = (*question.dropped, *sent.dropped)
        if sent.outcome is not SERVED:
            sent.outcome = question.meant(sent.outcome)
        return sent

    def judged(self, error: Any, exchange: Exchange, candidate: Candidate) -> Outcome:
        """Return what an *error* (or bytes of one) inside the answer of *exchange* means."""
        rules, secret = candidate.provider.errors, candidate.key.secret
        return judge_inside(error, exchange.headers, now=self._clock.now(), rules=rules, secret=secret)


def served(exchange: Exchange) -> Outcome:
    """Return how *exchange* ended, which brought what was asked for."""
    return SERVED if exchange.status == 200 else Outcome(Kind.SERVED, exchange.status)


def _page(exchange: Exchange) -> Sent:
    return Sent(Outcome(Kind.GARBAGE, exchange.status, "an HTML page instead of an answer"))


def _refused(exchange: Exchange, body: bytes, candidate: Candidate, now: Now) -> Outcome:
    rules, secret = candidate.provider.errors, candidate.key.secret
    return judge_response(exchange.status, exchange.headers, body, now=now, rules=rules, secret=secret)


def of_path(outcome: Outcome) -> Outcome:
    """Return *outcome*, of a task with a path of its own, as one of the model alone: others may be right."""
    return structs.replace(outcome, scope="model") if outcome.kind is Kind.REDIRECTED else outcome


def _deadlines(terms: Terms) -> Deadlines:
    # Silence before the first event is bounded by first_event as a whole, silence between events by the
    # stream itself: the transport's own bound is only the longer of the two.
    first = idle = terms.first_event
    if terms.between_events > first:
        idle = terms.between_events
    return Deadlines(terms.room, terms.connect, first, idle, terms.total, first)
