"""The headers an answer carries about how it came to be."""

from collections.abc import Iterable
from functools import lru_cache

from freeroute.domain.catalogue import Candidate, Unit
from freeroute.domain.leases import Reading
from freeroute.domain.outcome import Kind
from freeroute.domain.receipt import AttemptNote
from freeroute.engine.course import Course
from freeroute.wire.text import printable

# The trail is a convenience; a proxy in between must not choke on it.
TRAIL_LIMIT = 1024

_SERVED = Kind.SERVED
_named = lru_cache(1024)(printable)  # providers and models are the same call after call


def told(course: Course, candidate: Candidate | None, overhead: float) -> dict[str, str]:
    """Return the ``x-freeroute-*`` headers of an answer by *candidate* (None: no answer came)."""
    headers = {
        "x-freeroute-attempts": str(len(course.notes)),
        "x-freeroute-queue-ms": f"{course.queued * 1000:.0f}" if course.queued else "0",
        "x-freeroute-overhead-ms": f"{overhead * 1000:.1f}" if overhead > 0.0 else "0.0",
    }
    if candidate is not None:
        headers["x-freeroute-provider"] = _named(candidate.provider.id)
        headers["x-freeroute-model"] = _named(candidate.model.id)
    trail = _trail(course)
    if trail:
        headers["x-freeroute-trail"] = trail
    if course.dropped:
        headers["x-freeroute-dropped"] = printable(",".join(sorted(course.dropped)), 512)
    return headers


def _trail(course: Course) -> str:
    notes = course.notes
    if len(notes) == 1 and (note := notes[0]).kind is _SERVED and note.clamped is None and not course.unknown:
        return ""  # as nearly always
    told = [note for note in notes if note.kind is not _SERVED or note.clamped is not None]
    if not told and not course.unknown:
        return ""
    hops = [f"{note.provider}/{note.model}={_became(note)}" for note in told]
    passed_over = [f"{name}=unknown" for name in course.unknown]
    return printable("; ".join(hops + passed_over), TRAIL_LIMIT)


def _became(note: AttemptNote) -> str:
    """Say how an attempt failed, or that it was served with a smaller output bound than asked for."""
    if note.kind is _SERVED:
        return f"clamped:{note.clamped}"
    return f"{note.kind.value}:{note.status}" if note.status else note.kind.value


def client_limits(readings: Iterable[Reading]) -> dict[str, str]:
    """Return OpenAI's ``x-ratelimit-*`` for a client's own limits: of each unit, the one nearest its end."""
    headers: dict[str, str] = {}
    nearest: dict[Unit, float] = {}
    for reading in readings:
        unit, most, used = reading.pool.limit.unit, reading.limit, reading.used
        left = most - used if used < most else 0.0
        if unit not in _NAMES or (unit in nearest and left >= nearest[unit]):
            continue
        nearest[unit] = left
        limit, remaining, reset = _NAMES[unit]
        headers[limit] = _whole(most)
        headers[remaining] = f"{left:.0f}"
        headers[reset] = f"{reading.resets_in:.3f}s"
    return headers


@lru_cache(256)
def _whole(amount: float) -> str:
    return str(round(amount))


def _names(unit: str) -> tuple[str, str, str]:
    return f"x-ratelimit-limit-{unit}", f"x-ratelimit-remaining-{unit}", f"x-ratelimit-reset-{unit}"


_NAMES = {Unit.REQUESTS: _names("requests"), Unit.TOKENS: _names("tokens")}
