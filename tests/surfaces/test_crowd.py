"""More callers than there is room for: who makes way, who is told, and what is counted and logged of it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog

from freeroute.clock import Clock
from freeroute.surfaces.crowd import AT_THE_DOOR, HEARING, TELL_AGAIN, Crowd
from freeroute.surfaces.http import Request
from freeroute.surfaces.server import server_config
from tests.support.clocks import ManualClock
from tests.support.live import until
from tests.support.patience import OURS, LoopFactory
from tests.support.servers import happens
from tests.support.serving import HEAD, RawCaller, listening
from tests.support.virtual import run

ASK = HEAD + b"\r\n"
POST = HEAD.replace(b"GET", b"POST") + b"content-length: 4\r\n\r\n"
pytest.importorskip("resource")


def pytest_asyncio_loop_factories(config, item) -> dict[str, LoopFactory]:
    return {"loop": OURS}


class Room:
    """A server with room for *most* callers, and some more at its door."""

    def __init__(self, most: int, clock: Clock | None = None) -> None:
        self.counted: list[str] = []
        self.clock = clock or ManualClock()
        self.gate = asyncio.Event()
        self.begun = 0
        self.crowd = Crowd(most + AT_THE_DOOR, self.clock, self.counted.append)
        assert self.crowd.room == most

    async def __call__(self, scope, receive, send):
        """Answer once it is allowed, at ``/held``; at once anywhere else."""
        request = Request(scope, receive, send)
        self.begun += 1
        if scope["path"] == "/held":
            await happens(self.gate)
        await request.reply(200, b"served")

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        config = server_config(self, crowd=self.crowd, grace=1)
        config.lifespan = "off"
        async with listening(config) as url:
            yield url
