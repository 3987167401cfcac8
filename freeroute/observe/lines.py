"""Lines of the log, for people and for machines: from an event, or from the receipt of a request."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, MutableMapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog

from freeroute.clock import wall
from freeroute.domain.outcome import Kind
from freeroute.domain.receipt import MOST_ALIKE, NOBODY, AttemptNote, Likeness, Receipt
from freeroute.observe.scrub import Scrub
from freeroute.wire.text import printable

Event = MutableMapping[str, Any]

REQUEST = "request"
"""The event of a finished request."""

INFO, WARNING = "info", "warning"


class Line(ABC):
    """The one step from an event to its line; *method* is its level."""

    def __init__(self, scrub: Scrub, cleaned: Callable[[str], str]) -> None:
        """Clean what is written by *scrub*; *cleaned* makes a text what is filled in for it."""
        self._scrub = scrub
        self._cleaned = cleaned
        self._second = 0
        self._stamp = ""

    def __call__(self, logger: object, method: str, event: Event) -> str:
        if "exc_info" in event:
            event = structlog.processors.format_exc_info(logger, method, event)
        return self._written(method, event)

    def of_request(self, level: str, receipt: Receipt) -> str:
        """Return the line of a finished request."""
        return self._written(level, {"event": REQUEST, **of_receipt(receipt)})

    def of_good_request(self, receipt: Receipt) -> str:
        """Return the line of a finished request that went well: it is filled in, without an event."""
        usage = receipt.usage
        if usage is None:
            return self.of_request(INFO, receipt)
        like, first = receipt.like, receipt.first_event
        form = self._scrub.forms.get(like) or self._form(like)
        told, name = self._time(), self._cleaned(receipt.request_id)
        ms, overhead_ms = receipt.total * 1000, receipt.overhead * 1000
        if not like.stream:
            return form % (told, ms, overhead_ms, usage.prompt, usage.completion, name)
        if first is None:
            return self.of_request(INFO, receipt)
        return form % (told, ms, first * 1000, overhead_ms, usage.prompt, usage.completion, name)

    def _form(self, like: Likeness) -> str:
        """Return what the line of requests of this likeness is filled in, and remember it."""
        known = self._scrub.forms
        if len(known) >= MOST_ALIKE:
            known.clear()
        figures = ("ms", "first_ms", "overhead_ms") if like.stream else ("ms", "overhead_ms")
        known[like] = found = self._formed(_names(like), figures, _whom(like))
        return found

    def _second_of(self, now: float) -> str:
        """Return the second that it is *now* (Unix time), which is put in words once."""
        if not 0.0 <= now - self._second < 1.0:
            self._second = int(now)
            self._stamp = self._stamped(self._second)
        return self._stamp

    @abstractmethod
    def _time(self) -> str:
        """Return when it is, as lines tell."""

    @abstractmethod
    def _stamped(self, second: int) -> str:
        """Return *second* (Unix time) as lines tell it."""

    @abstractmethod
    def _formed(self, begin: Event, figures: Sequence[str], end: Event) -> str:
        """Return a line of *begin*, places for *figures* and tokens, *end*, and a place for its id."""

    @abstractmethod
    def _written(self, level: str, event: Event) -> str:
        """Return the line of *event*."""


class TextLine(Line):
    """``14:03:22 warning request status=502 model=free``, tracebacks below."""

    def __init__(self, scrub: Scrub, *, colours: bool) -> None:
        """Clean what is written by *scrub*; *colours* tell the levels."""
        super().__init__(scrub, scrub.one_line)
        self._colours = _COLOURS if colours else {}

    def _written(self, level: str, event: Event) -> str:
        below = [self._scrub.hidden(str(event.pop(name))) for name in _BELOW if name in event]
        told = self._scrub.clean(event.pop("event", ""))
        line = f"{self._time()} {level:<7} {told}{self._fields(event)}"
        if (colour := self._colours.get(level)) is not None:
            line = f"{colour}{line}\x1b[0m"
        return "\n".join([line, *below]) if below else line

    def _formed(self, begin: Event, figures: Sequence[str], end: Event) -> str:
        return (
            f"%s {INFO:<7} {REQUEST}{_literal(self._fields(begin))}"
            + "".join(f" {name}=%.1f" for name in figures)
            + f" tokens_in=%d tokens_out=%d{_literal(self._fields(end))} id=%s"
        )

    def _fields(self, fields: Event) -> str:
        known, clean = self._scrub.known, self._scrub.clean
        line = ""
        for name, value in fields.items():
            if type(value) is float or type(value) is int:
                text = repr(value)
            else:
                text = (type(value) is str and known.get(value)) or str(clean(value))
            line += f" {name}={text}" if text and " " not in text else f" {name}={text!r}"
        return line

    def _time(self) -> str:
        return self._second_of(wall())

    def _stamped(self, second: int) -> str:
        return time.strftime("%H:%M:%S", time.localtime(second))


_BELOW = ("stack", "exception")
_COLOURS = {"debug": "\x1b[2m", "warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[31;1m"}


class JsonLine(Line):
    """An object with ``timestamp``, ``level`` and ``event`` first."""

    def __init__(self, scrub: Scrub) -> None:
        """Clean what is written by *scrub*."""
        super().__init__(scrub, lambda text: _inside(scrub.one_line(text)))

    def _written(self, level: str, event: Event) -> str:
        scrub = self._scrub
        line = {"timestamp": self._time(), "level": level, "event": scrub.clean(event.pop("event", None))}
        for name, value in event.items():
            line[name] = scrub.hidden(str(value)) if name in _BELOW else scrub.clean(value)
        return msgspec.json.encode(line).decode()

    def _formed(self, begin: Event, figures: Sequence[str], end: Event) -> str:
        return (
            f'{{"timestamp":"%s",{self._pairs({"level": INFO, "event": REQUEST, **begin})}'
            + "".join(f',"{name}":%.1f' for name in figures)
            + f',"tokens_in":%d,"tokens_out":%d{"," if end else ""}{self._pairs(end)},"id":"%s"}}'
        )

    def _pairs(self, fields: Event) -> str:
        return _literal(_inside(self._scrub.clean(fields)))

    def _time(self) -> str:
        now = wall()
        return f"{self._second_of(now)}.{int((now - self._second) * 1e6):06}Z"

    def _stamped(self, second: int) -> str:
        return datetime.fromtimestamp(second, UTC).isoformat().removesuffix("+00:00")


def _inside(value: object) -> str:
    """Return *value* in JSON, without what is around it."""
    return msgspec.json.encode(value)[1:-1].decode()


def _literal(text: str) -> str:
    """Return *text* as it stands in a form."""
    return text.replace("%", "%%")


def of_receipt(receipt: Receipt) -> dict[str, Any]:
    """Return what the line of *receipt* says; what there is nothing to say about is left out."""
    like = receipt.like
    line = _names(like)
    line["ms"] = _milliseconds(receipt.total)
    if like.stream and receipt.first_event is not None:
        line["first_ms"] = _milliseconds(receipt.first_event)
    line["overhead_ms"] = _milliseconds(receipt.overhead)
    if receipt.usage is not None:
        line["tokens_in"] = receipt.usage.prompt
        line["tokens_out"] = receipt.usage.completion
    line |= _mishaps(receipt) | _whom(like)
    line["id"] = receipt.request_id
    if receipt.trace is not None:
        line["trace"] = receipt.trace.header()
    return line


def _names(like: Likeness) -> dict[str, Any]:
    line: dict[str, Any] = {"status": like.status, "model": printable(like.asked)}
    if like.provider is not None:
        line["provider"] = like.provider
    if like.model is not None:
        line["served"] = like.model
    return line


def _whom(like: Likeness) -> dict[str, Any]:
    return {} if like.client == NOBODY else {"client": like.client}


def _mishaps(receipt: Receipt) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if receipt.like.code is not None:
        told["code"] = receipt.like.code
    if len(receipt.attempts) != 1:
        told["attempts"] = len(receipt.attempts)
    if trail := _trail(receipt.attempts):
        told["trail"] = trail
    if receipt.dropped:
        told["dropped"] = printable(",".join(receipt.dropped))
    if receipt.skipped:
        told["skipped"] = receipt.skipped
    if receipt.continued:
        told["continued"] = receipt.continued
    if receipt.unrecorded:
        told["unrecorded"] = receipt.unrecorded
    return told


def _milliseconds(seconds: float) -> float:
    return float(f"{seconds * 1000:.1f}")


def _trail(notes: Sequence[AttemptNote]) -> str:
    failed = [note for note in notes if note.kind is not Kind.SERVED]
    if not failed:
        return ""
    hops = [f"{note.provider}/{note.model}={note.kind.value}{_status(note)}" for note in failed]
    return printable("; ".join(hops), 512)


def _status(note: AttemptNote) -> str:
    return f":{note.status}" if note.status else ""
