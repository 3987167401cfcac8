"""The whole ASGI application over an upstream in memory: no socket, no thread, no clock but a moved one.

    python -m bench.regress.harness ROUNDS [LIBRARY]

ROUNDS is JSON: what to ask, and how often. What is measured is the application: its server's protocol and the
HTTP client have no part in it. Every feature is on, as in the other benchmarks; receipts are queued, and
nobody writes them. With LIBRARY, made of callgrind.c, instructions are counted under valgrind; without it, it
only serves.
"""

import asyncio
import ctypes
import datetime as dt
import gc
import math
import sys
from collections.abc import Callable, MutableMapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from bench.gateway import Arrangement, arranged, limited
from bench.processes import Upstream
from bench.questions import question
from bench.upstream.payloads import payloads
from freeroute.app import App
from freeroute.clock import Now
from freeroute.config.load import Overrides, load
from freeroute.config.overlay import Plan, planned
from freeroute.engine.ports import Dispatch
from freeroute.lifecycle import application
from freeroute.observe.logs import set_up
from freeroute.surfaces.departure import DEPARTURE, Departure
from freeroute.surfaces.http import FIELDS
from freeroute.surfaces.known import KEPT
from freeroute.surfaces.outlet import OUTLET
from freeroute.upstreams.heads import Telling
from freeroute.upstreams.transport import Deadlines, Passing

_WARM_UP = 100  # calls, and a tenth as many streams: what is made once and kept is made by then
_JSON = Telling("application/json")
_SSE = Telling("text/event-stream")


class Round(Struct, frozen=True):
    """So many *times* the same question of an *api*; a stream if there are to be *events*.

    *at_once* ask beside each other: the first is answered when the last has asked.
    """

    name: str
    api: str
    times: int
    events: int = 0
    at_once: int = 1


class MovedClock:
    """A millisecond passes with every look at it."""

    def __init__(self) -> None:
        """Start in November 2026."""
        self._at = 0

    def now(self) -> Now:
        """Return the present instant."""
        self._at += 1
        return Now(1000.0 + self._at / 1000, 1_795_000_000.0 + self._at / 1000)


class Told:
    """An answer that is there already, in pieces."""

    sent_in = 0.0
    status = 200
    onward: Passing | None = None
    answer_by = math.inf

    def __init__(self, telling: Telling, pieces: Sequence[bytes]) -> None:
        """Tell *pieces*, one at a time."""
        self.headers = ()
        self.telling = telling
        self._left = iter(pieces)

    def rest(self) -> bytes | None:
        """Return a whole answer at once, as one that comes in one piece is there with its head."""
        return next(self._left, b"") if self.telling is _JSON else None

    async def next(self) -> bytes:
        """Return the next piece; others have their turn before it, as on a socket."""
        now = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(0)
            piece = next(self._left, b"")
            if not piece or self.onward is None or not self.onward(piece, now()):
                return piece

    def abort(self) -> None:
        """Hold nothing."""


class Memory:
    """A provider in memory: answers at once with what the mock upstream says."""

    def __init__(self) -> None:
        """Take the payloads off the wire's framing."""
        told = payloads()
        self._answer = [told["answer"].partition(b"\r\n\r\n")[2]]
        self._head = _unframed(told["head"].partition(b"\r\n\r\n")[2])
        self._event, self._last = _unframed(told["event"]), _unframed(told["last"])
        self._stream: list[bytes] = []

    def tell(self, events: int) -> None:
        """Let streams have so many *events* from now on."""
        self._stream = [self._head, *[self._event] * (events - 1), self._last]

    async def open(
        self,
        method: str,
        url: str,
        headers: Sequence[tuple[bytes, bytes]],
        body: bytes,
        deadlines: Deadlines,
        *,
        verify_tls: bool = True,
        proxy: str | None = None,
        dispatch: Dispatch | None = None,
    ) -> Told:
        """Answer what was asked."""
        await asyncio.sleep(0)
        if b'"stream":true' in body:
            return Told(_SSE, self._stream)
        return Told(_JSON, self._answer)

    async def close(self) -> None:
        """Hold nothing."""


def _unframed(chunks: bytes) -> bytes:
    """Return what *chunks* of a chunked body hold."""
    held = b""
    while chunks:
        size, _, rest = chunks.partition(b"\r\n")
        held, chunks = held + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    return held


