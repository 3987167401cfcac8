"""Paced streams whose callers leave at random, for a while: stalls, memory, and what is left behind."""

import re
import socket
import threading
import time
from typing import Any

from bench import machine
from bench.gateway import ADMIN_KEY, gateway
from bench.processes import LOOPBACK, Target, Upstream, load
from bench.results import Leaving, quantile

# Ten events a second for ten seconds, as hosted models speak: half of what a core carries.
EVENTS = 100
PACE = 0.1
_RAMP = 5.0
# After the last caller has gone, the gateway has this long to settle, in seconds.
_SETTLED = 2.0
_WARM_UP = 20
_PATIENCE = 30.0  # seconds for the metrics: a page that lets every stream have its turn
_COUNTED = re.compile(
    rb'^freeroute_(?:requests_in_flight|quota_used\{[^}]*limit="concurrency[^}]*\}) (\S+)$', re.MULTILINE
)


def measure(upstream: Upstream, count: int, share: float, seconds: float) -> list[Leaving]:
    """Keep *count* streams up for so many *seconds*, a *share* of them left: direct, and through limits."""
    direct = _through(upstream.direct, count, share, seconds)
    with gateway(upstream) as running:
        return [direct, _through(running.limited, count, share, seconds)]


def _through(target: Target, count: int, share: float, seconds: float) -> Leaving:
    _run(target, _WARM_UP, 0.0, 0.0)
    before, waited = _spent(target.pid)
    with _Memory(target.pid) as memory:
        seen = _run(target, count, share, seconds)
    spent, waiting = (now - then for now, then in zip(_spent(target.pid), (before, waited), strict=True))
    if target.pid is not None:
        time.sleep(_SETTLED)
    return Leaving(
        name=target.name,
        streams=count,
        seconds=seconds,
        share=share,
        began=len(seen["stalls"]),
        left=seen["left"],
        cut=seen["cut"],
        events=seen["events"],
        stall_p50_ms=quantile(seen["stalls"], 0.5) * 1000,
        stall_p99_ms=quantile(seen["stalls"], 0.99) * 1000,
        stall_ms=max(seen["stalls"]) * 1000,
        cpu_us=spent / max(seen["events"], 1) * 1e6 if target.pid else None,
        kept_waiting=waiting / seen["seconds"],
        rss_mib=memory.told(),
        unsettled=None if target.pid is None else unsettled(target.port),
        sockets=None if target.pid is None else machine.connections(target.port),
    )


def _run(target: Target, count: int, share: float, seconds: float) -> dict[str, Any]:
    return load(
        "leaving" if seconds else "streams",
        **target.asked,
        connections=count,
        seconds=seconds,
        ramp=_RAMP if seconds else 0.0,
        events=EVENTS,
        pace=PACE,
        leave=share,
    )


def _spent(pid: int | None) -> tuple[float, float]:
    return (machine.cpu_seconds(pid), machine.waited_seconds(pid)) if pid else (0.0, 0.0)


class _Memory:
    """What a process occupies, looked at once a second beside the run; nothing without one."""

    def __init__(self, pid: int | None) -> None:
        self._pid = pid
        self._seen: list[float] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "_Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def told(self) -> tuple[float, ...]:
        """Return the memory at the beginning, after a third, at most and at the end, in MiB."""
        seen = self._seen
        return (seen[0], seen[len(seen) // 3], max(seen), seen[-1]) if seen else ()

    def _look(self) -> None:
        while self._pid is not None:
            self._seen.append(machine.rss_mib(self._pid))
            if self._over.wait(1.0):
                return


def unsettled(port: int) -> float:
    """Return what the gateway's own gauges count as under way."""
    request = f"GET /metrics HTTP/1.1\r\nhost: {LOOPBACK}\r\nauthorization: Bearer {ADMIN_KEY}\r\n"
    with socket.create_connection((LOOPBACK, port), timeout=_PATIENCE) as connection:
        connection.sendall(request.encode() + b"connection: close\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    found = _COUNTED.findall(answer)
    if len(found) < 2:
        raise ValueError("the gateway tells neither requests in flight nor slots taken")
    return sum(map(float, found))
