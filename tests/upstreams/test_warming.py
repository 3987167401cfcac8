"""Connections that are there before anybody asks."""

import asyncio

import pytest

from freeroute.domain.catalogue import Provider
from freeroute.upstreams.http_transport import HttpTransport
from freeroute.upstreams.transport import Disconnected
from freeroute.upstreams.warming import AT_ONCE, PAUSE, Warming
from tests.support.exchanges import answers, ask, turns, whole
from tests.support.servers import Peer, serve
from tests.support.transports import PlayedTransport
from tests.support.virtual import run


class Noting:
    """A transport that notes what it is to warm, which takes a second each; nowhere is out of its reach."""

    def __init__(self) -> None:
        self.urls: list[str] = []
        self.at_once = self.most = 0

    async def warm(self, url: str) -> None:
        self.urls.append(url)
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await asyncio.sleep(1)
        self.at_once -= 1


def providers(*names: str) -> list[Provider]:
    return [Provider(id=name, name=name, base_url=f"https://{name}.example/v1") for name in names]


def test_each_provider_that_is_on_gets_a_connection_in_a_moment_and_a_few_at_a_time():
    async def warmed() -> Noting:
        transport = Noting()
        warming = Warming(transport)
        warming.begin(providers(*"abcdefghij", "a"), {"b", "c/model"})
        await asyncio.sleep(PAUSE / 2)
        assert transport.urls == []
        await asyncio.sleep(PAUSE + 3)
        await warming.stop()
        return transport

    transport = run(warmed())
    assert transport.urls == [f"https://{name}.example/v1" for name in "acdefghij"]
    assert transport.most == AT_ONCE


def test_what_is_used_now_counts_and_nothing_is_opened_after_the_end():
    async def warmed() -> list[str]:
        transport = Noting()
        warming = Warming(transport)
        warming.begin(providers("a"), ())
        warming.begin(providers("b"), ())
        await asyncio.sleep(PAUSE + 1)
        warming.begin(providers("c"), ())
        await warming.stop()
        await asyncio.sleep(PAUSE + 1)
        return transport.urls

    assert run(warmed()) == ["https://b.example/v1"]


async def test_a_transport_without_connections_has_none_to_warm():
    warming = Warming(PlayedTransport())
    warming.begin(providers("a"), ())
    await warming.stop()


async def test_the_first_request_takes_the_connection_that_waits_whoever_asks(transport, certificates):
    async with serve(answers, certificates.server) as server:
        for _ in range(2):
            await transport.warm(server.url("/v1"))
            await turns()
        assert server.connections == 1
        exchange = await ask(transport, server, headers=[(b"authorization", b"Bearer one")])
        assert await whole(exchange) == b"ok"
        await turns()
        assert server.connections == 1
        await whole(await ask(transport, server, headers=[(b"authorization", b"Bearer two")]))
        assert server.connections == 2


async def test_a_connection_that_waits_for_its_first_request_may_be_stale(transport, certificates):
    async def leaves(peer: Peer) -> None:
        await peer.request()
        peer.close()

    async with serve(leaves, certificates.server) as server:
        await transport.warm(server.url("/v1"))
        with pytest.raises(Disconnected) as caught:
            await ask(transport, server)
        assert caught.value.reused


async def test_nothing_is_opened_where_no_handshake_is_saved_or_nobody_answers(transport, certificates):
    async with serve(answers) as plain:
        await transport.warm(plain.url("/v1"))
        await turns()
        assert plain.connections == 0
    async with serve(answers, certificates.server) as gone:
        url = gone.url("/v1")
    await transport.warm(url)
    await transport.warm("https://")


async def test_a_connection_that_nobody_came_for_is_closed(certificates):
    transport = HttpTransport(tls=certificates.client, keepalive=0.05)
    async with serve(answers, certificates.server) as server:
        await transport.warm(server.url("/v1"))
        await server.finished()
        await transport.warm(server.url("/v1"))
        assert server.connections == 2
    await transport.close()
