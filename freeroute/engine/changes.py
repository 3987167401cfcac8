"""Changes that leave a trace: what cannot be written down is not done."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from freeroute.clock import Clock
from freeroute.domain.audit import Entry
from freeroute.engine.ports import AuditTrail
from freeroute.errors import ConfigError, Unavailable

Note = Callable[[Any, Any], None]
"""Takes what there was before and what there will be; raises Unavailable if that cannot be written down."""


class Changes:
    """Writes down who changes what, before it is done. It waits for a disk: it is for threads."""

    def __init__(self, trail: AuditTrail, clock: Clock) -> None:
        """Write to *trail*."""
        self._trail = trail
        self._clock = clock

    def note(self, who: str, what: str, target: str, before: Any, after: Any) -> None:
        """Write down a change that is about to be made; raises Unavailable, and then it must not be made."""
        self._append(Entry(self._clock.now().wall, who, what, target, before, after))

    @contextlib.contextmanager
    def making(self, who: str, what: str, target: str) -> Iterator[Note]:
        """Give the block that makes a change what notes it; if it fails after that, that is noted as well."""
        noted: list[tuple[Any, Any]] = []

        def note(before: Any, after: Any) -> None:
            self.note(who, what, target, before, after)
            noted.append((before, after))

        try:
            yield note
        except BaseException:
            for before, after in noted:
                with contextlib.suppress(Unavailable):
                    self._append(Entry(self._clock.now().wall, who, what, target, before, after, made=False))
            raise

    def _append(self, entry: Entry) -> None:
        try:
            self._trail.append(entry)
        except ConfigError as exc:
            raise Unavailable(
                f"Nothing was changed, since it could not be written down: {exc}", code="audit_unavailable"
            ) from exc
