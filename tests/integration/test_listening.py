"""The socket the gateway listens on."""

import asyncio
import socket

from freeroute.serving import listen
from tests.support.patience import PATIENCE


def test_small_pieces_are_sent_at_once_whatever_event_loop_serves():
    async def delays() -> bool:
        accepted = asyncio.Event()
        found: list[asyncio.BaseTransport] = []

        class Peer(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                found.append(transport)
                accepted.set()

        with listen("127.0.0.1", 0) as listening:
            async with await asyncio.get_running_loop().create_server(Peer, sock=listening):
                _, writer = await asyncio.open_connection(*listening.getsockname())
                async with asyncio.timeout(PATIENCE):
                    await accepted.wait()
                writer.close()
                sock: socket.socket = found[0].get_extra_info("socket")
                delayed = not sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                found[0].close()
        return delayed

    # asyncio's own loop, which is what serves where uvloop is not to be had.
    assert not asyncio.run(delays())
