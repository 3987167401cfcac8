"""What the status page shows of finished requests: bounded counts and the last of them, without content."""

from collections import deque
from collections.abc import Callable, Hashable
from statistics import median
from typing import Any, TypeVar

from msgspec import Struct

from freeroute.domain.outcome import Blame, Kind, Outcome, blamed
from freeroute.domain.receipt import MOST_ALIKE, NOBODY, OTHERS, AttemptNote, Likeness, Receipt

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

RECENT = 50
# Of requests that were turned away at the door so many are shown, beside those: whoever knocks with a wrong
# key all day pushes nothing out. Own design: enough to see that it happens, and how.
TURNED_AWAY = 5
_AT_THE_DOOR = frozenset({"invalid_api_key", "forbidden_origin", "misdirected_host", "maintenance"})
# Enough for a median that follows the last minutes, few enough to sort on demand.
LATENCIES = 64
# Of these the last are shown one by one. Own design: as many as a line the width of a card can show.
HISTORY = 30
# Clients that are counted apart; the rest are one. Own design: ten times the largest team.
CLIENTS = 1000
# Of each, models at providers that are counted apart. Own design: more than the catalogue has.
USES = 500
OTHER = OTHERS


class LastError(Struct, frozen=True):
    """The latest failure of a provider; *at* is Unix time."""

    at: float
    kind: str
    detail: str
    model: str


class ProviderTally:
    """Attempts at one provider since the start; *last_used* is Unix time."""

    # Every request counts in it and in those below: no Struct, of which that costs four times as much.
    __slots__ = ("failed", "first_events", "last_error", "last_used", "requests", "served", "totals")

    def __init__(self) -> None:
        """Start from zero."""
        self.requests = 0
        self.served = 0
        self.failed = 0
        self.last_used: float | None = None
        self.last_error: LastError | None = None
        self.first_events: deque[float] = deque(maxlen=LATENCIES)
        self.totals: deque[float] = deque(maxlen=LATENCIES)

    def latency(self) -> dict[str, Any] | None:
        """Return the medians and the last times in seconds, or None before the first answer."""
        if not self.totals:
            return None
        first = median(self.first_events) if self.first_events else None
        return {
            "first_event_p50": round(first, 4) if first is not None else 0.0,
            "total_p50": round(median(self.totals), 4),
            "first_events": _last(self.first_events),
            "totals": _last(self.totals),
        }


def _last(times: deque[float]) -> list[float]:
    return [round(seconds, 4) for seconds in list(times)[-HISTORY:]]


class Use:
    """What was used of one model at one provider: answers, and the tokens of their prompts and of them."""

    __slots__ = ("completion", "prompt", "requests")

    def __init__(self) -> None:
        """Start from zero."""
        self.requests = 0
        self.prompt = 0
        self.completion = 0


class ClientTally:
    """Requests of one client since the start; *last_used* is Unix time, 0 for never."""

    __slots__ = ("failed", "last_used", "requests", "served", "uses")

    def __init__(self) -> None:
        """Start from zero."""
        self.requests = 0
        self.served = 0
        self.failed = 0
        self.last_used = 0.0
        self.uses: dict[tuple[str, str], Use] = {}

    @property
    def prompt(self) -> int:
        """Return the tokens of all prompts."""
        return sum(use.prompt for use in self.uses.values())

    @property
    def completion(self) -> int:
        """Return the tokens of all answers."""
        return sum(use.completion for use in self.uses.values())

    def by_use(self) -> list[tuple[tuple[str, str], Use]]:
        """Return what was used by provider and model, the most tokens first."""
        return sorted(self.uses.items(), key=lambda entry: -entry[1].prompt - entry[1].completion)


