"""A connection without a socket: what is read is given, what is written is kept."""

import asyncio
from typing import Any, cast

from uvicorn.server import ServerState

from freeroute.surfaces.bounds import Bounds
from freeroute.surfaces.protocol import BoundedProtocol
from freeroute.surfaces.server import server_config


class Wire(asyncio.Transport):
    """A caller's end: what it was sent, how many bytes of it are *unread*, and whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed: bool = False
        self.reading: bool = True
        self.unread: int = 0

    def write(self, data):
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def get_write_buffer_size(self) -> int:
        return self.unread

    def can_write_eof(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


async def connected(
    app: Any, wire: Wire, bounds: Bounds | None = None
) -> tuple[BoundedProtocol, ServerState]:
    """Return what serves *app* to a caller on *wire*, and what its server knows of itself."""
    config = server_config(app, bounds=bounds, keep_alive=75)
    config.load()
    state = ServerState()
    protocol = cast("type[BoundedProtocol]", config.http_protocol_class)(
        config=config, server_state=state, app_state={}
    )
    protocol.connection_made(wire)
    return protocol, state
