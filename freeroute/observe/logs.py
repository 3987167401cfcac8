"""The log: to stderr, for people or for machines, and one line for each request from its receipt.

Neither prompts nor keys ever reach it: receipts hold none. `Scrub` is a second net under what others log.
"""

import contextlib
import logging
import os
import re
import sys
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any, TextIO, cast

import msgspec
import structlog
from structlog.typing import FilteringBoundLogger, Processor

from freeroute.domain.outcome import Kind
from freeroute.domain.receipt import AttemptNote, Receipt
from freeroute.wire.text import printable

Event = MutableMapping[str, Any]

# Shorter than this, a key of the settings is no secret but a word such as `demo`.
SHORTEST_SECRET = 8
# What keys look like, by how their issuers begin them or by where they stand.
_KEY_LIKE = (
    r"\b(?:sk|gsk|csk|fr|fa|fo|hf|nvapi|xai|pk|rk|ghp|github_pat|tgp|r8|AKIA)[-_][A-Za-z0-9_-]{12,}"
    r"|\bAIza[A-Za-z0-9_-]{20,}"
    r"|\beyJ[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]*)*"
    r"|(?<=[Bb]earer )[^\s\"',;]{6,}"
    r"|(?<=key=)[^\s&\"']{6,}|(?<=token=)[^\s&\"']{6,}"
)
HIDDEN = "[redacted]"
# Texts that were cleaned are remembered, so many and so long. Own design: a large catalogue's names, 0.5 MB.
_REMEMBERED = 4096
_REMEMBERED_LENGTH = 96

# What an operator has to do something about, whatever became of the request.
_TOLD = {
    Kind.KEY_INVALID: "the provider refuses this key: replace it",
    Kind.NO_CREDIT: "this key has no credit, and is left alone for a day",
    Kind.MODEL_GONE: "the provider has this model no more: take it out of the settings",
    Kind.REDIRECTED: "the provider is not at this address: correct its base_url",
}


class Scrub:
    """A processor that hides *secrets*, and whatever looks like one, in every text of an event."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Hide *secrets* wherever they stand."""
        self._former: set[str] = set()
        self._cleaned: dict[str, str] = {}
        self.hide(secrets)

    def hide(self, secrets: Iterable[str]) -> None:
        """Hide other *secrets* from now on; those before them stay hidden too, until the next time."""
        now = {secret for secret in secrets if len(secret) >= SHORTEST_SECRET}
        exact = sorted(now | self._former, key=len, reverse=True)
        self._pattern = re.compile("|".join([*map(re.escape, exact), _KEY_LIKE]))
        self._cleaned.clear()
        self._former = now

    def __call__(self, logger: object, method: str, event: Event) -> Event:
        """Return *event* without secrets; control characters are for tracebacks alone."""
        for name, value in event.items():
            if name in ("exception", "stack"):
                event[name] = self._pattern.sub(HIDDEN, str(value))
            else:
                event[name] = self._clean(value)
        return event

    def _clean(self, value: object) -> object:
        if isinstance(value, str):
            return self._one_line(value)
        if isinstance(value, (bool, int, float)) or value is None:
            return value
        if isinstance(value, dict):
            return {str(name): self._clean(inner) for name, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._clean(inner) for inner in value]
        return self._one_line(str(value))

    def _one_line(self, text: str) -> str:
        """Return *text* without secrets and control characters; names that lines repeat are looked up."""
        if (known := self._cleaned.get(text)) is not None:
            return known
        clean = self._pattern.sub(HIDDEN, text)
        if not clean.isprintable():
            clean = "".join(char if char.isprintable() else "?" for char in clean)
        if len(text) <= _REMEMBERED_LENGTH:
            if len(self._cleaned) >= _REMEMBERED:
                self._cleaned.clear()
            self._cleaned[text] = clean
        return clean


