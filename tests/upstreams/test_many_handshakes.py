"""Very many new connections at once: each handshake waits for its turn, and that is no time of the peer's."""

import asyncio

from freeroute.upstreams.http_transport import HttpTransport
from freeroute.upstreams.transport import Deadlines
from tests.support.exchanges import answers
from tests.support.servers import serve

MANY = 240


class Busy(asyncio.SelectorEventLoop):
    """A loop that has so much to do that each of its turns takes half a second."""

    turn = 0

    def time(self) -> float:
        return self.turn / 2

    def _run_once(self) -> None:
        self.turn += 1
        super()._run_once()  # type: ignore[misc]


def test_a_wait_for_its_turn_is_not_told_as_a_peer_that_takes_long(certificates):
    loop = Busy()

    async def session() -> int:
        transport = HttpTransport(tls=certificates.client)
        deadlines = Deadlines(pool=3600.0, connect=20.0, first_byte=3600.0, total=3600.0)
        async with serve(answers, certificates.server) as server:
            begun = loop.turn
            asked = [
                transport.open("POST", server.url("/v1"), [], b"{}", deadlines, dispatch=None)
                for _ in range(MANY)
            ]
            opened = await asyncio.gather(*asked, return_exceptions=True)
            took = loop.turn - begun
            await transport.close()
        assert not [failed for failed in opened if isinstance(failed, BaseException)]
        return took

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        assert runner.run(session()) >= MANY
