"""A receipt as spans: the request, its waits, each attempt, and the relay of a stream. Never any content.

Names and attributes are those of OpenTelemetry's GenAI conventions; what they have no word for begins with
``freeroute.``.
"""

from collections.abc import Callable, Iterator
from typing import Literal

from msgspec import Struct

from freeroute.domain.outcome import Kind
from freeroute.domain.receipt import NOBODY, AttemptNote, Receipt
from freeroute.domain.traces import Trace
from freeroute.domain.usage import Usage
from freeroute.observe import faults
from freeroute.observe.conventions import error_type, operation_of, provider_name
from freeroute.wire.text import printable

Value = str | int | float | bool | tuple[str, ...]
NewId = Callable[[], str]

# Endings that are no error of the attempt.
_FINE = frozenset({Kind.SERVED, Kind.OUTRUN, Kind.CALLER_LEFT, Kind.CALLER_STALLED})


class Span(Struct, frozen=True):
    """One span, by its *id* below *parent*, both in hex; *began* and *ended* are Unix time in seconds."""

    name: str
    kind: Literal["server", "client", "internal"]
    id: str
    parent: str | None
    began: float
    ended: float
    attributes: dict[str, Value] = {}
    failed: bool = False


def spans(receipt: Receipt, trace: Trace, new_id: NewId) -> Iterator[Span]:
    """Return the spans of *receipt* in *trace*, the request's first; *new_id* names those without an id."""
    arrived = receipt.at.wall
    operation = operation_of(receipt.like)
    yield _request(receipt, operation, trace)
    for wait in receipt.waits:
        began = arrived + wait.began
        yield Span("wait", "internal", new_id(), trace.span, began, began + wait.seconds)
    for note in receipt.attempts:
        yield _attempt(note, operation, note.span or new_id(), trace.span, arrived)
    if receipt.like.stream and receipt.first_event is not None:
        began = arrived + receipt.first_event
        yield Span("relay", "internal", new_id(), trace.span, began, arrived + receipt.total)


def _request(receipt: Receipt, operation: str, trace: Trace) -> Span:
    like = receipt.like
    error = error_type(like)
    broke_off = like.status < 400 and like.code is not None
    asked = printable(like.asked)
    return Span(
        name=f"{operation} {asked}" if like.asked_known else operation,
        kind="server",
        id=trace.span,
        parent=trace.parent,
        began=receipt.at.wall,
        ended=receipt.at.wall + receipt.total,
        attributes=_told(
            {
                "gen_ai.operation.name": operation,
                "gen_ai.provider.name": provider_name(like.provider),
                "gen_ai.request.model": asked,
                "gen_ai.request.stream": like.stream,
                "gen_ai.response.model": like.model,
                "gen_ai.response.finish_reasons": (receipt.finish,) if receipt.finish else None,
                "gen_ai.response.time_to_first_chunk": receipt.first_event if like.stream else None,
                **_usage(receipt.usage),
                "http.response.status_code": like.status,
                "error.type": error,
                "freeroute.request_id": receipt.request_id,
                "freeroute.surface": like.surface,
                "freeroute.client": like.client if like.client != NOBODY else None,
                "freeroute.fault": faults.of_request(error or None),
                "freeroute.attempts": len(receipt.attempts),
                "freeroute.overhead": receipt.overhead,
                "freeroute.dropped": tuple(map(printable, receipt.dropped)) or None,
                "freeroute.continued": receipt.continued or None,
            }
        ),
        failed=like.status >= 500 or (broke_off and not like.caller_left),
    )


def _attempt(note: AttemptNote, operation: str, span: str, parent: str, arrived: float) -> Span:
    began = arrived + note.began
    return Span(
        name=f"{operation} {note.model}",
        kind="client",
        id=span,
        parent=parent,
        began=began,
        ended=began + note.seconds,
        attributes=_told(
            {
                "gen_ai.operation.name": operation,
                "gen_ai.provider.name": provider_name(note.provider),
                "gen_ai.request.model": note.model,
                "gen_ai.response.time_to_first_chunk": note.first_event,
                **_usage(note.usage),
                "http.response.status_code": note.status,
                "error.type": "" if note.kind is Kind.SERVED else note.kind.value,
                "freeroute.provider": note.provider,
                "freeroute.key": note.key,
                "freeroute.fault": faults.of_attempt(note.kind),
            }
        ),
        failed=note.kind not in _FINE,
    )


def _usage(usage: Usage | None) -> dict[str, Value | None]:
    if usage is None:
        return {}
    return {
        "gen_ai.usage.input_tokens": usage.prompt,
        "gen_ai.usage.output_tokens": usage.completion,
        "gen_ai.usage.cache_read.input_tokens": usage.cached or None,
        "gen_ai.usage.reasoning.output_tokens": usage.reasoning or None,
    }


def _told(attributes: dict[str, Value | None]) -> dict[str, Value]:
    """Return *attributes* without those that say nothing."""
    return {name: value for name, value in attributes.items() if value is not None and value != ""}
