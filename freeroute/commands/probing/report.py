"""What came of the calls, as it may be attached to a correction of the catalogue."""

import datetime as dt
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from freeroute.commands.probing.calls import NO_SUCH_KEY, NO_SUCH_MODEL, Made
from freeroute.commands.probing.redaction import headers, host, shape, words
from freeroute.domain import effects
from freeroute.domain.breaker import State
from freeroute.domain.catalogue import Candidate, Provider
from freeroute.domain.outcome import Kind, Outcome, blamed, judge
from freeroute.domain.rates import RateFact, pool_meant
from freeroute.domain.standing import Standing
from freeroute.stores.memory import MemoryCounters
from freeroute.version import version

# Words of requests, which refusals repeat.
_SENT = (
    "temperature",
    "max_tokens",
    "max_completion_tokens",
    "messages",
    "model",
    NO_SUCH_MODEL,
    NO_SUCH_KEY,
)


class Redactor(Struct, frozen=True):
    """What is never shown, and what may be although it looks like an id."""

    secrets: tuple[str, ...]
    known: frozenset[str]


def redactor(provider: Provider, secrets: Sequence[str]) -> Redactor:
    """Return what hides *secrets* in the answers of *provider*, in whole and in part."""
    models = {name for model in provider.models for name in (model.id, model.family)}
    return Redactor(tuple(sorted({*secrets})), frozenset({*models, *_SENT}))


def report(provider: Provider, made: Sequence[Made], redacted: Redactor) -> dict[str, Any]:
    """Return all of it as plain values."""
    day = dt.datetime.fromtimestamp(made[0].at.wall, dt.UTC).date() if made else None
    return {
        "freeroute": version(),
        "provider": provider.id,
        "kind": provider.kind,
        "host": host(urlsplit(provider.base_url).hostname or ""),
        "day": str(day),
        "calls": [_call(one, redacted) for one in made],
    }


def _call(made: Made, redacted: Redactor) -> dict[str, Any]:
    planned, outcome = made.planned, made.sent.outcome
    return {
        "call": planned.what,
        "model": planned.candidate.model.id,
        "status": made.status,
        "seconds": round(made.seconds, 2),
        "headers": headers(made.headers, redacted.secrets, tuple(redacted.known)),
        "body": _body(made, redacted),
        "understood": _understood(made, redacted),
        "expected": [kind.value for kind in planned.expected],
        "as_expected": outcome.kind in planned.expected,
    }


def _body(made: Made, redacted: Redactor) -> Any:
    known = tuple(redacted.known)
    try:
        return shape(json.loads(made.body), redacted.secrets, known)
    except (ValueError, RecursionError):
        return words(made.body.decode("utf-8", "replace"), redacted.secrets, known)


# --- what freeroute makes of it ---------------------------------------------------------------------------


def _understood(made: Made, redacted: Redactor) -> dict[str, Any]:
    outcome, candidate = made.sent.outcome, made.planned.candidate
    standing = Standing(MemoryCounters())
    trial = standing.begin(candidate, made.at)
    if outcome.kind is Kind.SERVED:
        standing.succeeded(candidate, trial, made.at)
    else:
        effects.apply(outcome, candidate, standing, trial, made.at, jitter=0.0)
    told = dict(_told(outcome, redacted))
    return {
        **told,
        "blamed": blamed(outcome).value,
        "next": judge(outcome).value,
        "holds": list(_holds(standing, made)),
        "suspect": standing.suspect(candidate, made.at),
        "breaker": _breaker(standing, candidate, made),
        "left_out_from_now_on": sorted(standing.dropped(candidate)),
        "rates": [_rate(fact, candidate) for fact in made.sent.facts],
    }


def _told(outcome: Outcome, redacted: Redactor) -> Iterator[tuple[str, Any]]:
    """Return what is not as in any outcome."""
    yield "kind", outcome.kind.value
    for name in ("detail", "code", "param", "retry_after", "window", "scope", "unit", "context"):
        value = getattr(outcome, name)
        if isinstance(value, str):
            value = words(value, redacted.secrets, tuple(redacted.known))
        if value not in (None, ""):
            yield name, value


def _holds(standing: Standing, made: Made) -> Iterator[dict[str, Any]]:
    for place, hold in standing.holds(made.at):
        forever = math.isinf(hold.until)
        seconds = "until the key is replaced" if forever else round(hold.until - made.at.mono, 1)
        # Which key or account it is has a name that is the user's.
        yield {"place": place[0], "seconds": seconds, "reason": hold.reason}


def _breaker(standing: Standing, candidate: Candidate, made: Made) -> str:
    whole = standing.provider_breaker(candidate.provider.id).state(made.at)
    return (whole if whole is not State.CLOSED else standing.breaker(candidate).state(made.at)).value


def _rate(fact: RateFact, candidate: Candidate) -> dict[str, Any]:
    pool = pool_meant(fact, candidate.pools)
    return {
        "unit": fact.unit.value,
        "seconds": fact.seconds,
        "limit": fact.limit,
        "remaining": fact.remaining,
        "reset_in": fact.reset_in,
        "source": fact.source,
        "counter": None if pool is None else pool.limit.label,
        "catalogue": None if pool is None or math.isinf(pool.limit.amount) else pool.limit.amount,
    }
