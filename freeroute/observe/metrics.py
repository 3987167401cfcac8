"""Receipts as Prometheus metrics: OpenTelemetry's GenAI names in Prometheus form, and ``freeroute_*``.

Labels come from closed sets: names of the catalogue and of configured clients, and enumerations. What is
not in its set is counted as ``other``, so no caller can grow the number of series. docs/metrics.md lists
every metric.
"""

import asyncio
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import TypeVar

from msgspec import Struct
from prometheus_client import ProcessCollector

from freeroute.domain.outcome import Kind
from freeroute.domain.receipt import MOST_ALIKE, AttemptNote, Likeness, Receipt
from freeroute.domain.resolve import Target
from freeroute.engine.view import View
from freeroute.observe import faults, gauges
from freeroute.observe.conventions import error_type, operation_of, provider_name
from freeroute.observe.exposition import CONTENT_TYPE, collected, pieces
from freeroute.observe.families import Families
from freeroute.observe.series import OTHER, Counter, Histogram

K = TypeVar("K")
V = TypeVar("V")
Look = Callable[[], View]

MOST_CLIENTS = 1000
"""Clients with series of their own; the rest share one. Own design: a client has ten series or so."""

TOGETHER = 64
"""Figures of a kind that are sorted into their histogram at once. Own design: more would be no cheaper."""

_AT_A_TIME = 50
"""Kinds of requests or attempts that are counted before others have their turn. Own design: 0.2 ms."""

# Endings of attempts that no other candidate was asked after, or not for them.
_NO_FALLBACK = frozenset({Kind.SERVED, Kind.OUTRUN, Kind.CALLER_LEFT, Kind.CALLER_STALLED})


class _Requests(Struct, frozen=True):
    """The series of requests that went alike, and the figures of those that are to be counted.

    An *error* of "" is none. *labels* are those that series of their streams have too.
    """

    error: str
    labels: tuple[str, ...]
    requests: Counter
    of_client: Counter
    duration: Histogram
    overhead: Histogram
    attempts: Histogram
    totals: list[float] = []
    overheads: list[float] = []
    tries: list[float] = []

    def count(self) -> None:
        """Count those that are to be."""
        count = len(self.totals)
        self.requests.value += count
        self.of_client.value += count
        self.duration.take(self.totals)
        self.overhead.take(self.overheads)
        self.attempts.take(self.tries)


class _Tokens(Struct, frozen=True):
    """The series of one direction of the tokens of a model at a provider, and of a client.

    *amounts* are those of calls that are to be counted.
    """

    each: Histogram
    all: Counter
    of_client: Counter
    amounts: list[float] = []

    def count(self) -> None:
        """Count those that are to be."""
        amount = sum(self.amounts)
        self.all.value += amount
        self.of_client.value += amount
        self.each.take(self.amounts)


class _Attempts(Struct, frozen=True):
    """The series of attempts that ended alike, and how many *seconds* those took that are to be counted.

    *tokens* are of prompts and answers, if their usage is known.
    """

    attempts: Counter
    operation: Histogram
    tokens: tuple[_Tokens, _Tokens] | None
    seconds: list[float] = []

    def count(self) -> None:
        """Count those that are to be."""
        self.attempts.value += len(self.seconds)
        self.operation.take(self.seconds)
        for tokens in self.tokens or ():
            tokens.count()


