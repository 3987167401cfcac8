"""What the status page shows of finished requests: bounded counts and the last fifty, without content."""

from collections import deque
from statistics import median

from msgspec import Struct, field

from freeroute.domain.outcome import Blame, Kind, Outcome, blamed
from freeroute.domain.receipt import AttemptNote, Receipt

RECENT = 50
# Enough for a median that follows the last minutes, few enough to sort on demand.
LATENCIES = 64


class LastError(Struct, frozen=True):
    """The latest failure of a provider; *at* is Unix time."""

    at: float
    kind: str
    detail: str
    model: str


class ProviderTally(Struct):
    """Attempts at one provider since the start; *last_used* is Unix time."""

    requests: int = 0
    served: int = 0
    failed: int = 0
    last_used: float | None = None
    last_error: LastError | None = None
    first_events: deque[float] = field(default_factory=lambda: deque(maxlen=LATENCIES))
    totals: deque[float] = field(default_factory=lambda: deque(maxlen=LATENCIES))

    def latency(self) -> dict[str, float] | None:
        """Return the medians in seconds, or None before the first answer."""
        if not self.totals:
            return None
        first = median(self.first_events) if self.first_events else None
        return {
            "first_event_p50": round(first, 4) if first is not None else 0.0,
            "total_p50": round(median(self.totals), 4),
        }


# Calls that nobody waited for to the end, or whose answer was a good one to another question.
_NO_FAILURE = frozenset({Kind.CALLER_LEFT, Kind.OUTRUN, Kind.DIVERGED})


class Tally:
    """An observer that counts; bounded by the number of providers."""

    def __init__(self) -> None:
        """Start from zero."""
        self.requests = 0
        self.served = 0
        self.failed = 0
        self.tokens = 0
        self.recent: deque[Receipt] = deque(maxlen=RECENT)
        self.providers: dict[str, ProviderTally] = {}

    def saw(self, receipt: Receipt) -> None:
        """Take note of a finished request."""
        self.requests += 1
        failed = receipt.status >= 400 or receipt.code is not None
        self.served += not failed
        self.failed += failed and not receipt.caller_left
        self.tokens += receipt.usage.total if receipt.usage else 0
        self.recent.append(receipt)
        for note in receipt.attempts:
            self._attempt(note, receipt)

    def _attempt(self, note: AttemptNote, receipt: Receipt) -> None:
        tally = self.providers.setdefault(note.provider, ProviderTally())
        tally.requests += 1
        tally.last_used = receipt.at.wall + receipt.total
        if note.kind is Kind.SERVED:
            tally.served += 1
            tally.totals.append(receipt.total)
            if receipt.first_event is not None:
                tally.first_events.append(receipt.first_event)
        elif note.kind not in _NO_FAILURE and blamed(Outcome(note.kind)) is not Blame.REQUEST:
            tally.failed += 1
            at = receipt.at.wall + receipt.total
            tally.last_error = LastError(at, note.kind.value, note.detail, note.model)
