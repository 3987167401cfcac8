"""Every model of every provider, as operators look at it. Built on demand, some at a time, read-only."""

import asyncio
import datetime as dt
import math
from collections.abc import Iterable, Sequence
from typing import Any

from freeroute.domain.catalogue import Candidate, MetaModel, Model, Pool, Price, Provider, Scope
from freeroute.domain.leases import Reading
from freeroute.domain.resolve import Target
from freeroute.engine.survey import best, seat_of, state_of, typical_of
from freeroute.engine.view import View

AT_ONCE = 50
"""Candidates that are looked at before others have their turn. Own design: a few milliseconds."""

Entry = dict[str, Any]


async def inventory(view: View, providers: Iterable[Provider]) -> Entry:
    """Return the body of ``GET /admin/models``: all meta-models, and *providers* with their models."""
    served: dict[str, list[Candidate]] = {}
    for candidate in view.catalogue.candidates:
        served.setdefault(candidate.name, []).append(candidate)
    told: list[Entry] = []
    models: list[Entry] = []
    seen = 0
    for provider in providers:
        lines = []
        for model in provider.models:
            candidates = served.get(f"{provider.id}/{model.id}", [])
            lines.append(_model(view, provider, model, candidates))
            seen += 1 + len(candidates)
            if seen >= AT_ONCE:
                seen = 0
                await asyncio.sleep(0)
        everyone = [one for line in lines for one in served.get(line["id"], ())]
        told.append(_provider(view, provider, lines, everyone))
        models += lines
    metas = [_meta(view, meta) for meta in view.catalogue.meta_models.values()]
    return {"meta_models": metas, "providers": told, "data": models}


def _meta(view: View, meta: MetaModel) -> Entry:
    target = view.names.resolve(meta.name)
    candidates = target.candidates if isinstance(target, Target) else ()
    return {
        "name": meta.name,
        "aliases": [alias for alias, name in view.catalogue.model_aliases.items() if name == meta.name],
        "strategy": meta.strategy,
        "patterns": meta.models,
        "require": sorted(meta.require),
        "models": len({one.name for one in candidates if not view.standing.is_off(one)}),
    }


def _provider(
    view: View, provider: Provider, models: Sequence[Entry], candidates: Sequence[Candidate]
) -> Entry:
    breaker = view.standing.provider_breaker(provider.id).state(view.now)
    return {
        "id": provider.id,
        "name": provider.name,
        "state": state_of({one["state"] for one in models if one["keys"]}, breaker),
        "enabled": provider.id not in view.standing.off,
        "privacy": provider.privacy.value,
        "local": provider.is_local,
        "limits": _limits(view, candidates, own=False),
    }


def _model(view: View, provider: Provider, model: Model, candidates: Sequence[Candidate]) -> Entry:
    name = f"{provider.id}/{model.id}"
    first = candidates[0] if candidates else None
    return {
        "id": name,
        "provider": provider.id,
        "model": model.id,
        "family": model.family,
        **_standing(view, model, candidates),
        "enabled": model.enabled and name not in view.standing.off,
        "off_by": _off_by(view, provider, model),
        "keys": len(candidates),
        "context": view.standing.context(first) if first else model.context,
        "max_output": model.max_output,
        "capabilities": sorted(model.capabilities),
        "quality": model.quality,
        "tier": model.tier,
        "speed": {
            "prior": _speed(model.first_token, model.tokens_per_second),
            "measured": _measured(view, first),
        },
        "price": _price(model.price),
        "neurons": _price(model.neurons),
        "privacy": provider.privacy.value,
        "auto": model.auto,
        "retires": model.retires,
        "limits": _limits(view, candidates, own=True),
    }


def _standing(view: View, model: Model, candidates: Sequence[Candidate]) -> Entry:
    """Return how *model* stands: as the key of it that stands best."""
    if candidates:
        found = best(seat_of(view, one, typical_of(one)) for one in candidates)
        obstacle = found.obstacle
        return {
            "state": found.state,
            "reason": obstacle.reason if obstacle else None,
            "back_at": view.wall(obstacle.back_at) if obstacle else None,
        }
    if model.enabled:
        return {"state": "no-key", "reason": "none of its provider's keys is used", "back_at": None}
    today = dt.datetime.fromtimestamp(view.now.wall, dt.UTC).date().isoformat()
    gone = model.retires is not None and model.retires <= today
    reason = f"retired on {model.retires}" if gone else "switched off in the settings"
    return {"state": "off", "reason": reason, "back_at": None}


def _off_by(view: View, provider: Provider, model: Model) -> str | None:
    """Return who switched *model* off: the settings, an operator, or an operator the whole provider."""
    if not model.enabled:
        return "settings"
    if f"{provider.id}/{model.id}" in view.standing.off:
        return "operator"
    return "provider" if provider.id in view.standing.off else None


def _measured(view: View, candidate: Candidate | None) -> Entry | None:
    """Return what the answers of late came to; None if there was none."""
    if candidate is None or not (speed := view.standing.speed(candidate)).samples:
        return None
    found = _speed(speed.first_token, speed.rate)
    return {**found, "answers": speed.samples, "at": view.wall(speed.measured_at)}


def _speed(first_token: float, rate: float) -> Entry:
    return {"first_token": round(first_token, 3), "tokens_per_second": round(rate, 1)}


def _price(price: Price | None) -> Entry | None:
    return None if price is None else {"input": price.input, "output": price.output}


def _limits(view: View, candidates: Iterable[Candidate], *, own: bool) -> list[Entry]:
    """Return the limits of *candidates* that are the model's *own*, or those that all models share."""
    pools: dict[str, Pool] = {
        pool.id: pool
        for candidate in candidates
        for pool in candidate.pools
        if (pool.limit.scope is Scope.MODEL) is own
    }
    return [_limit(view, reading) for reading in view.counters.readings(list(pools.values()), view.now)]


def _limit(view: View, reading: Reading) -> Entry:
    return {
        "id": reading.pool.id,
        "label": reading.pool.limit.label,
        "used": round(reading.used, 3),
        "limit": reading.limit if math.isfinite(reading.limit) else None,
        "resets_at": view.wall(view.now.mono + reading.resets_in),
        "source": reading.source,
    }
