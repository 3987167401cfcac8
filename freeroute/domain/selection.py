"""Which candidate is asked next: filters first, then state, then the strategy's score. Pure.

``choose`` decides one call's next candidate; ``plans.plan`` ranks all of them by the same comparison.
"""

import heapq
import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from zlib import crc32

from msgspec import Struct, structs

from freeroute.clock import Now
from freeroute.domain.catalogue import Candidate, LocalRank, Privacy
from freeroute.domain.leases import Charge, charges_of, least_bound, output_bound
from freeroute.domain.resolve import Target
from freeroute.domain.standing import Standing
from freeroute.domain.usage import DEFAULT_OUTPUT, Demand

# One call in fifty of ``free-fast`` goes to a candidate that was not measured lately, so that a provider
# that became fast is noticed.
EXPLORE = 0.02
STALE_MEASUREMENT = 600.0
# A conversation's last candidate may be expected to take this much longer than the quickest (``fast``), or
# have this much less lead than the first (``free``), and still be asked again. Own design: design 4.2's
# 1.5 for speed, near times and leads counting as alike; a fifth of a quota for a long conversation.
AFFINITY_SLOWER = 1.5
AFFINITY_LEAD = 0.2
# ``free-smart`` weighs speed by the lead of days: a third of it is worth twice the speed. Own design: whoever
# is twice as fast gets ahead by a third of its day in a burst.
LEAD_DOUBLES = 3.0
# Times whose ratio is under this count as near: a caller hardly notices a quarter. Own design.
NEAR = 1.25
# Leads within a step of this count as near.
TIE_STEP = 0.1
# Quotas of more than these seconds are worth sparing; what is back within the hour is there to be used.
SOON = 3600.0


# Candidates able to serve a call, each with the place of its target among the call's targets.
Fit = Sequence[tuple[int, Candidate]]


