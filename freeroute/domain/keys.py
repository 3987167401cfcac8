"""What is known about keys: which have answered, which are being tried for the first time, and verdicts."""

from collections.abc import Collection, Iterable
from enum import StrEnum

from msgspec import Struct

from freeroute.clock import Now
from freeroute.domain.catalogue import Candidate, Key

PROVING = 3.0
"""Seconds the first call on a new key keeps others off it. Own design: a key is refused before anything is
generated, so that a call still under way after this was accepted, and who waits should wait no longer."""

KeyPlace = tuple[str, str]
"""A key's provider and its label."""


class KeyState(StrEnum):
    """What a check found out about a key."""

    VALID = "valid"
    INVALID = "invalid"
    UNKNOWN = "unknown"


class Verdict(Struct, frozen=True):
    """What a check found; *detail* is printable and free of secrets.

    *credit* says whether calls can be paid for, None where the answer does not tell. *models* are the ids
    the answer lists; that one is missing says nothing, since an answer may be one page of many. *asked* is
    the URL that was asked, empty if none was.
    """

    state: KeyState
    detail: str = ""
    credit: bool | None = None
    models: frozenset[str] = frozenset()
    asked: str = ""


class Proofs:
    """Which keys have answered once. Until then only one call is in flight on a key.

    So a key that is invalid or spent costs one call, however many requests arrive at the same moment.
    """

    def __init__(self) -> None:
        """Start with every key unproven; *first* are the calls under way on such, and when they began."""
        self._proven: dict[KeyPlace, Key] = {}
        self._recalled: set[KeyPlace] = set()  # proven in an earlier run; `keep` finds the keys
        self.first: dict[KeyPlace, tuple[int, float]] = {}

    def busy_until(self, candidate: Candidate, now: Now) -> float | None:
        """Return until when (mono) a first call keeps others off the key of *candidate*, or None."""
        first = self.first.get(_place(candidate))
        if first is None or now.mono >= first[1] + PROVING:
            return None
        return first[1] + PROVING

    def began(self, candidate: Candidate, call: int, now: Now) -> bool:
        """Note that *call* began; say whether others wait for it, as on a key that has not answered yet."""
        place = candidate.provider.id, candidate.key.label
        if self._proven.get(place) is candidate.key or self.is_proven(candidate):  # as nearly always
            return False
        if not candidate.key.secret or candidate.provider.is_local:
            return False
        self.first[place] = (call, now.mono)
        return True

    def ended(self, candidate: Candidate, call: int) -> None:
        """Note that *call* ended, however it did."""
        if self.first and self.first.get(place := _place(candidate), (0,))[0] == call:
            del self.first[place]

    def answered(self, candidate: Candidate) -> bool:
        """Note that the key of *candidate* was served; say whether others may use it from now on only."""
        if self.is_proven(candidate):
            return False
        place = _place(candidate)
        self._proven[place] = candidate.key
        return self.first.pop(place, None) is not None

    def doubt(self, place: KeyPlace) -> None:
        """Forget that the key at *place* ever answered: it was refused, or is another one."""
        self._proven.pop(place, None)
        self._recalled.discard(place)

    @property
    def proven(self) -> Collection[KeyPlace]:
        """Return the places of the keys that have answered."""
        return self._proven.keys()

    def recall(self, place: KeyPlace) -> None:
        """Believe, once `keep` tells the keys there are, that the one at *place* has answered."""
        self._recalled.add(place)

    def keep(self, candidates: Iterable[Candidate]) -> None:
        """Forget keys that are not among *candidates*; another key under a label is a new one."""
        known = {_place(candidate): candidate.key for candidate in candidates}
        self._proven = {k: v for k, v in self._proven.items() if k in known and known[k].secret == v.secret}
        self._proven |= {place: known[place] for place in self._recalled if place in known}
        self._recalled.clear()
        self.first = {k: v for k, v in self.first.items() if k in known}

    def is_proven(self, candidate: Candidate) -> bool:
        """Say whether the key of *candidate* has answered."""
        known = self._proven.get((candidate.provider.id, candidate.key.label))
        return known is candidate.key or (known is not None and known.secret == candidate.key.secret)


def _place(candidate: Candidate) -> KeyPlace:
    return candidate.provider.id, candidate.key.label
