"""How things stand, as it goes on: server-sent events, and one provider whole."""

import asyncio
from typing import Any, Protocol

from freeroute.domain.clients import Client
from freeroute.errors import ApiError
from freeroute.surfaces.access import Access
from freeroute.surfaces.departure import CallerWatch
from freeroute.surfaces.guard import Guard
from freeroute.surfaces.http import Request
from freeroute.surfaces.routes import Route

_EVENT_STREAM = b"text/event-stream; charset=utf-8"
# A proxy that buffers would hold every event back.
_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}

PATIENCE = 3.0
"""Seconds after which it is looked, news or not, whether the caller may still know. Own design: whoever takes
a key back does not wait for long."""


class Watching(Protocol):
    """One who is told what happens."""

    async def next(self) -> bytes | None:
        """Return the events that tell what is new, waiting for some; None at the end."""
        ...

    def leave(self) -> None:
        """Listen no more."""
        ...


class Live(Protocol):
    """What this surface needs of the engine."""

    def provider(self, name: str, client: Client | None) -> dict[str, Any]:
        """Return the whole of one provider, as far as it is *client*'s to know; raises NotFound."""
        ...

    def watch(self, client: Client | None) -> Watching:
        """Return a new watcher; raises Unavailable."""
        ...


class LiveSurface:
    """The routes that dashboards live on."""

    def __init__(self, live: Live, guard: Guard) -> None:
        """Serve what *live* tells to whom *guard* admits, and goes on to."""
        self._live = live
        self._guard = guard

    def routes(self) -> list[Route]:
        """Return what is served."""
        return [
            Route("/v1/status/events", {"GET": self.events}, Access.STATUS, mirrored=True),
            Route("/v1/status/providers/{provider}", {"GET": self.provider}, Access.STATUS, mirrored=True),
        ]

    async def provider(self, request: Request) -> None:
        """Give the whole of one provider."""
        name = request.params["provider"]
        await request.reply_json(self._live.provider(name, request.caller.client))

    async def events(self, request: Request) -> None:
        """Give the status, then whatever changes, until one of both leaves."""
        if request.method == "HEAD":
            await request.begin(200, _EVENT_STREAM, _HEADERS)
            await request.end()
            return
        watching = self._live.watch(request.caller.client)
        watch = CallerWatch(request)
        try:
            with watch:
                await request.begin(200, _EVENT_STREAM, _HEADERS)
                while (news := await _next(watching)) is not None and self._may_know(request):
                    if news:
                        await request.more(news)
        finally:
            watching.leave()
        if not watch.left:
            await request.end()

    def _may_know(self, request: Request) -> bool:
        """Say whether the caller may still ask: a key may have been taken back since it did."""
        try:
            return self._guard.admit(request.headers, request.peer, Access.STATUS) == request.caller
        except ApiError:
            return False


async def _next(watching: Watching) -> bytes | None:
    """Return what is new, nothing after a while; None at the end."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await watching.next()
    except TimeoutError:
        return b""
