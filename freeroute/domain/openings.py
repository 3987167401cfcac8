"""Where those who wait may find room at one moment, so that a pass over a thousand asks little. Pure."""

import math

from msgspec import Struct

from freeroute.clock import Now
from freeroute.domain.catalogue import Candidate
from freeroute.domain.leases import charges_of
from freeroute.domain.needs import Fit, Need, Tried
from freeroute.domain.selection import Refusal
from freeroute.domain.standing import Standing
from freeroute.domain.usage import Demand

LEAST = Demand(prompt=1, max_output=1)
"""What takes no more of any pool than any call. Whoever comes next may be as small, so that where there is
room for it something may have to be kept for those who wait."""


class Wish(Struct, eq=False, kw_only=True):
    """What one caller waits for, *until* (mono) at most; *names* are the ids of candidates that will do."""

    need: Need
    fit: Fit
    tried: Tried
    until: float
    names: frozenset[str]


class _Refused(Struct, frozen=True):
    """What found no room; *until* is -inf if it would not have with less time either."""

    prompt: int
    output: int
    until: float

    def covers(self, other: "_Refused") -> bool:
        """Say whether *other* asks for no less with no less time, so that it finds no room either."""
        return self.prompt <= other.prompt and self.output <= other.output and self.until <= other.until


# Obstacles that those with too little time for better ones pass over.
_LAST_RESORTS = frozenset({"resting", "proving"})
_Kind = tuple[bool, bool, bool]


class _Group(Struct):
    """Those who wait for the same candidates: which of these may have room, and who was refused already.

    With *spare* some are last resorts.
    """

    open: frozenset[str]
    spare: bool
    refused: dict[_Kind, list[_Refused]] = {}


class Openings:
    """The candidates with any room at all; whoever can use none of them needs not be asked.

    Each candidate is looked at once, when first asked for; *looks* counts that work. *next_at* (mono) is
    when the next of those looked at has room.
    """

    def __init__(self, standing: Standing) -> None:
        """Look through *standing*."""
        self.looks = 0
        self.next_at = math.inf
        self._standing = standing
        self._open: dict[str, bool] = {}
        self._spare: set[str] = set()
        self._groups: dict[frozenset[str], _Group] = {}
        self._full: dict[_Kind, dict[str, _Refused]] = {}

    def worth_asking(self, wish: Wish, now: Now) -> bool:
        """Say whether *wish* may find room."""
        group = self._group(wish, now)
        if not group.open:
            return False
        asked = _asked(wish, wish.until)
        return not any(refused.covers(asked) for refused in group.refused.get(_kind(wish), ()))

    def fit(self, wish: Wish) -> Fit:
        """Return the part of the wish's candidates that is worth a look."""
        group = self._groups[wish.names]
        self.looks += len(wish.fit) // 20  # each costs a twentieth of a real look
        # Whether one of these is taken depends on when quota is back at all of them.
        if group.spare:
            return wish.fit
        full, asked = self._full.get(_kind(wish), {}), _asked(wish, wish.until)
        return [
            (place, candidate)
            for place, candidate in wish.fit
            if candidate.id in group.open
            and ((known := full.get(candidate.id)) is None or not known.covers(asked))
        ]

    def refused(self, wish: Wish, fit: Fit, refusal: Refusal) -> None:
        """Note that *wish* found no room in *fit*: nor do those there who ask for as much."""
        if wish.tried.outputs:  # nobody knows how much less than others it asked for
            return
        known = self._groups[wish.names].refused
        new = _asked(wish, wish.until if refusal.patient else -math.inf)
        known[_kind(wish)] = [other for other in known.get(_kind(wish), ()) if not new.covers(other)] + [new]
        if not refusal.patient:
            full = self._full.setdefault(_kind(wish), {})
            full.update((c.id, new) for _, c in fit if c.id not in full or new.covers(full[c.id]))

    def _group(self, wish: Wish, now: Now) -> _Group:
        group = self._groups.get(wish.names)
        if group is None:
            self.looks += len(wish.fit)
            own = [candidate for _, candidate in wish.fit if candidate.id in wish.names]
            usable = frozenset(candidate.id for candidate in own if self._is_open(candidate, now))
            group = self._groups[wish.names] = _Group(usable, not usable.isdisjoint(self._spare))
        return group

    def _is_open(self, candidate: Candidate, now: Now) -> bool:
        known = self._open.get(candidate.id)
        if known is None:
            obstacle = self._standing.obstacle(candidate, charges_of(candidate, LEAST), now)
            if obstacle is not None:
                self.next_at = min(self.next_at, obstacle.back_at)
                if obstacle.kind in _LAST_RESORTS:
                    self._spare.add(candidate.id)
            known = self._open[candidate.id] = obstacle is None or obstacle.kind in _LAST_RESORTS
        return known


def _asked(wish: Wish, until: float) -> _Refused:
    demand = wish.need.demand
    return _Refused(demand.prompt, demand.max_output or 0, until)


def _kind(wish: Wish) -> _Kind:
    """Return what has to be alike for two demands to be compared: a bound of ours is no known number."""
    return wish.need.clamp, wish.need.demand.max_output is None, bool(wish.tried.outputs)
