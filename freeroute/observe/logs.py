"""The log: to stderr, for people or for machines, and one line for each request from its receipt.

Neither prompts nor keys ever reach it: receipts hold none. `Scrub` is a second net under what others log.
"""

import logging
import os
import re
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, MutableMapping, Sequence
from datetime import UTC, datetime
from typing import Any, TextIO, cast

import msgspec
import structlog
from structlog.typing import FilteringBoundLogger, Processor

from freeroute.clock import wall
from freeroute.domain.outcome import Kind
from freeroute.domain.receipt import NOBODY, AttemptNote, Receipt
from freeroute.observe.stderr import STDERR
from freeroute.wire.text import printable

Event = MutableMapping[str, Any]

# Shorter than this, a key of the settings is no secret but a word such as `demo`.
SHORTEST_SECRET = 8
# What keys look like, by how their issuers begin them or by where they stand.
_ISSUED = "sk gsk csk fr fa fo hf nvapi xai pk rk ghp github_pat tgp r8 AKIA".split()
_KEY_LIKE = (
    rf"\b(?:{'|'.join(_ISSUED)})[-_][A-Za-z0-9_-]{{12,}}"
    r"|\bAIza[A-Za-z0-9_-]{20,}"
    r"|\beyJ[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]*)*"
    r"|(?<=[Bb]earer )[^\s\"',;]{6,}"
    r"|(?<=key=)[^\s&\"']{6,}|(?<=token=)[^\s&\"']{6,}"
)
# What is in every text that has something like a key in it: most texts are not looked at any further. Each
# begins with a character that is rare, and looks back from there, at one character first: the rest is passed
# over at once.
_BEGUN = "|".join(f"(?<={begin}.)" for begin in _ISSUED)
_BEGUN = f"(?<=[{''.join({begin[-1] for begin in _ISSUED})}].)(?:{_BEGUN})"
_SIGNS_OF_KEYS = (
    *(f"-{_BEGUN}", f"_{_BEGUN}", "z(?<=AIz)a", "J(?<=eyJ)"),
    *(" (?<=earer )", "=(?:(?<=key=)|(?<=token=))"),
)
HIDDEN = "[redacted]"
# Texts that were cleaned are remembered, so many and so long. Own design: a large catalogue's names, 0.5 MB.
_REMEMBERED = 4096
_REMEMBERED_LENGTH = 96
# And so many ways that requests can be alike, whatever names their callers gave. Own design: 1 MB.
_MOST_ALIKE = 1024

# What an operator has to do something about, whatever became of the request.
_TOLD = {
    Kind.KEY_INVALID: "the provider refuses this key: replace it",
    Kind.NO_CREDIT: "this key has no credit, and is left alone for a day",
    Kind.MODEL_GONE: "the provider has this model no more: take it out of the settings",
    Kind.REDIRECTED: "the provider is not at this address: correct its base_url",
}


class Scrub:
    """Hides *secrets*, and whatever looks like one, in every text that is logged."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Hide *secrets* wherever they stand."""
        self._former: set[str] = set()
        self.known: dict[str, str] = {}  # how texts that lines repeat come out
        self.forms: dict[tuple[object, ...], str] = {}  # and what lines of like requests are filled in
        self.hide(secrets)

    def hide(self, secrets: Iterable[str]) -> None:
        """Hide other *secrets* from now on; those before them stay hidden too, until the next time."""
        now = {secret for secret in secrets if len(secret) >= SHORTEST_SECRET}
        exact = [re.escape(secret) for secret in sorted(now | self._former, key=len, reverse=True)]
        self._pattern = re.compile("|".join([*exact, _KEY_LIKE]))
        self._sign = re.compile("|".join([*exact, *_SIGNS_OF_KEYS]))
        self.known.clear()
        self.forms.clear()
        self._former = now

    def hidden(self, text: str) -> str:
        """Return *text* without secrets, its lines kept: only a traceback has several."""
        return self._pattern.sub(HIDDEN, text)

    def clean(self, value: object) -> object:
        """Return *value* without secrets and control characters, in whatever it holds too."""
        if isinstance(value, str):
            return self.known.get(value) or self._remembered(value)
        if isinstance(value, (int, float)) or value is None:
            return value
        if isinstance(value, dict):
            return {str(name): self.clean(inner) for name, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.clean(inner) for inner in value]
        return self._remembered(str(value))

    def one_line(self, text: str) -> str:
        """Return *text* without secrets and control characters."""
        clean = self.hidden(text) if self._sign.search(text) else text
        if not clean.isprintable():
            clean = "".join(char if char.isprintable() else "?" for char in clean)
        return clean

    def _remembered(self, text: str) -> str:
        clean = self.one_line(text)
        if len(text) <= _REMEMBERED_LENGTH:
            if len(self.known) >= _REMEMBERED:
                self.known.clear()
            self.known[text] = clean
        return clean


