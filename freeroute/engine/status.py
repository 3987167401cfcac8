"""How the gateway stands, as ``GET /v1/status`` and the dashboard show it. Built on demand, read-only."""

import math
from collections.abc import Sequence
from typing import Any

from freeroute.domain.breaker import State
from freeroute.domain.catalogue import Candidate, Key, Provider, Scope
from freeroute.domain.clients import Client
from freeroute.domain.leases import Reading
from freeroute.domain.receipt import AttemptNote, Receipt
from freeroute.domain.standing import Obstacle
from freeroute.engine import shares
from freeroute.engine.tally import ProviderTally
from freeroute.engine.view import View


def status(view: View, client: Client | None = None) -> dict[str, Any]:
    """Return the body of ``GET /v1/status``; a *client* sees what is its own, and how models stand."""
    now = view.now
    entries = view.catalogue.providers.values()
    return {
        "version": view.version,
        "now": round(now.wall, 3),
        "uptime": round(now.mono - view.started.mono, 3),
        "strategy": view.strategy,
        "demo": view.demo,
        "maintenance": None
        if view.maintenance is None
        else {"since": round(view.maintenance.since, 3), "message": view.maintenance.message},
        "totals": _totals(view) if client is None else shares.totals(view, client),
        "providers": [provider(view, one) if client is None else _offered(view, one) for one in entries],
        "clients": shares.clients(view, client),
        "requests": [
            _request(receipt)
            for receipt in reversed(view.tally.recent)
            if client is None or receipt.holder == client.holder
        ],
    }


def _totals(view: View) -> dict[str, int]:
    tally = view.tally
    return {
        "requests": tally.requests,
        "served": tally.served,
        "failed": tally.failed,
        "tokens": tally.tokens,
    }


def _offered(view: View, entry: Provider) -> dict[str, Any]:
    """Return what a client is told of a provider: how its models stand, whoever else uses them.

    Keys, their accounts and quotas, and the calls that all clients made, are the operator's.
    """
    told = provider(view, entry)
    nothing = dict.fromkeys(("requests", "served", "failed", "last_used", "last_error", "latency"))
    lines = _by_model(entry, told["candidates"])
    return {**told, **nothing, "keys": [], "pools": [], "candidates": lines}


