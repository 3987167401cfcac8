"""Where a request stands in a trace of W3C's, so that all it led to can be shown as one tree of spans."""

import random

from msgspec import Struct

SAMPLED = 1
"""The flag that says that whoever sent it records the trace (W3C Trace Context, section 3.2.2.5)."""


class Trace(Struct, frozen=True):
    """A trace by its *id*, the *span* of a request in it, and that of its caller, if any; all in hex."""

    id: str
    span: str
    parent: str | None = None
    flags: int = 0

    @property
    def sampled(self) -> bool:
        """Say whether this trace is recorded."""
        return bool(self.flags & SAMPLED)

    def header(self, span: str | None = None) -> str:
        """Return the ``traceparent`` of a call made in *span*; in the request's own, if none is named."""
        return f"00-{self.id}-{span or self.span}-{self.flags:02x}"


def new_span(rng: random.Random) -> str:
    """Return an id that no other span has: 64 random bits, never all zero."""
    return f"{rng.getrandbits(64) or 1:016x}"


def begun(rng: random.Random, share: float | None) -> Trace | None:
    """Return a trace that begins here, of which *share* (0 to 1) are recorded; None if none is to begin."""
    if share is None:
        return None
    flags = SAMPLED if rng.random() < share else 0
    return Trace(f"{rng.getrandbits(128) or 1:032x}", new_span(rng), flags=flags)
