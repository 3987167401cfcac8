"""What an ending leaves behind: holds, breaker failures, things learned. The table of the design, as code."""

import math
from collections.abc import Callable

from freeroute.clock import Now
from freeroute.domain.catalogue import Candidate, Pool, WindowKind
from freeroute.domain.leases import Charges
from freeroute.domain.outcome import FEATURES, Blame, Kind, Outcome, blamed, droppable, many
from freeroute.domain.standing import Standing
from freeroute.domain.trials import Trial

# A 429 that names nothing, with our counters saying there is room: try again after 5 s, doubling to 5 min.
FIRST_BACKOFF = 5.0
LONGEST_BACKOFF = 300.0
# The provider's own lack of capacity is not our quota: a short rest, counters unchanged.
CAPACITY_REST = 5.0
NO_CREDIT_REST = 86400.0
FORBIDDEN_REST = 3600.0
FORBIDDEN_MODELS = 3
FORBIDDEN_KEY_REST = 600.0
GONE_REST = 86400.0
LOADING_REST = 2.0
MISCONFIGURED_REST = 300.0
# How long a model is spared calls that carry a parameter it refused: own design, a day as for one gone.
REFUSED_REST = 86400.0


def apply(
    outcome: Outcome, candidate: Candidate, standing: Standing, trial: Trial, now: Now, *, jitter: float
) -> None:
    """Lay the holds and note the failures that *outcome* of a call to *candidate* implies."""
    if blamed(outcome) is Blame.PROVIDER:
        standing.failed(candidate, trial, outcome.kind, now, jitter=jitter)
        if outcome.retry_after:
            until = now.mono + outcome.retry_after
            standing.hold(_key_model(candidate), until, "asked us to come back later", since=now, quota=True)
        return
    standing.give_back(candidate, trial)
    effect = _EFFECTS.get(outcome.kind)
    if effect is not None:
        effect(outcome, candidate, standing, now)


def _rate_limited(outcome: Outcome, candidate: Candidate, standing: Standing, now: Now) -> None:
    place = _place(outcome, candidate)
    until, step = _quota_back(outcome, candidate, standing, now, place)
    span = f" for this {outcome.window}" if outcome.window else ""
    why = f"out of quota{span}, says the provider"
    standing.hold(place, until, why, since=now, step=step, quota=True)
    standing.lapsed(candidate, now)


def _quota_back(
    outcome: Outcome, candidate: Candidate, standing: Standing, now: Now, place: tuple[str, ...]
) -> tuple[float, int]:
    """Return when (mono) a refused quota is back, and the step of the back-off that was used."""
    calendar = _calendar_pool(outcome, candidate)
    if calendar is not None:
        return now.mono + standing.room.readings([calendar], now)[0].resets_in, 0
    if outcome.retry_after is not None:
        return now.mono + outcome.retry_after, 0
    fullest = _fullest(candidate, standing, now)
    if fullest is not None:
        at = standing.room.fits_at(Charges((fullest,), (1.0,)), now)
        if now.mono < at < math.inf:
            return at, 0
    before = standing.held(place)
    if before is not None and before.until > now.mono:
        return before.until, before.step  # sent before that hold was laid: the same refusal once more
    step = 0 if before is None else before.step + 1
    return now.mono + min(FIRST_BACKOFF * 2.0 ** min(step, 10), LONGEST_BACKOFF), step


def _calendar_pool(outcome: Outcome, candidate: Candidate) -> Pool | None:
    """Return the calendar pool a 429 names by span and unit: its reset is known better than any hint.

    None if it may be about a limit of that span that comes back in another way.
    """
    named = [
        pool
        for pool in candidate.pools
        if pool.limit.span == outcome.window and outcome.unit in (None, pool.limit.unit.value)
    ]
    all_turn = all(pool.limit.window is WindowKind.CALENDAR for pool in named)
    return named[0] if outcome.window and named and all_turn else None


def _fullest(candidate: Candidate, standing: Standing, now: Now) -> Pool | None:
    readings = [r for r in standing.room.readings(candidate.pools, now) if r.pool.limit.seconds and r.limit]
    return max(readings, key=lambda r: r.used / r.limit).pool if readings else None


def _no_capacity(outcome: Outcome, candidate: Candidate, standing: Standing, now: Now) -> None:
    rest = max(CAPACITY_REST, outcome.retry_after or 0.0)
    place = ("model", candidate.provider.id, candidate.model.id)
    standing.hold(place, now.mono + rest, "provider is at capacity", since=now, quota=True)
    standing.lapsed(candidate, now)


