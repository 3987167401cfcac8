"""Which candidate is asked next: filters first, then state, then the strategy's score. Pure.

``choose`` decides one call's next candidate; ``plan`` ranks all of them by the same comparison to explain.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from zlib import crc32

from msgspec import Struct

from freeroute.clock import Now
from freeroute.domain.catalogue import Candidate, LocalRank, Privacy
from freeroute.domain.leases import Charge, charges_of
from freeroute.domain.resolve import Target
from freeroute.domain.standing import Obstacle, Standing
from freeroute.domain.usage import DEFAULT_OUTPUT, Demand

# One call in fifty of ``free-fast`` goes to a candidate that was not measured lately, so that a provider
# that became fast is noticed.
EXPLORE = 0.02
STALE_MEASUREMENT = 600.0
# ``free-smart`` weighs speed by what is left: a pool at a tenth of its quota counts as ten times slower.
LEAST_SHARE = 0.05
# Under round_robin and random, candidates of ``free`` whose leads share a step of this count as equal.
TIE_STEP = 0.1


# Candidates able to serve a call, each with the place of its target among the call's targets.
Fit = Sequence[tuple[int, Candidate]]


class Need(Struct, kw_only=True):
    """What a call asks of a candidate, and whose turn it would be.

    *targets* are tried in order (OpenRouter's ``models``); *dice* is the call's one random number in [0, 1);
    *ties* is how ``free`` orders equals: balanced (no ties), round_robin (longest unused first) or random.
    """

    targets: tuple[Target, ...]
    demand: Demand
    capabilities: frozenset[str] = frozenset()
    remote_images: bool = False
    no_train: bool = False
    order: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    dice: float = 0.5
    ties: str = "balanced"


class Tried(Struct):
    """What this call may not use again.

    *candidates* by id, *models* by ``provider/model``, *keys* by (provider, label), *providers* by id, and
    every candidate whose context is not larger than *context* tokens.
    """

    candidates: set[str] = set()
    models: set[str] = set()
    keys: set[tuple[str, str]] = set()
    providers: set[str] = set()
    context: int = 0

    @property
    def is_empty(self) -> bool:
        """Say whether nothing is out."""
        return not (self.candidates or self.models or self.keys or self.providers or self.context)

    def covers(self, candidate: Candidate, standing: Standing) -> bool:
        """Say whether *candidate* is out for this call."""
        return (
            candidate.id in self.candidates
            or candidate.name in self.models
            or (candidate.provider.id, candidate.key.label) in self.keys
            or candidate.provider.id in self.providers
            or (self.context > 0 and (standing.context(candidate) or math.inf) <= self.context)
        )


class Choice(Struct, frozen=True):
    """The next candidate, with what its counters are to be charged."""

    candidate: Candidate
    charges: tuple[Charge, ...]
    group: int = 0


class Reason(Struct, frozen=True):
    """Why a candidate is not used; *back_at* (mono) is ``inf`` when time alone will not help."""

    candidate: Candidate
    kind: str
    text: str
    back_at: float = math.inf


class Refusal(Struct, frozen=True):
    """No candidate can be used now; *back_at* (mono) is when the first may, ``inf`` if none will."""

    back_at: float


class Ranked(Struct, frozen=True):
    """A line of the plan: usable candidates best first, then the others with their reason."""

    candidate: Candidate
    expected: float
    left: float
    lead: float
    suspect: bool
    reason: Reason | None = None


def unfit(candidate: Candidate, need: Need, standing: Standing) -> str | None:
    """Return why *candidate* can never serve *need*, whatever the time; None if it can."""
    provider, model = candidate.provider, candidate.model
    if (need.only and provider.id not in need.only) or provider.id in need.ignore:
        return "excluded by the request"
    if need.no_train and provider.privacy not in (Privacy.NO_TRAIN, Privacy.LOCAL):
        return f"privacy is {provider.privacy.value}, no-train is required"
    missing = need.capabilities - model.capabilities
    if missing:
        return f"no {', '.join(sorted(missing))}"
    if need.remote_images and not provider.quirks.remote_images:
        return "takes images as base64 data only"
    context = standing.context(candidate)
    if context is not None and need.demand.prompt + (need.demand.max_output or 1) > context:
        return f"context of {context} tokens is too small"
    return None


def eligible(need: Need, standing: Standing) -> tuple[list[tuple[int, Candidate]], list[Reason]]:
    """Split the candidates of *need* into those able to serve it, with their target's place, and the rest."""
    fit: list[tuple[int, Candidate]] = []
    rest: list[Reason] = []
    seen: set[str] = set()
    for group, target in enumerate(need.targets):
        for candidate in target.candidates:
            if candidate.id in seen:
                continue
            seen.add(candidate.id)
            why = unfit(candidate, need, standing)
            if why is None:
                fit.append((group, candidate))
            else:
                rest.append(Reason(candidate, "unfit", why))
    return fit, rest


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
    for group, candidate in _in_order(need, fit, standing, tried, now):
        charges = charges_of(candidate, need.demand)
        obstacle = standing.obstacle(candidate, charges, now)
        if obstacle is None:
            return Choice(candidate, charges, group)
        back_at = min(back_at, obstacle.back_at)
        if obstacle.kind in ("quota", "proving"):
            quota_at = min(quota_at, obstacle.back_at)
        if obstacle.kind == "proving":
            spare.append((-math.inf, Choice(candidate, charges, group)))
        elif obstacle.kind == "resting" and standing.shortage(charges, now) is None:
            spare.append((obstacle.back_at, Choice(candidate, charges, group)))
    if spare and quota_at > patience:
        return min(spare, key=lambda entry: entry[0])[1]
    return Refusal(back_at)


def _in_order(
    need: Need, fit: Fit, standing: Standing, tried: Tried, now: Now
) -> Iterator[tuple[int, Candidate]]:
    """Return the untried candidates of *fit*, best first; scores are worked out place by place, if asked."""
    places: dict[tuple[float, ...], list[Candidate]] = {}
    anything_tried = not tried.is_empty
    for group, candidate in fit:
        if anything_tried and tried.covers(candidate, standing):
            continue
        place = _place(candidate, group, need, standing, now)
        places.setdefault(place, []).append(candidate)
    for place in sorted(places):
        group = int(place[0])
        score = _SCORES[need.targets[group].strategy]
        for candidate in sorted(places[place], key=lambda c: score(c, need, standing, now)):
            yield group, candidate


def plan(need: Need, standing: Standing, now: Now) -> list[Ranked]:
    """Return every candidate of *need*: the usable ones in the order ``choose`` prefers, then the others."""
    fit, rest = eligible(need, standing)
    usable: list[tuple[tuple[float, ...], Ranked]] = []
    waiting: list[Ranked] = []
    for group, candidate in fit:
        obstacle = standing.obstacle(candidate, charges_of(candidate, need.demand), now)
        if obstacle is None:
            rank = _rank(candidate, group, need, standing, now)
            usable.append((rank, _ranked(candidate, need, standing, now)))
        else:
            waiting.append(_ranked(candidate, need, standing, now, _reason(candidate, obstacle)))
    usable.sort(key=lambda entry: entry[0])
    waiting.sort(key=lambda entry: entry.reason.back_at if entry.reason else 0.0)
    unfit_ones = [_ranked(reason.candidate, need, standing, now, reason) for reason in rest]
    return [entry for _, entry in usable] + waiting + unfit_ones


def obstacles(need: Need, fit: Fit, standing: Standing, now: Now) -> list[Reason]:
    """Return why candidates of *fit* cannot be used at *now*, nearest return first."""
    found = (
        _reason(candidate, obstacle)
        for _, candidate in fit
        if (obstacle := standing.obstacle(candidate, charges_of(candidate, need.demand), now)) is not None
    )
    return sorted(found, key=lambda reason: reason.back_at)


def summary(reasons: Iterable[Reason]) -> str:
    """Say in one line why candidates are out, the most frequent reasons first."""
    counts: dict[str, int] = {}
    for reason in reasons:
        counts[reason.text] = counts.get(reason.text, 0) + 1
    listed = sorted(counts.items(), key=lambda entry: -entry[1])[:4]
    return "; ".join(f"{text} ({count})" for text, count in listed)


def _reason(candidate: Candidate, obstacle: Obstacle) -> Reason:
    return Reason(candidate, obstacle.kind, obstacle.reason, obstacle.back_at)


def _ranked(
    candidate: Candidate, need: Need, standing: Standing, now: Now, reason: Reason | None = None
) -> Ranked:
    return Ranked(
        candidate=candidate,
        expected=_expected(candidate, need, standing, now),
        left=standing.room.left(candidate.pools, now),
        lead=standing.room.lead(candidate.pools, now),
        suspect=standing.suspect(candidate, now),
        reason=reason,
    )


def _rank(candidate: Candidate, group: int, need: Need, standing: Standing, now: Now) -> tuple[float, ...]:
    """Return the sort key of a usable candidate, smallest first."""
    place = _place(candidate, group, need, standing, now)
    return (*place, *_SCORES[need.targets[group].strategy](candidate, need, standing, now))


def _place(candidate: Candidate, group: int, need: Need, standing: Standing, now: Now) -> tuple[float, ...]:
    """Return what comes before any score, smallest first.

    The order of concerns: the caller's own order, a candidate in doubt last, the operator's rank for local
    servers, and for ``free-smart`` the tier.
    """
    strategy = need.targets[group].strategy
    return (
        group,
        _preferred(candidate, need.order),
        standing.suspect(candidate, now),
        _local_rank(candidate, strategy) if candidate.provider.is_local else 1,
        -candidate.model.tier if strategy == "smart" else 0,
    )


def _preferred(candidate: Candidate, order: tuple[str, ...]) -> int:
    if not order or candidate.provider.id not in order:
        return len(order)
    return order.index(candidate.provider.id)


def _local_rank(candidate: Candidate, strategy: str) -> int:
    """Return 0, 1 or 2. Unless told otherwise ``free`` spares local servers: quota in the cloud expires."""
    rank = candidate.provider.local or (LocalRank.LAST if strategy == "free" else LocalRank.EQUAL)
    return {LocalRank.FIRST: 0, LocalRank.EQUAL: 1, LocalRank.LAST: 2}[rank]


def _expected(candidate: Candidate, need: Need, standing: Standing, now: Now) -> float:
    output = min(need.demand.max_output or DEFAULT_OUTPUT, DEFAULT_OUTPUT)
    return standing.expected(candidate, output, now)


def _smart(candidate: Candidate, need: Need, standing: Standing, now: Now) -> tuple[float, ...]:
    share = max(standing.room.left(candidate.pools, now), LEAST_SHARE)
    return (_expected(candidate, need, standing, now) / share,)


def _fast(candidate: Candidate, need: Need, standing: Standing, now: Now) -> tuple[float, ...]:
    expected = _expected(candidate, need, standing, now)
    if need.dice < EXPLORE:
        measured = now.mono - standing.speed(candidate).measured_at < STALE_MEASUREMENT
        return (float(measured), expected, _spent(candidate, standing, now))
    return (0.0, expected, _spent(candidate, standing, now))


def _spent(candidate: Candidate, standing: Standing, now: Now) -> float:
    """Return how little quota is left, for ties: of several keys for one model the fullest comes first."""
    return -standing.room.left(candidate.pools, now) if len(candidate.provider.keys) > 1 else 0.0


def _free(candidate: Candidate, need: Need, standing: Standing, now: Now) -> tuple[float, ...]:
    lead = standing.room.lead(candidate.pools, now)
    if need.ties == "balanced":
        return (-lead, -candidate.model.quality)
    step = -float(math.floor(lead / TIE_STEP))
    if need.ties == "round_robin":
        return (step, float(standing.last_turn(candidate)))
    return (step, float(crc32(f"{candidate.id}{need.dice}".encode())))


_SCORES: dict[str, Callable[[Candidate, Need, Standing, Now], tuple[float, ...]]] = {
    "smart": _smart,
    "fast": _fast,
    "free": _free,
}
