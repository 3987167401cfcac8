"""The gateway under steady load for half an hour: does it grow, and is anything left behind?"""

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from bench import machine
from bench.gateway import arranged, limited
from bench.options import number
from bench.parts.leaving import unsettled
from bench.processes import BenchFailed, Target, load, upstream, wait_until_served
from bench.ready import is_ready
from bench.report import table
from bench.soak.judge import Sample, judge

_INSIDE = Path(__file__).parent / "inside"
_EVENTS, _PACE, _PORTS = 20, 0.05, 8  # streams of a second
_STREAMS, _LEFT = 0.20, 0.02  # shares of all requests
_WARM_UP = 5.0
_BETWEEN = 5.0  # seconds between two looks, at least: each stops the gateway for some hundredths
_PATIENCE = 5.0  # seconds for the gateway to count its objects
# Idle connections to providers are closed after at most 75 s; a descriptor that is open after that is lost.
_SETTLED = 90.0


def main(arguments: list[str]) -> int:
    """Do as the command line says, print what came of it, and return 1 if something must not be so."""
    parser = argparse.ArgumentParser(prog="python -m bench soak", description=__doc__)
    rate = "requests a second, from 25 to 5000; 500 without it"
    # Two minutes have enough looks for a tenth of them to hold something; with fewer requests a connection
    # would wait for its first one for longer than a gateway lets it.
    parser.add_argument("--minutes", type=number(2, 1440), default=30.0, help="from 2 to 1440; 30 without it")
    parser.add_argument("--rate", type=number(25, 5000), default=500.0, help=rate)
    wanted = parser.parse_args(arguments)
    if not is_ready():
        return 2
    try:
        return _soaked(wanted.minutes * 60, wanted.rate)
    except BenchFailed as exc:
        print(f"bench: {exc}", file=sys.stderr)
        return 1


def _soaked(seconds: float, rate: float) -> int:
    with _gateway() as (target, watch):
        _ask(target, _WARM_UP, rate / 5)
        before = _settled(watch, None)
        with _Samples(watch, max(_BETWEEN, seconds / 180)) as samples:
            seen = _ask(target, seconds, rate)
        after = _settled(watch, before)
    print(_told(seen, rate, [*samples.seen, after]))
    verdicts = judge(samples.seen, before, after)
    rows = [(each.what, each.seen, "met" if each.is_met else "MISSED") for each in verdicts]
    print(f"\n{table(('must', 'seen', ''), rows)}")
    return int(not all(each.is_met for each in verdicts) or bool(seen["failed"] or seen["cut"]))


@contextmanager
def _gateway() -> Iterator[tuple[Target, "_Watch"]]:
    with upstream(_EVENTS, _PACE, _PORTS) as origin, arranged(origin) as usual:
        counts = usual.directory / "objects"
        path = f"{_INSIDE}{os.pathsep}{usual.env['PYTHONPATH']}"
        plan = replace(usual, env=usual.env | {"BENCH_OBJECTS": str(counts), "PYTHONPATH": path})
        with plan.started() as process:
            target = limited(plan, process.pid)
            wait_until_served(target, process)
            yield target, _Watch(process, target.port, counts)


def _ask(target: Target, seconds: float, rate: float) -> dict[str, Any]:
    mix = {"share": _STREAMS, "leave": _LEFT, "events": _EVENTS, "pace": _PACE}
    return load("mixed", **target.asked, seconds=seconds, rate=rate, **mix)


class _Watch:
    """Looks at one gateway."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, counts: Path) -> None:
        self._process = process
        self._port = port
        self._counts = counts
        self._begun = time.perf_counter()

    def sample(self) -> Sample:
        """Return how it is now; raises BenchFailed if it does not tell."""
        pid = self._process.pid
        objects, tasks = self._counted()
        return Sample(
            at=time.perf_counter() - self._begun,
            rss_mib=machine.rss_mib(pid),
            objects=objects,
            tasks=tasks,
            threads=machine.threads(pid),
            files=machine.open_files(pid),
            callers=machine.connections(self._port),
            unsettled=unsettled(self._port),
        )

    def _counted(self) -> tuple[int, int]:
        self._counts.unlink(missing_ok=True)
        self._process.send_signal(signal.SIGUSR1)
        ends = time.perf_counter() + _PATIENCE
        while not self._counts.exists():
            if self._process.poll() is not None or time.perf_counter() > ends:
                raise BenchFailed("the gateway does not tell how many objects it holds")
            time.sleep(0.01)
        objects, tasks = self._counts.read_text().split()
        return int(objects), int(tasks)


class _Samples:
    """Looks again and again, beside the load."""

    def __init__(self, watch: _Watch, every: float) -> None:
        self._watch = watch
        self._every = every
        self.seen: list[Sample] = []
        self._failed: Exception | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "_Samples":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        if self._failed is not None:
            raise BenchFailed(f"looking at the gateway failed: {self._failed}")

    def _look(self) -> None:
        try:
            while not self._over.wait(self._every):
                self.seen.append(self._watch.sample())
        except (BenchFailed, OSError, ValueError) as exc:
            self._failed = exc


def _settled(watch: _Watch, before: Sample | None) -> Sample:
    """Return how the gateway is once nobody asks: as *before*, or when it has had long enough for that."""
    ends = time.perf_counter() + _SETTLED
    while True:
        time.sleep(2.0)
        now = watch.sample()
        if time.perf_counter() > ends or (now.unsettled + now.callers == 0 and _is_back(now, before)):
            return now


def _is_back(now: Sample, before: Sample | None) -> bool:
    return before is None or (now.files <= before.files and now.tasks <= before.tasks)


def _told(seen: dict[str, Any], rate: float, samples: list[Sample]) -> str:
    asked = seen["done"] + seen["failed"] + seen["left"] + seen["cut"]
    seconds = seen["seconds"]
    head = ("minute", "RSS MiB", "objects", "tasks", "threads", "files", "callers", "unsettled")
    shown = samples[:: max(1, len(samples) // 15)]
    rows = [
        (
            f"{each.at / 60:.1f}",
            f"{each.rss_mib:.1f}",
            f"{each.objects:,}",
            *(str(count) for count in (each.tasks, each.threads, each.files, each.callers)),
            f"{each.unsettled:g}",
        )
        for each in (*shown, *([] if samples[-1] in shown else [samples[-1]]))
    ]
    return (
        f"{rate:g} requests a second wanted, {asked / seconds:.0f} asked and {seen['done'] / seconds:.0f} "
        f"answered, for {seconds / 60:.1f} min; {_STREAMS:.0%} streams of {_EVENTS * _PACE:g} s, "
        f"{seen['left']:,} left by their callers; {seen['failed']} failed, {seen['cut']} cut, "
        f"{seen['skipped']:,} not asked since as many as may be were under way\n{table(head, rows)}"
    )
