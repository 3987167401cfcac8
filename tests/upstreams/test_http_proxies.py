"""Which calls go through a proxy, and which do not."""

import pytest

from freeroute.upstreams.http_proxies import Proxies
from freeroute.upstreams.http_transport import HttpTransport
from freeroute.upstreams.transport import Deadlines
from tests.support.exchanges import answers, whole
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
