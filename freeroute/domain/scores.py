"""How good a candidate is for a call: what comes before any score, then the score of each strategy. Pure."""

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from zlib import crc32

from msgspec import Struct

from freeroute.clock import Now
from freeroute.domain.catalogue import Candidate, LocalRank, Pool, Privacy
from freeroute.domain.needs import Need
from freeroute.domain.standing import Standing
from freeroute.domain.usage import DEFAULT_OUTPUT

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
_LOG_NEAR = math.log(NEAR)
_NEAREST = math.floor(math.log(0.001) / _LOG_NEAR)  # less than a millisecond is none
# So many steps of near times are as good as the whole lead of a day.
_DOUBLING = LEAD_DOUBLES * math.log(2.0, NEAR)
# Leads within a step of this count as near.
TIE_STEP = 0.1
_LOCAL = Privacy.LOCAL  # of every candidate that is read; a member of an enum is looked up at length
# Quotas of more than these seconds are worth sparing; what is back within the hour is there to be used.
SOON = 3600.0
# Bounds of the output, in tokens, by which speed is compared: a bound counts as the next of these.
OUTPUTS = (16, 64, 150, DEFAULT_OUTPUT)

Rank = tuple[tuple[float, ...], tuple[float, ...]]
"""The sort key of a usable candidate, smallest first: what comes before any score, and the score."""


class Lead(Struct, frozen=True):
    """How far quotas are ahead of their clocks: the scarcest of a *day* and more, and of *all*."""

    day: float = 1.0
    all: float = 1.0

    def and_of(self, other: "Lead") -> "Lead":
        """Return the lead of the quotas of both together."""
        if other is FULL:  # as where nothing is shared
            return self
        if self is FULL:
            return other
        return Lead(min(self.day, other.day), min(self.all, other.all))


FULL = Lead()
"""The lead of quotas of which nothing is taken."""


class Leads:
    """The leads of pools at one instant; one that many share is read once."""

    def __init__(self, standing: Standing, now: Now) -> None:
        """Read from *standing* at *now*."""
        self.standing = standing
        self.now = now
        self._lead = standing.room.lead
        self._known: dict[str, float] = {}

    def of(self, pools: Sequence[Pool]) -> Lead:
        """Return the lead of *pools*, concurrency apart."""
        known, day, least = self._known, 1.0, 1.0
        for pool in pools:
            lead = known.get(pool.id)
            if lead is None:
                lead = known[pool.id] = self._lead((pool,), self.now)
            if lead < least:
                least = lead
            if lead < day and pool.limit.seconds > SOON:
                day = lead
        return Lead(day, least) if least < 1.0 else FULL


class Facts(Struct, frozen=True):
    """What a candidate's rank is made of beside its lead.

    *head* is what comes before any score, smallest first; *seconds* the expected time to an answer, to the
    millisecond, and *turn* the number of its last call, both 0 where the strategy does not ask.
    """

    head: tuple[float, ...]
    seconds: float = 0.0
    turn: int = 0


def rank(candidate: Candidate, group: int, need: Need, leads: Leads) -> Rank:
    """Return the sort key of a usable candidate, smallest first."""
    facts = facts_of(candidate, group, need, leads.standing, leads.now)
    return facts.head, SCORES[need.targets[group].strategy](candidate, need, facts, leads.of(candidate.pools))


def facts_of(candidate: Candidate, group: int, need: Need, standing: Standing, now: Now) -> Facts:
    """Return what the rank of *candidate* is made of at *now*, its lead apart.

    The order of concerns: whoever can be given the beginning of an answer, the caller's own order, a
    candidate in doubt last, one that knows nothing of the schema asked for last, the operator's rank for
    local servers, then for ``free-smart`` the tier and for ``free-fast`` the time to an answer, near ones
    alike.
    """
    strategy = need.targets[group].strategy
    preferred = _preferred(candidate, need.order) if need.order else 0
    if need.continues and candidate.prefill == "none":
        preferred += len(need.order) + 1
    suspect = standing.suspect(candidate, now)
    emulated = bool(need.capabilities) and candidate.model.emulates(need.capabilities)
    local = _local_rank(candidate, strategy) if candidate.provider.privacy is _LOCAL else 1
    head = (group, preferred, suspect, emulated, local)
    if strategy == "free":
        return Facts(head, 0.0, standing.last_turn(candidate) if need.ties == "round_robin" else 0)
    seconds = math.floor(expected(candidate, need, standing, now) * 1000.0) / 1000.0
    if strategy == "smart":
        return Facts((*head, -candidate.model.tier), seconds)
    stale_last = need.dice < EXPLORE and not _is_stale(candidate, standing, now)
    if candidate.id == need.preferred:  # a conversation is not what one explores with
        return Facts((*head, False, _near(seconds / AFFINITY_SLOWER)), seconds)
    return Facts((*head, stale_last, _near(seconds)), seconds)


