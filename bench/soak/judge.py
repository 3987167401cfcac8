"""Whether a gateway that served for long has grown, or left something behind."""

import statistics
from collections.abc import Callable, Sequence

from msgspec import Struct

# What half an hour may add after its first ten minutes, MiB: ten times the noise of one reading.
MOST_RSS = 5.0
# Own design: rings of receipts and windows of counters breathe by some hundreds of a hundred thousand.
MOST_OBJECTS = 0.02


class Sample(Struct, frozen=True):
    """A gateway at one moment, *at* seconds after the load began: memory in MiB, and counts.

    *unsettled* is what its gauges have under way: requests and concurrency slots. *callers* are open
    connections of theirs.
    """

    at: float
    rss_mib: float
    objects: int
    tasks: int
    threads: int
    files: int
    callers: int
    unsettled: float


class Verdict(Struct, frozen=True):
    """One thing that must be so, and whether it is."""

    what: str
    seen: str
    is_met: bool


def judge(samples: Sequence[Sample], before: Sample, after: Sample) -> list[Verdict]:
    """Hold the last tenth of *samples* against the tenth after a third, and *after* against *before*."""
    rss = _median(samples, 0.9, 1.0, lambda each: each.rss_mib)
    rss_then = _median(samples, 1 / 3, 1 / 3 + 0.1, lambda each: each.rss_mib)
    objects = _median(samples, 0.9, 1.0, lambda each: each.objects)
    objects_then = _median(samples, 1 / 3, 1 / 3 + 0.1, lambda each: each.objects)
    grown = objects / objects_then - 1
    return [
        Verdict(
            f"memory grows by {MOST_RSS:g} MiB at most after the first third",
            f"{rss_then:.1f} to {rss:.1f} MiB",
            rss - rss_then <= MOST_RSS,
        ),
        Verdict(
            f"objects grow by {MOST_OBJECTS:.0%} at most after the first third",
            f"{objects_then:,.0f} to {objects:,.0f}, {grown:+.1%}",
            grown <= MOST_OBJECTS,
        ),
        Verdict("no request and no slot is left", f"{after.unsettled:g}", after.unsettled == 0),
        Verdict("no connection of a caller is left", str(after.callers), after.callers == 0),
        _back("tasks", before.tasks, after.tasks),
        _back("open files", before.files, after.files),
    ]


def _back(what: str, before: int, after: int) -> Verdict:
    return Verdict(f"no more {what} than before", f"{before} to {after}", after <= before)


def _median(samples: Sequence[Sample], begins: float, ends: float, of: Callable[[Sample], float]) -> float:
    """Return the median over the samples between two shares of the whole time."""
    first, last = samples[0].at, samples[-1].at
    span = last - first
    chosen = [of(each) for each in samples if first + begins * span <= each.at <= first + ends * span]
    return statistics.median(chosen)
