"""freeroute within the loop of the bench, on its virtual time: the product's own application and server."""

import asyncio
import contextlib
import shutil
from pathlib import Path
from typing import Any

import uvicorn

from bench.capacity.gateway import How, port_of
from bench.capacity.virtual import wall
from bench.capacity.web import HOST
from freeroute.app import App, ServeOptions, build
from freeroute.clock import Now
from freeroute.config.load import Overrides
from freeroute.lifecycle import application
from freeroute.serving import GRACE, listen
from freeroute.surfaces.server import server_config


class LoopClock:
    """The running loop's time, on both hands."""

    def now(self) -> Now:
        """Return the present instant of the loop."""
        return Now(asyncio.get_running_loop().time(), wall())


class Inside:
    """The gateway in this process, as ``bench.capacity.gateway.Apart`` is in one of its own."""

    def __init__(self, directory: Path) -> None:
        """Serve the settings that lie in *directory*."""
        self.port = port_of(directory)
        self._directory = directory
        self._server: uvicorn.Server | None = None
        self._app: App | None = None

    async def start(self) -> None:
        """Build the application anew and serve it."""
        options = ServeOptions(overrides=Overrides(config=str(self._directory / "freeroute.yaml")))
        self._app = app = build(options, {}, clock=LoopClock())
        state = self._directory / "state"
        state.mkdir(exist_ok=True)
        app.remember(state, "one boot")
        config = server_config(application(app, "bench", lambda on: None), grace=1)
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        self._listener = listen(HOST, self.port)
        await server.startup([self._listener])
        self._server = server

    async def end(self, how: How) -> None:
        """Drop every connection, after the grace of a stop; a kill leaves behind what lay on the disk."""
        server, self._server = self._server, None
        if server is None:
            return
        state, kept = self._directory / "state", self._directory / "kept"
        if how == "kill":
            shutil.copytree(state, kept, ignore=shutil.ignore_patterns("*-shm"))
        elif how == "stop":
            await self._drained(server)
        await _stop(server)
        self._listener.close()
        if kept.exists():
            shutil.rmtree(state)
            kept.rename(state)

    async def _drained(self, server: uvicorn.Server) -> None:
        assert self._app is not None
        self._app.gateway.draining = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE):
                while server.server_state.tasks:  # noqa: ASYNC110 - uvicorn has no event for it
                    await asyncio.sleep(0.05)


async def _stop(server: Any) -> None:
    for one in server.servers:
        one.close()
    state = server.server_state
    for connection in list(state.connections):
        connection.transport.abort()
    while state.connections or state.tasks:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0)
    await server.lifespan.shutdown()
