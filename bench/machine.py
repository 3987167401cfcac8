"""The machine under the benchmark: its cores, and what the kernel says of a process. Linux only."""

import functools
import os
import platform
from pathlib import Path

from msgspec import Struct

_TICK = 1.0 / os.sysconf("SC_CLK_TCK")


class Machine(Struct, frozen=True):
    """Where the figures come from; *pinned* says that gateway and load have a core each."""

    cpu: str
    cores: int
    python: str
    kernel: str
    pinned: bool


class Cores(Struct, frozen=True):
    """Where the gateway runs, and where upstream and load do; both empty on a machine with one core."""

    gateway: frozenset[int] = frozenset()
    load: frozenset[int] = frozenset()


@functools.cache
def _allowed() -> tuple[int, ...]:
    return tuple(sorted(os.sched_getaffinity(0)))


def cores() -> Cores:
    """Return the first allowed core for the gateway and the second for all the rest."""
    if len(_allowed()) < 2:
        return Cores()
    return Cores(gateway=frozenset(_allowed()[:1]), load=frozenset(_allowed()[1:2]))


def step_aside() -> None:
    """Keep this process off the gateway's core."""
    if on := cores().load:
        os.sched_setaffinity(0, on)


def describe() -> Machine:
    """Return what the figures should be read beside."""
    info = Path("/proc/cpuinfo").read_text()
    names = [line.partition(":")[2].strip() for line in info.splitlines() if line.startswith("model name")]
    return Machine(
        cpu=names[0] if names else platform.machine(),
        cores=len(_allowed()),
        python=platform.python_version(),
        kernel=platform.release(),
        pinned=bool(cores().gateway),
    )


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that process *pid* has used, in and out of the kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK


def waited_seconds(pid: int) -> float:
    """Return how long process *pid* could have run while its core did something else; 0 if nobody tells."""
    path = Path(f"/proc/{pid}/schedstat")
    return int(path.read_text().split()[1]) / 1e9 if path.exists() else 0.0


def connections(port: int) -> int:
    """Return how many established connections have *port* of this machine as their own end."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    fields = (line.split() for line in lines)
    return sum(own.endswith(f":{port:04X}") and state == "01" for _, own, _, state, *_ in fields)


def rss_mib(pid: int) -> float:
    """Return the memory that process *pid* has resident."""
    return _status(pid, "VmRSS:") / 1024


def threads(pid: int) -> int:
    """Return how many threads process *pid* has."""
    return _status(pid, "Threads:")


def open_files(pid: int) -> int:
    """Return how many descriptors process *pid* has open."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def _status(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1])
