"""Watching a running gateway: its status as it goes on, drawn until the reader leaves."""

import asyncio
import contextlib
import json
import os
import sys
import termios
import tty
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import httpx
from rich.console import Console
from rich.live import Live

from freeroute.clock import Clock, SystemClock
from freeroute.commands.overview import Room, Seen, looks_like_one, overview
from freeroute.commands.running import Failed, Running, content

# Seconds between drawings: countdowns go on although nothing new was told.
TICK = 1.0
# Seconds between questions, and for an answer. Own design: fresh for a reader, nothing for a gateway.
PAUSE = 2.0
ANSWER = 10.0
# Seconds without a word after which a stream is dead: the gateway says something every 15.
SILENCE = 40.0
# Requests that are kept, as many as the status has.
_REQUESTS = 55


class Watch:
    """The newest that a gateway told, and whether it still tells. *changed* is set when there is news."""

    def __init__(self, url: str, clock: Clock) -> None:
        """Know nothing yet of the gateway at *url*."""
        self.changed = asyncio.Event()
        self._url = url
        self._clock = clock
        self._status: Mapping[str, Any] | None = None
        self._skew = 0.0  # of the gateway's clock to our steady one
        self._trouble = ""

    def told(self, status: Mapping[str, Any]) -> None:
        """Take what the gateway says now; raises Failed if it is none."""
        if not looks_like_one(status):
            raise Failed(f"{self._url}: this does not look like a gateway")
        self._status, self._trouble = status, ""
        self._skew = status["now"] - self._clock.now().mono
        self.changed.set()

    def away(self, why: str) -> None:
        """Note that it says nothing; what it said last stays."""
        self._trouble = why
        self.changed.set()

    def seen(self) -> Seen:
        """Return what there is to draw."""
        return Seen(self._url, self._status, self._trouble, self._clock.now().mono + self._skew)


async def watch(running: Running, admin: str | None, console: Console) -> None:
    """Draw until the reader leaves; raises Failed where no waiting would help, such as for a wrong key."""
    seen, leaving = Watch(running.url, SystemClock()), asyncio.Event()
    async with httpx.AsyncClient(**running.terms(operator=True, admin=admin)) as client:
        feed = asyncio.create_task(follow(running, client, seen))
        feed.add_done_callback(lambda _: seen.changed.set())
        try:
            with Live(console=console, screen=True, auto_refresh=False) as live, _keys(seen, leaving):
                while not (leaving.is_set() or feed.done()):
                    _draw(seen, live, console)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(TICK):
                            await seen.changed.wait()
                    seen.changed.clear()
            if feed.done():
                feed.result()
        finally:
            feed.cancel()
            await asyncio.wait([feed])


async def follow(running: Running, client: httpx.AsyncClient, seen: Watch) -> None:
    """Take in what the gateway tells, again and again; raises Failed where no waiting would help.

    One that has no stream of changes is asked for its status now and then.
    """
    streams = True
    while True:
        try:
            with running.explaining():
                streams = streams and await _listen(client, seen)
                answer = None if streams else await client.get("/v1/status", timeout=ANSWER)
        except Failed as exc:
            if not isinstance(exc.__cause__, httpx.HTTPError):
                raise
            seen.away(exc.message)
            streams = True  # what comes back may be a newer one
        except (ValueError, KeyError, TypeError):
            seen.away("what it tells cannot be read")
        else:
            _answered(answer, seen)
        await asyncio.sleep(PAUSE)


def _answered(answer: httpx.Response | None, seen: Watch) -> None:
    if answer is None:
        seen.away("the stream ended; it is asked for again")
    elif answer.status_code >= 500:
        seen.away(f"it answers with status {answer.status_code}")
    else:
        seen.told(content(answer))


async def _listen(client: httpx.AsyncClient, seen: Watch) -> bool:
    """Take in the stream to its end; say whether there is one. Raises Failed if it is refused."""
    patience = httpx.Timeout(ANSWER, read=SILENCE)
    async with client.stream("GET", "/v1/status/events", timeout=patience) as answer:
        if answer.status_code != 200:
            await answer.aread()
            if answer.status_code == 404 or answer.status_code >= 500:
                return False
            content(answer)
        status: dict[str, Any] = {}
        async for name, told in events(answer.aiter_lines()):
            status = told if name == "status" else merged(status, told)
            seen.told(status)
    return True


async def events(lines: AsyncIterator[str]) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Return the name and the value of each event whose *lines* come; raises ValueError for what is none."""
    name, data = "", ""
    async for line in lines:
        field, _, value = line.partition(":")
        if field == "event":
            name = value.strip()
        elif field == "data":
            data += value
        elif not line and data:
            if not isinstance(told := json.loads(data), dict):
                raise ValueError("not an object")
            yield name, told
            name, data = "", ""


def merged(status: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Return *status* with the *change* that was told, as docs/status.md has it."""
    ids = change.get("ids") or {}
    new = {**status, **{name: value for name, value in change.items() if name not in ("ids", "requests")}}
    for name in ("providers", "clients"):
        entries = {entry["id"]: entry for entry in (*status[name], *change.get(name, ()))}
        new[name] = [entries[key] for key in ids.get(name, entries) if key in entries]
    new["requests"] = [*change.get("requests", ()), *status["requests"]][:_REQUESTS]
    return new


def _draw(seen: Watch, live: Live, console: Console) -> None:
    room = Room(console.width, console.height, ascii_only=console.options.ascii_only)
    live.update(overview(seen.seen(), room), refresh=True)


@contextlib.contextmanager
def _keys(seen: Watch, leaving: asyncio.Event) -> Iterator[None]:
    """Leave when q is pressed; the terminal is as before afterwards."""
    if not sys.stdin.isatty():
        yield
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)

    def pressed() -> None:
        if os.read(descriptor, 1) in (b"q", b"Q", b""):
            leaving.set()
            seen.changed.set()

    loop = asyncio.get_running_loop()
    try:
        tty.setcbreak(descriptor)
        loop.add_reader(descriptor, pressed)
        yield
    finally:
        loop.remove_reader(descriptor)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
