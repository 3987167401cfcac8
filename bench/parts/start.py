"""How long it takes from the command to the first answer, and what an idle gateway occupies."""

import statistics
import subprocess
import sys
import time

from msgspec import Struct

from bench import machine
from bench.gateway import Arrangement, arranged, plain
from bench.processes import ROOT, Upstream, running, wait_until_served
from bench.results import Starting

# What `serve` has imported by its first answer.
_MODULES = ("__main__", "app", "upstreams.http_transport", "surfaces.server", "surfaces.litestar_app")
_IMPORTS = "from freeroute.commands.starting import lightly\nwith lightly():\n    import " + ", ".join(
    f"freeroute.{module}" for module in _MODULES
)
# An idle gateway is one that has answered once and been left alone this long, in seconds.
_SETTLED = 0.5
# The database of the records is opened a second after the start; this long after, it has long been.
_OPENED = 2.5


def measure(upstream: Upstream, runs: int) -> Starting:
    """Start the gateway several times; the first start, which compiles, does not count."""
    with arranged(upstream) as plan:
        _first_200(plan)
        found = [_first_200(plan) for _ in range(runs)]
    return Starting(
        first_200=statistics.median(one.seconds for one in found),
        cpu=statistics.median(one.cpu for one in found),
        imports=statistics.median(_interpreter(_IMPORTS) for _ in range(runs)),
        bare=statistics.median(_interpreter("pass") for _ in range(runs)),
        rss_idle_mib=statistics.median(one.rss_idle for one in found),
        rss_records_mib=statistics.median(one.rss_records for one in found),
        runs=runs,
    )


class _Start(Struct, frozen=True):
    seconds: float
    cpu: float
    rss_idle: float
    rss_records: float


def _first_200(plan: Arrangement) -> _Start:
    begun = time.perf_counter()
    with plan.started() as process:
        wait_until_served(plain(plan), process)
        took, cpu = time.perf_counter() - begun, machine.cpu_seconds(process.pid)
        time.sleep(_SETTLED)
        idle = machine.rss_mib(process.pid)
        time.sleep(_OPENED)
        return _Start(took, cpu, idle, machine.rss_mib(process.pid))


def _interpreter(code: str) -> float:
    begun = time.perf_counter()
    with running(
        [sys.executable, "-c", code], machine.cores().gateway, cwd=ROOT, stdout=subprocess.DEVNULL
    ) as process:
        process.wait()
        return time.perf_counter() - begun
