"""Instructions of requests, counted by callgrind while the harness asks them."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench.processes import ROOT, BenchFailed, NotHere, running
from bench.regress.harness import Round

_SOURCE = Path(__file__).with_name("callgrind.c")
_COUNTED = re.compile(r"^desc: Trigger: Client Request: (\w+)$.*?^totals: (\d+)$", re.MULTILINE | re.DOTALL)


def instructions(rounds: Sequence[Round]) -> list[int]:
    """Return for each of *rounds* what one of its requests takes.

    Raises NotHere without valgrind, BenchFailed if the application does not answer.
    """
    valgrind, compiler = shutil.which("valgrind"), shutil.which("cc")
    if valgrind is None or compiler is None:
        raise NotHere("counting instructions needs valgrind and a C compiler")
    with tempfile.TemporaryDirectory(prefix="freeroute-bench-") as name:
        library, out, log = Path(name) / "callgrind.so", Path(name) / "out", Path(name) / "log"
        subprocess.run([compiler, "-shared", "-fPIC", "-o", library, _SOURCE], check=True)
        watched = [valgrind, "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}"]
        asked = msgspec.json.encode(rounds).decode()
        harness = [sys.executable, "-m", "bench.regress.harness", asked, str(library)]
        # What is hashed decides where it is found, and so how many steps that takes.
        env = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}
        with log.open("wb") as file:
            kept: dict[str, Any] = {"cwd": ROOT, "stdout": file, "stderr": file}
            with running([*watched, *harness], frozenset(), env, **kept) as counting:
                ended = counting.wait()
        if ended:
            raise BenchFailed(f"the harness ended with {ended}: {log.read_text()[-1000:]}")
        totals = dict(match for path in Path(name).glob("out.*") for match in _totals(path))
    return [totals[each.name] // each.times for each in rounds]


def _totals(path: Path) -> list[tuple[str, int]]:
    return [(what, int(total)) for what, total in _COUNTED.findall(path.read_text())]
