"""The headers an answer carries about how it came to be."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain

from freeroute.domain.catalogue import Candidate, Pool, Unit
from freeroute.domain.outcome import Kind
from freeroute.domain.receipt import AttemptNote
from freeroute.engine.course import Course
from freeroute.wire.text import printable

# The trail is a convenience; a proxy in between must not choke on it.
TRAIL_LIMIT = 1024

_SERVED = Kind.SERVED


def told(course: Course, candidate: Candidate | None, overhead: float) -> bytes:
    """Return the lines of the ``x-freeroute-*`` headers of an answer by *candidate*; None is for an error."""
    queued = b"%.0f" % (course.queued * 1000) if course.queued else b"0"
    if candidate is None:
        form = _form(len(course.notes), queued, None, None)
    else:
        form = _form(len(course.notes), queued, candidate.provider.id, candidate.model.id)
    lines = form % (overhead * 1000 if overhead > 0.0 else 0.0)
    if trail := _trail(course):
        lines += b"x-freeroute-trail: %b\r\n" % trail.encode("ascii")
    if course.dropped:
        dropped = printable(",".join(sorted(course.dropped)), 512)
        lines += b"x-freeroute-dropped: %b\r\n" % dropped.encode("ascii")
    return lines


@lru_cache(1024)
def _form(attempts: int, queued: bytes, provider: str | None, model: str | None) -> bytes:
    """Return what most answers of a model begin with alike, but for the milliseconds that we took."""
    lines = f"x-freeroute-attempts: {attempts}\r\nx-freeroute-queue-ms: {queued.decode()}\r\n"
    lines += "x-freeroute-overhead-ms: %.1f\r\n"
    if provider is not None and model is not None:
        names = f"x-freeroute-provider: {printable(provider)}\r\nx-freeroute-model: {printable(model)}\r\n"
        lines += names.replace("%", "%%")
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


class ClientLimits:
    """What a client is told of its own limits, in OpenAI's ``x-ratelimit-*``.

    Of each unit, it is told of the one nearest its end. The lines are made once, but for what is left and
    when all of it is back.
    """

    def __init__(self, pools: Sequence[Pool]) -> None:
        """Tell of *pools*, of requests or tokens."""
        self._counted = [pool.limit.unit for pool in pools]
        self._units = tuple(dict.fromkeys(self._counted))
        self._limits: list[float] = []
        self._lines = b""

    def told(self, limits: list[float], standing: list[float]) -> bytes:
        """Return the lines when these are the *limits* of its pools.

        Of *standing* each has two in turn: what is left, and the seconds until it is whole again.
        """
        if len(self._units) < len(limits):
            limits, standing = self._nearest(limits, standing)
        if limits != self._limits:
            self._limits, self._lines = limits, b"".join(map(_lines, self._units, limits))
        return self._lines % tuple(standing)

    def _nearest(self, limits: list[float], standing: list[float]) -> tuple[list[float], list[float]]:
        """Return the same of those pools alone that have the least left of their unit."""
        left = standing[::2]
        nearest: dict[Unit, int] = {}
        for at, unit in enumerate(self._counted):
            if unit not in nearest or left[at] < left[nearest[unit]]:
                nearest[unit] = at
        figures = [(left[at], standing[2 * at + 1]) for at in nearest.values()]
        return [limits[at] for at in nearest.values()], [*chain.from_iterable(figures)]


def _lines(unit: Unit, limit: float) -> bytes:
    """Return the lines of a limit but for what is left of it, and the seconds until it is whole again."""
    lines = (
        f"x-ratelimit-limit-{unit}: {limit:.0f}\r\n"
        f"x-ratelimit-remaining-{unit}: %.0f\r\n"
        f"x-ratelimit-reset-{unit}: %.3fs\r\n"
    )
    return lines.encode("ascii")
