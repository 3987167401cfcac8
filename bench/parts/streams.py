"""Paced streams, many at once: time to the first token, the worst stall, cuts, CPU time an event."""

from typing import Any

from bench import machine
from bench.processes import Target, Upstream, load
from bench.results import Streams, quantile
from bench.ways import through_each

# An upstream that sends the longest answers people wait for: 20 events a second, for five seconds.
EVENTS = 100
PACE = 0.05
# Origins that the streams are spread over, as over providers. The gateway makes 4,096 calls at a time to
# each, and fewer where it may open few files.
PORTS = 8
# Streams start one after the other, as callers come; all at once would measure a queue.
RAMP = 2.0
_WARM_UP = 20


def measure(upstream: Upstream, count: int) -> tuple[list[Streams], tuple[str, ...]]:
    """Return what *count* streams are like on each way, the direct one first, and what was not here."""
    return through_each(upstream, lambda target: through(target, count))


def through(target: Target, count: int) -> Streams:
    """Measure *count* streams on one way."""
    _run(target, _WARM_UP, ramp=0.0)
    before = machine.cpu_seconds(target.pid) if target.pid else 0.0
    seen = _run(target, count, ramp=RAMP)
    spent = machine.cpu_seconds(target.pid) - before if target.pid else None
    return Streams(
        name=target.name,
        streams=count,
        pace_ms=PACE * 1000,
        events=seen["events"],
        first_p50_ms=quantile(seen["first"], 0.5) * 1000,
        first_p99_ms=quantile(seen["first"], 0.99) * 1000,
        stall_p50_ms=quantile(seen["stalls"], 0.5) * 1000,
        stall_ms=max(seen["stalls"]) * 1000,
        cut=seen["cut"],
        late_ms=max(seen["late"]) * 1000,
        cpu_us=spent / max(seen["events"], 1) * 1e6 if spent is not None else None,
        rss_mib=machine.rss_mib(target.pid) if target.pid else None,
    )


def _run(target: Target, count: int, *, ramp: float) -> dict[str, Any]:
    return load(
        "streams",
        **target.asked,
        connections=count,
        ramp=ramp,
        events=EVENTS,
        pace=PACE,
    )
