"""What operators look at and take back at run time: holds, breakers, and what answers taught of limits."""

import math
from collections.abc import Iterable
from typing import Any

from freeroute.domain.additions import without_limits
from freeroute.domain.breaker import State
from freeroute.domain.catalogue import Candidate, Pool, Scope
from freeroute.domain.leases import Reading
from freeroute.domain.lessons import Taught
from freeroute.domain.rates import TOLD
from freeroute.domain.remembered import Hold
from freeroute.domain.resolve import nearest
from freeroute.domain.returning import Place
from freeroute.engine.gateway import Gateway
from freeroute.engine.inventory import inventory
from freeroute.engine.view import View
from freeroute.errors import NotFound

Entry = dict[str, Any]
"""One hold, breaker, limit or model as it is shown; ``id`` names it."""


class Operations:
    """An operator's view of a gateway, and the verbs that go with it; names nobody has raise NotFound."""

    def __init__(self, gateway: Gateway) -> None:
        """Look at *gateway* and change it."""
        self._gateway = gateway

    # --- holds -------------------------------------------------------------------------------------

    def holds(self, provider: str | None = None) -> list[Entry]:
        """Return the holds that stand now, of one *provider* or of all; the one that ends last comes last."""
        self._known(provider)
        view = self._gateway.view()
        standing = sorted(view.standing.holds(view.now), key=lambda held: (held[1].until, held[0]))
        return [_hold(view, place, hold) for place, hold in standing if provider in (None, place[1])]

    def hold(self, name: str) -> Entry:
        """Return the hold that stands and has this id."""
        return _named(name, self.holds(), "hold")

    def lift(self, entries: Iterable[Entry]) -> None:
        """Lift the holds that *entries* are of: the next call may go there."""
        ids = {entry["id"] for entry in entries}
        standing = self._gateway.standing
        now = self._gateway.clock.now()
        standing.lift_holds([place for place, _ in standing.holds(now) if "/".join(place) in ids])
        self._gateway.loop.room.stir()

    # --- breakers ----------------------------------------------------------------------------------

    def breakers(self, provider: str | None = None) -> list[Entry]:
        """Return every breaker, of one *provider* or of all: each provider's, then its candidates'."""
        self._known(provider)
        view = self._gateway.view()
        entries = [_whole(view, name) for name in view.catalogue.providers if provider in (None, name)]
        entries += [_own(view, c) for c in view.catalogue.candidates if provider in (None, c.provider.id)]
        return sorted(
            entries, key=lambda entry: entry["provider"]
        )  # a provider's own stays before its candidates'

    def breaker(self, name: str) -> Entry:
        """Return the breaker of this provider or candidate."""
        return _named(name, self.breakers(), "breaker")

    def close(self, entries: Iterable[Entry]) -> None:
        """Close the breakers that *entries* are of, and forget the failures that opened them."""
        ids = {entry["id"] for entry in entries}
        providers = ids & self._gateway.catalogue.providers.keys()
        self._gateway.standing.close_breakers(ids - providers, providers)
        self._gateway.loop.room.stir()

    # --- limits and what was learned -----------------------------------------------------------------

    def limits(self, provider: str | None = None) -> list[Entry]:
        """Return every limit of one *provider* or of all, beside what was published."""
        self._known(provider)
        view = self._gateway.view()
        pools = _pools(view.catalogue.candidates, provider)
        readings = view.counters.readings([pool for pool, _ in pools.values()], view.now)
        return [_limit(view, reading, pools[reading.pool.id][1]) for reading in readings]

    def lessons(self, provider: str | None = None) -> list[Entry]:
        """Return what errors taught of models, of one *provider* or of all."""
        self._known(provider)
        view = self._gateway.view()
        models = {c.name: c for c in view.catalogue.candidates if provider in (None, c.provider.id)}
        known = [(model, view.standing.lesson(name, view.now)) for name, model in models.items()]
        return [_lesson(view, model, lesson) for model, lesson in known if lesson is not None]

    def learned(self, provider: str | None = None) -> list[Entry]:
        """Return what of the limits and the models answers taught."""
        return [entry for entry in self.limits(provider) if entry["learned"]] + self.lessons(provider)

    def learned_of(self, name: str) -> list[Entry]:
        """Return what was learned of the limit with this id, or of the model and all limits of it."""
        view = self._gateway.view()
        models = {candidate.name for candidate in view.catalogue.candidates}
        pools = {pool.id for pool, _ in _pools(view.catalogue.candidates, None).values()}
        if name not in models | pools:
            raise _unknown(name, "limit or model", models | pools)
        return [e for e in self.learned() if name in (e["id"], f"{e['provider']}/{e['model']}")]

    def forget(self, entries: Iterable[Entry]) -> None:
        """Go by what was published again where *entries* were learned; what is used of it stays used."""
        gateway, ids = self._gateway, {entry["id"] for entry in entries}
        pools = [pool for pool, _ in _pools(gateway.catalogue.candidates, None).values() if pool.id in ids]
        gateway.standing.unlearn(ids & {candidate.name for candidate in gateway.catalogue.candidates})
        gateway.counters.unlearn(pools, gateway.clock.now())
        told = {pool.id for pool in pools if pool.limit.confidence in TOLD}
        if told:
            gateway.adopt(without_limits(gateway.catalogue, told))
        gateway.loop.room.stir()

    # --- models ------------------------------------------------------------------------------------

    async def models(self, provider: str | None = None) -> Entry:
        """Return the models of one *provider* or of all, and who orders them, as `inventory` tells."""
        self._known(provider)
        view = self._gateway.view()
        entries = view.catalogue.providers
        return await inventory(view, entries.values() if provider is None else [entries[provider]])

    def _known(self, provider: str | None) -> None:
        providers = self._gateway.catalogue.providers
        if provider is not None and provider not in providers:
            raise _unknown(provider, "provider", providers, param="provider")