def set_up(form: str, level: str, secrets: Iterable[str] = ()) -> Scrub:
    """Log as *form* says (console or json) from *level* up; *secrets* are the keys that are in use.

    What hides them is returned, to be told of others later.
    """
    # Whether colours are wanted is judged now; where to write, at each line, since stderr may be replaced.
    scrub = Scrub(secrets)
    line = _TextLine(scrub, colours=_wants_colours()) if form == "console" else _JsonLine(scrub)
    structlog.configure(
        processors=[line],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: STDERR,
        cache_logger_on_first_use=False,
    )
    _adopt_libraries(line)
    return scrub


def _adopt_libraries(line: Processor) -> None:
    """Let what libraries log come out in the same form: their warnings and errors, not their chatter."""
    handler = logging.StreamHandler(cast("TextIO", STDERR))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, line]
        )
    )
    root = logging.getLogger()
    for old in [
        old for old in root.handlers if isinstance(old.formatter, structlog.stdlib.ProcessorFormatter)
    ]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)


def _wants_colours() -> bool:
    return sys.stderr is not None and sys.stderr.isatty() and not os.environ.get("NO_COLOR")


class _Line(ABC):
    """The one step from an event to its line; *method* is its level."""

    def __init__(self, scrub: Scrub) -> None:
        self._scrub = scrub

    def __call__(self, logger: object, method: str, event: Event) -> str:
        if "exc_info" in event:
            event = structlog.processors.format_exc_info(logger, method, event)
        return self._written(method, event)

    def of_request(self, level: str, receipt: Receipt) -> str:
        """Return the line of a finished request."""
        return self._written(level, {"event": _REQUEST, **_line(receipt)})

    def of_good_request(self, receipt: Receipt) -> str:
        """Return the line of a finished request that went well."""
        return self.of_request(_INFO, receipt)

    @abstractmethod
    def _written(self, level: str, event: Event) -> str:
        """Return the line of *event*."""


class _TextLine(_Line):
    """``14:03:22 warning request status=502 model=free``, tracebacks below."""

    def __init__(self, scrub: Scrub, *, colours: bool) -> None:
        super().__init__(scrub)
        self._colours = _COLOURS if colours else {}
        self._second = 0
        self._stamp = ""

    def _written(self, level: str, event: Event) -> str:
        below = [self._scrub.hidden(str(event.pop(name))) for name in _BELOW if name in event]
        told = self._scrub.clean(event.pop("event", ""))
        line = f"{self._time()} {level:<7} {told}{self._fields(event)}"
        if (colour := self._colours.get(level)) is not None:
            line = f"{colour}{line}\x1b[0m"
        return "\n".join([line, *below]) if below else line

    def of_good_request(self, receipt: Receipt) -> str:
        """Return the line of a finished request that went well: it is filled in, without an event."""
        usage = receipt.usage
        if usage is None:
            return super().of_good_request(receipt)
        first = receipt.first_event if receipt.stream else None
        asked, client = receipt.asked, receipt.client
        names = (first is None, receipt.status, asked, receipt.provider, receipt.model, client)
        form = self._scrub.forms.get(names) or self._form(names, receipt)
        told, name = self._time(), self._scrub.one_line(receipt.request_id)
        ms, overhead_ms = receipt.total * 1000, receipt.overhead * 1000
        if first is None:
            return form % (told, ms, overhead_ms, usage.prompt, usage.completion, name)
        return form % (told, ms, first * 1000, overhead_ms, usage.prompt, usage.completion, name)

    def _form(self, names: tuple[object, ...], receipt: Receipt) -> str:
        """Return what the line of a request like that of *receipt* is filled in."""
        known = self._scrub.forms
        if len(known) >= _MOST_ALIKE:
            known.clear()
        begin, end = self._fields(_names(receipt)), self._fields(_whom(receipt))
        first = "" if names[0] else " first_ms=%.1f"
        known[names] = found = (
            f"%s {_INFO:<7} {_REQUEST}{begin.replace('%', '%%')} ms=%.1f{first} overhead_ms=%.1f"
            f" tokens_in=%d tokens_out=%d{end.replace('%', '%%')} id=%s"
        )
        return found

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
        """Return the time of day, which is worked out once a second."""
        now = wall()
        if not 0.0 <= now - self._second < 1.0:
            self._second = int(now)
            self._stamp = time.strftime("%H:%M:%S", time.localtime(now))
        return self._stamp


_BELOW = ("stack", "exception")
_COLOURS = {"debug": "\x1b[2m", "warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[31;1m"}


