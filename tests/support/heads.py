"""An answer's head as a connection takes it, in pieces and without a socket."""

import asyncio
from collections.abc import Sequence

from freeroute.upstreams.http_connection import Answer, Connection
from freeroute.upstreams.http_layouts import Layouts
from tests.support.virtual import run


class Nowhere(asyncio.Transport):
    """A socket to which nobody listens."""

    def write(self, data):
        pass

    def abort(self) -> None:
        pass

    def pause_reading(self) -> None:
        pass


def as_it_came(reads: Sequence[bytes], layouts: Layouts | None = None) -> Answer:
    """Return what becomes of an answer that comes in *reads*, where *layouts* are known of such."""

    async def session() -> Answer:
        connection = Connection("there")
        connection.connection_made(Nowhere())
        answer = Answer(asyncio.get_running_loop())
        answer.layouts = layouts
        connection.ask(b"GET / HTTP/1.1\r\n", b"", answer)
        for read in reads:
            connection.data_received(read)
            if connection.answer is None:
                break
        return answer

    return run(session())
