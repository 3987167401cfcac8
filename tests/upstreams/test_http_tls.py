"""TLS sessions: the next connection to a host begins where the last one left off, if both know of it."""

import pytest

from freeroute.upstreams.transport import TlsFailed
from tests.support.exchanges import ask, whole
from tests.support.servers import Certificates, Peer, serve


@pytest.fixture
def resumed() -> list[bool]:
    return []


@pytest.fixture
def script(resumed):
    async def script(peer: Peer) -> None:
        await peer.request()
        resumed.append(peer.is_resumed)
        await peer.answer(b"ok", b"connection: close")

    return script


async def test_the_next_connection_takes_up_the_session_of_the_last(transport, certificates, script, resumed):
    async with serve(script, certificates.server) as server:
        for _ in range(3):
            assert await whole(await ask(transport, server)) == b"ok"
    assert resumed == [False, True, True]


async def test_a_server_that_knows_nothing_of_the_session_is_answered_all_the_same(
    transport, certificates, script, resumed
):
    for context in (certificates.server, certificates.another_server()):
        async with serve(script, context) as server:
            assert await whole(await ask(transport, server)) == b"ok"
    assert resumed == [False, False]


async def test_a_stranger_is_not_believed_for_the_session_of_somebody_else(transport, certificates, script):
    async with serve(script, certificates.server) as server:
        await whole(await ask(transport, server))
    async with serve(script, Certificates().server) as server:
        with pytest.raises(TlsFailed):
            await ask(transport, server)