def _key_invalid(outcome: Outcome, candidate: Candidate, standing: Standing, now: Now) -> None:
    why = "key was refused as invalid"
    standing.hold(_key(candidate), math.inf, why, since=now, verdict=outcome.kind)


def _no_credit(outcome: Outcome, candidate: Candidate, standing: Standing, now: Now) -> None:
    place = _key_model(candidate) if outcome.scope == "model" else _key(candidate)
    why = "no credit or quota on this plan"
    standing.hold(place, now.mono + NO_CREDIT_REST, why, since=now, verdict=outcome.kind)


def _forbidden(outcome: Outcome, candidate: Candidate, standing: Standing, now: Now) -> None:
    standing.hold(
        _key_model(candidate),
        now.mono + FORBIDDEN_REST,
        "model is forbidden for this key",
        since=now,
        verdict=outcome.kind,
    )
    provider, label = candidate.provider, candidate.key.label
    forbidden = 0
    for model in provider.models:
        hold = standing.held(("key-model", provider.id, label, model.id))
        forbidden += hold is not None and hold.until > now.mono
    if forbidden >= FORBIDDEN_MODELS:
        standing.hold(
            _key(candidate),
            now.mono + FORBIDDEN_KEY_REST,
            "key is forbidden on several models",
            since=now,
            verdict=outcome.kind,
        )


def _gone(outcome: Outcome, candidate: Candidate, standing: Standing, now: Now) -> None:
    place = ("model", candidate.provider.id, candidate.model.id)
    why = "model is gone at the provider"
    standing.hold(place, now.mono + GONE_REST, why, since=now, verdict=outcome.kind)


def _too_long(outcome: Outcome, candidate: Candidate, standing: Standing, now: Now) -> None:
    if outcome.context:
        standing.learn_context(candidate, outcome.context, now)


def _loading(outcome: Outcome, candidate: Candidate, standing: Standing, now: Now) -> None:
    rest = outcome.retry_after or LOADING_REST
    place, why = ("provider", candidate.provider.id), "local server is loading a model"
    standing.hold(place, now.mono + rest, why, since=now, quota=True)


def _redirected(outcome: Outcome, candidate: Candidate, standing: Standing, now: Now) -> None:
    # A path of one task says nothing of the others: its adapter names the model alone.
    by_model = ("model", candidate.provider.id, candidate.model.id)
    place = by_model if outcome.scope == "model" else ("provider", candidate.provider.id)
    standing.hold(
        place,
        now.mono + MISCONFIGURED_REST,
        "nothing answers at this address: check base_url",
        since=now,
        verdict=outcome.kind,
    )


def _bad_parameter(outcome: Outcome, candidate: Candidate, standing: Standing, now: Now) -> None:
    if outcome.param and droppable(outcome.param):
        # What was never sent the catalogue knew; a value that is refused is one caller's.
        if outcome.counted and outcome.lasting:
            standing.learn_refusal(candidate, outcome.param, now)
    elif outcome.param in FEATURES:
        feature = many(outcome.choices) if outcome.choices else outcome.param
        standing.refuses(candidate, feature, until=now.mono + REFUSED_REST)


def _place(outcome: Outcome, candidate: Candidate) -> tuple[str, ...]:
    match outcome.scope:
        case "provider" | "ip":
            return ("provider", candidate.provider.id)
        case "account":
            return ("account", candidate.provider.id, candidate.key.account)
        case "key":
            return _key(candidate)
        case _:
            return ("account-model", candidate.provider.id, candidate.key.account, candidate.model.id)


def _key(candidate: Candidate) -> tuple[str, ...]:
    return ("key", candidate.provider.id, candidate.key.label)


def _key_model(candidate: Candidate) -> tuple[str, ...]:
    return ("key-model", candidate.provider.id, candidate.key.label, candidate.model.id)


_EFFECTS: dict[Kind, Callable[[Outcome, Candidate, Standing, Now], None]] = {
    Kind.RATE_LIMITED: _rate_limited,
    Kind.NO_CAPACITY: _no_capacity,
    Kind.KEY_INVALID: _key_invalid,
    Kind.NO_CREDIT: _no_credit,
    Kind.FORBIDDEN: _forbidden,
    Kind.MODEL_GONE: _gone,
    Kind.CONTEXT_TOO_LONG: _too_long,
    Kind.LOADING: _loading,
    Kind.REDIRECTED: _redirected,
    Kind.BAD_PARAMETER: _bad_parameter,
}
