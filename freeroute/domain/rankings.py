"""Which candidates a call may be given to, best first: rankings kept by kinds of calls. Pure."""

import heapq
from collections.abc import Hashable, Iterator

from msgspec import Struct, structs

from freeroute.clock import Now
from freeroute.domain.catalogue import Candidate
from freeroute.domain.estimates import GENEROUS
from freeroute.domain.fitness import asked_features, barred, unable
from freeroute.domain.needs import Fit, Need
from freeroute.domain.ranking import Ranking
from freeroute.domain.receipt import Grounds
from freeroute.domain.scores import EXPLORE, Leads, compared, rank
from freeroute.domain.standing import Standing
from freeroute.domain.usage import Demand

MOST_KEPT = 50_000
"""Candidates in all rankings together, the newest apart. Own design: some 30 MB, where a gateway that has
hundreds of candidates needs a few of these."""

LEAST_COUNTED = 100
"""Candidates that a ranking counts as at least: callers choose how many kinds of calls there are."""


_NOTHING: frozenset[str] = frozenset()


class Able(Struct, eq=False):
    """The candidates able to serve one call, as `fitness.eligible` and `fitness.willing` tell.

    Each is looked at when it is come to, so most never are. Of each model it is *known* then whether it is
    able, whose keys are all alike in this; prompts are taken for a *share* of what was estimated, and models
    that refused what is *spared* do not count. *is_any* says whether there is any, *is_all* that all of the
    ranking are, *alike* how many calls of this kind may be given to, whatever their length. *grounds* are
    what whoever serves the call is chosen by.
    """

    ranking: Ranking
    need: Need
    standing: Standing
    now: Now
    alike: int
    grounds: Grounds
    is_any: bool = False
    is_all: bool = False
    share: float = 1.0
    spared: frozenset[str] = _NOTHING
    known: dict[str, bool] = {}
    listed: list[tuple[int, Candidate]] | None = None

    @classmethod
    def of(cls, ranking: Ranking, need: Need, standing: Standing, now: Now) -> "Able":
        """Return those of *ranking* that are able to serve *need*."""
        grounds = ranking.grounds
        if need.preferred is not None:
            grounds = structs.replace(grounds, had=need.preferred)
        if ranking.takes_all(need):  # as nearly always
            return cls(ranking, need, standing, now, ranking.count, grounds, True, True)
        able = cls(ranking, need, standing, now, ranking.count, grounds)
        if not able._has_any():
            able.share, able.known = GENEROUS, {}
            able._has_any()
        if need.features:
            able._spare(asked_features(need))
        return able

    def _spare(self, features: frozenset[str]) -> None:
        """Leave out who refused one of *features* lately, unless all did."""
        before, self.spared, self.known = self.known, features, {}
        if not self._has_any():
            self.spared, self.known = _NOTHING, before

    def _has_any(self) -> bool:
        for entry in self.ranking.roomiest:  # nearly always the first is, and any() costs more
            if self._admits(entry):
                self.is_any = True
                return True
        return False

    def __bool__(self) -> bool:
        """Say whether there is any."""
        return self.is_any

    def __len__(self) -> int:
        """Return how many there are; all are looked at."""
        if self.listed is None:
            self.listed = list(iter(self))  # of the whole, list() would ask how long it is
        return len(self.listed)

    def __iter__(self) -> Iterator[tuple[int, Candidate]]:
        """Return them in the order of the catalogue, each with the place of its target."""
        return filter(self._admits, self.ranking)

    def best_first(self, need: Need, now: Now) -> Iterator[tuple[int, Candidate]]:
        """Return them best first for *need*, which is the same but for how much it asks for."""
        if need.ties == "random":  # each call has an order of its own
            return sorted_fit(need, self, self.standing, now)
        # No generator: nearly always only the first is asked for, and to leave one midway costs an exception.
        best_first = self.ranking.best_first(need, now)
        return best_first if self.is_all else filter(self._admits, best_first)

    def _admits(self, entry: tuple[int, Candidate]) -> bool:
        candidate = entry[1]
        known = self.known.get(candidate.name)
        if known is None:
            known = unable(candidate, self.need, self.standing, self.now, self.share) is None
            if known and self.spared:
                known = not self.standing.refused(candidate, self.spared, self.now)
            self.known[candidate.name] = known
        return known


def sorted_fit(need: Need, fit: Fit, standing: Standing, now: Now) -> Iterator[tuple[int, Candidate]]:
    """Return *fit* best first, all of it read now. Mostly only the first is asked for: nothing is sorted."""
    leads = Leads(standing, now)
    heap = [
        (rank(candidate, group, need, leads), number, (group, candidate))
        for number, (group, candidate) in enumerate(fit)
    ]
    heapq.heapify(heap)
    while heap:
        yield heapq.heappop(heap)[2]


class Rankings:
    """The rankings of one catalogue by kinds of calls, the least recently used ones dropped."""

    def __init__(self, standing: Standing, most_kept: int = MOST_KEPT) -> None:
        """Rank by *standing*; keep no more than *most_kept* candidates."""
        self._standing = standing
        self._most_kept = most_kept
        self._by_kind: dict[Hashable, Ranking] = {}
        self._calls = 0

    def able(self, need: Need, now: Now) -> Able:
        """Return the candidates able to serve *need*."""
        kind = _kind(need)
        ranking = self._by_kind.get(kind)
        if ranking is None:
            ranking = self._by_kind[kind] = self._made(need, now)
        self._calls += 1
        ranking.used = self._calls
        return Able.of(ranking, need, self._standing, now)

    def forget(self) -> None:
        """Start anew: there is another catalogue."""
        self._by_kind.clear()

    def _made(self, need: Need, now: Now) -> Ranking:
        ranking = Ranking(_typical(need), _members(need), self._standing, now)
        kept = _size(ranking) + sum(map(_size, self._by_kind.values()))
        while self._by_kind and kept > self._most_kept:
            longest_unused = min(self._by_kind, key=lambda kind: self._by_kind[kind].used)
            kept -= _size(self._by_kind.pop(longest_unused))
        return ranking


def _size(ranking: Ranking) -> int:
    return max(ranking.count, LEAST_COUNTED)


def _kind(need: Need) -> Hashable:
    """Return what calls have in common whose candidates are the same ones in the same order."""
    pace = None
    for target in need.targets:
        if target.strategy != "free":  # the order depends on speed, and so on the output and on who explores
            pace = compared(need.demand.max_output), need.dice < EXPLORE
    return (
        need.targets,
        need.capabilities,
        need.no_train,
        need.order,
        need.only,
        need.ignore,
        need.ties,
        need.continues,
        need.dimensions,
        need.resized,
        pace,
    )


def _typical(need: Need) -> Need:
    """Return *need* without what is this call's own."""
    return structs.replace(need, demand=Demand(1, need.demand.max_output), preferred=None, parameters={})


def _members(need: Need) -> list[tuple[int, Candidate]]:
    """Return the candidates that calls like *need* may be given to, each once."""
    found: dict[str, tuple[int, Candidate]] = {}
    for group, target in enumerate(need.targets):
        for candidate in target.candidates:
            if barred(candidate, need) is None:
                found.setdefault(candidate.id, (group, candidate))
    return list(found.values())
