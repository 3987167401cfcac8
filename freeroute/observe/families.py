"""Every metric that is counted from receipts: its name, what it says, its labels and buckets.

Those of OpenTelemetry follow its GenAI conventions (open-telemetry/semantic-conventions-genai, status
Development, as of October 2026): dots become underscores, and the unit is added.
"""

from collections.abc import Sequence

from freeroute.observe.exposition import Family
from freeroute.observe.series import Counter, Histogram, Series

# The conventions' buckets, with more at the end where a gateway that fails over may take longer than one
# provider, and at the start where a provider is faster than the conventions expect.
SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
           163.84, 327.68)  # fmt: skip
FIRST_TOKEN_SECONDS = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0,
                       7.5, 10.0, 20.0, 40.0, 60.0)  # fmt: skip
PER_TOKEN_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4,
                     0.5, 0.75, 1.0, 2.5)  # fmt: skip
TOKENS = tuple(float(4**power) for power in range(14))
# Own design: of the rest there is no convention.
OVERHEAD_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
WAIT_SECONDS = (0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 60.0, 120.0)
ATTEMPTS = (0.0, 1.0, 2.0, 3.0, 5.0, 8.0, 10.0)

MOST_COUNTERS = 2000
"""Series of a counter before names become ``other``. Own design: 19 providers of 100 models."""

MOST_HISTOGRAMS = 500
"""The same of a histogram, each of which is some twenty series."""

_NAMES = frozenset(
    {
        "client",
        "model",
        "provider",
        "gen_ai_provider_name",
        "gen_ai_request_model",
        "gen_ai_response_model",
    }
)
_OPERATION = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model")
_SERVED = (*_OPERATION, "gen_ai_response_model")


class Families:
    """All of them, each by a name of its own."""

    def __init__(self) -> None:
        """Define them."""
        self.all: list[Series[Histogram] | Series[Counter]] = []
        self._to_callers()
        self._to_providers()
        self._of_our_own()

    def _to_callers(self) -> None:
        self.duration = self._histogram(
            "gen_ai_server_request_duration_seconds",
            "From a request's arrival to the end of its answer.",
            (*_SERVED, "error_type"),
            SECONDS,
        )
        self.first_token = self._histogram(
            "gen_ai_server_time_to_first_token_seconds",
            "From a request's arrival to the first event of its stream.",
            _SERVED,
            FIRST_TOKEN_SECONDS,
        )
        self.per_token = self._histogram(
            "gen_ai_server_time_per_output_token_seconds",
            "Time per token of a stream after its first.",
            _SERVED,
            PER_TOKEN_SECONDS,
        )
        self.requests = self._counter(
            "freeroute_requests_total",
            "Finished requests.",
            ("surface", "model", "status", "code", "fault"),
        )
        self.client_requests = self._counter(
            "freeroute_client_requests_total", "Finished requests by client.", ("client", "fault")
        )
        self.client_tokens = self._counter(
            "freeroute_client_tokens_total", "Tokens of answers by client.", ("client", "type")
        )

        self.crowded_out = self._counter(
            "freeroute_connections_crowded_out_total",
            "Connections of callers that were closed for a lack of files.",
            ("connection",),
        )

    def _to_providers(self) -> None:
        self.operation = self._histogram(
            "gen_ai_client_operation_duration_seconds",
            "One attempt at a provider, to its end.",
            (*_OPERATION, "error_type"),
            SECONDS,
        )
        self.first_chunk = self._histogram(
            "gen_ai_client_operation_time_to_first_chunk_seconds",
            "One attempt at a provider, to the first event of its stream.",
            _OPERATION,
            FIRST_TOKEN_SECONDS,
        )
        self.usage = self._histogram(
            "gen_ai_client_token_usage", "Tokens of one answer.", (*_OPERATION, "gen_ai_token_type"), TOKENS
        )
        self.attempts = self._counter(
            "freeroute_attempts_total",
            "Attempts by how they ended.",
            ("provider", "model", "kind", "fault"),
        )
        self.tokens = self._counter(
            "freeroute_tokens_total", "Tokens of answers.", ("provider", "model", "type")
        )

    def _of_our_own(self) -> None:
        self.overhead = self._histogram(
            "freeroute_overhead_seconds", "Time a request spent in the gateway itself.", (), OVERHEAD_SECONDS
        )
        self.wait = self._histogram(
            "freeroute_wait_seconds", "Time that requests which had to wait did so.", (), WAIT_SECONDS
        )
        self.attempts_each = self._histogram(
            "freeroute_request_attempts", "Attempts a request took.", (), ATTEMPTS
        )
        self.fallbacks = self._counter(
            "freeroute_fallbacks_total",
            "Attempts after which another one was made.",
            ("provider", "kind", "served"),
        )
        self.broken = self._counter(
            "freeroute_streams_broken_total",
            "Streams that broke off after their first event.",
            ("provider", "model", "kind"),
        )
        self.continued = self._counter(
            "freeroute_streams_continued_total", "Times that another candidate went on with a stream.", ()
        )
        self.skipped = self._counter(
            "freeroute_stream_events_skipped_total", "Events of streams that could not be read.", ()
        )

    def _histogram(
        self, name: str, text: str, labels: Sequence[str], buckets: tuple[float, ...]
    ) -> Series[Histogram]:
        family = Family(name, "histogram", text, ())
        series = Series(family, lambda: Histogram(buckets), labels, _NAMES, MOST_HISTOGRAMS)
        self.all.append(series)
        return series

    def _counter(self, name: str, text: str, labels: Sequence[str]) -> Series[Counter]:
        series = Series(Family(name, "counter", text, ()), Counter, labels, _NAMES, MOST_COUNTERS)
        self.all.append(series)
        return series
