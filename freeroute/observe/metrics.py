"""Receipts as Prometheus metrics: OpenTelemetry's GenAI names in Prometheus form, and ``freeroute_*``.

Labels come from closed sets: names of the catalogue and of configured clients, and enumerations. What is
not in its set is counted as ``other``, so no caller can grow the number of series. docs/metrics.md lists
every metric.
"""

from collections.abc import Callable

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector

from freeroute.domain.outcome import Kind
from freeroute.domain.receipt import AttemptNote, Receipt
from freeroute.domain.resolve import Target
from freeroute.domain.usage import Usage
from freeroute.engine.view import View
from freeroute.errors import ApiError
from freeroute.observe.gauges import Gauges

Look = Callable[[], View]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OTHER = "other"
# OpenTelemetry's word for an error.type that is not in the list.
OTHER_ERROR = "_OTHER"

# The conventions' buckets, with more at the end where a gateway that fails over may take longer than one
# provider, and at the start where a provider is faster than the conventions expect.
SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
           163.84, 327.68)  # fmt: skip
FIRST_TOKEN_SECONDS = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0,
                       7.5, 10.0, 20.0, 40.0, 60.0)  # fmt: skip
PER_TOKEN_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4,
                     0.5, 0.75, 1.0, 2.5)  # fmt: skip
TOKENS = tuple(float(4**power) for power in range(14))
OVERHEAD_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
ATTEMPTS = (0.0, 1.0, 2.0, 3.0, 5.0, 8.0, 10.0)

_MOST_NAMES = 1024
MOST_CLIENTS = 100
"""Clients with series of their own; the rest share one. Own design: a client has a few hundred series."""
_CHAT = "chat"  # the only operation so far


def _codes(root: type[ApiError]) -> set[str]:
    return {root.default_code}.union(*(_codes(kind) for kind in root.__subclasses__()))


# Every code an error of ours can carry; a stream that died carries the kind of its end.
CODES = frozenset(
    {*_codes(ApiError), *(kind.value for kind in Kind)}
    | {"model_not_found", "model_not_allowed", "forbidden_origin"}
)


