"""Whether a request has become dearer, in instructions: they do not depend on what else the machine does."""

import argparse
import platform
import sys

import msgspec
from msgspec import Struct

from bench.processes import ROOT, BenchFailed
from bench.questions import NATIVE
from bench.regress.counting import instructions
from bench.regress.harness import Round

BASELINE = ROOT / "bench" / "baseline.json"
# Own design: five runs differ by two thousandths at most, so this is a change of the code.
TOLERANCE = 0.05
_CALLS, _STREAMS = 200, 20  # enough that what happens now and then is spread; 30 s under valgrind
_AT_ONCE, _AMONG = 64, 640  # calls, as many as the connections of `bench`
_EVENTS = 20  # of a stream


class Cost(Struct, frozen=True):
    """Instructions in the application alone: a JSON call, a stream of 20 events, a JSON call *among* 64."""

    call: int
    stream: int
    among: int


_NAMES = {"call": "a call", "stream": "a stream", "among": f"a call among {_AT_ONCE}"}


def main(arguments: list[str]) -> int:
    """Count, hold it against the baseline, and return 1 if something has become dearer than tolerated."""
    parser = argparse.ArgumentParser(prog="python -m bench regress", description=__doc__)
    parser.add_argument("--update", action="store_true", help="make what is counted now the baseline")
    wanted = parser.parse_args(arguments)
    try:
        found = counted()
    except BenchFailed as exc:
        print(f"bench: {exc}", file=sys.stderr)
        return 1
    known = _known()
    if wanted.update:
        known[_here()] = found
        BASELINE.write_bytes(msgspec.json.format(msgspec.json.encode(known)) + b"\n")
    text, is_dearer = judged(found, known.get(_here()))
    print(text)
    return int(is_dearer)


def judged(found: Cost, known: Cost | None) -> tuple[str, bool]:
    """Return what there is to say of *found* beside what is *known*, and whether it is too dear."""
    if known is None:
        told = ", ".join(f"{words} {getattr(found, name):,}" for name, words in _NAMES.items())
        return f"{told} instructions; nothing to hold that against for {_here()}", False
    lines, is_dearer = [], False
    for name, words in _NAMES.items():
        now, then = getattr(found, name), getattr(known, name)
        share = now / then - 1
        is_dearer |= share > TOLERANCE
        verdict = "DEARER" if share > TOLERANCE else "cheaper: update" if share < -TOLERANCE else "as before"
        lines.append(f"{words:15} {now:>12,} instructions, {share:+.1%} of {then:,}: {verdict}")
    if is_dearer:
        lines.append("If that is what it costs, say so: python -m bench regress --update")
    return "\n".join(lines), is_dearer


def counted() -> Cost:
    """Count under valgrind; raises NotHere without it, BenchFailed if the application does not answer."""
    calls, streams, among = instructions(
        [
            Round("calls", NATIVE, _CALLS),
            Round("streams", NATIVE, _STREAMS, _EVENTS),
            Round("among", NATIVE, _AMONG, at_once=_AT_ONCE),
        ]
    )
    return Cost(calls, streams, among)


def _known() -> dict[str, Cost]:
    return msgspec.json.decode(BASELINE.read_bytes(), type=dict[str, Cost]) if BASELINE.exists() else {}


def _here() -> str:
    """Return what a count holds for: another build of Python, or another processor, counts otherwise."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{python}, {platform.python_compiler()}, {platform.machine()}"
