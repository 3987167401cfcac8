"""A closed loop: with wrk where it is installed, else with our own load generator."""

import math
import shutil
import subprocess
import tempfile
from pathlib import Path

import msgspec
from msgspec import Struct

from bench import machine
from bench.processes import LOOPBACK, BenchFailed, Target, chat_request, load, running

_SCRIPT = """
wrk.method = "POST"
wrk.body = {body}
{headers}
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('\\n{{"done": %d, "failed": %d, "seconds": %f, "p50": %f, "p99": %f}}',
    summary.requests - e.status, e.status + e.connect + e.read + e.write + e.timeout,
    summary.duration / 1e6, latency:percentile(50) / 1e6, latency:percentile(99) / 1e6))
end
"""


UNDER_WAY = 0.1
"""The share of a closed loop's calls that may be under way at its end. What these cost until then is told as
a cost of those that were answered. Own design."""

LONGEST = 30.0
"""Seconds that a loop is made longer to, at most: a way that hardly answers would have no end. Own design."""


class Busy(Struct, frozen=True):
    """What came of a closed loop; times in seconds."""

    done: int
    failed: int
    seconds: float
    p50: float
    p99: float


def tool() -> str:
    """Return what keeps the connections busy."""
    return "wrk" if shutil.which("wrk") else "bench.load"


def keep_busy(target: Target, connections: int, seconds: float) -> Busy:
    """Let each of so many *connections* ask *target* again as soon as it is answered."""
    wrk = shutil.which("wrk")
    if wrk is not None:
        return _with_wrk(wrk, target, connections, seconds)
    return Busy(**load("closed", connections=connections, seconds=seconds, **target.asked))


def long_enough(seen: Busy, connections: int, seconds: float) -> float:
    """Return how long (seconds) a loop of *connections* is to be for a way that did what was *seen* before.

    That is *seconds*, or longer where it would have answered only few times what is under way at the end.
    """
    enough = connections / UNDER_WAY
    return max(seconds, min(LONGEST, enough * seen.seconds / max(seen.done, 1)))


def _with_wrk(wrk: str, target: Target, connections: int, seconds: float) -> Busy:
    with tempfile.NamedTemporaryFile(suffix=".lua") as script:
        Path(script.name).write_text(_script(target))
        url = f"http://{LOOPBACK}:{target.port}/v1/chat/completions"
        command = [wrk, "-t1", f"-c{connections}", f"-d{max(1, math.ceil(seconds))}s", "-s", script.name, url]
        with running(command, machine.cores().load, stdout=subprocess.PIPE) as process:
            out, _ = process.communicate()
    if process.returncode:
        raise BenchFailed(f"wrk ended with {process.returncode}")
    return msgspec.json.decode(out.rsplit(b"\n", 1)[-1], type=Busy)


def _script(target: Target) -> str:
    request = chat_request(target.port, target.models[0], target.key, headers=target.headers)
    head, _, body = request.decode().partition("\r\n\r\n")
    fields = [line.split(": ", 1) for line in head.split("\r\n")[1:]]
    # JSON's strings are Lua's too, as long as they are ASCII. wrk tells host and length by itself.
    headers = [
        f"wrk.headers[{_text(name)}] = {_text(value)}"
        for name, value in fields
        if name not in ("content-length", "host")
    ]
    return _SCRIPT.format(body=_text(body), headers="\n".join(headers))


def _text(value: str) -> str:
    return msgspec.json.encode(value).decode()