class Caller:
    """Asks the application as its server would, and hangs up on anything but a whole answer."""

    def __init__(self, app: Any, request: bytes) -> None:
        """Take the question apart once."""
        head, _, self._body = request.partition(b"\r\n\r\n")
        first, *fields = head.split(b"\r\n")
        lines = [line.split(b": ", 1) for line in fields]
        self._path, _, self._query = first.split()[1].partition(b"?")
        self._app = app
        self._headers = [(name.lower(), value) for name, value in lines]
        self._told = self._status = 0
        self._unread = True
        self._gone = asyncio.Event()
        self.task: asyncio.Task[Any] | None = None  # in which it asks, as the server knows it
        self._kept: dict[Any, Any] = {}  # as with a connection, on which the same head comes again

    async def ask(self) -> None:
        """Ask once; raises RuntimeError if it is not answered as it should be."""
        departure = Departure()
        departure.task = self.task
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "server": ("127.0.0.1", 3000),
            "client": ("127.0.0.1", 50000),
            "scheme": "http",
            "method": "POST",
            "root_path": "",
            "path": self._path.decode(),
            "raw_path": self._path,
            "query_string": self._query,
            "headers": list(self._headers),
            "state": {},
            OUTLET: self,
            DEPARTURE: departure,
            FIELDS: dict(self._headers),
            KEPT: self._kept,
        }
        self._told = self._status = 0
        self._unread = True
        self._gone.clear()
        await self._app(scope, self._receive, self._send)
        self._gone.set()
        if self._status != 200 or self._told < 500:
            raise RuntimeError(f"answered with {self._status} and {self._told} bytes")

    @property
    def is_free(self) -> bool:
        """Say whether it has read enough, as an outlet does."""
        return True

    def whole(self) -> bytes:
        """Give the whole body at once, as an outlet does."""
        self._unread = False
        return self._body

    def begin(self, status: int, lines: bytes) -> bool:
        """Read the head of a stream, as it comes out of an outlet."""
        self._status = status
        return True

    def write(self, piece: bytes) -> bool:
        """Read a piece of a stream, as it comes out of an outlet."""
        self._told += len(piece)
        return True

    def answer(self, status: int, lines: bytes, body: bytes) -> bool:
        """Read a whole answer, as it comes out of an outlet."""
        self._status, self._told = status, len(body)
        return True

    async def _receive(self) -> dict[str, Any]:
        if self._unread:
            self._unread = False
            return {"type": "http.request", "body": self._body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        self._status = message.get("status", self._status)
        self._told += len(message.get("body", b""))


def _built(plan: Arrangement, memory: Memory) -> App:
    def read() -> Plan:
        settings = load(Overrides(), plan.env, plan.directory, plan.directory)
        return planned(settings, {}, dt.date(2026, 11, 1))

    app = App(read, transport=memory, clock=MovedClock(), demo=False)
    state = plan.directory / "state"
    state.mkdir()
    app.remember(state, "one boot")
    app.record(state)
    return app


async def measured(plan: Arrangement, rounds: Sequence[Round], count: Callable[[str], None]) -> None:
    """Ask *rounds*, telling *count* before the first and the name of each after it."""
    target, memory = limited(plan), Memory()
    served = application(_built(plan, memory), "bench-admin", lambda _: None)
    groups: list[list[Caller]] = []
    for each in rounds:
        request = question(each.api, target.models[0], target.key, stream=each.events > 0)
        groups.append([Caller(served, request) for _ in range(each.at_once)])
    for each, callers in zip(rounds, groups, strict=True):
        memory.tell(each.events)
        await _asked(callers, _WARM_UP // 10 if each.events else _WARM_UP)
    # A collection may or may not fall into what is counted; its own cost is little and grows with nothing.
    gc.collect()
    gc.disable()
    count("")
    for each, callers in zip(rounds, groups, strict=True):
        memory.tell(each.events)
        await _asked(callers, each.times)
        count(each.name)


async def _asked(callers: Sequence[Caller], times: int) -> None:
    """Let all *callers* ask, one after the other or beside each other, until there were so many *times*."""
    left = iter(range(times))

    async def asks(caller: Caller) -> None:
        caller.task = asyncio.current_task()
        for _ in left:
            await caller.ask()

    await asyncio.gather(*map(asks, callers))


def main(rounds: str, library: str = "") -> None:
    """Ask *rounds*, and let *library* count."""
    counter = ctypes.CDLL(library) if library else None

    def count(what: str) -> None:
        if counter is not None and not what:
            counter.start()
        elif counter is not None:
            counter.done(what.encode())

    set_up("console", "info", [])
    with arranged(Upstream((1,), "memory")) as plan:
        asyncio.run(measured(plan, msgspec.json.decode(rounds, type=list[Round]), count))


if __name__ == "__main__":
    main(*sys.argv[1:])