# Calls that nobody waited for to the end, that we broke ourselves, or whose answer was a good one to another
# question.
_SERVED = Kind.SERVED  # how nearly every attempt ends; a member of an enum is looked up at length
_NO_FAILURE = frozenset(
    {
        Kind.CALLER_LEFT,
        Kind.CALLER_STALLED,
        Kind.INTERNAL,
        Kind.CROWDED,
        Kind.SHUTTING_DOWN,
        Kind.OUTRUN,
        Kind.DIVERGED,
    }
)


class Tally:
    """An observer that counts; bounded by the number of providers, and of clients up to `CLIENTS`."""

    def __init__(self) -> None:
        """Start from zero."""
        self.requests = 0
        self.served = 0
        self.failed = 0
        self.tokens = 0
        self._let_in: deque[Receipt] = deque(maxlen=RECENT)
        self._turned_away: deque[Receipt] = deque(maxlen=TURNED_AWAY)
        self.providers: dict[str, ProviderTally] = {}
        self.clients: dict[str, ClientTally] = {}  # by their `Client.holder`
        self._clients: dict[Likeness, ClientTally] = {}  # the same, of requests that were seen lately

    def saw(self, receipt: Receipt) -> None:
        """Take note of a finished request."""
        like, notes, usage = receipt.like, receipt.attempts, receipt.usage
        failed = like.status >= 400 or like.code is not None
        self.requests += 1
        if not failed:
            self.served += 1
        elif not like.caller_left:
            self.failed += 1
        if receipt.unrecorded:
            self.requests += receipt.unrecorded
            self.failed += receipt.unrecorded
        if usage is not None:
            self.tokens += usage.prompt + usage.completion
        (self._turned_away if like.code in _AT_THE_DOOR else self._let_in).append(receipt)
        if not notes and like.client == NOBODY:
            return
        ended = receipt.at.wall + receipt.total
        tally = self._clients.get(like) or self._client(like)
        tally.requests += 1
        if not failed:
            tally.served += 1
        elif not like.caller_left:
            tally.failed += 1
        tally.last_used = ended
        for note in notes:
            self._attempt(note, receipt, tally, ended)

    @property
    def recent(self) -> list[Receipt]:
        """Return the requests that finished last, the oldest first."""
        return sorted(
            (*self._turned_away, *self._let_in), key=lambda receipt: receipt.at.mono + receipt.total
        )

    def _client(self, like: Likeness) -> ClientTally:
        """Return the tally of the client of this likeness, to be found by it from now on."""
        holder = like.holder
        found = self.clients.get(holder) or _bounded(self.clients, holder, OTHER, CLIENTS, ClientTally)
        if len(self._clients) >= MOST_ALIKE:
            self._clients.clear()
        self._clients[like] = found
        return found

    def _attempt(self, note: AttemptNote, receipt: Receipt, client: ClientTally, ended: float) -> None:
        """Count an attempt for its provider, and what it brought for its *client*."""
        provider, kind, usage = note.provider, note.kind, note.usage
        tally = self.providers.get(provider)
        if tally is None:
            tally = self.providers[provider] = ProviderTally()
        tally.requests += 1
        tally.last_used = ended
        if kind is _SERVED:
            tally.served += 1
            tally.totals.append(receipt.total)
            if receipt.first_event is not None:
                tally.first_events.append(receipt.first_event)
        elif kind not in _NO_FAILURE and blamed(Outcome(kind)) is not Blame.REQUEST:
            tally.failed += 1
            tally.last_error = LastError(ended, kind.value, note.detail, note.model)
        if usage is None and kind is not _SERVED:
            return
        place = (provider, note.model)
        use = client.uses.get(place) or _bounded(client.uses, place, (OTHER, OTHER), USES, Use)
        use.requests += 1
        if usage is not None:
            use.prompt += usage.prompt
            use.completion += usage.completion


def _bounded(entries: dict[K, V], key: K, other: K, most: int, new: Callable[[], V]) -> V:
    """Return an entry for *key*, which has none yet; beyond *most* of them that of *other*."""
    key = key if len(entries) < most else other
    found = entries.get(key)
    if found is None:
        found = entries[key] = new()
    return found
