"""The load, in a process of its own: calls and streams, as many and as often as wanted.

python -m bench.load closed|open|streams|leaving|mixed < wanted.json > seen.json
"""

import asyncio
import gc
import itertools
import random
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from bench.askers import Asker, StreamReader, clock
from bench.loops import event_loop
from bench.processes import LOOPBACK, chat_request
from bench.results import quantile

# Calls, and streams, that a mix has under way: what 500 a second have where an answer takes a second.
_MOST_AT_ONCE = 400


class Wanted(Struct, kw_only=True):
    """What to ask and how: *connections* at once, or *rate* a second, for *seconds*.

    Streams start over *ramp* seconds; *events* and *pace* are what an unhindered stream has. A share of
    *leave* of them is left by its caller after one of its events. Of mixed requests a share of *share* are
    streams, and of all of them *leave* are left.
    """

    port: int
    models: tuple[str, ...]
    key: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    seconds: float = 0.0
    connections: int = 1
    rate: float = 0.0
    ramp: float = 0.0
    events: int = 0
    pace: float = 0.0
    leave: float = 0.0
    share: float = 0.0


class Seen(Struct):
    """What came of it. *failed* counts answers other than 200; *p50* and *p99* are seconds an answer took."""

    done: int
    failed: int
    seconds: float
    p50: float
    p99: float


class SeenStreams(Struct):
    """What came of streams. *stalls* are the longest waits of each beyond its pace, and *late* is how far one
    event of it came behind when it was due, by the one that came most in time, both in seconds; *left* were
    left by their callers.
    """

    first: list[float] = msgspec.field(default_factory=list)
    stalls: list[float] = msgspec.field(default_factory=list)
    late: list[float] = msgspec.field(default_factory=list)
    events: int = 0
    cut: int = 0
    left: int = 0
    seconds: float = 0.0


class SeenMixed(Struct):
    """What came of a mix: answered whole, failed, left by their callers, cut; and those not asked at all."""

    done: int = 0
    failed: int = 0
    left: int = 0
    cut: int = 0
    skipped: int = 0
    seconds: float = 0.0


class Tally:
    """Answers so far; an asker tells it of each."""

    def __init__(self) -> None:
        """Start with none."""
        self.times: list[float] = []
        self.failed = 0

    def note(self, took: float, is_good: bool) -> None:
        """Count an answer."""
        if is_good:
            self.times.append(took)
        else:
            self.failed += 1

    def seen(self, seconds: float) -> Seen:
        """Return what all of them came to in so many *seconds*."""
        p50, p99 = quantile(self.times, 0.5), quantile(self.times, 0.99)
        return Seen(len(self.times), self.failed, seconds, p50, p99)


async def closed(wanted: Wanted) -> Seen:
    """Keep every connection busy: each asks again as soon as it is answered."""
    tally = Tally()
    ends = 0.0

    def answered(asker: Asker, took: float, is_good: bool) -> None:
        tally.note(took, is_good)
        if clock() < ends:
            asker.ask()

    askers = await _connected(wanted, answered)
    begun = clock()
    ends = begun + wanted.seconds
    for asker in askers:
        asker.ask()
    await asyncio.sleep(wanted.seconds + 0.1)
    return tally.seen(wanted.seconds)


async def open_loop(wanted: Wanted) -> Seen:
    """Ask at a fixed rate, however long answers take; a connection for each that is under way."""
    tally = Tally()
    idle: deque[Asker] = deque()

    def answered(asker: Asker, took: float, is_good: bool) -> None:
        tally.note(took, is_good)
        idle.append(asker)

    idle.extend(await _connected(wanted, answered))
    loop = asyncio.get_running_loop()
    begun = loop.time()
    for turn in range(int(wanted.seconds * wanted.rate)):
        await asyncio.sleep(begun + turn / wanted.rate - loop.time())
        if idle:
            idle.popleft().ask()
        else:
            tally.failed += 1
    await asyncio.sleep(1.0)
    return tally.seen(wanted.seconds)


