"""freeroute as a contender: in a process of its own in real time, within this loop in virtual time."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from bench import ending
from bench.capacity.providers import MODEL, Fleet, Pool, Provider
from bench.capacity.quotas import Limit
from bench.capacity.web import HOST, asked
from bench.processes import ROOT, BenchFailed, free_port

How = Literal["kill", "stop"]
FIRST_EVENT = 3.0
"""Seconds that freeroute is told to wait for the first event of an answer."""

_UP = 30.0  # seconds it may take to start
_LOG_SHOWN = 2000  # characters of its log when it does not start


class Gateway(Protocol):
    """A freeroute that can be started, and killed or stopped, again and again on the same state directory."""

    port: int

    async def start(self) -> None:
        """Start, and return once it serves."""
        ...

    async def end(self, how: How) -> None:
        """Kill it where it stands, or stop it as an operator would."""
        ...


class Apart:
    """``freeroute serve`` in a process of its own."""

    def __init__(self, directory: Path) -> None:
        """Run in *directory*, where its settings lie."""
        self.port = port_of(directory)
        self._directory = directory
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the process and wait until it is ready."""
        env = {"PATH": os.environ.get("PATH", ""), "HOME": str(self._directory), "PYTHONPATH": str(ROOT)}
        command = (
            sys.executable,
            "-m",
            "freeroute",
            "serve",
            "--config",
            str(self._directory / "freeroute.yaml"),
        )
        with (self._directory / "log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command, cwd=self._directory, env=env, stdout=log, stderr=log, preexec_fn=ending.bound()
            )
        try:
            async with asyncio.timeout(_UP):
                while not await _ready(self.port):
                    if self._process.returncode is not None:
                        raise TimeoutError
                    await asyncio.sleep(0.02)
        except TimeoutError:
            said = (self._directory / "log").read_text(errors="replace")[-_LOG_SHOWN:]
            raise BenchFailed(f"freeroute did not start; its log ends with:\n{said}") from None

    async def end(self, how: How) -> None:
        """Send SIGKILL or SIGTERM, and wait for the end."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.kill() if how == "kill" else process.terminate()
        await process.wait()


async def _ready(port: int) -> bool:
    try:
        async with asked(port, b"", {}, method="GET", path="/readyz") as exchange:
            return exchange.status == 200
    except (OSError, asyncio.IncompleteReadError):
        return False


def port_of(directory: Path) -> int:
    port: int = msgspec.yaml.decode((directory / "freeroute.yaml").read_bytes())["server"]["port"]
    return port


@contextlib.asynccontextmanager
async def arranged(
    fleet: Fleet, clients: Mapping[str, str], directory: Path, make: Callable[[Path], Gateway]
) -> AsyncIterator[Gateway]:
    """Write the settings of a freeroute in front of *fleet*, start it as *make* does, and end it."""
    settings = _settings(fleet, clients, directory, free_port())
    (directory / "freeroute.yaml").write_bytes(msgspec.yaml.encode(settings))
    gateway = make(directory)
    await gateway.start()
    try:
        yield gateway
    finally:
        await gateway.end("kill")


def _settings(fleet: Fleet, clients: Mapping[str, str], directory: Path, port: int) -> dict[str, object]:
    return {
        "server": {"host": HOST, "port": port, "state_dir": str(directory / "state")},
        "discovery": {"env": False, "local": False, "keyless": False},
        "providers": {name: _entry(provider, fleet.zone) for name, provider in fleet.providers.items()},
        "clients": [{"name": name, "key": key} for name, key in clients.items()],
        "routing": {"max_wait": "60s", "max_wait_cap": "60s"},
        "logging": {"format": "json", "level": "info"},
    }


def _entry(provider: Provider, zone: str) -> dict[str, object]:
    pool = provider.pool
    return {
        "base_url": f"http://{HOST}:{provider.server.port}/v1",
        "keys": [{"key": key.secret, "label": key.secret, "account": key.secret} for key in pool.keys],
        "key_check": "/models",
        "timeouts": {"first_event": f"{FIRST_EVENT:g}s"} if _fails(pool) else {},
        "limits": [_limit(limit, zone) for limit in pool.told],
        "models": _models(pool),
    }


def _fails(pool: Pool) -> bool:
    return any(phase.fault for phase in pool.phases)


def _models(pool: Pool) -> Sequence[dict[str, object]]:
    speed = {"first_token": f"{pool.first_token:g}s", "tokens_per_second": pool.tokens_per_second}
    # Whatever is gone was the better one, so that it is asked for first.
    gone = [{"id": name, "quality": 90, "speed": speed, "context": 8192} for name in pool.gone]
    return [{"id": MODEL, "quality": 50, "speed": speed, "context": 8192}, *gone]


def _limit(limit: Limit, zone: str) -> dict[str, object]:
    told: dict[str, object] = {"unit": limit.unit, "amount": limit.amount}
    if limit.per:
        told["per"] = limit.per
    if limit.per == "day":
        told |= {"window": "calendar", "tz": zone}
    return told
