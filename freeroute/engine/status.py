"""How the gateway stands, as ``GET /v1/status`` and the dashboard show it. Built on demand, read-only."""

import math
from collections.abc import Iterable, Sequence
from heapq import nlargest
from typing import Any

from msgspec import Struct

from freeroute.domain.breaker import State
from freeroute.domain.capacity import Capacity
from freeroute.domain.catalogue import Key, Limit, Provider, Scope, Unit, WindowKind
from freeroute.domain.clients import Client
from freeroute.domain.leases import Reading
from freeroute.domain.rates import TOLD
from freeroute.domain.receipt import AttemptNote, Receipt
from freeroute.engine import alerts, shares
from freeroute.engine.survey import WORDS, Seat, Survey, at_once, best, by_provider, by_state, survey
from freeroute.engine.tally import ProviderTally
from freeroute.engine.view import Recording, View
from freeroute.errors import NotFound
from freeroute.wire.head import Head

Shown = dict[str, Any]

COARSE, PATIENT = 200, 60.0
"""A steady view tells of a bucket in steps of this part of it, or of so many seconds' refill if that is less:
it refills all the time, and nobody sees it move. Own design."""


class Most(Struct, frozen=True):
    """How many *pools* and *candidates* of a provider are told."""

    pools: int
    candidates: int


def status(view: View, client: Client | None = None) -> Shown:
    """Return the body of ``GET /v1/status``; a *client* sees what is its own, and how models stand."""
    candidates = by_provider(view.catalogue)
    seen = [
        at_once(survey(lambda: view, one, candidates[one.id])) for one in view.catalogue.providers.values()
    ]
    found = [alert for one in seen for alert in alerts.of_provider(one)]
    told = [provider(one) if client is None else offered(one) for one in seen]
    return {
        **head(view, client),
        "uptime": round(view.now.mono - view.started.mono, 3),
        **summed(view, client, (one.capacity for one in seen), (one.state for one in seen), found),
        "providers": told,
        "clients": shares.clients(view, client),
        "requests": [
            request(receipt)
            for receipt in reversed(view.tally.recent)
            if client is None or receipt.like.holder == client.holder
        ],
    }


def ready(view: View, *, draining: bool) -> tuple[bool, Shown]:
    """Say whether new requests should be sent here, and why not: the body of ``GET /readyz``."""
    if draining:
        return False, {"status": "draining"}
    if view.maintenance is not None:
        return False, {"status": "maintenance"}
    trouble = {"state": "not saved"} if view.unsaved else {}
    if view.recording is not None and view.recording.failing:
        trouble["records"] = "not written"
    return True, {"status": "ready", "providers": len(view.catalogue.providers), **trouble}


def head(view: View, client: Client | None) -> Shown:
    """Return what the status says of the gateway itself; how busy it is with others is not a *client*'s."""
    waiting, recording = view.waiting, view.recording
    ours = client is None
    return {
        "version": view.version,
        "now": round(view.now.wall, 3),
        "started": round(view.started.wall, 3),
        "strategy": view.strategy,
        "demo": view.demo,
        "maintenance": None
        if view.maintenance is None
        else {"since": round(view.maintenance.since, 3), "message": view.maintenance.message},
        "totals": _totals(view) if client is None else shares.totals(view, client),
        "in_flight": view.in_flight if ours else None,
        "waiting": {
            "for_capacity": waiting.for_capacity,
            "room": waiting.room,
            "for_limits": waiting.for_limits,
        }
        if ours
        else None,
        "recording": _recording(recording) if ours and recording is not None else None,
    }


def summed(
    view: View,
    client: Client | None,
    capacities: Iterable[Capacity],
    states: Iterable[str],
    found: Iterable[alerts.Alert],
) -> Shown:
    """Return what is said of all providers together: the room they have, and what to look at."""
    total = sum(capacities, Capacity())
    told = alerts.ranked([*alerts.of_gateway(view, states), *found], public=client is not None)
    return {
        "capacity": _capacity(total) if client is None else None,
        "alerts": [alerts.told(view, alert) for alert in told],
    }


def _totals(view: View) -> dict[str, int]:
    tally = view.tally
    return {
        "requests": tally.requests,
        "served": tally.served,
        "failed": tally.failed,
        "tokens": tally.tokens,
    }


def _recording(state: Recording) -> Shown:
    word = "failing" if state.failing else "written"
    return {"state": word, "lost": state.lost, "bodies_lost": state.bodies_lost}


def _capacity(found: Capacity) -> dict[str, int]:
    return {"now": found.now, "today": found.today, "unlimited": found.unlimited}


