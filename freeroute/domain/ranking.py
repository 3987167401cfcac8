"""Candidates in order, kept from one choice to the next, so that few are looked at. Pure.

Whoever comes to the top is read anew before it is given: nobody is taken for what it was. Who got better
meanwhile is found by reading on, some candidates at each choice.
"""

import heapq
import math
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from operator import attrgetter

from freeroute.clock import Now
from freeroute.domain.catalogue import Candidate, Pool, Unit
from freeroute.domain.estimates import OFF_BY
from freeroute.domain.needs import Need
from freeroute.domain.receipt import Grounds
from freeroute.domain.scores import FULL, SCORES, Facts, Lead, Leads, facts_of, rank
from freeroute.domain.standing import Standing
from freeroute.domain.tokenizers import MOST_APART

READ_AGAIN = 10.0
"""Seconds within which every candidate is read again, those at the top apart. Own design: of a minute's quota
a sixth is back meanwhile, and that changes an order, never whether there is room."""

LEAST_READ = 4
"""Candidates that are read at each choice at least: where there are no more, the order is always exact. Own
design: they take about 10 us."""

FARTHEST = MOST_APART * OFF_BY
"""Times its estimate that a prompt may come to, by whatever tokenizer and whatever was learned of that."""

Key = tuple[float, ...]
"""A rank in one row, and of equals the place in the catalogue."""

_by_key = attrgetter("key")
_by_still = attrgetter("still")


class _Row:
    """A candidate as it was last read, in walk number *walk*.

    *lead* is that of the pools that are its *own*. *still* is its key if nothing were taken of those that it
    shares, *key* the one that it had when that was last looked at.
    """

    __slots__ = ("candidate", "cluster", "facts", "group", "key", "lead", "number", "own", "still", "walk")

    facts: Facts
    key: Key
    lead: Lead
    still: Key

    def __init__(self, number: int, group: int, candidate: Candidate, cluster: "_Cluster") -> None:
        self.number = number
        self.group = group
        self.candidate = candidate
        self.cluster = cluster
        self.own: tuple[Pool, ...] = ()
        self.walk = 0


class _Cluster:
    """Candidates with *shared* pools: a charge to these moves the whole, and none of them has to be read.

    Those that have all of their own quotas are *resting*, in order, which what they share does not change.
    The others are *busy*. *best* is the best as it was found in walk number *walk*, its key *head*.
    """

    __slots__ = ("best", "busy", "head", "resting", "shared", "walk")

    best: _Row
    head: Key

    def __init__(self) -> None:
        self.walk = 0
        self.shared: tuple[Pool, ...] = ()
        self.busy: list[_Row] = []
        self.resting: list[_Row] = []

    def put(self, row: _Row) -> None:
        """Put *row* where it belongs."""
        if row.lead == FULL:
            insort(self.resting, row, key=_by_still)
        else:
            self.busy.append(row)

    def take(self, row: _Row) -> None:
        """Take *row* from where it was put."""
        if row.lead == FULL:
            del self.resting[bisect_left(self.resting, row.still, key=_by_still)]
        else:
            self.busy.remove(row)


_Entry = tuple[Key, _Row | None, _Cluster, Iterator[_Row] | None]
"""What a walk comes to: the best of a cluster, while there is no row; then a row, and who of its cluster
comes behind it (None for all others)."""


