"""What each feature costs: a gateway with all of them, beside others without one of them or with one more."""

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager

from msgspec.structs import replace

from bench import machine
from bench.busy import keep_busy
from bench.gateway import PLAIN_KEY, Arrangement, arranged, limited, plain
from bench.processes import LOOPBACK, Target, Upstream, wait_until_served
from bench.results import Feature
from freeroute.domain.clients import Client, hash_key
from freeroute.stores.clients_file import ClientsFile

CONNECTIONS = 16
# Each gateway has its turn so many times, all others between: what the machine does meanwhile meets them all.
ROUNDS = 5
# Ten times the largest team that is thinkable.
MANY = 10_000
_WARM_UP = 1.0
_NO_CLIENTS: Mapping[str, object] = {"clients": []}
_NO_RECORDS: Mapping[str, object] = {"storage": {"records": False}}
_NO_LOG: Mapping[str, object] = {"logging": {"format": "console", "level": "warning"}}
_BODIES: Mapping[str, object] = {"storage": {"bodies": {"keep": "1h"}}}


def measure(upstream: Upstream, seconds: float) -> list[Feature]:
    """Return what a request costs with each set of features, the usual one first, in turns of *seconds*."""
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
        return [Feature(name, tuple(spent[name]), took, failed[name]) for name, _, took in ways]


def _ways(upstream: Upstream) -> list[tuple[str, AbstractContextManager[tuple[Target, float]]]]:
    # The mock upstream answers whatever is posted to it, spans too.
    traces = {"traces": {"endpoint": f"http://{LOOPBACK}:{upstream.ports[0]}"}}
    return [
        ("all on: client, limits, receipts, log, metrics", _served(upstream)),
        ("without clients and their limits", _served(upstream, _NO_CLIENTS, keyless=True)),
        ("without any limits", _served(upstream, limits=False)),
        ("without stored receipts", _served(upstream, _NO_RECORDS)),
        ("without the request log", _served(upstream, _NO_LOG)),
        (
            "without all of these",
            _served(upstream, {**_NO_CLIENTS, **_NO_RECORDS, **_NO_LOG}, limits=False, keyless=True),
        ),
        (f"with {MANY:,} clients", _served(upstream, clients=MANY)),
        ("with prompts and answers stored", _served(upstream, _BODIES)),
        ("with traces of every request", _served(upstream, traces)),
    ]


@contextmanager
def _served(
    upstream: Upstream,
    changes: Mapping[str, object] | None = None,
    *,
    limits: bool = True,
    keyless: bool = False,
    clients: int = 0,
) -> Iterator[tuple[Target, float]]:
    """Run a gateway with *changes* and so many *clients* more; give the way through and its cold start."""
    with arranged(upstream, **(changes or {})) as plan:
        _enrol(plan, clients)
        begun = time.perf_counter()
        with plan.started() as process:
            target = (limited if limits else plain)(plan, process.pid)
            target = replace(target, key="") if keyless else target
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