class Metrics:
    """An observer that counts, and renders what it counted beside the gauges of this moment."""

    def __init__(self) -> None:
        """Start from zero, in a registry of its own."""
        # A second series for each of ours, with the moment it began, would tell nobody anything.
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._gauges = Gauges()
        self._look: Look | None = None
        self._asked: dict[str, str] = {}
        self._clients: set[str] = set()
        self._define()
        self._registry.register(self._gauges)
        ProcessCollector(registry=self._registry)

    def watch(self, look: Look) -> None:
        """Read gauges and the names of models off what *look* returns, from now on."""
        self._look = self._gauges.look = look

    def render(self) -> tuple[bytes, str]:
        """Return what ``/metrics`` answers, and its content type."""
        return prometheus_client.generate_latest(self._registry), CONTENT_TYPE

    def saw(self, receipt: Receipt) -> None:
        """Take note of a finished request."""
        asked, client = self._name(receipt), self._client(receipt.client)
        error = _error(receipt)
        self._requests.labels(receipt.surface, client, asked, str(receipt.status), error).inc(
            1 + receipt.unrecorded
        )
        self._overhead.observe(max(receipt.overhead, 0.0))
        self._attempts_each.observe(len(receipt.attempts))
        self._server_side(receipt, asked, error)
        for note in receipt.attempts:
            self._client_side(note)
            if note.usage is not None:
                self._used(note.provider, note.model, client, note.usage)

    def _server_side(self, receipt: Receipt, asked: str, error: str) -> None:
        provider, model = receipt.provider or "", receipt.model or ""
        self._duration.labels(_CHAT, provider, asked, model, error).observe(receipt.total)
        if not receipt.stream or receipt.first_event is None:
            return
        self._first_token.labels(_CHAT, provider, asked, model).observe(receipt.first_event)
        rest = (receipt.usage.completion if receipt.usage else 0) - 1
        if not error and rest > 0:
            each = (receipt.total - receipt.first_event) / rest
            self._per_token.labels(_CHAT, provider, asked, model).observe(each)

    def _client_side(self, note: AttemptNote) -> None:
        kind = note.kind
        if note.first_event is not None:
            self._first_chunk.labels(_CHAT, note.provider, note.model).observe(note.first_event)
        self._attempts.labels(note.provider, note.model, kind.value).inc()
        error = "" if kind is Kind.SERVED else kind.value
        self._operation.labels(_CHAT, note.provider, note.model, error).observe(note.seconds)

    def _used(self, provider: str, model: str, client: str, usage: Usage) -> None:
        for kind, amount in (("input", usage.prompt), ("output", usage.completion)):
            self._usage.labels(_CHAT, provider, model, kind).observe(amount)
            self._tokens.labels(provider, model, client, kind).inc(max(amount, 0))
        for kind, amount in (("cached", usage.cached), ("reasoning", usage.reasoning)):
            if amount > 0:
                self._tokens.labels(provider, model, client, kind).inc(amount)

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

    def _define(self) -> None:
        self._duration = self._histogram(
            "gen_ai_server_request_duration_seconds",
            "From a request's arrival to the end of its answer.",
            [*_OPERATION, *_ASKED, "gen_ai_response_model", "error_type"],
            SECONDS,
        )
        self._first_token = self._histogram(
            "gen_ai_server_time_to_first_token_seconds",
            "From a request's arrival to the first event of its stream.",
            [*_OPERATION, *_ASKED, "gen_ai_response_model"],
            FIRST_TOKEN_SECONDS,
        )
        self._per_token = self._histogram(
            "gen_ai_server_time_per_output_token_seconds",
            "Time per token of a stream after its first.",
            [*_OPERATION, *_ASKED, "gen_ai_response_model"],
            PER_TOKEN_SECONDS,
        )
        self._operation = self._histogram(
            "gen_ai_client_operation_duration_seconds",
            "One attempt at a provider, to its end.",
            [*_OPERATION, *_ASKED, "error_type"],
            SECONDS,
        )
        self._first_chunk = self._histogram(
            "gen_ai_client_operation_time_to_first_chunk_seconds",
            "One attempt at a provider, to the first event of its stream.",
            [*_OPERATION, *_ASKED],
            FIRST_TOKEN_SECONDS,
        )
        self._usage = self._histogram(
            "gen_ai_client_token_usage",
            "Tokens of one answer.",
            [*_OPERATION, *_ASKED, "gen_ai_token_type"],
            TOKENS,
        )
        self._overhead = self._histogram(
            "freeroute_overhead_seconds", "Time a request spent in the gateway itself.", [], OVERHEAD_SECONDS
        )
        self._attempts_each = self._histogram(
            "freeroute_request_attempts", "Attempts a request took.", [], ATTEMPTS
        )
        self._requests = self._counter(
            "freeroute_requests_total",
            "Finished requests.",
            ["surface", "client", "model", "status", "code"],
        )
        self._attempts = self._counter(
            "freeroute_attempts_total", "Attempts by how they ended.", ["provider", "model", "kind"]
        )
        self._tokens = self._counter(
            "freeroute_tokens_total", "Tokens of answers.", ["provider", "model", "client", "type"]
        )

    def _histogram(self, name: str, text: str, labels: list[str], buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, text, labels, buckets=buckets, registry=self._registry)

    def _counter(self, name: str, text: str, labels: list[str]) -> Counter:
        return Counter(name, text, labels, registry=self._registry)


_OPERATION = ("gen_ai_operation_name", "gen_ai_provider_name")
_ASKED = ("gen_ai_request_model",)


def _error(receipt: Receipt) -> str:
    if receipt.caller_left:
        return Kind.CALLER_LEFT.value
    if receipt.code is None:
        return ""
    return receipt.code if receipt.code in CODES else OTHER_ERROR