def _named(name: str, entries: Iterable[Entry], what: str) -> Entry:
    known = {entry["id"]: entry for entry in entries}
    if name not in known:
        raise _unknown(name, what, known)
    return known[name]


def _unknown(name: str, what: str, known: Iterable[str], param: str = "path") -> NotFound:
    close = nearest(name, list(known))
    near = f"; did you mean {' or '.join(close)}?" if close else ""
    return NotFound(f"there is no {what} {name!r}{near}", param=param)


def _pools(candidates: Iterable[Candidate], provider: str | None) -> dict[str, tuple[Pool, Candidate]]:
    """Return the pools of *candidates* by their ids, each with one that it counts for."""
    mine = [candidate for candidate in candidates if provider in (None, candidate.provider.id)]
    return {pool.id: (pool, candidate) for candidate in mine for pool in candidate.pools}


def _hold(view: View, place: Place, hold: Hold) -> Entry:
    scope, provider, *rest = place
    has_model = scope in ("model", "account-model", "key-model")
    return {
        "id": "/".join(place),
        "scope": scope,
        "provider": provider,
        "account": rest[0] if scope in ("account", "account-model") else None,
        "key": rest[0] if scope in ("key", "key-model") else None,
        "model": rest[-1] if has_model else None,
        "reason": hold.reason,
        "verdict": None if hold.verdict is None else hold.verdict.value,
        "since": None if hold.since is None else view.wall(hold.since),
        "until": view.wall(hold.until),
    }


def _whole(view: View, provider: str) -> Entry:
    gate = view.standing.provider_breaker(provider)
    state = gate.state(view.now)
    return {
        "id": provider,
        "provider": provider,
        "model": None,
        "key": None,
        "state": state.value,
        "until": view.wall(gate.opens_until) if state is State.OPEN else None,
        "openings": gate.openings,
        "failures": None,
        "suspect": False,
    }


def _own(view: View, candidate: Candidate) -> Entry:
    gate = view.standing.breaker(candidate)
    state = gate.state(view.now)
    return {
        "id": candidate.id,
        "provider": candidate.provider.id,
        "model": candidate.model.id,
        "key": candidate.key.label,
        "state": state.value,
        "until": view.wall(gate.opens_until) if state is State.OPEN else None,
        "openings": gate.openings,
        "failures": gate.in_a_row,
        "suspect": gate.suspect(view.now),
    }


def _limit(view: View, reading: Reading, candidate: Candidate) -> Entry:
    limit = reading.pool.limit
    published = None if limit.confidence in TOLD or math.isinf(limit.amount) else limit.amount
    return {
        "id": reading.pool.id,
        "provider": candidate.provider.id,
        "model": candidate.model.id if limit.scope is Scope.MODEL else None,
        "label": limit.label,
        "published": published,
        "confidence": None if published is None else limit.confidence,
        "limit": reading.limit if math.isfinite(reading.limit) else None,
        "used": round(reading.used, 3),
        "resets_at": view.wall(view.now.mono + reading.resets_in),
        "learned": reading.source in (*TOLD, "measured"),
        "source": reading.source,
        "age": round(reading.age, 3),
    }


def _lesson(view: View, candidate: Candidate, lesson: Taught) -> Entry:
    return {
        "id": candidate.name,
        "provider": candidate.provider.id,
        "model": candidate.model.id,
        "published": {"context": candidate.model.context},
        "context": lesson.context,
        "refuses": list(lesson.refuses),
        "spared": {name: view.wall(until) for name, until in lesson.spared.items()},
        "overlong": [{"tokens": tokens, "until": view.wall(until)} for tokens, until in lesson.overlong],
        "source": "error",
        "age": None if lesson.at is None else round(view.now.mono - lesson.at, 3),
    }