class Need(Struct, kw_only=True):
    """What a call asks of a candidate, and whose turn it would be.

    *targets* are tried in order (OpenRouter's ``models``); *dice* is the call's one random number in [0, 1);
    *ties* is how ``free`` orders equals: balanced (no ties), round_robin (longest unused first) or random.
    With *clamp* the output bound may be cut to what a provider that counts it in advance has room for.
    *tools* are the names of those that it offers, *features* those of ``outcome.FEATURES`` that it carries,
    *choices* how many answers it wants; *parameters* are the fields that have to be honoured as they are,
    with their values as far as they are known here; *preferred* is the id of the candidate that its
    conversation had last. It *continues* an answer: whoever can be given its beginning comes first.
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
    clamp: bool = False
    tools: tuple[str, ...] = ()
    features: frozenset[str] = frozenset()
    choices: int = 1
    parameters: dict[str, Any] = {}
    preferred: str | None = None
    continues: bool = False


class Tried(Struct):
    """What this call may not use again.

    *candidates* by id, *models* by ``provider/model``, *keys* by (provider, label), *providers* by id, and
    every candidate whose context is not larger than *context* tokens. *outputs* are the bounds, by id, that
    candidates may be asked for at most after they found a call too large.
    """

    candidates: set[str] = set()
    models: set[str] = set()
    keys: set[tuple[str, str]] = set()
    providers: set[str] = set()
    context: int = 0
    outputs: dict[str, int] = {}

    @property
    def is_empty(self) -> bool:
        """Say whether nothing is out."""
        return not (self.candidates or self.models or self.keys or self.providers or self.context)

    def with_less(self) -> "Tried":
        """Return what is out if candidates may be asked for less output than they found too large."""
        return structs.replace(self, candidates=self.candidates - self.outputs.keys())

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
    """The next candidate, what its counters are to be charged, and the output bound to send."""

    candidate: Candidate
    charges: tuple[Charge, ...]
    max_output: int | None = None
    group: int = 0


def choice_of(candidate: Candidate, demand: Demand, group: int = 0) -> Choice:
    """Return the choice of *candidate* for *demand* as it is."""
    return Choice(candidate, charges_of(candidate, demand), output_bound(candidate, demand), group)


class Reason(Struct, frozen=True):
    """Why a candidate is not used; *back_at* (mono) is ``inf`` when time alone will not help."""

    candidate: Candidate
    kind: str
    text: str
    back_at: float = math.inf


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
    for group, candidate in _in_order(need, fit, standing, tried, now):
        choice = _offer(candidate, group, need, standing, tried, now)
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
    demand = standing.sized(candidate, need.demand)
    if tried is not None and (most := tried.outputs.get(candidate.id)) is not None:
        demand = Demand(demand.prompt, min(most, output_bound(candidate, demand) or most))
    if need.clamp and (least := least_bound(candidate, demand)) is not None:
        return Demand(demand.prompt, least)
    return demand


def _offer(
    candidate: Candidate, group: int, need: Need, standing: Standing, tried: Tried, now: Now
) -> Choice:
    """Return *candidate* asked for as much as it may be and has room for, or else for the least."""
    least = choice_of(candidate, demand_at(candidate, need, standing, tried), group)
    if not need.clamp or least.max_output is None or standing.shortage(least.charges, now):
        return least
    most = demand_at(candidate, structs.replace(need, clamp=False), standing, tried)

    def asking(output: int) -> Choice:
        return choice_of(candidate, Demand(most.prompt, output), group)

    outputs = range(least.max_output, (output_bound(candidate, most) or 0) + 1)
    over = bisect_left(
        outputs, True, key=lambda output: standing.shortage(asking(output).charges, now) is not None
    )
    return asking(outputs[max(over - 1, 0)])


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
        if (equals := places.get(place)) is None:
            equals = places[place] = []
        equals.append(candidate)
    leads = Leads(standing, now)
    for place in sorted(places):
        group = int(place[0])
        for candidate in _by_score(places[place], need.targets[group].strategy, need, leads):
            yield group, candidate


def _by_score(equals: Sequence[Candidate], strategy: str, need: Need, leads: "Leads") -> Iterator[Candidate]:
    """Return candidates of one place, best first. Mostly only the first is asked for: nothing is sorted."""
    if len(equals) == 1:
        yield equals[0]
        return
    score = _SCORES[strategy]
    heap = [(score(candidate, need, leads), number) for number, candidate in enumerate(equals)]
    heapq.heapify(heap)
    while heap:
        yield equals[heapq.heappop(heap)[1]]


class Leads:
    """The leads of candidates at one instant; a pool that many share is read once."""

    def __init__(self, standing: Standing, now: Now) -> None:
        """Read from *standing* at *now*."""
        self.standing = standing
        self.now = now
        self._known: dict[str, float] = {}

    def of(self, candidate: Candidate) -> tuple[float, float]:
        """Return the leads of *candidate*: of its scarcest day or longer period, and of its scarcest pool."""
        known, days, least = self._known, 1.0, 1.0
        for pool in candidate.pools:
            if (lead := known.get(pool.id)) is None:
                lead = known[pool.id] = self.standing.room.lead((pool,), self.now)
            if lead < least:
                least = lead
            if lead < days and pool.limit.seconds > SOON:
                days = lead
        return days, least


def rank(candidate: Candidate, group: int, need: Need, leads: Leads) -> tuple[float, ...]:
    """Return the sort key of a usable candidate, smallest first."""
    place = _place(candidate, group, need, leads.standing, leads.now)
    return (*place, *_SCORES[need.targets[group].strategy](candidate, need, leads))


def _place(candidate: Candidate, group: int, need: Need, standing: Standing, now: Now) -> tuple[float, ...]:
    """Return what comes before any score, smallest first.

    The order of concerns: whoever can be given the beginning of an answer, the caller's own order, a
    candidate in doubt last, one that knows nothing of the schema asked for last, the operator's rank for
    local servers, then for ``free-smart`` the tier and for ``free-fast`` the time to an answer, near ones
    alike.
    """
    strategy = need.targets[group].strategy
    provider = candidate.provider
    preferred = _preferred(candidate, need.order) if need.order else 0
    if need.continues and candidate.prefill == "none":
        preferred += len(need.order) + 1
    suspect = standing.suspect(candidate, now)
    emulated = candidate.model.emulates(need.capabilities)
    local = _local_rank(candidate, strategy) if provider.privacy is Privacy.LOCAL else 1
    if strategy == "smart":
        return (group, preferred, suspect, emulated, local, -candidate.model.tier)
    if strategy == "fast":
        seconds = expected(candidate, need, standing, now)
        stale_last = need.dice < EXPLORE and not _is_stale(candidate, standing, now)
        if candidate.id == need.preferred:  # a conversation is not what one explores with
            seconds, stale_last = seconds / AFFINITY_SLOWER, False
        return (group, preferred, suspect, emulated, local, stale_last, _near(seconds))
    return (group, preferred, suspect, emulated, local)


def _preferred(candidate: Candidate, order: tuple[str, ...]) -> int:
    return order.index(candidate.provider.id) if candidate.provider.id in order else len(order)


def _local_rank(candidate: Candidate, strategy: str) -> int:
    """Return 0, 1 or 2. Unless told otherwise ``free`` spares local servers: quota in the cloud expires."""
    place = candidate.provider.local or (LocalRank.LAST if strategy == "free" else LocalRank.EQUAL)
    return {LocalRank.FIRST: 0, LocalRank.EQUAL: 1, LocalRank.LAST: 2}[place]


def expected(candidate: Candidate, need: Need, standing: Standing, now: Now) -> float:
    """Return the expected seconds to an answer of up to 300 tokens."""
    output = min(need.demand.max_output or DEFAULT_OUTPUT, DEFAULT_OUTPUT)
    return standing.expected(candidate, output, now)


def _near(seconds: float) -> int:
    """Return the step of *seconds* on a scale on which near times are alike."""
    return math.floor(math.log(max(seconds, 0.001), NEAR))


def _step(lead: float) -> float:
    """Return the step of *lead* on a scale on which near leads are alike, the largest first."""
    return -float(math.floor(lead / TIE_STEP))


def _is_stale(candidate: Candidate, standing: Standing, now: Now) -> bool:
    return now.mono - standing.speed(candidate).measured_at >= STALE_MEASUREMENT


# A conversation's last candidate goes first among those in its place.
_FIRST = (-math.inf,)
# What is scarce for the day is spared first. Among near equals a candidate goes before one whose token limits
# are larger: what is roomy is left to those that fit nowhere else, and a minute's quota is back soon. Then
# they take turns by what is left.


def _smart(candidate: Candidate, need: Need, leads: Leads) -> tuple[float, ...]:
    if candidate.id == need.preferred:
        return _FIRST
    days, lead = leads.of(candidate)
    price = expected(candidate, need, leads.standing, leads.now) * 2.0 ** (-LEAD_DOUBLES * days)
    return (_near(price), candidate.reach, -lead)


def _fast(candidate: Candidate, need: Need, leads: Leads) -> tuple[float, ...]:
    if candidate.id == need.preferred:
        return _FIRST
    days, lead = leads.of(candidate)
    seconds = expected(candidate, need, leads.standing, leads.now)
    return (_step(days), candidate.reach, seconds, -lead)


def _free(candidate: Candidate, need: Need, leads: Leads) -> tuple[float, ...]:
    days, lead = leads.of(candidate)
    if candidate.id == need.preferred:
        return (_step((days if need.ties == "balanced" else lead) + AFFINITY_LEAD), *_FIRST)
    if need.ties == "balanced":
        return (_step(days), candidate.reach, -lead, -candidate.model.quality)
    if need.ties == "round_robin":
        return (_step(lead), float(leads.standing.last_turn(candidate)))
    return (_step(lead), float(crc32(f"{candidate.id}{need.dice}".encode())))


_SCORES: dict[str, Callable[[Candidate, Need, Leads], tuple[float, ...]]] = {
    "smart": _smart,
    "fast": _fast,
    "free": _free,
}
