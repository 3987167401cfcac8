"""What a failure below HTTP means: each transport error is one kind of ending."""

from freeroute.domain.outcome import Kind, Outcome
from freeroute.upstreams.transport import (
    Disconnected,
    NameNotFound,
    NoFileLeft,
    Phase,
    ProtocolError,
    Refused,
    TimedOut,
    TlsFailed,
    TransportError,
    Truncated,
)
from freeroute.wire.sse import EventTooLarge


def before_answer(error: TransportError, status: int | None = None, *, unsent: bool = False) -> Outcome:
    """Return what *error* means before the first meaningful event; *status* if a head had come.

    What is *unsent* does not count, whatever it is.
    """
    kind, counted = _kind(error)
    return Outcome(kind=kind, status=status, detail=_text(error), counted=counted and not unsent)


def _kind(error: TransportError) -> tuple[Kind, bool]:
    match error:
        case Refused() | NameNotFound() | TlsFailed() | TimedOut(phase=Phase.CONNECT):
            return Kind.UNREACHABLE, False
        case NoFileLeft() | TimedOut(phase=Phase.POOL):
            return Kind.CROWDED, False
        case TimedOut():
            return Kind.TIMED_OUT, True
        case Disconnected(reused=True, received=0):
            return Kind.STALE, False
        case Disconnected():
            return Kind.DISCONNECTED, True
        case Truncated():
            return Kind.TRUNCATED, True
    return Kind.GARBAGE, True


def within_stream(
    error: TransportError | TimeoutError | EventTooLarge, status: int | None, silence: float
) -> Outcome:
    """Return what *error* means after the first meaningful event; a timeout is of *silence*, in seconds."""
    if isinstance(error, TimeoutError):
        return Outcome(Kind.STALLED, status, f"silent for {silence:g} s")
    if isinstance(error, EventTooLarge):
        return Outcome(Kind.GARBAGE, status, str(error))
    kind = Kind.STALLED if isinstance(error, TimedOut) else Kind.TRUNCATED
    return Outcome(kind=kind, status=status, detail=_text(error))


def _text(error: TransportError) -> str:
    """Return the kind of *error* in our own words: its text names hosts and addresses."""
    match error:
        case TimedOut(phase=Phase.POOL):
            return f"as many calls as we make there at a time were under way for {error.seconds:g} s"
        case TimedOut(phase=Phase.ANSWER):
            return f"nothing to read within {error.seconds:g} s"
        case TimedOut():
            return f"{error.phase.value.replace('_', ' ')} timeout"
        case Refused():
            return "connection refused" if "ECONNREFUSED" in str(error) else "cannot be reached"
        case ProtocolError(rule=rule) if rule:
            return f"{_TEXTS[ProtocolError]}: {rule}"
    return next((text for type_, text in _TEXTS.items() if isinstance(error, type_)), "the exchange failed")


_TEXTS: dict[type[TransportError], str] = {
    NoFileLeft: "as many files were open as freeroute may open",
    NameNotFound: "name does not resolve",
    TlsFailed: "TLS handshake or certificate failed",
    Disconnected: "connection closed before an answer",
    Truncated: "the answer ended early",
    ProtocolError: "not an answer in HTTP as we know it",
}
