"""Where the time of a request goes: a flame graph of a gateway under load, and the share of each part."""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from bench import machine
from bench.busy import keep_busy
from bench.gateway import gateway
from bench.options import number, writable
from bench.parts import streams
from bench.processes import ROOT, BenchFailed, NotHere, running, upstream
from bench.profile.flame import drawn
from bench.profile.stacks import Stack, folded, shares
from bench.ready import is_ready
from bench.report import table

_RATE = 250  # samples a second: each stops the gateway for a moment
_CONNECTIONS = 16
_WARM_UP = 2.0


def main(arguments: list[str]) -> int:
    """Profile JSON calls, draw them, print the shares, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench profile", description=__doc__)
    of_load = "of load, from 1 to 600; 20 without it"
    parser.add_argument("--seconds", type=number(1, 600), default=20.0, help=of_load)
    parser.add_argument(
        "--svg", type=writable, default=ROOT / "docs" / "performance-flame.svg", metavar="FILE"
    )
    wanted = parser.parse_args(arguments)
    if not is_ready():
        return 2
    try:
        seen = _sampled(wanted.seconds)
    except BenchFailed as exc:
        print(f"bench: {exc}", file=sys.stderr)
        return 1
    wanted.svg.write_text(drawn(seen, "freeroute, with limits: JSON calls over 16 connections"))
    print(_told(seen))
    return 0


def _told(seen: Counter[Stack]) -> str:
    rows = [(name, f"{share:.1%}") for name, share in shares(seen)]
    return f"{seen.total():,} samples\n{table(('part', 'share'), rows)}"


def _sampled(seconds: float) -> Counter[Stack]:
    """Return how often each stack was seen while the gateway was kept busy."""
    spy = shutil.which("py-spy", path=str(ROOT / ".venv" / "profile" / "bin")) or shutil.which("py-spy")
    if spy is None:
        raise NotHere("py-spy is not installed: make bench-profile installs it")
    with (
        tempfile.TemporaryDirectory(prefix="freeroute-bench-") as name,
        upstream(streams.EVENTS, streams.PACE, 1) as origin,
        gateway(origin) as running_now,
    ):
        out = Path(name) / "folded"
        told = [
            "--format",
            "raw",
            "--output",
            str(out),
            "--duration",
            str(round(seconds)),
            "--rate",
            str(_RATE),
        ]
        keep_busy(running_now.limited, _CONNECTIONS, _WARM_UP)
        command: list[str | Path] = [spy, "record", "--pid", str(running_now.pid), *told]
        with running(
            command, machine.cores().load, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as spying:
            keep_busy(running_now.limited, _CONNECTIONS, seconds + 1)
            _, said = spying.communicate(timeout=30)
        if spying.returncode:
            raise BenchFailed(f"py-spy: {said.decode(errors='replace').strip()[-500:]}")
        return folded(out.read_text().splitlines())
