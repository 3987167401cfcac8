"""What open dashboards cost, and a page of metrics, of an ordinary gateway and of a very large one."""

import statistics
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from bench import machine
from bench.gateway import ADMIN_KEY, PLAIN_KEY, Arrangement, arranged, plain
from bench.processes import LOOPBACK, Target, Upstream, load, wait_until_served
from bench.results import Dashboards, Watched
from bench.watching import watching
from freeroute.domain.clients import Client, hash_key
from freeroute.stores.clients_file import ClientsFile

RATE = 50.0
OPEN = 100
# Each has its turn so many times, with and without dashboards, one after the other.
ROUNDS = 3
# The largest that is thought of: all of the catalogue's providers, and as many models as one has at most.
PROVIDERS, MODELS, KEYS, CLIENTS = 19, 120, 3, 10_000
_PAGES = 5
_WARM_UP = 1.0


def measure(upstream: Upstream, seconds: float) -> list[Dashboards]:
    """Return what 100 dashboards cost while 50 calls a second come, each turn for *seconds*."""
    large = f"{PROVIDERS} x {MODELS} x {KEYS}, {CLIENTS:,} clients"
    return [
        _measured("ordinary", upstream, {}, 0, seconds),
        _measured(large, upstream, _many(upstream), CLIENTS, seconds),
    ]


def _measured(
    name: str, upstream: Upstream, providers: dict[str, object], clients: int, seconds: float
) -> Dashboards:
    with _served(upstream, providers, clients) as (target, port):
        _calls(target, _WARM_UP)
        alone, beside = [], []
        for _ in range(ROUNDS):
            alone.append(_watched(target, port, 0, seconds))
            beside.append(_watched(target, port, OPEN, seconds))
        assert target.pid is not None
        pages = [_page(port, target.pid) for _ in range(_PAGES)]
        return Dashboards(
            name=name,
            open=OPEN,
            rate=RATE,
            alone=_middle(alone),
            beside=_middle(beside),
            page_ms=statistics.median(took for took, _, _ in pages) * 1000,
            page_cpu_ms=statistics.median(cpu for _, cpu, _ in pages) * 1000,
            page_size=pages[-1][2],
            rss_mib=machine.rss_mib(target.pid),
        )


def _middle(turns: list[Watched]) -> Watched:
    """Return the turn that cost neither most nor least."""
    return sorted(turns, key=lambda turn: turn.cpu)[len(turns) // 2]


def _watched(target: Target, port: int, count: int, seconds: float) -> Watched:
    assert target.pid is not None
    with watching(port, ADMIN_KEY, count) if count else nullcontext() as told:
        before, began = machine.cpu_seconds(target.pid), time.perf_counter()
        seen = _calls(target, seconds)
        took = time.perf_counter() - began
        cpu = (machine.cpu_seconds(target.pid) - before) / took
    each = 0.0 if told is None else 1 / (told.readers * took)
    return Watched(
        cpu=cpu,
        p50_ms=seen["p50"] * 1000,
        p99_ms=seen["p99"] * 1000,
        failed=int(seen["failed"]),
        events=told.events * each if told is not None else 0.0,
        size=told.size * each if told is not None else 0.0,
    )


def _calls(target: Target, seconds: float) -> dict[str, float]:
    asked = {"port": target.port, "models": target.models[:1], "key": target.key}
    return load("open", connections=16, rate=RATE, seconds=seconds, **asked)


def _page(port: int, pid: int) -> tuple[float, float, int]:
    """Return the seconds that one page of metrics takes, of those on the processor, and its bytes."""
    request = urllib.request.Request(
        f"http://{LOOPBACK}:{port}/metrics", headers={"authorization": f"Bearer {ADMIN_KEY}"}
    )
    cpu, began = machine.cpu_seconds(pid), time.perf_counter()
    with urllib.request.urlopen(request, timeout=60) as reply:
        size = len(reply.read())
    return time.perf_counter() - began, machine.cpu_seconds(pid) - cpu, size


@contextmanager
def _served(upstream: Upstream, providers: dict[str, object], clients: int) -> Iterator[tuple[Target, int]]:
    with arranged(upstream, providers=providers) as plan:
        _enrol(plan, clients)
        with plan.started() as process:
            target = plain(plan, process.pid)
            wait_until_served(target, process)
            yield target, plan.port


def _enrol(plan: Arrangement, count: int) -> None:
    if count:
        added = tuple(Client(f"client-{n}", hash_key(f"{PLAIN_KEY}-{n}")) for n in range(count))
        ClientsFile(plan.directory / "state").update(lambda _: added)


def _many(upstream: Upstream) -> dict[str, object]:
    """Return the settings of so many providers, whose accounts and models have limits of their own."""
    per_model = [
        {"unit": "requests", "amount": 30, "per": "minute"},
        {"unit": "tokens", "amount": 200_000, "per": "day", "window": "bucket"},
    ]
    entry = {
        "base_url": f"http://{LOOPBACK}:{upstream.ports[0]}/v1",
        "keys": [{"key": f"bench-{n}", "label": f"k{n}", "account": f"a{n}"} for n in range(KEYS)],
        "limits": [
            {"unit": "requests", "amount": 1000, "per": "day", "window": "calendar"},
            {"unit": "tokens", "amount": 10**6, "per": "minute"},
        ],
        "models": [{"id": f"m-{n}", "limits": per_model} for n in range(MODELS)],
    }
    return {f"many-{n}": entry for n in range(PROVIDERS)}