def set_up(form: str, level: str, secrets: Iterable[str] = ()) -> Scrub:
    """Log as *form* says (console or json) from *level* up; *secrets* are the keys that are in use.

    What hides them is returned, to be told of others later.
    """
    # Whether colours are wanted is judged now; where to write, at each line, since stderr may be replaced.
    sink = cast("TextIO", _Stderr())
    scrub = Scrub(secrets)
    for_people = form == "console"
    stamp = structlog.processors.TimeStamper(fmt="%H:%M:%S" if for_people else "iso", utc=not for_people)
    before: list[Processor] = [structlog.processors.add_log_level, stamp]
    after: list[Processor] = [
        structlog.processors.format_exc_info,
        scrub,
        _as_text(colours=_wants_colours()) if for_people else _as_json,
    ]
    structlog.configure(
        processors=[*before, *after],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sink),
        cache_logger_on_first_use=False,
    )
    _adopt_libraries(sink, before, after)
    return scrub


def _adopt_libraries(sink: TextIO, before: list[Processor], after: list[Processor]) -> None:
    """Let what libraries log come out in the same form: their warnings and errors, not their chatter."""
    handler = logging.StreamHandler(sink)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=before,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *after],
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


class _Stderr:
    """Standard error as it is at each moment. A reader that hung up must not cost a caller the answer."""

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stderr.flush()


def _as_text(*, colours: bool) -> Callable[[object, str, Event], str]:
    """Return a renderer of ``14:03:22 warning request status=502 model=free``, tracebacks below."""

    def render(logger: object, method: str, event: Event) -> str:
        below = [str(event.pop(name)) for name in ("stack", "exception") if name in event]
        level = str(event.pop("level", ""))
        head = f"{event.pop('timestamp', '')} {level:<7} {event.pop('event', '')}"
        line = " ".join([head, *(f"{name}={_shown(value)}" for name, value in event.items())])
        if colours and level in _COLOURS:
            line = f"{_COLOURS[level]}{line}\x1b[0m"
        return "\n".join([line, *below])

    return render


_COLOURS = {"debug": "\x1b[2m", "warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[31;1m"}


def _shown(value: object) -> str:
    text = str(value)
    return text if text and " " not in text else repr(text)


def _as_json(logger: object, method: str, event: Event) -> str:
    head = {name: event.pop(name) for name in ("timestamp", "level", "event") if name in event}
    return msgspec.json.encode({**head, **event}).decode()


class RequestLog:
    """An observer that writes a line for every request, and one for what an operator must see to."""

    def __init__(self) -> None:
        """Log as `set_up` says by the time the first request ends."""
        self._log: FilteringBoundLogger | None = None

    def saw(self, receipt: Receipt) -> None:
        """Take note of a finished request."""
        if self._log is None:
            self._log = structlog.get_logger("freeroute.requests").bind()
        for note in receipt.attempts:
            if note.kind in _TOLD:
                self._log.warning(_TOLD[note.kind], **_whose(note))
        level = logging.WARNING if _went_wrong(receipt) else logging.INFO
        if self._log.is_enabled_for(level):
            self._log.log(level, "request", **_line(receipt))


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
    usage = receipt.usage
    line = {
        "status": receipt.status,
        "model": printable(receipt.asked),
        "provider": receipt.provider,
        "served": receipt.model,
        "ms": _milliseconds(receipt.total),
        "first_ms": _milliseconds(receipt.first_event) if receipt.stream else None,
        "overhead_ms": _milliseconds(receipt.overhead),
        "tokens_in": usage.prompt if usage else None,
        "tokens_out": usage.completion if usage else None,
        "code": receipt.code,
        "attempts": len(receipt.attempts) if len(receipt.attempts) != 1 else None,
        "trail": _trail(receipt.attempts) or None,
        "dropped": printable(",".join(receipt.dropped)) or None,
        "skipped": receipt.skipped or None,
        "continued": receipt.continued or None,
        "unrecorded": receipt.unrecorded or None,
        "client": receipt.client if receipt.client != "-" else None,
        "id": receipt.request_id,
        "trace": receipt.trace.header() if receipt.trace else None,
    }
    return {name: value for name, value in line.items() if value is not None}


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def _trail(notes: Iterable[AttemptNote]) -> str:
    failed = (note for note in notes if note.kind is not Kind.SERVED)
    hops = (f"{note.provider}/{note.model}={note.kind.value}" + _status(note) for note in failed)
    return printable("; ".join(hops), 512)


def _status(note: AttemptNote) -> str:
    return f":{note.status}" if note.status else ""
