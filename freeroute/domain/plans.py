"""Every candidate for a call in the order ``choose`` prefers, with reasons: made only to explain. Pure."""

from collections.abc import Iterable

from msgspec import Struct

from freeroute.clock import Now
from freeroute.domain.catalogue import Candidate
from freeroute.domain.fitness import eligible, willing
from freeroute.domain.leases import charges_of
from freeroute.domain.needs import Fit, Need, Reason
from freeroute.domain.scores import Leads, Rank, expected, rank
from freeroute.domain.selection import demand_at
from freeroute.domain.standing import Obstacle, Standing


class Ranked(Struct, frozen=True):
    """A line of the plan: usable candidates best first, then the others with their reason."""

    candidate: Candidate
    expected: float
    left: float
    lead: float
    suspect: bool
    reason: Reason | None = None


def plan(need: Need, standing: Standing, now: Now) -> list[Ranked]:
    """Return every candidate of *need*: the usable ones in the order ``choose`` prefers, then the others."""
    able, rest = eligible(need, standing, now)
    fit = willing(need, able, standing, now)
    kept = {candidate.id for _, candidate in fit}
    rest += [Reason(c, "unfit", "refused a parameter of such calls") for _, c in able if c.id not in kept]
    usable: list[tuple[Rank, Ranked]] = []
    waiting: list[Ranked] = []
    leads = Leads(standing, now)
    for group, candidate in fit:
        obstacle = standing.obstacle(
            candidate, charges_of(candidate, demand_at(candidate, need, standing)), now
        )
        if obstacle is None:
            place = rank(candidate, group, need, leads)
            usable.append((place, _ranked(candidate, need, standing, now)))
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
        if (
            obstacle := standing.obstacle(
                candidate, charges_of(candidate, demand_at(candidate, need, standing)), now
            )
        )
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
        expected=expected(candidate, need, standing, now),
        left=standing.room.left(candidate.pools, now),
        lead=standing.room.lead(candidate.pools, now),
        suspect=standing.suspect(candidate, now),
        reason=reason,
    )
