"""What freeroute costs, measured here and now: ``make bench``, or ``python -m bench``."""

import argparse
import asyncio
import sys
from collections.abc import Callable

import msgspec

from bench import ending, loading, machine, surfaces, turns
from bench.busy import tool
from bench.capacity import command as capacity
from bench.kills import command as kills
from bench.options import number, whole, writable
from bench.parts import calls, choose, dashboards, features, leaving, start, streams
from bench.processes import BenchFailed, Upstream, upstream
from bench.profile import command as profile
from bench.ready import is_ready
from bench.regress import command as regress
from bench.report import report
from bench.results import Results
from bench.soak import command as soak

# Benchmarks with options of their own.
_OWN: dict[str, Callable[[list[str]], int]] = {
    "capacity": capacity.main,
    "dashboard-load": loading.main,
    "kills": kills.main,
    "profile": profile.main,
    "regress": regress.main,
    "soak": soak.main,
    "surfaces": surfaces.main,
    "turns": turns.main,
}
PARTS = ("start", "calls", "streams", "choose", "features")
ALONE = ("dashboards",)


def main(arguments: list[str]) -> int:
    """Measure what was asked for, print it, and return the exit code."""
    if own := _OWN.get("".join(arguments[:1])):
        return own(arguments[1:])
    wanted = _arguments(arguments)
    if not is_ready():
        return 2
    try:
        found = _measured(wanted)
    except BenchFailed as exc:
        print(f"bench: {exc}", file=sys.stderr)
        return 1
    print(report(found))
    if wanted.json is not None:
        content = {**msgspec.to_builtins(found), "noisy": found.is_noisy}
        wanted.json.write_bytes(msgspec.json.format(msgspec.json.encode(content)) + b"\n")
    return 0


def _arguments(arguments: list[str]) -> argparse.Namespace:
    also = f"{', '.join(_OWN)} are benchmarks of their own: see `python -m bench capacity --help`"
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__, epilog=also)
    parser.add_argument(
        "parts",
        nargs="*",
        metavar="PART",
        help=f"{', '.join(PARTS)} (all of these without one), {', '.join(ALONE)}",
    )
    parser.add_argument("--json", type=writable, metavar="FILE", help="write the results there too")
    parser.add_argument(
        "--seconds",
        type=number(0.1, 3600),
        default=3.0,
        help="of each closed loop, from 0.1 to 3600; 3 without it",
    )
    parser.add_argument(
        "--streams", type=whole(1, 1600), default=500, help="at once, from 1 to 1600; 500 without it"
    )
    parser.add_argument(
        "--leave",
        type=number(0, 100),
        default=0.0,
        metavar="PERCENT",
        help="so many streams in a hundred, from 0 to 100, are left by their callers; "
        "for --seconds, 10 at least",
    )
    parser.add_argument(
        "--starts", type=whole(1, 1000), default=5, help="how many cold starts, from 1 to 1000; 5 without it"
    )
    wanted = parser.parse_args(arguments)
    known = (*PARTS, *ALONE)
    if unknown := [part for part in wanted.parts if part not in known]:
        parser.error(f"there is no part {unknown[0]!r}; there are {', '.join(known)}")
    wanted.parts = wanted.parts or list(PARTS)
    return wanted


def _measured(wanted: argparse.Namespace) -> Results:
    found = Results(machine.describe())
    if wanted.parts != ["choose"]:
        paced = leaving if wanted.leave else streams
        with upstream(paced.EVENTS, paced.PACE, streams.PORTS) as running:
            _over_sockets(found, wanted, running)
    if "choose" in wanted.parts:
        found.choose = asyncio.run(choose.measure())
    return found


def _over_sockets(found: Results, wanted: argparse.Namespace, running: Upstream) -> None:
    found.upstream, found.tool = running.kind, tool()
    if "start" in wanted.parts:
        found.start = start.measure(running, wanted.starts)
    if "calls" in wanted.parts:
        found.calls, found.absent, found.direct_varied = calls.measure(running, wanted.seconds)
    if "streams" in wanted.parts and wanted.leave:
        found.leaving = leaving.measure(
            running, wanted.streams, wanted.leave / 100, max(wanted.seconds, 10.0)
        )
    elif "streams" in wanted.parts:
        found.streams, found.absent = streams.measure(running, wanted.streams)
    if "features" in wanted.parts:
        found.features = features.measure(running, wanted.seconds)
    if "dashboards" in wanted.parts:
        found.dashboards = dashboards.measure(running, max(wanted.seconds, 15.0))


if __name__ == "__main__":
    sys.exit(ending.interruptible(lambda: main(sys.argv[1:])))