def _preferred(candidate: Candidate, order: tuple[str, ...]) -> int:
    return order.index(candidate.provider.id) if candidate.provider.id in order else len(order)


def _local_rank(candidate: Candidate, strategy: str) -> int:
    """Return 0, 1 or 2. Unless told otherwise ``free`` spares local servers: quota in the cloud expires."""
    place = candidate.provider.local or (LocalRank.LAST if strategy == "free" else LocalRank.EQUAL)
    return {LocalRank.FIRST: 0, LocalRank.EQUAL: 1, LocalRank.LAST: 2}[place]


def expected(candidate: Candidate, need: Need, standing: Standing, now: Now) -> float:
    """Return the expected seconds to an answer of up to 300 tokens."""
    return standing.expected(candidate, compared(need.demand.max_output), now)


def compared(output: int | None) -> int:
    """Return for how many tokens candidates are compared where a call is bound to *output*."""
    if output is None or output >= DEFAULT_OUTPUT:
        return DEFAULT_OUTPUT
    return OUTPUTS[bisect_left(OUTPUTS, output)]


def _near(seconds: float) -> int:
    """Return the step of *seconds* on a scale on which near times are alike."""
    return math.floor(math.log(seconds) / _LOG_NEAR) if seconds > 0.001 else _NEAREST


def _step(lead: float) -> float:
    """Return the step of *lead* on a scale on which near leads are alike, the largest first."""
    return -float(math.floor(lead / TIE_STEP))


def _is_stale(candidate: Candidate, standing: Standing, now: Now) -> bool:
    return now.mono - standing.speed(candidate).measured_at >= STALE_MEASUREMENT


# Of two candidates that go by one lead the same goes first, whatever that lead is: rankings rely on it.
# A conversation's last candidate goes first among those in its place.
_FIRST = (-math.inf,)
# What is scarce for the day is spared first. Among near equals a candidate goes before one whose token limits
# are larger: what is roomy is left to those that fit nowhere else, and a minute's quota is back soon. Then
# they take turns by what is left.


def _smart(candidate: Candidate, need: Need, facts: Facts, lead: Lead) -> tuple[float, ...]:
    if candidate.id == need.preferred:
        return _FIRST
    return (_near(facts.seconds) - math.floor(_DOUBLING * lead.day), candidate.reach, -lead.all)


def _fast(candidate: Candidate, need: Need, facts: Facts, lead: Lead) -> tuple[float, ...]:
    if candidate.id == need.preferred:
        return _FIRST
    return (_step(lead.day), candidate.reach, facts.seconds, -lead.all)


def _free(candidate: Candidate, need: Need, facts: Facts, lead: Lead) -> tuple[float, ...]:
    if candidate.id == need.preferred:
        own = lead.day if need.ties == "balanced" else lead.all
        return (_step(own + AFFINITY_LEAD), *_FIRST)
    if need.ties == "balanced":
        return (_step(lead.day), candidate.reach, -lead.all, -candidate.model.quality)
    if need.ties == "round_robin":
        return (_step(lead.all), float(facts.turn))
    return (_step(lead.all), float(crc32(f"{candidate.id}{need.dice}".encode())))


SCORES: dict[str, Callable[[Candidate, Need, Facts, Lead], tuple[float, ...]]] = {
    "smart": _smart,
    "fast": _fast,
    "free": _free,
}
