"""What an answer says of one counter of the provider, and which of ours that is."""

import math
from collections.abc import Mapping, Sequence

from msgspec import Struct

from freeroute.domain.additions import with_limit
from freeroute.domain.catalogue import Catalogue, Limit, Pool, Scope, Unit, pool_id
from freeroute.domain.leases import Charges

FAR = 100.0
"""Times a given limit, up or down, beyond which what answers tell of it is garbage. Own design: plans of one
provider differ by less, and nothing is counted against a limit that is none."""

BOUNDS = {Unit.REQUESTS: (1.0, 1e6)} | dict.fromkeys(
    (Unit.TOKENS, Unit.INPUT_TOKENS, Unit.OUTPUT_TOKENS), (256.0, 1e10)
)
"""The least and the most that answers may tell of a limit that nobody gives. Own design: less is too little
for any call, more than any free tier has in a month."""

TOLD = ("header", "body")
"""The confidence of limits that only answers told of."""

_SPANS = {60.0: "minute", 3_600.0: "hour", 86_400.0: "day", 604_800.0: "week", 2_592_000.0: "month"}


class RateFact(Struct, frozen=True):
    """Of *limit* *unit* in *seconds*, *remaining* are left, and all of it is back in *reset_in* seconds.

    What was not said is None. *source* is ``header`` or ``body``; *scope* is the counter's, if it was named.
    """

    unit: Unit
    seconds: float
    limit: float | None = None
    remaining: float | None = None
    reset_in: float | None = None
    source: str = "header"
    scope: Scope | None = None


def pool_meant(fact: RateFact, pools: Sequence[Pool]) -> Pool | None:
    """Return which of *pools* the *fact* is about; None if none, perhaps several, or if it is garbage."""
    same = [p for p in pools if (p.limit.unit, p.limit.seconds) == (fact.unit, fact.seconds)]
    if len(same) > 1 and fact.scope is not None:
        same = [pool for pool in same if pool.limit.scope is fact.scope]
    if len(same) > 1:
        same = [pool for pool in same if pool.limit.amount == fact.limit]
    return same[0] if len(same) == 1 and is_credible(fact, same[0].limit) else None


def is_credible(fact: RateFact, given: Limit) -> bool:
    """Say whether what *fact* tells may be of a limit that is *given*, or of one that nobody gives."""
    least, most = BOUNDS.get(fact.unit, (0.0, math.inf))
    if given.amount < math.inf and given.confidence not in TOLD:
        least, most = given.amount / FAR, given.amount * FAR
    return (fact.limit is None or fact.limit >= least) and max(fact.limit or 0, fact.remaining or 0) <= most


def room_told(facts: Sequence[RateFact], charges: Charges) -> dict[str, bool]:
    """Return by the ids of the pools that *facts* are about whether these have room for *charges*."""
    amounts = {pool.id: amount for pool, amount in zip(charges.pools, charges.amounts, strict=True)}
    room: dict[str, bool] = {}
    for fact in facts:
        if (pool := pool_meant(fact, charges.pools)) is not None:
            fits = fact.remaining is not None and fact.remaining >= amounts[pool.id]
            room[pool.id] = room.get(pool.id, True) and fits
    return room


def unheard_of(facts: Sequence[RateFact], pools: Sequence[Pool]) -> dict[Limit, RateFact]:
    """Return the limits that *facts* tell of and none of *pools* counts, with the fact each is from.

    They slide, whatever the provider's do: each answer puts the count right again.
    """
    counted = {(pool.limit.unit, pool.limit.seconds) for pool in pools}
    news = [fact for fact in facts if fact.limit and (fact.unit, fact.seconds) not in counted]
    limits = {_limit_of(fact): fact for fact in news}
    return {limit: fact for limit, fact in limits.items() if is_credible(fact, limit)}


def _limit_of(fact: RateFact) -> Limit:
    return Limit(
        unit=fact.unit,
        amount=fact.limit or math.inf,
        seconds=fact.seconds,
        span=_SPANS.get(fact.seconds, ""),
        scope=Scope.MODEL,
        confidence=fact.source,
    )


def with_told(catalogue: Catalogue, limits: Mapping[str, Limit]) -> Catalogue:
    """Return *catalogue* with the *limits*, by their pools' ids, that answers told of before."""
    for name, limit in limits.items():
        for candidate in catalogue.candidates:
            if name == pool_id(candidate.provider, candidate.model, candidate.key, limit):
                catalogue = with_limit(catalogue, candidate, limit)
                break
    return catalogue


def used_by(fact: RateFact, limit: float) -> float | None:
    """Return how much the *fact* says is used of *limit* or of its own; None if it does not say."""
    if fact.remaining is None:
        return None
    return max(0.0, (limit if fact.limit is None else fact.limit) - fact.remaining)
