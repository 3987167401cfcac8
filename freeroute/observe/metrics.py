"""Receipts as Prometheus metrics: OpenTelemetry's GenAI names in Prometheus form, and ``freeroute_*``.

Labels come from closed sets: names of the catalogue and of configured clients, and enumerations. What is
not in its set is counted as ``other``, so no caller can grow the number of series. docs/metrics.md lists
every metric.
"""

import asyncio
from collections.abc import Callable, Iterator
from itertools import pairwise

from prometheus_client import ProcessCollector

from freeroute.domain.outcome import Kind
from freeroute.domain.receipt import AttemptNote, Receipt
from freeroute.domain.resolve import Target
from freeroute.domain.usage import Usage
from freeroute.engine.view import View
from freeroute.observe import faults, gauges
from freeroute.observe.conventions import CHAT, error_type, provider_name
from freeroute.observe.exposition import CONTENT_TYPE, collected, pieces
from freeroute.observe.families import Families
from freeroute.observe.series import OTHER

Look = Callable[[], View]

_MOST_NAMES = 1024
MOST_CLIENTS = 1000
"""Clients with series of their own; the rest share one. Own design: a client has ten series or so."""

# Endings of attempts that no other candidate was asked after, or not for them.
_NO_FALLBACK = frozenset({Kind.SERVED, Kind.OUTRUN, Kind.CALLER_LEFT, Kind.CALLER_STALLED})


class Metrics:
    """An observer that counts, and renders what it counted beside the gauges of this moment."""

    def __init__(self) -> None:
        """Start from zero."""
        self._families = Families()
        self._process = ProcessCollector(registry=None)
        self._look: Look | None = None
        self._asked: dict[str, str] = {}
        self._clients: set[str] = set()
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
        yield from pieces(series.family() for series in self._families.all)
        yield from pieces(collected(self._process))
        if self._look is not None:
            yield from pieces(gauges.families(self._look(), self._clients))

    # --- receipts ----------------------------------------------------------------------------------

    def saw(self, receipt: Receipt) -> None:
        """Take note of a finished request."""
        to, asked, client = self._families, self._name(receipt), self._client(receipt.client)
        error = error_type(receipt)
        fault = faults.of_request(error or None)
        count = 1 + receipt.unrecorded
        to.requests.of(receipt.surface, asked, str(receipt.status), error, fault).inc(count)
        to.client_requests.of(client, fault).inc(count)
        to.overhead.of().observe(max(receipt.overhead, 0.0))
        to.attempts_each.of().observe(len(receipt.attempts))
        if receipt.queued > 0:
            to.wait.of().observe(receipt.queued)
        self._server_side(receipt, asked, error)
        for note in receipt.attempts:
            self._client_side(note)
            if note.usage is not None:
                self._used(note.provider, note.model, client, note.usage)
        self._mishaps(receipt, served=not error)

    def _server_side(self, receipt: Receipt, asked: str, error: str) -> None:
        to = self._families
        provider = provider_name(receipt.provider)
        labels = (CHAT, provider, asked, receipt.model or "")
        to.duration.of(*labels, error).observe(receipt.total)
        if not receipt.stream or receipt.first_event is None:
            return
        to.first_token.of(*labels).observe(receipt.first_event)
        rest = (receipt.usage.completion if receipt.usage else 0) - 1
        if not error and rest > 0:
            to.per_token.of(*labels).observe((receipt.total - receipt.first_event) / rest)

    def _client_side(self, note: AttemptNote) -> None:
        to, kind, provider = self._families, note.kind, provider_name(note.provider)
        to.attempts.of(note.provider, note.model, kind.value, faults.of_attempt(kind)).inc()
        error = "" if kind is Kind.SERVED else kind.value
        to.operation.of(CHAT, provider, note.model, error).observe(note.seconds)
        if note.first_event is not None:
            to.first_chunk.of(CHAT, provider, note.model).observe(note.first_event)
            if kind not in _NO_FALLBACK:
                to.broken.of(note.provider, note.model, kind.value).inc()

    def _used(self, provider: str, model: str, client: str, usage: Usage) -> None:
        to = self._families
        for kind, amount in (("input", usage.prompt), ("output", usage.completion)):
            to.usage.of(CHAT, provider_name(provider), model, kind).observe(amount)
            to.tokens.of(provider, model, kind).inc(max(amount, 0))
            to.client_tokens.of(client, kind).inc(max(amount, 0))
        for kind, amount in (("cached", usage.cached), ("reasoning", usage.reasoning)):
            if amount > 0:
                to.tokens.of(provider, model, kind).inc(amount)
                to.client_tokens.of(client, kind).inc(amount)

    def _mishaps(self, receipt: Receipt, *, served: bool) -> None:
        """Count what was mended on the way, or not: most requests have nothing of it."""
        to = self._families
        for note, _ in pairwise(receipt.attempts):
            if note.kind not in _NO_FALLBACK:
                to.fallbacks.of(note.provider, note.kind.value, str(served).lower()).inc()
        if receipt.skipped:
            to.skipped.of().inc(receipt.skipped)
        if receipt.continued:
            to.continued.of().inc(receipt.continued)

    # --- names -------------------------------------------------------------------------------------

    def _name(self, receipt: Receipt) -> str:
        """Return the name that was asked for as the catalogue writes it; a caller may write it otherwise."""
        if not receipt.asked_known:
            return OTHER
        found = self._asked.get(receipt.asked)
        if found is None:
            target = self._look().names.resolve(receipt.asked) if self._look is not None else None
            found = target.name if isinstance(target, Target) else OTHER
            if len(self._asked) >= _MOST_NAMES:
                self._asked.clear()
            self._asked[receipt.asked] = found
        return found

    def _client(self, name: str) -> str:
        if name not in self._clients:
            if len(self._clients) >= MOST_CLIENTS:
                return OTHER
            self._clients.add(name)
        return name
