"""How the gateway stands, as gauges. They are read when somebody scrapes: requests pay nothing for them."""

import math
from collections import Counter
from collections.abc import Collection, Iterator
from typing import get_args

from freeroute.clock import Now
from freeroute.domain.breaker import State
from freeroute.domain.catalogue import Candidate, Pool, Scope, Unit
from freeroute.domain.leases import Reading
from freeroute.domain.outcome import Kind
from freeroute.domain.standing import ObstacleKind
from freeroute.engine.view import Recording, View
from freeroute.observe.exposition import Breath, Family, Gathered, labels_of

# In the order of how bad it is, so that `max` over candidates and `> 0` in alerts mean something.
BREAKER = {State.CLOSED: 0.0, State.HALF_OPEN: 1.0, State.OPEN: 2.0}

# In one word, why a candidate cannot be used; or that it can.
STATES = ("usable", *get_args(ObstacleKind))

AT_ONCE = 50
"""Candidates that are looked at before others have their turn. Own design: two milliseconds."""

_REFUSED = frozenset({Kind.KEY_INVALID, Kind.NO_CREDIT})


def families(view: View, clients: Collection[str]) -> Iterator[Family | None]:
    """Return every gauge of *view*; limits of *clients* alone, who may be fewer than there are."""
    yield _of("freeroute_info", "Always 1; what runs.", 1.0, version=view.version, demo=_bool(view.demo))
    yield _of("freeroute_requests_in_flight", "Requests that are being answered.", float(view.in_flight))
    yield from _waiting(view)
    yield _of("freeroute_state_unsaved", "1 while the state file cannot be written.", float(view.unsaved))
    resting = view.maintenance is not None
    yield _of("freeroute_maintenance", "1 while the operator lets no requests in.", float(resting))
    if view.recording is not None:
        yield from _recording(view.recording)
    yield from _candidates(view)
    yield from _providers(view)
    yield from _quotas(view)
    yield from _clients(view, clients)


def _gauge(name: str, text: str) -> Gathered:
    return Gathered(name, "gauge", text)


def _of(name: str, text: str, value: float, kind: str = "gauge", **labels: str) -> Family:
    family = Gathered(name, kind, text)
    family.add(labels_of(labels), value)
    return family


def _bool(value: bool) -> str:
    return str(value).lower()


def _waiting(view: View) -> Iterator[Family]:
    waiting = _gauge("freeroute_waiting_requests", "Requests that wait.")
    waiting.add(labels_of({"cause": "capacity"}), float(view.waiting.for_capacity))
    waiting.add(labels_of({"cause": "client_limit"}), float(view.waiting.for_limits))
    yield waiting
    most = "Requests that may wait for capacity at once."
    yield _of("freeroute_waiting_room_size", most, float(view.waiting.room))


def _recording(state: Recording) -> Iterator[Family]:
    for name, text, value in (
        ("freeroute_records_failing", "1 while receipts cannot be written to the database.", state.failing),
        ("freeroute_records_queued", "Receipts that wait in memory for the spool.", state.queued),
        ("freeroute_records_spooled_bytes", "Bytes of receipts that wait for the database.", state.spooled),
    ):
        yield _of(name, text, float(value))
    for name, text, value in (
        ("freeroute_records_written_total", "Receipts written to the database.", state.written),
        ("freeroute_records_lost_total", "Receipts that could not be kept.", state.lost),
        ("freeroute_bodies_lost_total", "Prompts and answers that could not be kept.", state.bodies_lost),
    ):
        yield _of(name, text, float(value), "counter")


def _candidates(view: View) -> Iterator[Family | None]:
    breaker = _gauge("freeroute_breaker_state", "Breaker: 0 closed, 1 half-open, 2 open.")
    text = "Times that the breaker of a candidate opened."
    opened = Gathered("freeroute_breaker_openings_total", "counter", text)
    held = _gauge("freeroute_candidate_held", "1 while a hold forbids the candidate.")
    usable = _gauge("freeroute_candidate_usable", "1 if a short chat could go there now.")
    counts: dict[str, Counter[str]] = {name: Counter() for name in view.catalogue.providers}
    for number, candidate in enumerate(view.catalogue.candidates, 1):
        labels = labels_of(
            {
                "provider": candidate.provider.id,
                "model": candidate.model.id,
                "key": candidate.key.label,
            }
        )
        gate, obstacle = view.standing.breaker(candidate), view.obstacle(candidate)
        breaker.add(labels, BREAKER[gate.state(view.now)])
        opened.add(labels, float(gate.opened))
        held.add(labels, float(view.standing.hold_on(candidate, view.now) is not None))
        usable.add(labels, float(obstacle is None))
        counts[candidate.provider.id][obstacle.kind if obstacle is not None else "usable"] += 1
        if number % AT_ONCE == 0:
            yield Breath
    yield from (breaker, opened, held, usable, _by_state(counts))


