"""What a run found, as it is written to JSON."""

import statistics
from collections.abc import Sequence

from msgspec import Struct

from bench.machine import Machine


class Starting(Struct, frozen=True):
    """Cold start, in seconds: the median of several. *cpu* is CPU time, *bare* the interpreter alone.

    Memory is told twice: soon after the first answer, and once the database of the records is open.
    """

    first_200: float
    cpu: float
    imports: float
    bare: float
    rss_idle_mib: float
    rss_records_mib: float
    runs: int


class Load(Struct, frozen=True):
    """A closed loop: *cpu_ms* is the gateway's CPU time for each request."""

    connections: int
    per_second: float
    p50_ms: float
    p99_ms: float
    failed: int
    cpu_ms: float | None = None


class Calls(Struct, frozen=True):
    """One way to the upstream: closed loops, then the latency of an open loop at *rate* a second."""

    name: str
    loads: tuple[Load, ...]
    rate: float
    p50_ms: float
    p99_ms: float
    failed: int
    rss_mib: float | None = None

    @property
    def busiest(self) -> Load:
        """The loop with the most connections."""
        return max(self.loads, key=lambda load: load.connections)


class Streams(Struct, frozen=True):
    """Paced streams on one way: *stall_ms* is the longest wait beyond the pace that any of them had.

    *late_ms* is how far any event came behind when it was due.
    """

    name: str
    streams: int
    pace_ms: float
    events: int
    first_p50_ms: float
    first_p99_ms: float
    stall_p50_ms: float
    stall_ms: float
    cut: int
    late_ms: float = 0.0
    cpu_us: float | None = None
    rss_mib: float | None = None


class Leaving(Struct, frozen=True):
    """Streams of which some are left by their callers, kept up for so many *seconds*.

    *rss_mib* is the gateway's memory before, a third into the run, at most and at the end. *unsettled* is
    what its own gauges still counted afterwards: requests in flight and concurrency slots; *sockets* are the
    connections of callers that were still open. *kept_waiting* is the share of the time in which the gateway
    could have run but others had its core. There is nothing of these without a gateway.
    """

    name: str
    streams: int
    seconds: float
    share: float
    began: int
    left: int
    cut: int
    events: int
    stall_p50_ms: float
    stall_p99_ms: float
    stall_ms: float
    cpu_us: float | None = None
    kept_waiting: float = 0.0
    rss_mib: tuple[float, ...] = ()
    unsettled: float | None = None
    sockets: int | None = None


class Choosing(Struct, frozen=True):
    """One ``choose`` over so many candidates, in microseconds; *eligible_us* filters them before it."""

    providers: int
    candidates: int
    strategy: str
    eligible_us: float
    choose_us: float


class Feature(Struct, frozen=True):
    """A gateway with a set of features: *cpu_ms* is its CPU time for each request, of each round.

    *first_200* are the seconds of its cold start.
    """

    name: str
    cpu_ms: tuple[float, ...]
    first_200: float
    failed: int

    def more_us(self, usual: "Feature") -> tuple[float, float, float]:
        """Return what it costs more than the *usual*, in us a request: the median, least and most of a round.

        A round holds both, so what the machine did meanwhile is in both and cancels out.
        """
        pairs = sorted((own - base) * 1000 for own, base in zip(self.cpu_ms, usual.cpu_ms, strict=True))
        return statistics.median(pairs), pairs[0], pairs[-1]


class Watched(Struct, frozen=True):
    """A gateway under calls: *cpu* is the share of a core it takes. *events* and bytes (*size*) are what one
    dashboard is told in a second; none if none is open.
    """

    cpu: float
    p50_ms: float
    p99_ms: float
    failed: int
    events: float = 0.0
    size: float = 0.0


class Dashboards(Struct, frozen=True):
    """So many *open* dashboards *beside* calls at *rate* a second, and the calls *alone*.

    *page_ms* is how long a page of metrics takes, *page_cpu_ms* of it on the processor, *page_size* bytes.
    """

    name: str
    open: int
    rate: float
    alone: Watched
    beside: Watched
    page_ms: float
    page_cpu_ms: float
    page_size: int
    rss_mib: float


class Results(Struct):
    """A whole run; None for a part that was not asked for. *direct_varied* is a share, 0.1 for 10 %.

    *absent* says of each other gateway that could not be measured why.
    """

    machine: Machine
    upstream: str = ""
    tool: str = ""
    absent: tuple[str, ...] = ()
    start: Starting | None = None
    calls: list[Calls] | None = None
    direct_varied: float | None = None
    streams: list[Streams] | None = None
    leaving: list[Leaving] | None = None
    choose: list[Choosing] | None = None
    features: list[Feature] | None = None
    dashboards: list[Dashboards] | None = None

    @property
    def is_noisy(self) -> bool:
        """Say whether the machine itself changed too much meanwhile for the figures to be compared."""
        return self.direct_varied is not None and self.direct_varied > NOISE


NOISE = 0.10


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that *share* of *values* do not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
