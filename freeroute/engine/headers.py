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


def told(course: Course, candidate: Candidate | None, overhead: float) -> bytes:
    """Return the lines of the ``x-freeroute-*`` headers of an answer by *candidate*; None is for an error."""
    lines = _TOLD % (
        len(course.notes),
        b"%.0f" % (course.queued * 1000) if course.queued else b"0",
        overhead * 1000 if overhead > 0.0 else 0.0,
        b"" if candidate is None else _served_by(candidate.provider.id, candidate.model.id),
    )
    if trail := _trail(course):
        lines += b"x-freeroute-trail: %b\r\n" % trail.encode("ascii")
    if course.dropped:
        dropped = printable(",".join(sorted(course.dropped)), 512)
        lines += b"x-freeroute-dropped: %b\r\n" % dropped.encode("ascii")
    return lines


_TOLD = b"x-freeroute-attempts: %d\r\nx-freeroute-queue-ms: %b\r\nx-freeroute-overhead-ms: %.1f\r\n%b"


@lru_cache(1024)
def _served_by(provider: str, model: str) -> bytes:
    lines = f"x-freeroute-provider: {printable(provider)}\r\nx-freeroute-model: {printable(model)}\r\n"
    return lines.encode("ascii")


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


def client_limits(readings: Iterable[Reading]) -> bytes:
    """Return the lines of OpenAI's ``x-ratelimit-*`` for a client's own limits.

    Of each unit, they tell of the limit nearest its end.
    """
    nearest: dict[Unit, tuple[float, Reading]] = {}
    for reading in readings:
        unit, most, used = reading.pool.limit.unit, reading.limit, reading.used
        left = most - used if used < most else 0.0
        if unit in _LIMITING and (unit not in nearest or left < nearest[unit][0]):
            nearest[unit] = left, reading
    lines = b""
    for unit, (left, reading) in nearest.items():
        lines += _limit(unit, reading.limit) % (round(left), reading.resets_in)
    return lines


_LIMITING = {Unit.REQUESTS, Unit.TOKENS}


@lru_cache(256)
def _limit(unit: Unit, most: float) -> bytes:
    """Return the lines of a limit but for what is left of it, and the seconds until it is whole again."""
    lines = (
        f"x-ratelimit-limit-{unit}: {most:.0f}\r\n"
        f"x-ratelimit-remaining-{unit}: %d\r\n"
        f"x-ratelimit-reset-{unit}: %.3fs\r\n"
    )
    return lines.encode("ascii")