def one_provider(view: View, provider_id: str, client: Client | None = None) -> Shown:
    """Return what ``GET /v1/status`` says of one provider; raises NotFound."""
    found = view.catalogue.providers.get(provider_id)
    if found is None:
        known = ", ".join(sorted(view.catalogue.providers)) or "none"
        raise NotFound(f"provider {provider_id!r} is not switched on; there is: {known}")
    candidates = [c for c in view.catalogue.candidates if c.provider.id == provider_id]
    seen = at_once(survey(lambda: view, found, candidates))
    return provider(seen) if client is None else offered(seen)


def provider(seen: Survey, most: Most | None = None) -> Shown:
    """Return what an operator is told of a provider: everything, or the *most* telling.

    Those are the fullest pools, and the candidates that stand worst.
    """
    view, entry = seen.view, seen.provider
    tally = view.tally.providers.get(entry.id, ProviderTally())
    last = tally.last_error
    known = [reading for reading in seen.readings if math.isfinite(reading.limit)]
    seats = seen.seats if most is None else _troubled(seen.seats, most.candidates)
    return {
        **_facts(seen),
        "keys": [_key(view, entry, key) for key in entry.keys],
        "requests": tally.requests,
        "served": tally.served,
        "failed": tally.failed,
        "last_used": tally.last_used,
        "last_error": None
        if last is None
        else {"at": last.at, "kind": last.kind, "detail": last.detail, "model": last.model},
        "latency": tally.latency(),
        "capacity": _capacity(seen.capacity),
        "pool_count": len(known),
        "pools": [_pool(seen, one) for one in (known if most is None else _fullest(known, most.pools))],
        "candidates_by_state": by_state(seen.seats),
        "candidates": [_candidate(view, seat) for seat in seats],
    }


def offered(seen: Survey, most: Most | None = None) -> Shown:
    """Return what a client is told of a provider: how its models stand, whoever else uses them.

    Keys, their accounts and quotas, and the calls that all clients made, are the operator's.
    """
    theirs = ("requests", "served", "failed", "last_used", "last_error", "latency", "capacity")
    models = _models(seen)
    seats = models if most is None else _troubled(models, most.candidates)
    return {
        **_facts(seen),
        **dict.fromkeys(theirs),
        "keys": [],
        "pool_count": 0,
        "pools": [],
        "candidates_by_state": by_state(models),
        "candidates": [
            {**_candidate(seen.view, seat), "id": seat.candidate.name, "key": None} for seat in seats
        ],
    }


def _models(seen: Survey) -> list[Seat]:
    """Return for each model the key that stands best."""
    models: dict[str, list[Seat]] = {}
    for seat in seen.seats:
        models.setdefault(seat.candidate.model.id, []).append(seat)
    return [best(of_model) for of_model in models.values()]


def _troubled(seats: Sequence[Seat], most: int) -> list[Seat]:
    """Return those that stand worst; what an operator switched off is no trouble."""
    found = [seat for seat in seats if seat.state not in ("healthy", "off")]
    return nlargest(most, found, key=lambda seat: WORDS.index(seat.state))


def _fullest(readings: Sequence[Reading], most: int) -> list[Reading]:
    """Return the fullest, in their order: bars must not change places while they fill."""
    places = nlargest(most, range(len(readings)), key=lambda at: _share(readings[at]))
    return [readings[at] for at in sorted(places)]


def _share(reading: Reading) -> float:
    return reading.used / reading.limit if reading.limit > 0 else 1.0


def _facts(seen: Survey) -> Shown:
    view, entry = seen.view, seen.provider
    whole = view.standing.provider_breaker(entry.id)
    return {
        "id": entry.id,
        "name": entry.name,
        "state": seen.state,
        "privacy": entry.privacy.value,
        "terms": entry.terms,
        "local": entry.is_local,
        "models": len({seat.candidate.model.id for seat in seen.seats}),
        "breaker": {
            "state": seen.whole.value,
            "until": view.ahead(whole.opens_until) if seen.whole is State.OPEN else None,
        },
    }


def _candidate(view: View, seat: Seat) -> Shown:
    """Return the line of one candidate."""
    obstacle = seat.obstacle
    return {
        "id": seat.candidate.id,
        "model": seat.candidate.model.id,
        "key": seat.candidate.key.label,
        "state": seat.state,
        "breaker": seat.breaker.value,
        "suspect": seat.suspect,
        "back_at": view.ahead(obstacle.back_at) if obstacle else None,
        "reason": obstacle.reason if obstacle else None,
    }