class Metrics:
    """An observer that counts, and renders what it counted beside the gauges of this moment."""

    def __init__(self) -> None:
        """Start from zero."""
        self._families = Families()
        for connection in ("idle", "new"):  # from zero on, so that the first one is an increase
            self._families.crowded_out.of(connection)
        self._process = ProcessCollector(registry=None)
        self._look: Look | None = None
        self._asked: dict[str, str] = {}
        self._clients: set[str] = set()
        # What was found by its labels before: one look-up instead of a dozen. Figures wait there for a while.
        self._requests: dict[Likeness, _Requests] = {}
        self._attempts: dict[tuple[object, ...], _Attempts] = {}
        self._rendering: asyncio.Task[bytes] | None = None

    def watch(self, look: Look) -> None:
        """Read gauges and the names of models off what *look* returns, from now on."""
        self._look = look

    async def render(self) -> tuple[bytes, str]:
        """Return what ``/metrics`` answers, and its content type. All who ask meanwhile get the same."""
        if self._rendering is None:
            self._rendering = asyncio.create_task(self._written())
            self._rendering.add_done_callback(self._rendered)
        return await asyncio.shield(self._rendering), CONTENT_TYPE

    async def _written(self) -> bytes:
        text = []
        for piece in self.pieces():
            text.append(piece)
            await asyncio.sleep(0)  # a page of 10,000 candidates takes half a second
        return b"".join(text)

    def _rendered(self, task: "asyncio.Task[bytes]") -> None:
        self._rendering = None

    def pieces(self) -> Iterator[bytes]:
        """Return the page in short pieces."""
        for number, alike in enumerate(self._waiting(), 1):
            alike.count()
            if number % _AT_A_TIME == 0:
                yield b""
        yield from pieces(series.family() for series in self._families.all)
        yield from pieces(collected(self._process))
        if self._look is not None:
            yield from pieces(gauges.families(self._look(), self._clients))

    def crowded_out(self, connection: str) -> None:
        """Take note of a *connection* of this kind that was closed for a lack of files."""
        self._families.crowded_out.of(connection).inc()

    # --- receipts ----------------------------------------------------------------------------------

    def saw(self, receipt: Receipt) -> None:
        """Take note of a finished request."""
        like, notes = receipt.like, receipt.attempts
        alike = self._requests.get(like) or self._requests_like(like)
        totals, overhead = alike.totals, receipt.overhead
        totals.append(receipt.total)
        alike.overheads.append(overhead if overhead > 0 else 0.0)
        alike.tries.append(len(notes))
        if len(totals) >= TOGETHER:
            alike.count()
        if receipt.unrecorded:
            alike.requests.inc(receipt.unrecorded)
            alike.of_client.inc(receipt.unrecorded)
        if receipt.queued > 0:
            self._families.wait.of().observe(receipt.queued)
        if like.stream and receipt.first_event is not None:
            self._streamed(receipt, receipt.first_event, alike)
        operation, client = alike.labels[0], like.client
        for note in notes:
            self._attempted(note, operation, client)
        if len(notes) > 1 or receipt.skipped or receipt.continued:
            self._mishaps(receipt, served=not alike.error)

    def _waiting(self) -> "list[_Requests | _Attempts]":
        """Return what may hold figures that are to be counted."""
        return [*self._requests.values(), *self._attempts.values()]

    def _requests_like(self, like: Likeness) -> _Requests:
        """Find the series of requests of this likeness, and remember them."""
        to, asked, error = self._families, self._name(like), error_type(like)
        fault = faults.of_request(error or None)
        labels = (operation_of(like), provider_name(like.provider), asked, like.model or "")
        found = _Requests(
            error,
            labels,
            to.requests.of(like.surface, asked, str(like.status), error, fault),
            to.client_requests.of(self._client(like.client), fault),
            to.duration.of(*labels, error),
            to.overhead.of(),
            to.attempts_each.of(),
        )
        self._remember(self._requests, like, found)
        return found

    def _streamed(self, receipt: Receipt, first_event: float, alike: _Requests) -> None:
        to = self._families
        to.first_token.of(*alike.labels).observe(first_event)
        rest = (receipt.usage.completion if receipt.usage else 0) - 1
        if not alike.error and rest > 0:
            to.per_token.of(*alike.labels).observe((receipt.total - first_event) / rest)

    def _attempted(self, note: AttemptNote, operation: str, client: str) -> None:
        usage = note.usage
        names = (operation, note.provider, note.model, note.kind, None if usage is None else client)
        found = self._attempts.get(names)
        if found is None:
            found = self._attempts_like(note, operation, client)
            self._remember(self._attempts, names, found)
        seconds = found.seconds
        seconds.append(note.seconds)
        if note.first_event is not None:
            self._began(note, operation, note.first_event)
        if usage is not None and found.tokens is not None:
            asked, told = found.tokens
            asked.amounts.append(usage.prompt)
            told.amounts.append(usage.completion)
            if usage.cached > 0:
                self._among(note, client, "cached", usage.cached)
            if usage.reasoning > 0:
                self._among(note, client, "reasoning", usage.reasoning)
        if len(seconds) >= TOGETHER:
            found.count()

    def _attempts_like(self, note: AttemptNote, operation: str, client: str) -> _Attempts:
        to, kind, provider = self._families, note.kind, provider_name(note.provider)
        names = (operation, note.provider, note.model, client)
        return _Attempts(
            to.attempts.of(note.provider, note.model, kind.value, faults.of_attempt(kind)),
            to.operation.of(operation, provider, note.model, "" if kind is Kind.SERVED else kind.value),
            None if note.usage is None else (self._way(*names, "input"), self._way(*names, "output")),
        )

    def _began(self, note: AttemptNote, operation: str, first_event: float) -> None:
        to, kind = self._families, note.kind
        to.first_chunk.of(operation, provider_name(note.provider), note.model).observe(first_event)
        if kind not in _NO_FALLBACK:
            to.broken.of(note.provider, note.model, kind.value).inc()

    def _way(self, operation: str, provider: str, model: str, client: str, kind: str) -> _Tokens:
        to = self._families
        return _Tokens(
            to.usage.of(operation, provider_name(provider), model, kind),
            to.tokens.of(provider, model, kind),
            to.client_tokens.of(self._client(client), kind),
        )

    def _among(self, note: AttemptNote, client: str, kind: str, amount: int) -> None:
        """Count tokens that are among those of a prompt or an answer."""
        self._families.tokens.of(note.provider, note.model, kind).inc(amount)
        self._families.client_tokens.of(self._client(client), kind).inc(amount)

    def _mishaps(self, receipt: Receipt, *, served: bool) -> None:
        """Count what was mended on the way, or not."""
        to = self._families
        for note, _ in pairwise(receipt.attempts):
            if note.kind not in _NO_FALLBACK:
                to.fallbacks.of(note.provider, note.kind.value, str(served).lower()).inc()
        if receipt.skipped:
            to.skipped.of().inc(receipt.skipped)
        if receipt.continued:
            to.continued.of().inc(receipt.continued)

    # --- names -------------------------------------------------------------------------------------

    def _name(self, like: Likeness) -> str:
        """Return the name that was asked for as the catalogue writes it; a caller may write it otherwise."""
        if not like.asked_known:
            return OTHER
        found = self._asked.get(like.asked)
        if found is None:
            target = self._look().names.resolve(like.asked) if self._look is not None else None
            found = target.name if isinstance(target, Target) else OTHER
            self._remember(self._asked, like.asked, found)
        return found

    def _client(self, name: str) -> str:
        if name not in self._clients:
            if len(self._clients) >= MOST_CLIENTS:
                return OTHER
            self._clients.add(name)
        return name

    def _remember(self, known: dict[K, V], key: K, value: V) -> None:
        if len(known) >= MOST_ALIKE:
            for alike in self._waiting():
                alike.count()
            known.clear()
        known[key] = value
