"""What speaking another API costs beside OpenAI's chat completions: ``python -m bench surfaces``.

The same short turn is asked in the words of each, and answered by the same upstream in memory. Instructions
are counted, so that what else the machine does has no part in it.
"""

import argparse
import sys
from collections.abc import Sequence

from bench.processes import BenchFailed
from bench.questions import APIS, NATIVE
from bench.regress.counting import instructions
from bench.regress.harness import Round
from bench.report import table

_CALLS, _STREAMS = 50, 5
_FEW, _MANY = 20, 120  # events of a stream: what one costs is what the longer has more


def main(arguments: list[str]) -> int:
    """Count, print, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench surfaces", description=__doc__)
    parser.parse_args(arguments)
    rounds = [each for number, api in enumerate(APIS) for each in _rounds(number, api)]
    try:
        found = instructions(rounds)
    except BenchFailed as exc:
        print(f"bench: {exc}", file=sys.stderr)
        return 1
    print(_told(found))
    return 0


def _rounds(number: int, api: str) -> tuple[Round, Round, Round]:
    return (
        Round(f"call{number}", api, _CALLS),
        Round(f"few{number}", api, _STREAMS, _FEW),
        Round(f"many{number}", api, _STREAMS, _MANY),
    )


def _told(found: Sequence[int]) -> str:
    costs = {
        api: (call, (many - few) / (_MANY - _FEW))
        for api, call, few, many in zip(APIS, found[::3], found[1::3], found[2::3], strict=True)
    }
    native_call, native_event = costs[NATIVE]
    rows = [
        (
            api,
            f"{call / 1000:,.0f}",
            f"{(call - native_call) / 1000:+,.0f}",
            f"{event / 1000:,.1f}",
            f"{(event - native_event) / 1000:+,.1f}",
        )
        for api, (call, event) in costs.items()
    ]
    return table(("thousands of instructions", "a call", "more", "an event", "more"), rows)