def key_state(view: View, provider_id: str, label: str) -> Shown:
    """Return how a key that is used stands: ``valid``, ``refused``, ``held``, or ``single-flight`` until it
    has answered once: so long one call is made with it at a time.
    """
    hold = view.standing.held(("key", provider_id, label))
    if hold is not None and hold.until > view.now.mono:
        state = "refused" if math.isinf(hold.until) else "held"
        return {"state": state, "until": view.wall(hold.until), "reason": hold.reason}
    answered = view.standing.has_answered((provider_id, label))
    return {"state": "valid" if answered else "single-flight", "until": None, "reason": None}


def _key(view: View, entry: Provider, key: Key) -> Shown:
    hold = view.standing.held(("key", entry.id, key.label))
    held = hold is not None and hold.until > view.now.mono
    forever = held and hold is not None and math.isinf(hold.until)
    state = "invalid" if forever else "held" if held else "ok"
    return {
        "label": key.label,
        "account": key.account,
        "state": state if key.enabled else "off",
        "held_until": view.ahead(hold.until) if held and hold is not None else None,
        "reason": hold.reason if held and hold is not None else None,
    }


def _pool(seen: Survey, reading: Reading) -> Shown:
    """Return the line of one counter."""
    view, limit = seen.view, reading.pool.limit
    was_told = reading.source in (*TOLD, "measured")
    line = {
        "id": reading.pool.id,
        "label": limit.label,
        "model": seen.owners[reading.pool.id][1].model.id if limit.scope is Scope.MODEL else None,
        "used": _used(view, limit, reading),
        "limit": reading.limit,
        "resets_at": view.ahead(view.now.mono + reading.resets_in),
        "source": reading.source,
        "told_at": view.wall(view.now.mono - reading.age) if was_told else None,
    }
    return line if view.steady else {**line, "age": reading.age}


def _used(view: View, limit: Limit, reading: Reading) -> float:
    """Return what is used; of a bucket in a steady view so roughly that it does not change at every look."""
    if view.steady and limit.window is WindowKind.BUCKET and limit.unit is not Unit.CONCURRENCY:
        step = min(reading.limit / COARSE, reading.limit / limit.seconds * PATIENT)
        return round(round(reading.used / step) * step, 3) if step else reading.used
    return round(reading.used, 3)


def _attempt(note: AttemptNote) -> Shown:
    return {
        "provider": note.provider,
        "model": note.model,
        "kind": note.kind.value,
        "began": round(note.began, 4),
        "sent": _seconds(note.sent),
        "first_event": _seconds(note.first_event),
        "seconds": round(note.seconds, 4),
        "expected": _seconds(note.expected),
        "status": note.status,
        "detail": note.detail,
    }


def request(receipt: Receipt) -> Shown:
    """Return the line of one finished request."""
    usage = receipt.usage
    first = receipt.first_event
    return {
        "id": receipt.request_id,
        "at": round(receipt.at.wall, 3),
        "client": receipt.like.client,
        "surface": receipt.like.surface,
        "model": receipt.like.asked,
        "provider": receipt.like.provider,
        "served_model": receipt.like.model,
        "status": receipt.like.status,
        "code": receipt.like.code,
        "stream": receipt.like.stream,
        "attempts": [_attempt(note) for note in receipt.attempts],
        "waits": [{"began": round(w.began, 4), "seconds": round(w.seconds, 4)} for w in receipt.waits],
        "first_event_ms": round(first * 1000, 1) if first is not None else None,
        "total_ms": round(receipt.total * 1000, 1),
        "queue_ms": round(receipt.queued * 1000, 1),
        "overhead_ms": round(receipt.overhead * 1000, 2),
        "tokens": {"prompt": usage.prompt, "completion": usage.completion} if usage else None,
        "finish": receipt.finish,
        "continued": receipt.continued,
        "choice": _choice(receipt),
        "headers": dict(Head(receipt.headers).items()),
    }


def _choice(receipt: Receipt) -> Shown | None:
    grounds = receipt.grounds
    if grounds is None:
        return None
    return {
        "strategy": grounds.strategy,
        "named": grounds.named,
        "able": grounds.able,
        "conversation": _is_again(receipt.attempts[:1], grounds.had),
    }


def _is_again(notes: tuple[AttemptNote, ...], had: str | None) -> bool:
    return any(f"{note.provider}/{note.model}#{note.key}" == had for note in notes)


def _seconds(value: float | None) -> float | None:
    return round(value, 4) if value is not None else None