class Ranking:
    """The candidates for one kind of call, in order: *count* of them.

    *roomiest* is one for each model. *used* is the number of the last call that came, *grounds* are what
    whoever serves such calls is chosen by.
    """

    def __init__(
        self,
        need: Need,
        fit: Sequence[tuple[int, Candidate]],
        standing: Standing,
        now: Now,
        *,
        least_read: int = LEAST_READ,
    ) -> None:
        """Rank *fit* for calls like *need*, with nobody preferred; *least_read* are read at each choice."""
        self.count = len(fit)
        self.used = 0
        self.grounds = _grounds(need, self.count)
        self.roomiest = _roomiest(fit)
        self._edition, self._ample = -1, 0.0  # what everybody has room for, by that edition of the lessons
        self._need = need
        self._fit = fit
        self._standing = standing
        self._least_read = least_read
        self._scores = [SCORES[target.strategy] for target in need.targets]
        self._round = _clustered(fit)
        self._by_id = {row.candidate.id: row for row in self._round}
        self._next = self._walk = 0
        self._read_at = now.mono
        leads = Leads(standing, now)
        for row in self._round:
            self._set(row, facts_of(row.candidate, row.group, need, standing, now), leads.of(row.own))
            row.cluster.put(row)
        # Clusters by the keys of their best, which are beside them: to compare those alone is soon done.
        self._heads: list[Key] = []
        self._clusters: list[_Cluster] = []
        for cluster in {id(row.cluster): row.cluster for row in self._round}.values():
            self._find_best(cluster, leads)
            self._insert(cluster)

    def __iter__(self) -> Iterator[tuple[int, Candidate]]:
        """Return them in the order of the catalogue, each with the place of its target."""
        return iter(self._fit)

    def takes_all(self, need: Need) -> bool:
        """Say whether *need* is so plain and so small that everybody here is able, whatever was learned.

        False says nothing of anybody.
        """
        if need.tools or need.features or need.parameters or need.remote_images:
            return False
        if self._edition != self._standing.lessons.edition:
            self._note_lessons()
        demand = need.demand
        most: float = FARTHEST * (demand.prompt + 1) + (demand.max_output or 1)
        return most <= self._ample

    def _note_lessons(self) -> None:
        """Find how large a call all here have room for: none, if prompts were refused that should fit."""
        standing, lessons = self._standing, self._standing.lessons
        everyone = [candidate for _, candidate in self.roomiest]
        self._ample = min((standing.context(one) or math.inf for one in everyone), default=0.0)
        if any(lessons.refused_prompts(one.name) for one in everyone):
            self._ample = 0.0
        self._edition = lessons.edition

    def best_first(self, need: Need, now: Now) -> Iterator[tuple[int, Candidate]]:
        """Return them best first for *need*, as they are *now*; to be used up before the next walk.

        Nearly always the first will do: the others are put in order when they are asked for.
        """
        if self.count < 2:  # a model at one provider: there is nothing to put in order
            return iter(self._fit)
        leads = Leads(self._standing, now)
        self._walk += 1
        self._read_on(leads)
        first = self._first(leads)
        preferred = None if need.preferred is None else self._preferred(need, leads)
        if preferred is not None and preferred.key < first.key:
            first = preferred
        return chain(((first.group, first.candidate),), self._others(first, preferred, leads))

    def _first(self, leads: Leads) -> _Row:
        """Return the best of all as they are now, whoever is preferred."""
        while (cluster := self._clusters[0]).walk != self._walk:
            self._renew(cluster, leads)
        return cluster.best

    def _others(self, first: _Row, preferred: _Row | None, leads: Leads) -> Iterator[tuple[int, Candidate]]:
        """Return all but *first*, best first."""
        heap: list[_Entry] = [
            (head, None, cluster, None) for head, cluster in zip(self._heads, self._clusters, strict=True)
        ]  # sorted, so a heap
        if preferred is not None:
            heapq.heappush(heap, (preferred.key, preferred, preferred.cluster, iter(())))
        while heap:
            _, row, cluster, others = heap[0]
            if row is None:
                if cluster.walk != self._walk:
                    self._renew(cluster, leads)
                heapq.heapreplace(heap, (cluster.head, cluster.best, cluster, None))
            elif row.walk != self._walk:
                if self._read(row, leads):
                    row.key = self._key(row, leads.of(cluster.shared))
                    heapq.heapreplace(heap, (row.key, row, cluster, iter(())))
                    self._push(heap, cluster, others, leads)
            else:
                heapq.heappop(heap)
                if row is not first and (
                    preferred is None or row is preferred or row.number != preferred.number
                ):
                    yield row.group, row.candidate
                if others is None:
                    for other in cluster.busy:
                        self._push(heap, cluster, iter(() if other is row else (other,)), leads)
                    others = iter([other for other in cluster.resting if other is not row])
                self._push(heap, cluster, others, leads)

    def _push(
        self, heap: list[_Entry], cluster: _Cluster, others: Iterator[_Row] | None, leads: Leads
    ) -> None:
        """Let the first of *others* be come to."""
        row = next(others, None) if others is not None else None
        if row is not None:
            row.key = self._key(row, leads.of(cluster.shared))
            heapq.heappush(heap, (row.key, row, cluster, others))

    def _preferred(self, need: Need, leads: Leads) -> _Row | None:
        """Return the candidate that a conversation had last, ranked as that."""
        known = self._by_id.get(need.preferred or "")
        if known is None:
            return None
        row = _Row(known.number, known.group, known.candidate, known.cluster)
        before, score = rank(row.candidate, row.group, need, leads)
        row.key = (*before, *score, row.number)
        row.walk = self._walk
        return row

    def _renew(self, cluster: _Cluster, leads: Leads) -> None:
        """Find the best of *cluster* as it is now, and put the cluster where that belongs."""
        before, heads = cluster.head, self._heads
        self._find_best(cluster, leads)
        head = cluster.head
        if head == before:
            return
        place = bisect_left(heads, before)
        if (not place or heads[place - 1] < head) and (place + 1 == len(heads) or head < heads[place + 1]):
            heads[place] = head  # where it was, as mostly
        else:
            del heads[place], self._clusters[place]
            self._insert(cluster)

    def _insert(self, cluster: _Cluster) -> None:
        place = bisect_left(self._heads, cluster.head)
        self._heads.insert(place, cluster.head)
        self._clusters.insert(place, cluster)

    def _find_best(self, cluster: _Cluster, leads: Leads) -> None:
        shared = leads.of(cluster.shared)
        for row in cluster.busy:
            row.key = self._key(row, shared)
        best = self._best(cluster, shared)
        while best.walk != self._walk and self._read(best, leads):
            best.key = self._key(best, shared)
            best = self._best(cluster, shared)
        cluster.best, cluster.head, cluster.walk = best, best.key, self._walk

    def _best(self, cluster: _Cluster, shared: Lead) -> _Row:
        """Return the best of *cluster* as its rows were last read; the keys of busy ones are right."""
        if not cluster.resting:
            return min(cluster.busy, key=_by_key)
        best = cluster.resting[0]
        best.key = self._key(best, shared)
        return min((best, *cluster.busy), key=_by_key) if cluster.busy else best

    def _read_on(self, leads: Leads) -> None:
        """Read some more, so that none was read longer than `READ_AGAIN` ago."""
        count, mono = self.count, leads.now.mono
        due = math.ceil(count * (mono - self._read_at) / READ_AGAIN)
        if due < self._least_read:
            due = self._least_read
        self._read_at = mono
        at, rows = self._next, self._round
        if due >= count:
            due, at = count, 0  # each cluster as a whole
        for _ in range(due):
            row = rows[at]
            at = (at + 1) % count
            self._read(row, leads)
            if not at or rows[at].cluster is not row.cluster:
                self._renew(row.cluster, leads)
        self._next = at

    def _read(self, row: _Row, leads: Leads) -> bool:
        """Read *row* anew, and put it where it belongs; say whether it changed."""
        facts = facts_of(row.candidate, row.group, self._need, self._standing, leads.now)
        lead = leads.of(row.own) if row.own else FULL
        row.walk = self._walk
        if facts == row.facts and lead == row.lead:
            return False
        cluster = row.cluster
        cluster.walk = 0  # another may be the best
        cluster.take(row)
        self._set(row, facts, lead)
        cluster.put(row)
        return True

    def _set(self, row: _Row, facts: Facts, lead: Lead) -> None:
        row.facts, row.lead = facts, lead
        row.still = self._key(row, FULL)

    def _key(self, row: _Row, shared: Lead) -> Key:
        facts = row.facts
        score = self._scores[row.group](row.candidate, self._need, facts, row.lead.and_of(shared))
        return (*facts.head, *score, row.number)


