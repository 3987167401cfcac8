"""Which candidate is asked next: filters first, then state, then the strategy's score. Pure.

``choose`` decides one call's next candidate; ``plans.plan`` ranks all of them by the same comparison.
"""

import math
from bisect import bisect_left

from msgspec import Struct, structs

from freeroute.clock import Now
from freeroute.domain.catalogue import Candidate
from freeroute.domain.leases import Charges, charges_of, least_bound, output_bound
from freeroute.domain.needs import UNTRIED, Fit, Need, Tried
from freeroute.domain.rankings import Able, sorted_fit
from freeroute.domain.standing import Standing
from freeroute.domain.usage import Demand


class Choice(Struct, frozen=True):
    """The next candidate, what its counters are to be charged, and the output bound to send."""

    candidate: Candidate
    charges: Charges
    max_output: int | None = None
    group: int = 0


def choice_of(candidate: Candidate, demand: Demand, group: int = 0) -> Choice:
    """Return the choice of *candidate* for *demand* as it is."""
    return Choice(candidate, charges_of(candidate, demand), output_bound(candidate, demand), group)


class Refusal(Struct, frozen=True):
    """No candidate can be used now; *back_at* (mono) is when the first may, ``inf`` if none will.

    With *patient* some are resting that a caller with less time would have been given.
    """

    back_at: float
    patient: bool = False


def choose(
    need: Need,
    fit: Fit,
    standing: Standing,
    tried: Tried,
    now: Now,
    patience: float = -math.inf,
) -> Choice | Refusal:
    """Return the best candidate of *fit* that can be used at *now*, with its charges.

    When nothing is free but some rest after failures, the one back first is tried rather than refusing,
    unless quota is back elsewhere by *patience* (mono): that is worth the wait, and so is the first call on
    a new key. Before those that rest come those whose key is not proven yet.
    """
    back_at = quota_at = math.inf
    spare: list[tuple[float, Choice]] = []
    walk = fit.best_first(need, now) if isinstance(fit, Able) else sorted_fit(need, fit, standing, now)
    for group, candidate in walk:
        if tried is not UNTRIED and tried.covers(candidate, standing):
            continue
        demand = standing.sized(candidate, need.demand)
        if need.clamp or tried is not UNTRIED:
            demand = _bounded(candidate, demand, need, tried)
        choice = choice_of(candidate, demand, group)
        if need.clamp:
            choice = _unclamped(choice, need, standing, tried, now)
        obstacle = standing.obstacle(candidate, choice.charges, now)
        if obstacle is None:
            return choice
        back_at = min(back_at, obstacle.back_at)
        if obstacle.kind in ("quota", "proving"):
            quota_at = min(quota_at, obstacle.back_at)
        if obstacle.kind == "proving":
            spare.append((-math.inf, choice))
        elif obstacle.kind == "resting":
            spare.append((obstacle.back_at, choice))
    if spare and quota_at > patience:
        return min(spare, key=lambda entry: entry[0])[1]
    return Refusal(back_at, patient=bool(spare))


def another(need: Need, fit: Fit, standing: Standing, tried: Tried, now: Now, than: Candidate) -> bool:
    """Say whether another model of *fit* *than* that one can be used at *now*."""
    for _, candidate in fit:
        if candidate.name != than.name and not tried.covers(candidate, standing):
            charges = charges_of(candidate, demand_at(candidate, need, standing, tried))
            if standing.obstacle(candidate, charges, now) is None:
                return True
    return False


def demand_at(candidate: Candidate, need: Need, standing: Standing, tried: Tried | None = None) -> Demand:
    """Return what *candidate* is to be asked for at the least, of what *need* allows."""
    return _bounded(candidate, standing.sized(candidate, need.demand), need, tried)


def _bounded(candidate: Candidate, demand: Demand, need: Need, tried: Tried | None) -> Demand:
    """Return *demand* with what *candidate* is to be asked for at the least."""
    if tried is not None and tried.outputs and (most := tried.outputs.get(candidate.id)) is not None:
        demand = Demand(demand.prompt, min(most, output_bound(candidate, demand) or most))
    if need.clamp and (least := least_bound(candidate, demand)) is not None:
        return Demand(demand.prompt, least)
    return demand


def _unclamped(least: Choice, need: Need, standing: Standing, tried: Tried, now: Now) -> Choice:
    """Return the candidate of *least* asked for as much as it may be and has room for, or else *least*."""
    if least.max_output is None or standing.shortage(least.charges, now):
        return least
    candidate = least.candidate
    most = demand_at(candidate, structs.replace(need, clamp=False), standing, tried)

    def asking(output: int) -> Choice:
        return choice_of(candidate, Demand(most.prompt, output), least.group)

    outputs = range(least.max_output, (output_bound(candidate, most) or 0) + 1)
    over = bisect_left(
        outputs, True, key=lambda output: standing.shortage(asking(output).charges, now) is not None
    )
    return asking(outputs[max(over - 1, 0)])
