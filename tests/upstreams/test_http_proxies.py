"""Which calls go through a proxy, and how."""

import pytest

from freeroute.upstreams.http_proxies import Proxies
from freeroute.upstreams.http_transport import HttpTransport
from freeroute.upstreams.transport import (
    Deadlines,
    Refused,
)
from tests.support.exchanges import (
    answers,
    says,
    whole,
)
from tests.support.servers import Peer, serve

FAR = "https://api.example.com/v1/chat"
PROXY = "http://me:pw@proxy.example:3128"


@pytest.mark.parametrize(
    ("env", "url", "proxy"),
    [
        ({}, FAR, None),
        ({"HTTPS_PROXY": PROXY}, FAR, PROXY),
        ({"https_proxy": PROXY, "HTTPS_PROXY": "http://other:1"}, FAR, PROXY),
        ({"ALL_PROXY": PROXY}, FAR, PROXY),
        ({"HTTP_PROXY": PROXY}, FAR, None),
        ({"HTTP_PROXY": PROXY}, "http://api.example.com/", PROXY),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "example.com"}, FAR, None),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": ".example.com, other"}, FAR, None),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "*"}, FAR, None),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "ample.com"}, FAR, PROXY),
        ({"ALL_PROXY": PROXY}, "http://localhost:11434/", None),
        ({"ALL_PROXY": PROXY}, "http://127.0.0.1:11434/", None),
        ({"ALL_PROXY": PROXY}, "http://[::1]:11434/", None),
        ({"ALL_PROXY": PROXY}, "http://10.0.0.7:8000/", PROXY),
        ({"HTTPS_PROXY": "socks5://proxy.example:1080"}, FAR, None),
        ({"HTTPS_PROXY": PROXY}, "https://[nonsense", None),
    ],
)
def test_the_environment_says_which_way_a_call_goes(env, url, proxy):
    assert Proxies(env).of(url) == proxy


def test_a_proxy_of_a_kind_that_cannot_be_used_is_told():
    env = {"HTTPS_PROXY": "socks5://proxy.example:1080", "http_proxy": PROXY, "ALL_PROXY": "https://p:1"}
    assert Proxies(env).unusable == ("HTTPS_PROXY", "ALL_PROXY")


async def test_a_call_goes_through_the_proxy_of_the_environment():
    seen = []

    async def script(peer: Peer) -> None:
        seen.append(await peer.request())
        await peer.answer()

    async with serve(script) as proxy, serve(answers) as near:
        transport = HttpTransport(proxies=Proxies({"HTTP_PROXY": f"http://localhost:{proxy.port}"}))
        for url in ("http://nowhere.invalid/x", near.url()):
            assert await whole(await transport.open("GET", url, [], b"", Deadlines())) == b"ok"
        await transport.close()
    assert [request.line for request in seen] == ["GET http://nowhere.invalid/x HTTP/1.1"]


async def test_a_plain_request_goes_through_a_proxy_and_names_its_target(transport):
    seen = []

    async def script(peer: Peer) -> None:
        seen.append(await peer.request())
        await peer.answer()

    async with serve(script) as proxy:
        exchange = await transport.open(
            "GET",
            "http://nowhere.invalid/x",
            [],
            b"",
            Deadlines(),
            proxy=f"http://me:pw@localhost:{proxy.port}",
        )
        assert await whole(exchange) == b"ok"
    assert seen[0].line == "GET http://nowhere.invalid/x HTTP/1.1"
    assert "proxy-authorization" in seen[0].headers


async def test_a_secret_request_goes_through_a_tunnel(transport, certificates):
    async def script(peer: Peer) -> None:
        assert (await peer.request()).line.startswith("CONNECT localhost:443")
        await peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await peer.start_tls(certificates.server)
        await answers(peer)

    async with serve(script) as proxy:
        for _ in range(2):
            exchange = await transport.open(
                "POST", "https://localhost/", [], b"{}", Deadlines(), proxy=f"http://localhost:{proxy.port}"
            )
            assert await whole(exchange) == b"ok"
        assert proxy.connections == 1


async def test_a_proxy_that_will_not_is_a_refusal(transport):
    async with serve(says(b"HTTP/1.1 407 Who are you\r\ncontent-length: 0\r\n\r\n")) as proxy:
        with pytest.raises(Refused, match="407"):
            await transport.open(
                "GET", "https://localhost/", [], b"", Deadlines(), proxy=f"http://localhost:{proxy.port}"
            )
