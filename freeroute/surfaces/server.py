"""How the application is served, and how that ends."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, cast

import structlog
import uvicorn
from uvicorn.server import ServerState

from freeroute.surfaces.bounds import Bounds
from freeroute.surfaces.connection import Connection
from freeroute.surfaces.crowd import Crowd
from freeroute.surfaces.entrance import Entrance
from freeroute.surfaces.protocol import BoundedProtocol

# How long callers may take to read the error that ends their answer after the grace, in seconds; and then,
# once their connections are closed, whoever answers them to notice.
_READING = _NOTICING = 1

_log: structlog.stdlib.BoundLogger = structlog.get_logger("freeroute.surfaces")


class Server(uvicorn.Server):
    """Gives answers under way a grace when it stops, and ends those that take longer with an error."""

    def __init__(self, config: uvicorn.Config, *, on_late: Callable[[], None]) -> None:
        """Serve as *config* says; once the grace is over and answers are still under way, call *on_late*."""
        super().__init__(config)
        self._grace = config.timeout_graceful_shutdown or 0
        config.timeout_graceful_shutdown = self._grace + _READING + _NOTICING
        self._on_late = on_late

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop, within the grace and two seconds."""
        loop = asyncio.get_running_loop()
        late = loop.call_later(self._grace, self._end_late)
        unread = loop.call_later(self._grace + _READING, self._hang_up)
        try:
            await super().shutdown(sockets)
        finally:
            late.cancel()
            unread.cancel()

    def _connections(self) -> list[Connection]:
        found = self.server_state.connections
        return [connection for connection in found if isinstance(connection, Connection)]

    def _end_late(self) -> None:
        """Have every answer under way end with an error."""
        late = [connection for connection in self._connections() if connection.is_answering]
        if late:
            self._on_late()
            for connection in late:
                connection.stop()
            _log.warning("answers cut short, the grace is over", answers=len(late))

    def _hang_up(self) -> None:
        """Close the connections of callers that have not read how their answers end."""
        for connection in self._connections():
            connection.transport.abort()


def server_config(
    app: Any,
    *,
    bounds: Bounds | None = None,
    crowd: Crowd | None = None,
    keep_alive: int = 75,
    grace: float = 30.0,
) -> uvicorn.Config:
    """Return how *app* is served: bounded HTTP/1.1, no WebSocket, no access log.

    *keep_alive* is in seconds, longer than clients and proxies keep idle connections, so that they and not
    we close them; *grace* is what answers under way get when the server stops. Where there is a *crowd*, it
    says who is let in.
    """

    class Protocol(BoundedProtocol):
        entrance = Entrance()

    if bounds is not None:
        Protocol.bounds = bounds

    def opened(config: uvicorn.Config, server_state: ServerState, **given: Any) -> asyncio.Protocol:
        if crowd is None or crowd.lets_in(cast("set[Connection]", server_state.connections)):
            return Protocol(config=config, server_state=server_state, **given)
        return crowd.turn_away()

    return uvicorn.Config(
        app,
        interface="asgi3",  # which the server would not guess of what returns a coroutine without being one
        http=cast("type[asyncio.Protocol]", opened),
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=keep_alive,
        timeout_graceful_shutdown=int(grace),
    )
