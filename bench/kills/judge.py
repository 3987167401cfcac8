"""What callers were answered beside what is in the database."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

from msgspec import Struct

BOUND = 1.0
"""Seconds before a kill from which receipts and counts may be lost: what docs/records.md and docs/limits.md
promise."""

KEY = ("client", "provider", "model")
SUMMED = ("requests", "failed", "callers_left", "prompt", "completion", "total")

Receipt = Mapping[str, Any]


class Life(Struct):
    """One life of the gateway: when it was killed, and by request id when callers were answered, in seconds.

    *counted* is how many requests its counter knew of when it began.
    """

    killed: float
    answered: dict[str, float]
    counted: float

    @property
    def safe(self) -> int:
        """Return how many were answered so long before the kill that nothing of them may be lost."""
        return sum(self.killed - at > BOUND for at in self.answered.values())


class Found(Struct, frozen=True):
    """What came of it.

    *oldest* is how long before its kill the oldest receipt that was lost had been answered, in seconds;
    *doubled* are receipts stored more than once, *wrong_sums* rows of usage by the hour that say other than
    the receipts. *forgotten* is the most that a counter lost in a kill though it may not, *low* and *high*
    the most that it was ever below or above what had been answered, all kills so far together.
    """

    kills: int
    answered: int
    stored: int
    lost: int
    oldest: float
    doubled: int
    hours: int
    wrong_sums: int
    forgotten: float
    low: float
    high: float

    @property
    def is_good(self) -> bool:
        """Say whether everything is as promised."""
        return self.oldest <= BOUND and not self.doubled and not self.wrong_sums and self.forgotten <= 0


def judge(lives: Sequence[Life], receipts: Iterable[Receipt], hours: Iterable[Receipt]) -> Found:
    """Return what became of the requests of *lives*, by the *receipts* and the rows of usage in *hours*."""
    stored: Counter[str] = Counter()
    summed: dict[tuple[Any, ...], list[float]] = defaultdict(lambda: [0.0] * len(SUMMED))
    for receipt in receipts:
        stored[receipt["request_id"]] += 1
        there = summed[(math.floor(receipt["at"] / 3600) * 3600, *(receipt[name] for name in KEY))]
        for place, figure in enumerate(_figures(receipt)):
            there[place] += figure
    lost = [life.killed - at for life in lives for name, at in life.answered.items() if name not in stored]
    before = accumulate((len(life.answered) for life in lives), initial=0)
    gaps = [answered - life.counted for answered, life in zip(before, lives, strict=False)]
    forgotten = [one.counted + one.safe - after.counted for one, after in pairwise(lives)]
    return Found(
        kills=len(lives),
        answered=sum(len(life.answered) for life in lives),
        stored=stored.total(),
        lost=len(lost),
        oldest=max(lost, default=0.0),
        doubled=sum(count - 1 for count in stored.values()),
        hours=len(summed),
        wrong_sums=_differing(summed, hours),
        forgotten=max([0.0, *forgotten]),
        low=max([0.0, *gaps]),
        high=-min([0.0, *gaps]),
    )


def _figures(receipt: Receipt) -> tuple[float, ...]:
    left = receipt["caller_left"]
    failed = not left and (receipt["status"] >= 400 or receipt["code"] != "")
    return 1, failed, left, receipt["prompt"], receipt["completion"], receipt["total"]


def _differing(summed: Mapping[tuple[Any, ...], Sequence[float]], hours: Iterable[Receipt]) -> int:
    told = {
        (row["start"], *(row[name] for name in KEY)): [float(row[name]) for name in SUMMED] for row in hours
    }
    return sum(not _same(summed.get(key), told.get(key)) for key in summed.keys() | told.keys())


def _same(one: Sequence[float] | None, other: Sequence[float] | None) -> bool:
    if one is None or other is None:
        return False
    return all(math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-6) for a, b in zip(one, other, strict=True))
