"""Receipts: one for every finished request, handed to whoever reads them."""

from collections.abc import Sequence

import structlog
from msgspec import Struct

from freeroute.clock import Now
from freeroute.domain.receipt import NOBODY, AttemptNote, Receipt
from freeroute.domain.usage import Usage
from freeroute.engine.course import Course
from freeroute.engine.ports import Contents, Observer
from freeroute.wire.transcript import Transcript

# What a request that its caller abandoned is recorded with, as nginx does.
CALLER_LEFT_STATUS = 499


class Ending(Struct, frozen=True):
    """How a request ended towards its caller. *last* is the attempt that answered; times in seconds.

    *unrecorded* is how many that were turned away before it have no receipt.
    """

    status: int
    code: str | None = None
    last: AttemptNote | None = None
    usage: Usage | None = None
    finish: str | None = None
    overhead: float = 0.0
    first_event: float | None = None
    caller_left: bool = False
    skipped: int = 0
    continued: int = 0
    unrecorded: int = 0


class Accounting:
    """Writes the receipt of each request and shows it to the observers."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        """Show receipts to *observers*, in order."""
        self._observers = tuple(observers)
        self.contents: Contents | None = None
        self._log = structlog.get_logger("freeroute.accounting")

    def observe(self, observer: Observer) -> None:
        """Show receipts to *observer* too, after the others."""
        self._observers = (*self._observers, observer)

    def record(self, course: Course, ending: Ending, now: Now) -> None:
        """Write the receipt of *course*, which came to *ending*."""
        context, last = course.context, ending.last
        client = context.client
        # By position, in the order of `Receipt`: so many names would cost seven times as much. Of more than
        # thirty values the compiler would make a list first, which doubles the cost.
        receipt = Receipt(
            context.request_id,
            context.received,
            context.surface,
            client.name if client else NOBODY,
            course.asked,
            course.known,
            course.stream,
            CALLER_LEFT_STATUS if ending.caller_left else ending.status,
            ending.code,
            last.provider if last else None,
            last.model if last else None,
            last.key if last else None,
            tuple(course.notes),
            ending.usage,
            ending.finish,
            course.queued,
            ending.overhead,
            ending.first_event,
            now.mono - context.received.mono,
            tuple(sorted(course.dropped)) if course.dropped else (),
            ending.caller_left,
            ending.skipped,
            ending.continued,
            context.trace,
            tuple(course.waits),
            ending.unrecorded,
            client.created if client else None,
            course.headers,
            course.grounds,
            course.task,
        )
        for observer in self._observers:
            try:
                observer.saw(receipt)
            except Exception:
                # A broken observer must not cost a caller the answer; it is our own fault and is told.
                self._log.exception("observer failed", observer=type(observer).__name__)
        if self.contents is not None and course.transcript is not None:
            self._keep(self.contents, receipt, course.transcript)

    def _keep(self, contents: Contents, receipt: Receipt, transcript: Transcript) -> None:
        try:
            contents.keep(receipt, transcript)
        except Exception as exc:
            # No traceback: what it quotes may be the prompt.
            self._log.error("what a request said cannot be kept", error=type(exc).__name__)