def _by_model(entry: Provider, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return of each model the line of the key that stands best, without the key."""
    models: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        models.setdefault(line["model"], []).append(line)
    return [
        {**best(of_model), "id": f"{entry.id}/{model}", "key": None} for model, of_model in models.items()
    ]


def best(lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the candidate of *lines* that stands best."""
    return min(lines, key=lambda line: (_WORDS.index(line["state"]), line["back_at"] or math.inf))


def provider(view: View, entry: Provider) -> dict[str, Any]:
    """Return what ``GET /v1/status`` says of one provider."""
    candidates = [c for c in view.catalogue.candidates if c.provider.id == entry.id]
    lines = [line_of(view, candidate) for candidate in candidates]
    whole = view.standing.provider_breaker(entry.id)
    breaker = whole.state(view.now)
    tally = view.tally.providers.get(entry.id, ProviderTally())
    last = tally.last_error
    return {
        "id": entry.id,
        "name": entry.name,
        "state": state_of(lines, breaker),
        "privacy": entry.privacy.value,
        "terms": entry.terms,
        "local": entry.is_local,
        "models": len({candidate.model.id for candidate in candidates}),
        "keys": [_key(view, entry, key) for key in entry.keys],
        "breaker": {
            "state": breaker.value,
            "until": view.wall(whole.opens_until) if breaker is State.OPEN else None,
        },
        "requests": tally.requests,
        "served": tally.served,
        "failed": tally.failed,
        "last_used": tally.last_used,
        "last_error": None
        if last is None
        else {"at": last.at, "kind": last.kind, "detail": last.detail, "model": last.model},
        "latency": tally.latency(),
        "pools": _pools(view, candidates),
        "candidates": lines,
    }


# How a candidate can stand, the best first.
_WORDS = ("healthy", "suspect", "half-open", "resting", "open", "held", "off")


def state_of(lines: Sequence[dict[str, Any]], breaker: State) -> str:
    """Sum a provider up in one word, as good as its best candidate."""
    if not lines:
        return "no-key"
    if all(line["state"] == "off" for line in lines):
        return "off"
    if breaker is not State.CLOSED:
        return breaker.value
    states = {line["state"] for line in lines}
    return next(word for word in _WORDS if word in states)


def line_of(view: View, candidate: Candidate) -> dict[str, Any]:
    """Return what ``GET /v1/status`` says of one candidate."""
    breaker = view.standing.breaker(candidate).state(view.now)
    suspect = view.standing.suspect(candidate, view.now)
    obstacle = view.obstacle(candidate)
    return {
        "id": candidate.id,
        "model": candidate.model.id,
        "key": candidate.key.label,
        "state": _word(breaker, obstacle, suspect),
        "breaker": breaker.value,
        "suspect": suspect,
        "back_at": view.wall(obstacle.back_at) if obstacle else None,
        "reason": obstacle.reason if obstacle else None,
    }


def _word(breaker: State, obstacle: Obstacle | None, suspect: bool) -> str:
    if obstacle is not None and obstacle.kind == "off":
        return "off"
    if breaker is not State.CLOSED:
        return breaker.value
    if obstacle is not None and obstacle.kind != "proving":
        return "held" if obstacle.kind == "held" else "resting"
    return "suspect" if suspect else "healthy"


def key_state(view: View, provider_id: str, label: str) -> dict[str, Any]:
    """Return how a key that is used stands: ``valid``, ``refused``, ``held``, or ``single-flight`` until it
    has answered once: so long one call is made with it at a time.
    """
    hold = view.standing.held(("key", provider_id, label))
    if hold is not None and hold.until > view.now.mono:
        state = "refused" if math.isinf(hold.until) else "held"
        return {"state": state, "until": view.wall(hold.until), "reason": hold.reason}
    answered = view.standing.has_answered((provider_id, label))
    return {"state": "valid" if answered else "single-flight", "until": None, "reason": None}


def _key(view: View, entry: Provider, key: Key) -> dict[str, Any]:
    hold = view.standing.held(("key", entry.id, key.label))
    held = hold is not None and hold.until > view.now.mono
    forever = held and hold is not None and math.isinf(hold.until)
    state = "invalid" if forever else "held" if held else "ok"
    return {
        "label": key.label,
        "account": key.account,
        "state": state if key.enabled else "off",
        "held_until": view.wall(hold.until) if held and hold is not None else None,
        "reason": hold.reason if held and hold is not None else None,
    }


def _pools(view: View, candidates: list[Candidate]) -> list[dict[str, Any]]:
    pools = {pool.id: (pool, candidate) for candidate in candidates for pool in candidate.pools}
    readings = view.counters.readings([pool for pool, _ in pools.values()], view.now)
    # A limit that nobody knows yet has nothing to be compared with.
    known = [reading for reading in readings if math.isfinite(reading.limit)]
    return [_pool(view, reading, pools[reading.pool.id][1]) for reading in known]


def _pool(view: View, reading: Reading, candidate: Candidate) -> dict[str, Any]:
    limit = reading.pool.limit
    return {
        "id": reading.pool.id,
        "label": limit.label,
        "model": candidate.model.id if limit.scope is Scope.MODEL else None,
        "used": round(reading.used, 3),
        "limit": reading.limit,
        "resets_at": round(view.now.wall + reading.resets_in, 3),
        "source": reading.source,
        "age": reading.age,
    }


def _attempt(note: AttemptNote) -> dict[str, Any]:
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


def _request(receipt: Receipt) -> dict[str, Any]:
    usage = receipt.usage
    first = receipt.first_event
    return {
        "id": receipt.request_id,
        "at": round(receipt.at.wall, 3),
        "client": receipt.client,
        "model": receipt.asked,
        "provider": receipt.provider,
        "served_model": receipt.model,
        "status": receipt.status,
        "code": receipt.code,
        "stream": receipt.stream,
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
        "headers": receipt.headers,
    }


def _choice(receipt: Receipt) -> dict[str, Any] | None:
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
