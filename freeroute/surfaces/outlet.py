"""A short way for the pieces of a stream: from an event that comes to the socket of its caller."""

import asyncio

from uvicorn.protocols.http.flow_control import FlowControl

OUTLET = "freeroute.outlet"
"""Where the server keeps the outlet of a request, in its scope; not where a body goes out otherwise."""


class Outlet:
    """Writes pieces of a chunked body to a caller, past the server's own way, which has to await."""

    __slots__ = ("_flow", "_transport")

    def __init__(self, transport: asyncio.Transport, flow: FlowControl) -> None:
        """Write to *transport* as far as *flow* lets it."""
        self._transport = transport
        self._flow = flow

    @property
    def is_free(self) -> bool:
        """Say whether the caller is there, and has read enough of what it was sent."""
        return not (self._flow.write_paused or self._transport.is_closing())

    def write(self, piece: bytes) -> bool:
        """Write a *piece*, which is not empty, of a body whose head is out, unless the caller is not free."""
        if self._flow.write_paused or self._transport.is_closing():
            return False
        self._transport.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        return True
