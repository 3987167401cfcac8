"""JSON calls, direct and through the gateway: what a core carries, and how much time a call loses."""

from collections.abc import Iterable, Sequence

from bench import machine
from bench.busy import keep_busy, long_enough
from bench.processes import Target, Upstream, load
from bench.results import Calls, Load
from bench.ways import through_each

CONNECTIONS = (1, 16, 64)
RATE = 50.0
# The first answers open connections and fill caches; a process in service did that long ago.
_WARM_UP = 1.0


def measure(upstream: Upstream, seconds: float) -> tuple[list[Calls], tuple[str, ...], float]:
    """Return each way's figures, the direct one first, what was not here, and by how much direct varied."""
    found, absent = through_each(upstream, lambda target: through(target, seconds))
    again = [_closed(upstream.direct, load.connections, seconds) for load in found[0].loads]
    return found, absent, _varied(found[0].loads, again)


def through(target: Target, seconds: float) -> Calls:
    """Measure one way."""
    seen = keep_busy(target, max(CONNECTIONS), _WARM_UP)
    loads = tuple(
        _closed(target, connections, long_enough(seen, connections, seconds)) for connections in CONNECTIONS
    )
    leisurely = load("open", connections=16, rate=RATE, seconds=2 * seconds, **target.asked)
    return Calls(
        name=target.name,
        loads=loads,
        rate=RATE,
        p50_ms=leisurely["p50"] * 1000,
        p99_ms=leisurely["p99"] * 1000,
        failed=leisurely["failed"],
        rss_mib=machine.rss_mib(target.pid) if target.pid else None,
    )


def _closed(target: Target, connections: int, seconds: float) -> Load:
    before = machine.cpu_seconds(target.pid) if target.pid else 0.0
    seen = keep_busy(target, connections, seconds)
    spent = machine.cpu_seconds(target.pid) - before if target.pid else None
    return Load(
        connections=connections,
        per_second=seen.done / seen.seconds,
        p50_ms=seen.p50 * 1000,
        p99_ms=seen.p99 * 1000,
        failed=seen.failed,
        cpu_ms=spent / max(seen.done, 1) * 1000 if spent is not None else None,
    )


def _varied(first: Sequence[Load], last: Iterable[Load]) -> float:
    """Return by what share requests a second differ between two passes, at the worst."""
    return max(abs(b.per_second - a.per_second) / a.per_second for a, b in zip(first, last, strict=True))
