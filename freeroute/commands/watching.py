"""Watching a running gateway: its status as it comes, drawn until the reader leaves."""

import asyncio
import contextlib
import os
import sys
import termios
import tty
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
from rich.console import Console
from rich.live import Live

from freeroute.clock import Clock, SystemClock
from freeroute.commands.overview import Room, Seen, overview
from freeroute.commands.running import Failed, Running, content

# Seconds between drawings: countdowns go on although nothing new was told.
TICK = 1.0
# Seconds between questions, and for an answer. Own design: fresh for a reader, nothing for a gateway.
PAUSE = 2.0
ANSWER = 10.0


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
        """Take what the gateway says now."""
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
    """Ask again and again; raises Failed where no waiting would help."""
    while True:
        try:
            with running.explaining():
                answer = await client.get("/v1/status", timeout=ANSWER)
        except Failed as exc:
            seen.away(exc.message)
        else:
            if answer.status_code >= 500:
                seen.away(f"it answers with status {answer.status_code}")
            else:
                seen.told(content(answer))
        await asyncio.sleep(PAUSE)


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
