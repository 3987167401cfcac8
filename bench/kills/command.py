"""The gateway is killed under load, again and again, and what is stored is held against what was answered."""

import argparse
import asyncio
import itertools
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import select

from bench import machine
from bench.kills.callers import Callers, answer, clock
from bench.kills.judge import BOUND, Found, Life, judge
from bench.options import whole
from bench.processes import LOOPBACK, ROOT, BenchFailed, free_port, running, upstream
from bench.ready import is_ready
from freeroute.stores.records.database import Database
from freeroute.stores.records.tables import hourly, receipts

_EVENTS, _PACE = 10, 0.005  # of the streams: each takes a twentieth of a second
_MODEL = "own/m"
_MANY = 10**9  # a limit that is counted and never met
_PATIENCE = 30.0  # seconds for a start, and for an end in peace
# Seconds from the first answer to the kill: from before the first visit to the spool to after several.
_SHORTEST, _LONGEST = 0.2, 3.0


def main(arguments: list[str]) -> int:
    """Do as the command line says, print what came of it, and return the exit code."""
    wanted = _arguments(arguments)
    if not is_ready():
        return 2
    try:
        found = asyncio.run(_measured(wanted))
    except BenchFailed as exc:
        print(f"bench: {exc}", file=sys.stderr)
        return 1
    print(_told(found))
    return 0 if found.is_good else 1


def _arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench kills", description=__doc__)
    often, at_once = "how often, from 1 to 10000; 50 without it", "at once, from 1 to 1000; 16 without it"
    parser.add_argument("--kills", type=whole(1, 10000), default=50, help=often)
    parser.add_argument("--callers", type=whole(1, 1000), default=16, help=at_once)
    parser.add_argument("--seed", type=int, default=7, help="of the moments of the kills; 7 without it")
    parser.add_argument("--url", help="of a PostgreSQL database that is empty; SQLite without it")
    return parser.parse_args(arguments)


async def _measured(wanted: argparse.Namespace) -> Found:
    with (
        upstream(_EVENTS, _PACE, 1) as origin,
        tempfile.TemporaryDirectory(prefix="freeroute-kills-") as name,
    ):
        place = _Place(Path(name), free_port(), origin.ports[0], wanted.url)
        dice, numbers = random.Random(wanted.seed), itertools.count()
        lives: list[Life] = []
        for number in range(wanted.kills):
            life = await _life(place, wanted.callers, dice, numbers)
            lives.append(life)
            told = f"{len(life.answered)} answered, {life.counted:.0f} counted before"
            print(f"{number + 1}/{wanted.kills}: {told}", file=sys.stderr)
        with place.started() as last:  # what waits in the spool is stored, and then it ends in peace
            await _counted(place.port, last)
            last.terminate()
            last.wait(_PATIENCE)
        return judge(lives, *await _stored(place))


class _Place(msgspec.Struct, frozen=True):
    """Where the gateway lives: its *directory*, its *port*, the port of its *provider*, its database."""

    directory: Path
    port: int
    provider: int
    url: str | None

    @contextmanager
    def started(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run the gateway meanwhile; its log goes to a file."""
        settings = self.directory / "freeroute.yaml"
        settings.write_bytes(msgspec.yaml.encode(self._settings()))
        env = {"PATH": os.environ.get("PATH", ""), "HOME": str(self.directory), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "freeroute", "serve", "--config", str(settings)]
        with (self.directory / "log").open("ab") as log:
            kept: dict[str, Any] = {"env": env, "cwd": self.directory, "stdout": log, "stderr": log}
            with running(command, machine.cores().gateway, **kept) as process:
                try:
                    yield process
                finally:
                    process.kill()  # callers that this loop cannot close meanwhile would make it wait

    def _settings(self) -> dict[str, Any]:
        limits = [{"unit": "requests", "amount": _MANY, "per": "month", "window": "calendar"}]
        own = {"base_url": f"http://{LOOPBACK}:{self.provider}/v1", "keys": [], "models": [{"id": "m"}]}
        return {
            "server": {"port": self.port, "state_dir": str(self.directory / "state")},
            "discovery": {"env": False, "local": False},
            "providers": {"own": {**own, "limits": limits}},
            "storage": {} if self.url is None else {"url": self.url},
        }


async def _life(place: _Place, count: int, dice: random.Random, numbers: Iterator[int]) -> Life:
    """Start the gateway, let callers ask, and kill it after a while."""
    callers = Callers(place.port, _MODEL, count, numbers)
    with place.started() as process:
        counted = await _counted(place.port, process)
        async with callers.asking():
            await _until_answered(callers, process)
            await asyncio.sleep(dice.uniform(_SHORTEST, _LONGEST))
            if process.poll() is not None:
                raise BenchFailed(f"the gateway ended by itself, with {process.returncode}")
            process.kill()
            killed = clock()
            process.wait()
    if callers.refused:
        raise BenchFailed(f"{callers.refused} requests were refused, though nothing stood in their way")
    return Life(killed, callers.answered, counted)


async def _until_answered(callers: Callers, process: subprocess.Popen[bytes]) -> None:
    ends = clock() + _PATIENCE
    while not callers.answered:
        if process.poll() is not None or clock() > ends:
            raise BenchFailed("the gateway answers nobody")
        await asyncio.sleep(0.01)


async def _counted(port: int, process: subprocess.Popen[bytes]) -> float:
    """Return what the counter of the gateway knows of, as soon as it says so."""
    ends = clock() + _PATIENCE
    while process.poll() is None and clock() < ends:
        try:
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
        except OSError:
            await asyncio.sleep(0.01)
            continue
        writer.write(f"GET /v1/status HTTP/1.1\r\nhost: {LOOPBACK}:{port}\r\n\r\n".encode())
        _, body = await answer(reader)
        writer.close()
        [provider] = msgspec.json.decode(body)["providers"]
        return float(provider["pools"][0]["used"])
    raise BenchFailed("the gateway did not start")


async def _stored(place: _Place) -> tuple[list[Any], list[Any]]:
    """Return the receipts that are stored, and the rows of usage by the hour."""
    database = Database(place.url, place.directory / "state" / "records.db", migrates=False)
    try:
        found = await database.within(
            lambda connection: [
                connection.execute(select(table)).mappings().all() for table in (receipts, hourly)
            ]
        )
    finally:
        await database.close()
    return list(found[0]), list(found[1])


def _told(found: Found) -> str:
    lines = [
        f"kills                          {found.kills}",
        f"requests answered              {found.answered:,}",
        f"receipts stored                {found.stored:,}",
        f"answered and not stored        {found.lost:,} ({found.lost / max(found.kills, 1):.1f} a kill)",
        f"the oldest of them             {found.oldest * 1000:.0f} ms before the kill (bound: {BOUND:.0f} s)",
        f"stored twice                   {found.doubled}",
        f"sums by the hour that differ   {found.wrong_sums} of {found.hours}",
        f"counter: forgot in a kill      {found.forgotten:.0f} that are older than that",
        f"counter: too low by at most    {found.low:.0f}",
        f"counter: too high by at most   {found.high:.0f} after all kills",
        "all is as promised" if found.is_good else "NOT AS PROMISED",
    ]
    return "\n".join(lines)
