"""The log: to stderr, for people or for machines, and one line for each request from its receipt.

Neither prompts nor keys ever reach it: receipts hold none. `Scrub` is a second net under what others log.
"""

import logging
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TextIO, cast

import structlog
from structlog.typing import FilteringBoundLogger, Processor

from freeroute.domain.outcome import Kind
from freeroute.domain.receipt import AttemptNote, Receipt
from freeroute.observe.lines import INFO, REQUEST, WARNING, JsonLine, Line, TextLine, of_receipt
from freeroute.observe.scrub import Scrub
from freeroute.observe.stderr import STDERR
from freeroute.wire.text import printable

# What an operator has to do something about, whatever became of the request.
_TOLD = {
    Kind.KEY_INVALID: "the provider refuses this key: replace it",
    Kind.NO_CREDIT: "this key has no credit, and is left alone for a day",
    Kind.MODEL_GONE: "the provider has this model no more: take it out of the settings",
    Kind.REDIRECTED: "the provider is not at this address: correct its base_url",
}


def set_up(form: str, level: str, secrets: Iterable[str] = ()) -> Scrub:
    """Log as *form* says (console or json) from *level* up; *secrets* are the keys that are in use.

    What hides them is returned, to be told of others later.
    """
    # Whether colours are wanted is judged now; where to write, at each line, since stderr may be replaced.
    scrub = Scrub(secrets)
    line = TextLine(scrub, colours=_wants_colours()) if form == "console" else JsonLine(scrub)
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


class RequestLog:
    """An observer that writes a line for every request, and one for what an operator must see to."""

    def __init__(self) -> None:
        """Log as `set_up` says by the time the first request ends."""
        self._log: FilteringBoundLogger | None = None
        self._processors: Sequence[Processor] = ()
        self._line: Line | None = None
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
                log.info(REQUEST, **of_receipt(receipt))

    def _tell(self, log: FilteringBoundLogger, line: Line | None, receipt: Receipt) -> None:
        """Write the line of a request of which there is more to tell, and what has to be seen to."""
        for note in receipt.attempts:
            if note.kind in _TOLD:
                log.warning(_TOLD[note.kind], **_whose(note))
        level, name = (logging.WARNING, WARNING) if _went_wrong(receipt) else (logging.INFO, INFO)
        if not log.is_enabled_for(level):
            return
        if line is not None:
            STDERR.msg(line.of_request(name, receipt))
        else:
            log.log(level, REQUEST, **of_receipt(receipt))

    def _bound(self) -> FilteringBoundLogger:
        self._log = structlog.get_logger("freeroute.requests").bind()
        self._processors = structlog.get_config()["processors"]
        self._line = self._processors[0] if isinstance(self._processors[0], Line) else None
        self._tells_all = self._log.is_enabled_for(logging.INFO)
        return self._log


_SERVED = Kind.SERVED  # looking up a member costs ten times what comparing it does


def _went_well(receipt: Receipt) -> bool:
    """Say whether there is nothing to tell of *receipt* but who answered, and what it took."""
    like, notes = receipt.like, receipt.attempts
    return (
        (like.code is None and like.status < 400)
        and (len(notes) == 1 and notes[0].kind is _SERVED)
        and not (receipt.dropped or receipt.skipped or receipt.continued or receipt.unrecorded)
        and receipt.trace is None
    )


def _went_wrong(receipt: Receipt) -> bool:
    like = receipt.like
    if like.caller_left:
        return False
    broke_off = like.status < 400 and like.code is not None
    return like.status >= 500 or like.code == "capacity_exhausted" or broke_off


def _whose(note: AttemptNote) -> dict[str, Any]:
    told = {"provider": note.provider, "model": note.model, "key": note.key}
    return {**told, "status": note.status, "detail": printable(note.detail)}
