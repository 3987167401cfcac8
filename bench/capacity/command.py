"""How much of the free capacity is delivered: ``make bench-capacity``, or ``python -m bench capacity``."""

import argparse
import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import Sequence

import msgspec
import structlog

from bench.capacity.figures import Figures, figures
from bench.capacity.gateway import Apart
from bench.capacity.musts import judged
from bench.capacity.play import CONTENDERS, Contender, Played, Times, play
from bench.capacity.report import Result, markdown, report
from bench.capacity.scenarios import SCENARIOS, Scenario
from bench.options import number, whole, writable
from bench.processes import BenchFailed

SECONDS = 300.0
"""How long a play is in real time."""

METER = 0.02  # seconds between two looks at whether the bench is on time

COMPRESSED = 300.0
"""How long in virtual time: as long as in real time, so that the demands are the same."""


def main(arguments: Sequence[str]) -> int:
    """Play what was asked for, print it, and return the exit code: 1 if freeroute misses a demand."""
    wanted = _arguments(arguments)
    scenarios = [scenario for scenario in SCENARIOS if scenario.name in wanted.scenarios]
    began = time.perf_counter()
    try:
        if wanted.compressed:
            # Only faults: what is looked at is what callers and providers saw.
            structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
            results = [compressed(scenario, wanted.seconds or COMPRESSED) for scenario in scenarios]
        else:
            results = asyncio.run(_real(scenarios, wanted.seconds or SECONDS, wanted.parallel))
    except BenchFailed as exc:
        print(f"bench: {exc}", file=sys.stderr)
        return 1
    print(report(results))
    print(f"\n{'virtual' if wanted.compressed else 'real'} time, {time.perf_counter() - began:.0f} s")
    if wanted.json is not None:
        wanted.json.write_bytes(msgspec.json.format(msgspec.json.encode(results)) + b"\n")
    if wanted.markdown is not None:
        wanted.markdown.write_text(markdown(results))
    return 0 if all(result.passed for result in results) else 1


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    names = [scenario.name for scenario in SCENARIOS]
    parser = argparse.ArgumentParser(prog="python -m bench capacity", description=__doc__)
    parser.add_argument(
        "scenarios", nargs="*", metavar="SCENARIO", help=f"{', '.join(names)}; all without one"
    )
    parser.add_argument(
        "--seconds",
        type=number(10, 3600),
        help=f"of each, from 10 to 3600; {SECONDS:g} without it, or {COMPRESSED:g} compressed",
    )
    parser.add_argument("--compressed", action="store_true", help="in virtual time, within this process")
    parser.add_argument(
        "--parallel",
        type=whole(1, len(names)),
        default=4,
        metavar="N",
        help=f"scenarios at a time, from 1 to {len(names)}; 4 without it",
    )
    parser.add_argument("--json", type=writable, metavar="FILE", help="write the results there too")
    parser.add_argument(
        "--markdown", type=writable, metavar="FILE", help="write the table for the documentation"
    )
    wanted = parser.parse_args(arguments)
    if unknown := [name for name in wanted.scenarios if name not in names]:
        parser.error(f"there is no scenario {unknown[0]!r}; there are {', '.join(names)}")
    wanted.scenarios = wanted.scenarios or names
    return wanted


def compressed(scenario: Scenario, seconds: float, contenders: Sequence[Contender] = CONTENDERS) -> Result:
    """Play *scenario* in virtual time, one contender after the other."""
    from bench.capacity.inside import Inside
    from bench.capacity.virtual import VirtualLoop, wall

    times = Times(wall, Inside)
    results = []
    for contender in contenders:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            results.append(runner.run(play(scenario, contender, seconds, times)))
    return _result(scenario, results)


async def _real(scenarios: Sequence[Scenario], seconds: float, parallel: int) -> list[Result]:
    """Play *scenarios* in real time, as many in *parallel*, with all contenders of each."""
    results = []
    for first in range(0, len(scenarios), parallel):
        batch = scenarios[first : first + parallel]
        print(f"playing {', '.join(scenario.name for scenario in batch)}", file=sys.stderr)
        results += await _together(batch, seconds)
    return results


async def _together(scenarios: Sequence[Scenario], seconds: float) -> list[Result]:
    """Play *scenarios* at the same time, from when all of their gateways run."""
    times = Times(time.time, Apart)
    up = asyncio.Barrier(len(scenarios) * len(CONTENDERS) + 1)
    try:
        async with asyncio.TaskGroup() as group:
            plays = {
                scenario.name: [
                    group.create_task(play(scenario, each, seconds, times, up.wait)) for each in CONTENDERS
                ]
                for scenario in scenarios
            }
            await up.wait()
            meter = asyncio.create_task(lateness())
            await asyncio.wait([task for tasks in plays.values() for task in tasks])
            meter.cancel()
    except* BenchFailed as failed:
        raise failed.exceptions[0] from None
    late = await meter
    return [
        _result(scenario, [task.result() for task in plays[scenario.name]], late) for scenario in scenarios
    ]


async def lateness() -> float:
    """Return the longest that this process itself was late for anything, in seconds, once it is cancelled."""
    loop = asyncio.get_running_loop()
    worst = 0.0
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            due = loop.time() + METER
            await asyncio.sleep(METER)
            worst = max(worst, loop.time() - due)
    return worst


def _result(scenario: Scenario, several: Sequence[Played], late: float = 0.0) -> Result:
    found: dict[str, Figures] = {played.contender: figures(played) for played in several}
    musts = next((judged(one, found[one.contender]) for one in several if one.contender == "freeroute"), [])
    return Result(scenario.name, scenario.title, found, musts, late)