class _JsonLine(_Line):
    """An object with ``timestamp``, ``level`` and ``event`` first."""

    def _written(self, level: str, event: Event) -> str:
        scrub = self._scrub
        stamp = datetime.fromtimestamp(wall(), UTC).isoformat().replace("+00:00", "Z")
        line = {"timestamp": stamp, "level": level, "event": scrub.clean(event.pop("event", None))}
        for name, value in event.items():
            line[name] = scrub.hidden(str(value)) if name in _BELOW else scrub.clean(value)
        return msgspec.json.encode(line).decode()


class RequestLog:
    """An observer that writes a line for every request, and one for what an operator must see to."""

    def __init__(self) -> None:
        """Log as `set_up` says by the time the first request ends."""
        self._log: FilteringBoundLogger | None = None
        self._processors: Sequence[Processor] = ()
        self._line: _Line | None = None
        self._tells_all = False

    def saw(self, receipt: Receipt) -> None:
        """Take note of a finished request."""
        log = self._log or self._bound()
        # As the only step: structlog would add nothing to it.
        line = self._line if self._processors[0] is self._line else None
        if not _went_well(receipt):
            self._tell(log, line, receipt)
        elif self._tells_all:
            if line is not None:
                STDERR.msg(line.of_good_request(receipt))
            else:
                log.info(_REQUEST, **_line(receipt))

    def _tell(self, log: FilteringBoundLogger, line: _Line | None, receipt: Receipt) -> None:
        """Write the line of a request of which there is more to tell, and what has to be seen to."""
        for note in receipt.attempts:
            if note.kind in _TOLD:
                log.warning(_TOLD[note.kind], **_whose(note))
        level, name = (logging.WARNING, _WARNING) if _went_wrong(receipt) else (logging.INFO, _INFO)
        if not log.is_enabled_for(level):
            return
        if line is not None:
            STDERR.msg(line.of_request(name, receipt))
        else:
            log.log(level, _REQUEST, **_line(receipt))

    def _bound(self) -> FilteringBoundLogger:
        self._log = structlog.get_logger("freeroute.requests").bind()
        self._processors = structlog.get_config()["processors"]
        self._line = self._processors[0] if isinstance(self._processors[0], _Line) else None
        self._tells_all = self._log.is_enabled_for(logging.INFO)
        return self._log


_SERVED = Kind.SERVED  # looking up a member costs ten times what comparing it does
_REQUEST = "request"
_INFO, _WARNING = "info", "warning"


def _went_well(receipt: Receipt) -> bool:
    """Say whether there is nothing to tell of *receipt* but who answered, and what it took."""
    notes = receipt.attempts
    return (
        (receipt.code is None and receipt.status < 400)
        and (len(notes) == 1 and notes[0].kind is _SERVED)
        and not (receipt.dropped or receipt.skipped or receipt.continued or receipt.unrecorded)
        and receipt.trace is None
    )


def _went_wrong(receipt: Receipt) -> bool:
    if receipt.caller_left:
        return False
    return receipt.status >= 500 or receipt.code == "capacity_exhausted" or _broke_off(receipt)


def _broke_off(receipt: Receipt) -> bool:
    return receipt.status < 400 and receipt.code is not None


def _whose(note: AttemptNote) -> dict[str, Any]:
    told = {"provider": note.provider, "model": note.model, "key": note.key}
    return {**told, "status": note.status, "detail": printable(note.detail)}


def _line(receipt: Receipt) -> dict[str, Any]:
    """Return what the line of *receipt* says; what there is nothing to say about is left out."""
    line = _names(receipt)
    line["ms"] = _milliseconds(receipt.total)
    if receipt.stream and receipt.first_event is not None:
        line["first_ms"] = _milliseconds(receipt.first_event)
    line["overhead_ms"] = _milliseconds(receipt.overhead)
    if receipt.usage is not None:
        line["tokens_in"] = receipt.usage.prompt
        line["tokens_out"] = receipt.usage.completion
    line |= _mishaps(receipt) | _whom(receipt)
    line["id"] = receipt.request_id
    if receipt.trace is not None:
        line["trace"] = receipt.trace.header()
    return line


def _names(receipt: Receipt) -> dict[str, Any]:
    line: dict[str, Any] = {"status": receipt.status, "model": printable(receipt.asked)}
    if receipt.provider is not None:
        line["provider"] = receipt.provider
    if receipt.model is not None:
        line["served"] = receipt.model
    return line


def _whom(receipt: Receipt) -> dict[str, Any]:
    return {} if receipt.client == NOBODY else {"client": receipt.client}


def _mishaps(receipt: Receipt) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if receipt.code is not None:
        told["code"] = receipt.code
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
