"""What a team costs: client keys and their limits, receipts, prompts and answers that are stored."""

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager

from bench import machine
from bench.busy import keep_busy
from bench.gateway import PLAIN_KEY, Arrangement, arranged, limited, plain
from bench.processes import Target, Upstream, wait_until_served
from bench.results import Team
from freeroute.domain.clients import Client, hash_key
from freeroute.stores.clients_file import ClientsFile

CONNECTIONS = 16
# Each gateway has its turn so many times, all others between: what the machine does meanwhile meets them all.
ROUNDS = 5
# Ten times the largest team that is thinkable.
MANY = 10_000
_WARM_UP = 1.0
_UNRECORDED = {"records": False}
_STORED = {"bodies": {"keep": "1h"}}


def measure(upstream: Upstream, seconds: float) -> list[Team]:
    """Return what each costs that a gateway can have switched on, in closed loops of *seconds*."""
    with ExitStack() as stack:
        ways = [(name, *stack.enter_context(way)) for name, way in _ways(upstream)]
        spent: dict[str, list[float]] = {name: [] for name, _, _ in ways}
        failed = dict.fromkeys(spent, 0)
        for _, target, _ in ways:
            keep_busy(target, CONNECTIONS, _WARM_UP)
        for _ in range(ROUNDS):
            for name, target, _ in ways:
                cpu, seen_failed = _asked(target, seconds)
                spent[name].append(cpu)
                failed[name] += seen_failed
        return [Team(name, tuple(spent[name]), took, failed[name]) for name, _, took in ways]


def _ways(upstream: Upstream) -> list[tuple[str, AbstractContextManager[tuple[Target, float]]]]:
    return [
        ("no client, no records", _served(upstream, {"clients": [], "storage": _UNRECORDED})),
        ("one client", _served(upstream, {"storage": _UNRECORDED})),
        (f"{MANY:,} clients", _served(upstream, {"storage": _UNRECORDED}, clients=MANY)),
        ("a client and candidates with limits", _served(upstream, {"storage": _UNRECORDED}, limits=True)),
        ("one client, receipts stored", _served(upstream, {})),
        ("prompts and answers stored too", _served(upstream, {"storage": _STORED})),
    ]


@contextmanager
def _served(
    upstream: Upstream, changes: Mapping[str, object], *, clients: int = 0, limits: bool = False
) -> Iterator[tuple[Target, float]]:
    """Run a gateway with *changes* and so many *clients* more; give the way through and its cold start."""
    with arranged(upstream, **changes) as plan:
        _enrol(plan, clients)
        begun = time.perf_counter()
        with plan.started() as process:
            target = (limited if limits else plain)(plan, process.pid)
            wait_until_served(target, process)
            yield target, time.perf_counter() - begun


def _enrol(plan: Arrangement, count: int) -> None:
    if count:
        added = tuple(Client(f"client-{n}", hash_key(f"{PLAIN_KEY}-{n}")) for n in range(count))
        ClientsFile(plan.directory / "state").update(lambda _: added)


def _asked(target: Target, seconds: float) -> tuple[float, int]:
    """Return the CPU time of a request in milliseconds, and how many failed."""
    assert target.pid is not None
    before = machine.cpu_seconds(target.pid)
    seen = keep_busy(target, CONNECTIONS, seconds)
    return (machine.cpu_seconds(target.pid) - before) / max(seen.done, 1) * 1000, seen.failed