def _grounds(need: Need, able: int) -> Grounds:
    """Return what whoever serves a call like *need* is chosen by, among so many that are *able*."""
    strategy = need.targets[0].strategy if need.targets else "free"
    return Grounds(strategy, able, sum(len(target.candidates) for target in need.targets))


def _clustered(fit: Iterable[tuple[int, Candidate]]) -> list[_Row]:
    """Return a row for each of *fit*, those of a cluster together: a provider's key, for one target."""
    clusters: dict[tuple[int, str, str], list[_Row]] = {}
    for number, (group, candidate) in enumerate(fit):
        members = clusters.setdefault((group, candidate.provider.id, candidate.key.label), [])
        cluster = members[0].cluster if members else _Cluster()
        members.append(_Row(number, group, candidate, cluster))
    for members in clusters.values():
        quotas = {row.number: frozenset(filter(_has_lead, row.candidate.pools)) for row in members}
        common = frozenset.intersection(*quotas.values())
        members[0].cluster.shared = tuple(common)
        for row in members:
            row.own = tuple(quotas[row.number] - common)
    return [row for members in clusters.values() for row in members]


def _has_lead(pool: Pool) -> bool:
    return pool.limit.unit is not Unit.CONCURRENCY


def _roomiest(fit: Iterable[tuple[int, Candidate]]) -> list[tuple[int, Candidate]]:
    """Return one of *fit* for each model, those with most room for a prompt first."""
    found = {entry[1].name: entry for entry in fit}
    return sorted(found.values(), key=lambda entry: -(entry[1].model.context or math.inf))
