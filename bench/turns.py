"""CPU a request of each way, in turns: all run at once, and a machine's slow moments fall on all alike."""

import argparse
import statistics
import sys
from contextlib import ExitStack

from bench import machine
from bench.busy import keep_busy, long_enough
from bench.options import number, whole
from bench.parts import streams
from bench.peers.budgets import CPU, carried
from bench.processes import BenchFailed, Target, Upstream, upstream
from bench.ready import is_ready
from bench.report import held_beside, held_to, table
from bench.ways import LIMITED, WAYS

_CONNECTIONS = 64
_WARM_UP = 1.0


def main(arguments: list[str]) -> int:
    """Measure round after round, print the medians, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench turns", description=__doc__)
    often = "from 1 to 1000, each way has one turn in each; 9 without it"
    long = "of each turn, from 0.1 to 600, longer for who is slow; 1 without it"
    parser.add_argument("--rounds", type=whole(1, 1000), default=9, help=often)
    parser.add_argument("--seconds", type=number(0.1, 600), default=1.0, help=long)
    wanted = parser.parse_args(arguments)
    if not is_ready():
        return 2
    try:
        with upstream(streams.EVENTS, streams.PACE, 1) as running, ExitStack() as ways:
            spent = measured(_started(running, ways), wanted.rounds, wanted.seconds)
    except BenchFailed as exc:
        print(f"bench: {exc}", file=sys.stderr)
        return 1
    print("\n\n".join([told(spent), *judged(spent)]))
    return 0


def _started(running: Upstream, ways: ExitStack) -> list[Target]:
    """Return all ways that there are here but the direct one, running."""
    targets: list[Target] = []
    for way, is_ours in WAYS[1:]:
        try:
            targets += ways.enter_context(way(running))
        except BenchFailed as exc:
            if is_ours:
                raise
            print(f"bench: {exc}", file=sys.stderr)
    return targets


def measured(targets: list[Target], rounds: int, seconds: float) -> dict[str, list[float]]:
    """Return by the name of each of *targets* its CPU time a request (ms) in each round.

    A turn takes so many *seconds*, or longer for who is slow: see `bench.busy.long_enough`.
    """
    seen = [keep_busy(target, _CONNECTIONS, _WARM_UP) for target in targets]
    turns = [long_enough(busy, _CONNECTIONS, seconds) for busy in seen]
    spent: dict[str, list[float]] = {target.name: [] for target in targets}
    for _ in range(rounds):
        for target, turn in zip(targets, turns, strict=True):
            assert target.pid is not None
            before = machine.cpu_seconds(target.pid)
            done = keep_busy(target, _CONNECTIONS, turn).done
            spent[target.name].append((machine.cpu_seconds(target.pid) - before) / max(done, 1) * 1000)
    return spent


def told(spent: dict[str, list[float]]) -> str:
    """Return the table of *spent*: medians, and the median over the rounds of each way beside ours."""
    ours = spent[LIMITED]
    rows = []
    for name, each in spent.items():
        figures = (statistics.median(each), min(each), max(each))
        rows.append((name, *(f"{figure:.3f}" for figure in figures), f"{_beside(each, ours):.3g}"))
    return table(("", "CPU ms/req, median", "least", "most", f"of {LIMITED}"), rows)


def judged(spent: dict[str, list[float]]) -> list[str]:
    """Return what is wanted of freeroute beside *spent*, by rounds in which it took its median."""
    ours = spent[LIMITED]
    usual = statistics.median(ours)
    costs = {name: _beside(each, ours) * usual for name, each in spent.items()}
    return [*held_beside(costs), *held_to(carried({CPU: costs}))]


def _beside(theirs: list[float], ours: list[float]) -> float:
    """Return how many times *ours* the others take, the median over the rounds."""
    return statistics.median(one / own for one, own in zip(theirs, ours, strict=True))
