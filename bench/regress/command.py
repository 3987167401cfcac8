"""Whether a request has become dearer, in instructions: they do not depend on what else the machine does."""

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
from msgspec import Struct

from bench.processes import ROOT, BenchFailed, NotHere

BASELINE = ROOT / "bench" / "baseline.json"
# Own design: five runs differ by two thousandths at most, so this is a change of the code.
TOLERANCE = 0.05
_CALLS, _STREAMS = 200, 20  # enough that what happens now and then is spread; 20 s under valgrind
_SOURCE = Path(__file__).with_name("callgrind.c")
_COUNTED = re.compile(r"^desc: Trigger: Client Request: (\w+)$.*?^totals: (\d+)$", re.MULTILINE | re.DOTALL)


class Cost(Struct, frozen=True):
    """Instructions of a JSON call and of a stream of 20 events, in the application alone."""

    call: int
    stream: int


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
        told = f"a call {found.call:,} instructions, a stream {found.stream:,}"
        return f"{told}; nothing to hold that against for {_here()}", False
    lines, is_dearer = [], False
    for name in Cost.__struct_fields__:
        now, then = getattr(found, name), getattr(known, name)
        share = now / then - 1
        is_dearer |= share > TOLERANCE
        verdict = "DEARER" if share > TOLERANCE else "cheaper: update" if share < -TOLERANCE else "as before"
        lines.append(f"a {name:6} {now:>12,} instructions, {share:+.1%} of {then:,}: {verdict}")
    if is_dearer:
        lines.append("If that is what it costs, say so: python -m bench regress --update")
    return "\n".join(lines), is_dearer


def counted() -> Cost:
    """Count under valgrind; raises NotHere without it, BenchFailed if the application does not answer."""
    valgrind, compiler = shutil.which("valgrind"), shutil.which("cc")
    if valgrind is None or compiler is None:
        raise NotHere("counting instructions needs valgrind and a C compiler")
    with tempfile.TemporaryDirectory(prefix="freeroute-bench-") as name:
        library, out, log = Path(name) / "callgrind.so", Path(name) / "out", Path(name) / "log"
        subprocess.run([compiler, "-shared", "-fPIC", "-o", library, _SOURCE], check=True)
        watched = [valgrind, "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}"]
        harness = [sys.executable, "-m", "bench.regress.harness", str(_CALLS), str(_STREAMS), str(library)]
        # What is hashed decides where it is found, and so how many steps that takes.
        env = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}
        with log.open("wb") as file:
            done = subprocess.run(
                [*watched, *harness], cwd=ROOT, env=env, stdout=file, stderr=file, check=False
            )
        if done.returncode:
            raise BenchFailed(f"the harness ended with {done.returncode}: {log.read_text()[-1000:]}")
        totals = dict(match for path in Path(name).glob("out.*") for match in _totals(path))
    return Cost(totals["calls"] // _CALLS, totals["streams"] // _STREAMS)


def _totals(path: Path) -> list[tuple[str, int]]:
    return [(what, int(total)) for what, total in _COUNTED.findall(path.read_text())]


def _known() -> dict[str, Cost]:
    return msgspec.json.decode(BASELINE.read_bytes(), type=dict[str, Cost]) if BASELINE.exists() else {}


def _here() -> str:
    """Return what a count holds for: another build of Python, or another processor, counts otherwise."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{python}, {platform.python_compiler()}, {platform.machine()}"
