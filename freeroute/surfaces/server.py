"""How the application is served."""

from typing import Any

import uvicorn

from freeroute.surfaces.bounds import Bounds
from freeroute.surfaces.entrance import Entrance
from freeroute.surfaces.protocol import BoundedProtocol


def server_config(
    app: Any, *, bounds: Bounds | None = None, keep_alive: int = 75, grace: float = 30.0
) -> uvicorn.Config:
    """Return how *app* is served: bounded HTTP/1.1, no WebSocket, no access log.

    *keep_alive* is in seconds, longer than clients and proxies keep idle connections, so that they and not
    we close them; *grace* is what answers under way get when the server stops.
    """

    class Protocol(BoundedProtocol):
        entrance = Entrance()

    if bounds is not None:
        Protocol.bounds = bounds
    return uvicorn.Config(
        app,
        interface="asgi3",  # which the server would not guess of what returns a coroutine without being one
        http=Protocol,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=keep_alive,
        timeout_graceful_shutdown=int(grace),
    )
