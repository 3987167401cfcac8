"""How much of the free capacity is delivered: ``make bench-capacity``, or ``python -m bench capacity``."""

import argparse
import asyncio
import logging
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import structlog

from bench.capacity.figures import Figures, figures
from bench.capacity.gateway import Apart
from bench.capacity.musts import judged
from bench.capacity.play import CONTENDERS, Contender, Played, Times, play
from bench.capacity.report import Result, markdown, report
from bench.capacity.scenarios import SCENARIOS, Scenario
from bench.processes import BenchFailed

SECONDS = 300.0
"""How long a play is in real time."""

COMPRESSED = 180.0
"""How long in virtual time: three windows of a minute."""


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
    parser.add_argument("--seconds", type=float, help=f"of each; {SECONDS:g}, or {COMPRESSED:g} compressed")
    parser.add_argument("--compressed", action="store_true", help="in virtual time, within this process")
    parser.add_argument(
        "--parallel", type=int, default=4, metavar="N", help="scenarios at a time; 4 without it"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table for the documentation")
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
    """Play *scenarios* in real time, as many in *parallel*, and all contenders of each at once."""
    room = asyncio.Semaphore(parallel)
    times = Times(time.time, Apart)

    async def one(scenario: Scenario) -> Result:
        async with room:
            if os.isatty(sys.stderr.fileno()):
                print(f"{scenario.name} ...", file=sys.stderr)
            played = await asyncio.gather(*(play(scenario, each, seconds, times) for each in CONTENDERS))
            return _result(scenario, played)

    return list(await asyncio.gather(*(one(scenario) for scenario in scenarios)))


def _result(scenario: Scenario, several: Sequence[Played]) -> Result:
    found: dict[str, Figures] = {played.contender: figures(played) for played in several}
    musts = next((judged(one, found[one.contender]) for one in several if one.contender == "freeroute"), [])
    return Result(scenario.name, scenario.title, found, musts)
