"""How long it takes from the command to the first answer, and what an idle gateway occupies."""

import statistics
import subprocess
import sys
import time

from bench import machine
from bench.gateway import Arrangement, arranged, plain
from bench.processes import ROOT, Upstream, running, wait_until_served
from bench.results import Starting

# What `serve` has imported by its first answer.
_MODULES = ("__main__", "app", "upstreams.http_transport", "surfaces.protocol", "surfaces.litestar_app")
_IMPORTS = "import " + ", ".join(f"freeroute.{module}" for module in _MODULES)
# An idle gateway is one that has answered once and been left alone this long, in seconds.
_SETTLED = 0.5


def measure(upstream: Upstream, runs: int) -> Starting:
    """Start the gateway several times; the first start, which compiles, does not count."""
    with arranged(upstream) as plan:
        _first_200(plan)
        found = [_first_200(plan) for _ in range(runs)]
    return Starting(
        first_200=statistics.median(seconds for seconds, _ in found),
        imports=statistics.median(_interpreter(_IMPORTS) for _ in range(runs)),
        bare=statistics.median(_interpreter("pass") for _ in range(runs)),
        rss_idle_mib=statistics.median(rss for _, rss in found),
        runs=runs,
    )


def _first_200(plan: Arrangement) -> tuple[float, float]:
    begun = time.perf_counter()
    with plan.started() as process:
        wait_until_served(plain(plan), process)
        took = time.perf_counter() - begun
        time.sleep(_SETTLED)
        return took, machine.rss_mib(process.pid)


def _interpreter(code: str) -> float:
    begun = time.perf_counter()
    with running(
        [sys.executable, "-c", code], machine.cores().gateway, cwd=ROOT, stdout=subprocess.DEVNULL
    ) as process:
        process.wait()
        return time.perf_counter() - begun