async def streams(wanted: Wanted) -> SeenStreams:
    """Start all streams evenly over the ramp, and read each to its end."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    readers: list[StreamReader] = []
    for number, request in zip(range(wanted.connections), itertools.cycle(_requests(wanted, stream=True))):
        await asyncio.sleep(begun + number * wanted.ramp / wanted.connections - loop.time())
        reader = StreamReader(request, wanted.pace)
        readers.append(reader)
        await loop.create_connection(partial(_given, reader), LOOPBACK, wanted.port)
    with suppress(TimeoutError):
        async with asyncio.timeout(wanted.events * wanted.pace + 20):
            for reader in readers:
                await reader.over.wait()
    whole = [reader for reader in readers if reader.is_done and reader.events >= wanted.events]
    return SeenStreams(
        first=[reader.first for reader in readers if reader.first is not None],
        stalls=[reader.stall for reader in readers],
        late=[reader.late for reader in readers],
        events=sum(reader.events for reader in readers),
        cut=len(readers) - len(whole),
        seconds=loop.time() - begun,
    )


async def leaving(wanted: Wanted) -> SeenStreams:
    """Keep so many streams up for a time, each followed by another; some are left in their middle."""
    loop, dice, readers = asyncio.get_running_loop(), random.Random(7), list[StreamReader]()
    requests = itertools.cycle(_requests(wanted, stream=True))
    begun = loop.time()

    async def one_after_the_other(number: int) -> None:
        await asyncio.sleep(number * wanted.ramp / wanted.connections)
        while loop.time() < begun + wanted.seconds:
            after = dice.randrange(1, wanted.events) if dice.random() < wanted.leave else 0
            reader = StreamReader(next(requests), wanted.pace, after)
            readers.append(reader)
            await loop.create_connection(partial(_given, reader), LOOPBACK, wanted.port)
            with suppress(TimeoutError):
                async with asyncio.timeout(wanted.events * wanted.pace + 20):
                    await reader.over.wait()

    await asyncio.gather(*map(one_after_the_other, range(wanted.connections)))
    whole = [reader for reader in readers if reader.is_done and reader.events >= wanted.events]
    left = sum(reader.has_left for reader in readers)
    return SeenStreams(
        stalls=[round(reader.stall, 4) for reader in readers],
        events=sum(reader.events for reader in readers),
        cut=len(readers) - len(whole) - left,
        left=left,
        seconds=loop.time() - begun,
    )


async def mixed(wanted: Wanted) -> SeenMixed:
    """Ask at a fixed rate, some for streams; skip what would be more at once than `_MOST_AT_ONCE`."""
    loop, dice, seen = asyncio.get_running_loop(), random.Random(7), SeenMixed()
    requests = itertools.cycle(_requests(wanted, stream=True))
    idle: deque[Asker] = deque()
    under_way: set[asyncio.Task[None]] = set()

    def answered(asker: Asker, took: float, is_good: bool) -> None:
        seen.done += is_good
        seen.failed += not is_good
        idle.append(asker)

    async def streamed(leave_after: int) -> None:
        reader = StreamReader(next(requests), wanted.pace, leave_after)
        await loop.create_connection(partial(_given, reader), LOOPBACK, wanted.port)
        with suppress(TimeoutError):
            async with asyncio.timeout(wanted.events * wanted.pace + 20):
                await reader.over.wait()
        seen.left += reader.has_left
        seen.done += reader.is_done
        seen.cut += not (reader.has_left or reader.is_done)

    idle.extend(await _connected(replace(wanted, connections=_MOST_AT_ONCE), answered))
    begun = loop.time()
    for turn in range(int(wanted.seconds * wanted.rate)):
        await asyncio.sleep(begun + turn / wanted.rate - loop.time())
        if (is_stream := dice.random() < wanted.share) and len(under_way) < _MOST_AT_ONCE:
            leaves = dice.random() < wanted.leave / wanted.share
            task = loop.create_task(streamed(dice.randrange(1, wanted.events) if leaves else 0))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        elif not is_stream and idle:
            idle.popleft().ask()
        else:
            seen.skipped += 1
    await asyncio.gather(*under_way)
    await asyncio.sleep(1.0)
    seen.seconds = loop.time() - begun
    return seen


def _given(reader: StreamReader) -> StreamReader:
    return reader


def _requests(wanted: Wanted, *, stream: bool = False) -> list[bytes]:
    return [
        chat_request(wanted.port, model, wanted.key, stream=stream, headers=wanted.headers)
        for model in wanted.models
    ]


async def _connected(wanted: Wanted, answered: Callable[[Asker, float, bool], None]) -> list[Asker]:
    loop = asyncio.get_running_loop()
    requests = itertools.cycle(_requests(wanted))
    askers = []
    for _ in range(wanted.connections):
        _, asker = await loop.create_connection(
            lambda: Asker(next(requests), answered), LOOPBACK, wanted.port
        )
        askers.append(asker)
    return askers


def main(work: str) -> None:
    """Do the *work* that standard input describes, on uvloop where there is one."""
    wanted = msgspec.json.decode(sys.stdin.buffer.read(), type=Wanted)
    kinds: dict[str, Callable[[Wanted], Any]] = {
        "closed": closed,
        "open": open_loop,
        "streams": streams,
        "leaving": leaving,
        "mixed": mixed,
    }
    # A collection in the middle of a run would be taken for a stall of the gateway.
    gc.freeze()
    gc.disable()
    with asyncio.Runner(loop_factory=event_loop()) as runner:
        seen = runner.run(kinds[work](wanted))
    sys.stdout.buffer.write(msgspec.json.encode(seen))
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
