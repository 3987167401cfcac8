"""Candidates in order, kept from one choice to the next, so that few are looked at. Pure.

Whoever comes to the top is read anew before it is given: nobody is taken for what it was. Who got better
meanwhile is found by reading on, some candidates at each choice.
"""

import heapq
import math
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from operator import attrgetter, itemgetter

from freeroute.clock import Now
from freeroute.domain.catalogue import Candidate, Pool, Unit
from freeroute.domain.needs import Need
from freeroute.domain.receipt import Grounds
from freeroute.domain.scores import FULL, SCORES, Facts, Lead, Leads, facts_of, rank
from freeroute.domain.standing import Standing

READ_AGAIN = 10.0
"""Seconds within which every candidate is read again, those at the top apart. Own design: of a minute's quota
a sixth is back meanwhile, and that changes an order, never whether there is room."""

LEAST_READ = 4
"""Candidates that are read at each choice at least: where there are no more, the order is always exact. Own
design: they take about 10 us."""

Key = tuple[tuple[float, ...], tuple[float, ...], int]
"""A rank, and of equals the place in the catalogue."""

_by_key = attrgetter("key")
_by_still = attrgetter("still")
_by_first = itemgetter(0)


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
    The others are *busy*. *head* is the key of the best when that was last looked for.
    """

    __slots__ = ("busy", "head", "resting", "shared")

    head: Key

    def __init__(self) -> None:
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

    *roomiest* is one for each model. *used* is the number of the last call that came.
    """

    used = 0

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
        self.roomiest = _roomiest(fit)
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
            self._set(row, *self._look(row, leads))
            row.cluster.put(row)
        clusters = {id(row.cluster): row.cluster for row in self._round}.values()
        for cluster in clusters:
            cluster.head = self._top(cluster, leads).key
        self._heads: list[_Entry] = [(cluster.head, None, cluster, None) for cluster in clusters]
        self._heads.sort(key=_by_first)

    @cached_property
    def grounds(self) -> Grounds:
        """Return what whoever serves such a call is chosen by."""
        targets = self._need.targets
        return Grounds(targets[0].strategy, self.count, sum(len(target.candidates) for target in targets))

    def __iter__(self) -> Iterator[tuple[int, Candidate]]:
        """Return them in the order of the catalogue, each with the place of its target."""
        return iter(self._fit)

    def best_first(self, need: Need, now: Now) -> Iterator[tuple[int, Candidate]]:
        """Return them best first for *need*, as they are *now*; to be used up before the next walk."""
        if self.count == 1:  # a model at one provider: there is nothing to put in order
            return iter(self._fit)
        return self._walked(need, now)

    def _walked(self, need: Need, now: Now) -> Iterator[tuple[int, Candidate]]:
        leads = Leads(self._standing, now)
        self._walk += 1
        self._read_on(leads)
        heap = self._heads.copy()  # sorted, so a heap
        preferred = self._preferred(need, leads)
        if preferred is not None:
            heapq.heappush(heap, (preferred.key, preferred, preferred.cluster, iter(())))
        while heap:
            _, row, cluster, others = heap[0]
            if row is None:
                top = self._top(cluster, leads)
                self._move(cluster, top.key)
                heapq.heapreplace(heap, (top.key, top, cluster, None))
            elif row.walk != self._walk:
                if self._read(row, leads):
                    row.key = self._key(row, leads.of(cluster.shared))
                    heapq.heapreplace(heap, (row.key, row, cluster, iter(())))
                    self._push(heap, cluster, others, leads)
            else:
                heapq.heappop(heap)
                if preferred is None or row is preferred or row.number != preferred.number:
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
        known = None if need.preferred is None else self._by_id.get(need.preferred)
        if known is None:
            return None
        row = _Row(known.number, known.group, known.candidate, known.cluster)
        row.key = (*rank(row.candidate, row.group, need, leads), row.number)
        row.walk = self._walk
        return row

    def _top(self, cluster: _Cluster, leads: Leads) -> _Row:
        """Return the best of *cluster* as it is now."""
        shared = leads.of(cluster.shared)
        for row in cluster.busy:
            row.key = self._key(row, shared)
        while True:
            best = self._best(cluster, shared)
            if best.walk == self._walk or not self._read(best, leads):
                return best
            best.key = self._key(best, shared)

    def _best(self, cluster: _Cluster, shared: Lead) -> _Row:
        """Return the best of *cluster* as its rows were last read; the keys of busy ones are right."""
        if not cluster.resting:
            return min(cluster.busy, key=_by_key)
        best = cluster.resting[0]
        best.key = self._key(best, shared)
        return min((best, *cluster.busy), key=_by_key) if cluster.busy else best

    def _read_on(self, leads: Leads) -> None:
        """Read some more, so that none was read longer than `READ_AGAIN` ago."""
        count, since = len(self._round), leads.now.mono - self._read_at
        due = max(math.ceil(count * since / READ_AGAIN), self._least_read)
        if due >= count:
            due, self._next = count, 0  # each cluster as a whole
        self._read_at = leads.now.mono
        for _ in range(due):
            row = self._round[self._next]
            self._next = (self._next + 1) % count
            self._read(row, leads)
            if not self._next or self._round[self._next].cluster is not row.cluster:
                self._move(row.cluster, self._top(row.cluster, leads).key)

    def _read(self, row: _Row, leads: Leads) -> bool:
        """Read *row* anew, and put it where it belongs; say whether it changed."""
        facts, lead = self._look(row, leads)
        row.walk = self._walk
        if facts == row.facts and lead == row.lead:
            return False
        row.cluster.take(row)
        self._set(row, facts, lead)
        row.cluster.put(row)
        return True

    def _look(self, row: _Row, leads: Leads) -> tuple[Facts, Lead]:
        facts = facts_of(row.candidate, row.group, self._need, self._standing, leads.now)
        return facts, leads.of(row.own)

    def _set(self, row: _Row, facts: Facts, lead: Lead) -> None:
        row.facts, row.lead = facts, lead
        row.still = self._key(row, FULL)

    def _key(self, row: _Row, shared: Lead) -> Key:
        score = self._scores[row.group]
        return (
            row.facts.head,
            score(row.candidate, self._need, row.facts, row.lead.and_of(shared)),
            row.number,
        )

    def _move(self, cluster: _Cluster, head: Key) -> None:
        """Put *cluster* where its best, of key *head*, belongs."""
        if head != cluster.head:
            del self._heads[bisect_left(self._heads, cluster.head, key=_by_first)]
            insort(self._heads, (head, None, cluster, None), key=_by_first)
            cluster.head = head


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