def _by_state(counts: dict[str, Counter[str]]) -> Family:
    family = _gauge("freeroute_candidates", "Candidates of a provider by what a short chat would meet there.")
    for provider, count in counts.items():
        for state in STATES:
            family.add(labels_of({"provider": provider, "state": state}), float(count[state]))
    return family


def _providers(view: View) -> Iterator[Family]:
    text = "Breaker of a whole provider: 0 closed, 1 half-open, 2 open."
    state = _gauge("freeroute_provider_breaker_state", text)
    text = "Times that the breaker of a whole provider opened."
    opened = Gathered("freeroute_provider_breaker_openings_total", "counter", text)
    refused = _gauge("freeroute_key_refused", "1 while the provider refuses a key, or it has no credit.")
    for name, provider in view.catalogue.providers.items():
        gate, labels = view.standing.provider_breaker(name), labels_of({"provider": name})
        state.add(labels, BREAKER[gate.state(view.now)])
        opened.add(labels, float(gate.opened))
        for key in provider.keys:
            named = labels_of({"provider": name, "key": key.label})
            refused.add(named, float(_is_refused(view, name, key.label)))
    yield from (state, opened, refused)


def _is_refused(view: View, provider: str, label: str) -> bool:
    hold = view.standing.held(("key", provider, label))
    return hold is not None and hold.verdict in _REFUSED and hold.until > view.now.mono


def _quotas(view: View) -> Iterator[Family | None]:
    used = _gauge("freeroute_quota_used", "Taken of a quota, calls in flight included.")
    limit = _gauge("freeroute_quota_limit", "The limit of a quota.")
    resets = _gauge("freeroute_quota_reset_timestamp_seconds", "When a quota is whole again.")
    for owners in _pools(view):
        for reading in view.counters.readings([pool for pool, _ in owners.values()], view.now):
            labels = _pool_labels(reading.pool, owners[reading.pool.id][1])
            used.add(labels_of(labels), reading.used)
            if math.isfinite(reading.limit):  # until it is found, nobody knows it
                limit.add(labels_of({**labels, "source": reading.source}), reading.limit)
            if _comes_back(reading):
                resets.add(labels_of(labels), _instant(reading, view.now))
        yield Breath
    yield from (used, limit, resets)


def _pools(view: View) -> Iterator[dict[str, tuple[Pool, Candidate]]]:
    """Return all pools by their ids, some at a time, each with a candidate that charges it."""
    seen: set[str] = set()
    some: dict[str, tuple[Pool, Candidate]] = {}
    for candidate in view.catalogue.candidates:
        some.update({pool.id: (pool, candidate) for pool in candidate.pools if pool.id not in seen})
        if len(some) >= AT_ONCE:
            yield some
            seen.update(some)
            some = {}
    yield some


def _pool_labels(pool: Pool, owner: Candidate) -> dict[str, str]:
    model = owner.model.id if pool.limit.scope is Scope.MODEL else ""
    return {"provider": owner.provider.id, "pool": pool.id, "limit": pool.limit.label, "model": model}


def _comes_back(reading: Reading) -> bool:
    return reading.pool.limit.unit is not Unit.CONCURRENCY and math.isfinite(reading.resets_in)


def _instant(reading: Reading, now: Now) -> float:
    return now.wall + reading.resets_in


def _clients(view: View, names: Collection[str]) -> Iterator[Family | None]:
    used = _gauge(
        "freeroute_client_quota_used", "Taken of a client's own limit, requests in flight included."
    )
    limit = _gauge("freeroute_client_quota_limit", "A client's own limit.")
    for number, client in enumerate(view.clients, 1):
        if client.name in names:
            for reading in view.counters.readings(client.pools, view.now):
                labels = labels_of({"client": client.name, "limit": reading.pool.limit.label})
                used.add(labels, reading.used)
                limit.add(labels, reading.limit)
        if number % AT_ONCE == 0:
            yield Breath
    yield from (used, limit)
