"""How the gateway stands, as gauges. They are read when somebody scrapes: requests pay nothing for them."""

import math
from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from freeroute.domain.breaker import State
from freeroute.domain.catalogue import Scope, Unit
from freeroute.engine.view import Recording, View

# In the order of how bad it is, so that `max` over candidates and `> 0` in alerts mean something.
BREAKER = {State.CLOSED: 0.0, State.HALF_OPEN: 1.0, State.OPEN: 2.0}

_CANDIDATE = ("provider", "model", "key")
_POOL = ("provider", "pool", "limit", "model")


class Gauges(Collector):
    """Families of gauges over a view; none while nothing is watched."""

    def __init__(self) -> None:
        """Watch nothing yet."""
        self.look: Callable[[], View] | None = None

    def collect(self) -> Iterator[Metric]:
        """Look once, and give every family."""
        if self.look is None:
            return
        view = self.look()
        yield _info(view)
        yield _in_flight(view)
        yield _unsaved(view)
        yield _maintenance(view)
        if view.recording is not None:
            yield from _recording(view.recording)
        yield from _candidates(view)
        yield _providers(view)
        yield from _quotas(view)


def _family(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=labels)


def _info(view: View) -> GaugeMetricFamily:
    family = _family("freeroute_info", "Always 1; what runs.", "version", "demo")
    family.add_metric([view.version, str(view.demo).lower()], 1.0)
    return family


def _in_flight(view: View) -> GaugeMetricFamily:
    family = _family("freeroute_requests_in_flight", "Requests that are being answered.")
    family.add_metric([], view.in_flight)
    return family


def _unsaved(view: View) -> GaugeMetricFamily:
    family = _family("freeroute_state_unsaved", "1 while the state file cannot be written.")
    family.add_metric([], float(view.unsaved))
    return family


def _maintenance(view: View) -> GaugeMetricFamily:
    family = _family("freeroute_maintenance", "1 while the operator lets no requests in.")
    family.add_metric([], float(view.maintenance is not None))
    return family


def _recording(state: Recording) -> Iterator[Metric]:
    for name, text, value in (
        ("freeroute_records_failing", "1 while receipts cannot be written to the database.", state.failing),
        ("freeroute_records_spooled_bytes", "Bytes of receipts that wait for the database.", state.spooled),
    ):
        gauge = _family(name, text)
        gauge.add_metric([], float(value))
        yield gauge
    for name, text, value in (
        ("freeroute_records_written_total", "Receipts written to the database.", state.written),
        ("freeroute_records_lost_total", "Receipts that could not be kept.", state.lost),
    ):
        counter = CounterMetricFamily(name, text)
        counter.add_metric([], float(value))
        yield counter


def _candidates(view: View) -> Iterator[GaugeMetricFamily]:
    breaker = _family("freeroute_breaker_state", "Breaker: 0 closed, 1 half-open, 2 open.", *_CANDIDATE)
    held = _family("freeroute_candidate_held", "1 while a hold forbids the candidate.", *_CANDIDATE)
    usable = _family("freeroute_candidate_usable", "1 if a short chat could go there now.", *_CANDIDATE)
    for candidate in view.catalogue.candidates:
        labels = [candidate.provider.id, candidate.model.id, candidate.key.label]
        breaker.add_metric(labels, BREAKER[view.standing.breaker(candidate).state(view.now)])
        held.add_metric(labels, float(view.standing.hold_on(candidate, view.now) is not None))
        usable.add_metric(labels, float(view.obstacle(candidate) is None))
    yield breaker
    yield held
    yield usable


def _providers(view: View) -> GaugeMetricFamily:
    text = "Breaker of a whole provider: 0 closed, 1 half-open, 2 open."
    family = _family("freeroute_provider_breaker_state", text, "provider")
    for name in view.catalogue.providers:
        family.add_metric([name], BREAKER[view.standing.provider_breaker(name).state(view.now)])
    return family


def _quotas(view: View) -> Iterator[GaugeMetricFamily]:
    used = _family("freeroute_quota_used", "Taken of a quota, calls in flight included.", *_POOL)
    limit = _family("freeroute_quota_limit", "The limit of a quota.", *_POOL, "source")
    resets = _family("freeroute_quota_reset_timestamp_seconds", "When a quota is whole again.", *_POOL)
    owners = {pool.id: (pool, owner) for owner in view.catalogue.candidates for pool in owner.pools}
    for reading in view.counters.readings([pool for pool, _ in owners.values()], view.now):
        pool, owner = reading.pool, owners[reading.pool.id][1]
        model = owner.model.id if pool.limit.scope is Scope.MODEL else ""
        labels = [owner.provider.id, pool.id, pool.limit.label, model]
        used.add_metric(labels, reading.used)
        if math.isfinite(reading.limit):  # until it is found, nobody knows it
            limit.add_metric([*labels, reading.source], reading.limit)
        if pool.limit.unit is not Unit.CONCURRENCY and math.isfinite(reading.resets_in):
            resets.add_metric(labels, view.now.wall + reading.resets_in)
    yield used
    yield limit
    yield resets
