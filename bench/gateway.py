"""freeroute as it is measured: its own command, its own settings file, every feature on."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import msgspec
from msgspec import Struct

from bench import machine
from bench.processes import ROOT, BenchFailed, Target, Upstream, free_port, running, wait_until_served

PLAIN_KEY = "bench-client-without-limits"
_LIMITED_KEY = "bench-client-with-limits"
ADMIN_KEY = "bench-admin"
# Far above what a run can use: what is measured is the counting, not the waiting.
_MANY = 10**12
# How much of a gateway's log tells why it failed, in characters.
_LOG_SHOWN = 2000


class Gateway(Struct, frozen=True):
    """A running gateway, and the two ways through it."""

    pid: int
    plain: Target
    limited: Target


class Arrangement(Struct, frozen=True):
    """Everything needed to start the gateway again and again: *command*, *env* and where it will listen."""

    command: tuple[str, ...]
    env: dict[str, str]
    directory: Path
    port: int
    models: int

    def target(self, name: str, provider: str, key: str, pid: int | None = None) -> Target:
        """Return the way through one kind of provider entry."""
        models = tuple(f"{provider}-{number}/m" for number in range(self.models))
        return Target(name, self.port, models, key, pid)

    @contextmanager
    def started(self) -> Iterator[subprocess.Popen[bytes]]:
        """Start the gateway, without waiting for it; its log goes to a file, as it would in service."""
        path = self.directory / "log"
        on = machine.cores().gateway
        with path.open("wb") as log:
            kept = {"cwd": self.directory, "stdout": log, "stderr": log}
            with running(self.command, on, self.env, **kept) as process:
                try:
                    yield process
                except BenchFailed as exc:
                    said = path.read_text(errors="replace").strip()[-_LOG_SHOWN:]
                    raise BenchFailed(f"{exc}; its log ends with:\n{said}") from None


@contextmanager
def arranged(upstream: Upstream, **changes: object) -> Iterator[Arrangement]:
    """Write the settings of a gateway in front of *upstream*, with *changes* of whole sections.

    Providers come in addition to those that there are.
    """
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="freeroute-bench-") as name:
        directory = Path(name)
        settings = directory / "freeroute.yaml"
        more = cast("Mapping[str, object]", changes.pop("providers", {}))
        settings.write_bytes(msgspec.yaml.encode(_settings(upstream, directory, port, more) | changes))
        env = {"PATH": os.environ.get("PATH", ""), "HOME": name, "PYTHONPATH": str(ROOT)}
        env |= {"BENCHPLAIN_KEY": PLAIN_KEY, "BENCH_LIMITED_KEY": _LIMITED_KEY}
        env["FREEROUTE_ADMIN_KEY"] = ADMIN_KEY
        if upstream.authority is not None:
            env["SSL_CERT_FILE"] = str(upstream.authority)
        command = (sys.executable, "-m", "freeroute", "serve", "--config", str(settings))
        yield Arrangement(command, env, directory, port, len(upstream.ports))


@contextmanager
def gateway(upstream: Upstream) -> Iterator[Gateway]:
    """Run a gateway in front of *upstream* until it serves."""
    with arranged(upstream) as plan, plan.started() as process:
        running_now = Gateway(process.pid, plain(plan, process.pid), limited(plan, process.pid))
        wait_until_served(running_now.plain, process)
        yield running_now


def plain(plan: Arrangement, pid: int | None = None) -> Target:
    """Return the way through entries with ``keys: []`` and no limits."""
    return plan.target("freeroute", "plain", PLAIN_KEY, pid)


def limited(plan: Arrangement, pid: int | None = None) -> Target:
    """Return the way through entries that count in every kind of window, for a client that has limits too."""
    return plan.target("freeroute, with limits", "limited", _LIMITED_KEY, pid)


def _settings(
    upstream: Upstream, directory: Path, port: int, more: Mapping[str, object]
) -> dict[str, object]:
    providers: dict[str, object] = {**more}
    for number, url in enumerate(upstream.urls):
        base_url = f"{url}/v1"
        providers[f"plain-{number}"] = {"base_url": base_url, "keys": [], "models": [{"id": "m"}]}
        providers[f"limited-{number}"] = {
            "base_url": base_url,
            "keys": [],
            "limits": _limits(),
            "models": [{"id": "m", "limits": [{"unit": "tokens", "amount": _MANY, "per": "minute"}]}],
        }
    budget = {"requests_per_minute": 10**6, "tokens_per_day": _MANY}
    return {
        "server": {"host": "127.0.0.1", "port": port, "state_dir": str(directory / "state")},
        "discovery": {"env": False, "local": False, "keyless": False},
        "providers": providers,
        "clients": [
            {"name": "plain", "key": "env:BENCHPLAIN_KEY"},
            {"name": "limited", "key": "env:BENCH_LIMITED_KEY", **budget},
        ],
        "logging": {"format": "console", "level": "info"},
    }


def _limits() -> list[dict[str, object]]:
    return [
        {"unit": "requests", "amount": _MANY, "per": "minute"},
        {"unit": "tokens", "amount": _MANY, "per": "day", "window": "bucket"},
        {
            "unit": "requests",
            "amount": _MANY,
            "per": "day",
            "window": "calendar",
            "tz": "America/Los_Angeles",
        },
        {"unit": "concurrency", "amount": 10_000},
    ]
