"""Receipts: one for every finished request, handed to whoever reads them."""

from collections.abc import Sequence

import structlog
from msgspec import Struct

from freeroute.clock import Now
from freeroute.domain.receipt import MOST_ALIKE, NOBODY, AttemptNote, Likeness, Receipt
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
        self._likenesses: dict[tuple[object, ...], Likeness] = {}
        self.contents: Contents | None = None
        self._log = structlog.get_logger("freeroute.accounting")

    def observe(self, observer: Observer) -> None:
        """Show receipts to *observer* too, after the others."""
        self._observers = (*self._observers, observer)

    def record(self, course: Course, ending: Ending, now: Now) -> None:
        """Write the receipt of *course*, which came to *ending*."""
        context = course.context
        # By position, in the order of `Receipt`: so many names would cost seven times as much.
        receipt = Receipt(
            self._likeness(course, ending),
            context.request_id,
            context.received,
            tuple(course.notes),
            ending.usage,
            ending.finish,
            course.queued,
            ending.overhead,
            ending.first_event,
            now.mono - context.received.mono,
            tuple(sorted(course.dropped)) if course.dropped else (),
            ending.skipped,
            ending.continued,
            context.trace,
            tuple(course.waits),
            ending.unrecorded,
            course.headers,
            course.grounds,
        )
        for observer in self._observers:
            try:
                observer.saw(receipt)
            except Exception:
                # A broken observer must not cost a caller the answer; it is our own fault and is told.
                self._log.exception("observer failed", observer=type(observer).__name__)
        if self.contents is not None and course.transcript is not None:
            self._keep(self.contents, receipt, course.transcript)

    def _likeness(self, course: Course, ending: Ending) -> Likeness:
        """Return what *course*, which came to *ending*, has in common with others."""
        context, last, left = course.context, ending.last, ending.caller_left
        client = context.client
        # In the order of `Likeness`.
        shared = (
            context.surface,
            course.task,
            NOBODY if client is None else client.name,
            None if client is None else client.created,
            course.asked,
            course.known,
            course.stream,
            CALLER_LEFT_STATUS if left else ending.status,
            ending.code,
            None if last is None else last.provider,
            None if last is None else last.model,
            None if last is None else last.key,
            left,
        )
        found = self._likenesses.get(shared)
        if found is None:
            if len(self._likenesses) >= MOST_ALIKE:
                self._likenesses.clear()
            found = self._likenesses[shared] = Likeness(*shared)
        return found

    def _keep(self, contents: Contents, receipt: Receipt, transcript: Transcript) -> None:
        try:
            contents.keep(receipt, transcript)
        except Exception as exc:
            # No traceback: what it quotes may be the prompt.
            self._log.error("what a request said cannot be kept", error=type(exc).__name__)
