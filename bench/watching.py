"""Dashboards that are open: readers of a gateway's event stream, in a process of their own.

python -m bench.watching PORT KEY COUNT, which says ``ready`` once all were told the whole status, and what
they were told meanwhile when its input ends.
"""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import PIPE

import msgspec
from msgspec import Struct

from bench import machine
from bench.loops import event_loop
from bench.processes import LOOPBACK, ROOT, BenchFailed, running
from freeroute import open_files


class Told(Struct):
    """What all readers together were told: *events* of so many *size* bytes, after the first of each."""

    readers: int = 0
    events: int = 0
    size: int = 0


@contextmanager
def watching(port: int, key: str, count: int) -> Iterator[Told]:
    """Have *count* dashboards open; what they were told is there after the block."""
    told = Told(readers=count)
    command = [sys.executable, "-m", "bench.watching", str(port), key, str(count)]
    with running(command, machine.cores().load, stdin=PIPE, stdout=PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        if process.stdout.readline() != b"ready\n":
            raise BenchFailed("the dashboards were not told how things stand")
        yield told
        out, _ = process.communicate(b"")
    seen = msgspec.json.decode(out, type=Told)
    told.events, told.size = seen.events, seen.size


async def _watch(port: int, key: str, told: Told, ready: asyncio.Semaphore) -> None:
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    head = f"GET /v1/status/events HTTP/1.1\r\nhost: {LOOPBACK}\r\nauthorization: Bearer {key}\r\n\r\n"
    writer.write(head.encode())
    whole = b""
    while b"\n\n" not in whole.partition(b"\r\n\r\n")[2]:
        if not (piece := await reader.read(2**20)):
            raise BenchFailed(whole.decode(errors="replace")[:200])
        whole += piece
    ready.release()
    while piece := await reader.read(2**20):
        told.events += piece.count(b"\n\n")
        told.size += len(piece)


async def _main(port: int, key: str, count: int) -> None:
    told, ready = Told(readers=count), asyncio.Semaphore(0)
    readers = [asyncio.create_task(_watch(port, key, told, ready)) for _ in range(count)]
    for _ in readers:
        await asyncio.wait_for(ready.acquire(), 60)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.buffer.read)
    for one in readers:
        one.cancel()
    print(msgspec.json.encode(told).decode(), flush=True)


if __name__ == "__main__":
    open_files.allow_many()
    with asyncio.Runner(loop_factory=event_loop()) as runner:
        runner.run(_main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
