"""What clients used of which provider, and what they have left. Built on demand, read-only."""

from collections.abc import Sequence
from typing import Any

from freeroute.domain.catalogue import Unit
from freeroute.domain.clients import Client, name_of
from freeroute.domain.leases import Reading
from freeroute.engine.tally import ClientTally
from freeroute.engine.view import View

LISTED = 100
"""Clients that the status lists, the one used last first. Own design: a document people still look at."""


def clients(view: View, only: Client | None) -> list[dict[str, Any]]:
    """Return what the status says of clients: of *only* alone, or of all where an operator asks."""
    if only is not None:
        return [_client(view, only.holder, only)]
    known = {client.holder: client for client in view.clients}
    used = view.tally.clients
    holders = [
        *sorted(used, key=lambda one: -used[one].last_used),
        *(one for one in known if one not in used),
    ]
    return [_client(view, holder, known.get(holder)) for holder in holders[:LISTED]]


def totals(view: View, client: Client) -> dict[str, int]:
    """Return what the status sums up for *client*: its own requests."""
    tally = _tally(view, client.holder)
    return {
        "requests": tally.requests,
        "served": tally.served,
        "failed": tally.failed,
        "tokens": tally.prompt + tally.completion,
    }


def key(view: View, client: Client | None) -> dict[str, Any]:
    """Return the body of ``GET /v1/key``: OpenRouter's fields, which count dollars, and ours beside them."""
    limits = _readings(view, client)
    return {
        "data": {
            "label": client.name if client is not None else "anyone",
            "usage": 0.0,
            "limit": None,
            "limit_remaining": None,
            "is_free_tier": True,
            "is_provisioning_key": False,
            "rate_limit": _rate(limits),
            "freeroute": None
            if client is None
            else {**_client(view, client.holder, client), **_rules(client)},
        }
    }


def _rules(client: Client) -> dict[str, Any]:
    return {
        "models": client.models,
        "privacy": "no-train" if client.no_train else "any",
        "max_wait": client.max_wait,
    }


def _rate(limits: Sequence[Reading]) -> dict[str, Any]:
    """Return the tightest limit of requests as OpenRouter writes it; -1 of them where there is none."""
    requests = [reading for reading in limits if reading.pool.limit.unit is Unit.REQUESTS]
    if not requests:
        return {"requests": -1, "interval": "10s"}
    least = min(requests, key=lambda reading: reading.limit - reading.used)
    return {"requests": round(least.limit), "interval": f"{least.pool.limit.seconds:g}s"}


def _tally(view: View, holder: str) -> ClientTally:
    return view.tally.clients.get(holder) or ClientTally()


def _client(view: View, holder: str, client: Client | None) -> dict[str, Any]:
    tally = _tally(view, holder)
    return {
        "id": holder,
        "name": name_of(holder),
        "requests": tally.requests,
        "served": tally.served,
        "last_used": tally.last_used or None,
        "tokens": {"prompt": tally.prompt, "completion": tally.completion},
        "use": [
            {
                "provider": provider,
                "model": model,
                "requests": use.requests,
                "prompt": use.prompt,
                "completion": use.completion,
            }
            for (provider, model), use in tally.by_use()
        ],
        "weight": client.weight if client is not None else None,
        "expires": client.expires if client is not None else None,
        "limits": [_limit(view, reading) for reading in _readings(view, client)],
    }


def _readings(view: View, client: Client | None) -> list[Reading]:
    return [] if client is None else view.counters.readings(client.pools, view.now)


def _limit(view: View, reading: Reading) -> dict[str, Any]:
    return {
        "label": reading.pool.limit.label,
        "limit": reading.limit,
        "used": round(reading.used, 3),
        "remaining": round(max(reading.limit - reading.used, 0.0), 3),
        "resets_at": view.ahead(view.now.mono + reading.resets_in),
    }
