import asyncio
from typing import Any

import httpx
import pytest

from freeroute.domain.catalogue import ErrorRule, Key, Provider
from freeroute.domain.headers import Auth
from freeroute.domain.keys import KeyState, Verdict
from freeroute.upstreams.keycheck import HttpKeyChecks, check, new_client
from tests.support.clocks import ManualClock

NOW = ManualClock().now()
KEY = Key("sk-hush-1234567890", "key-1")


def provider(**more: Any) -> Provider:
    settings: dict[str, Any] = {"key_check": "/models", **more}
    return Provider(id="p", name="P", base_url="https://api.example/v1", **settings)


ASKED = "https://api.example/v1/models"


async def verdict(answer: Any, key: Key = KEY, **more: Any) -> Verdict:
    handle = answer if callable(answer) else lambda request: answer
    async with httpx.AsyncClient(transport=httpx.MockTransport(handle)) as client:
        return await check(provider(**more), key, client, NOW)


CHALLENGE = b"<!DOCTYPE html><html><title>Just a moment...</title></html>"
GEMINI = [{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key.",
                     "status": "INVALID_ARGUMENT"}}]  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (httpx.Response(200, json={"data": []}), KeyState.VALID),
        (
            httpx.Response(401, json={"error": {"message": "bad key", "code": "invalid_api_key"}}),
            KeyState.INVALID,
        ),
        (httpx.Response(400, json=GEMINI), KeyState.INVALID),
        (httpx.Response(402, json={"error": {"message": "no credit"}}), KeyState.VALID),
        (httpx.Response(403, json={"error": {"message": "not allowed"}}), KeyState.UNKNOWN),
        (httpx.Response(404, json={}), KeyState.UNKNOWN),
        (httpx.Response(429, json={"error": {"message": "slow down"}}), KeyState.UNKNOWN),
        (httpx.Response(500, text="oops"), KeyState.UNKNOWN),
        (httpx.Response(302, headers={"location": "https://login.example"}), KeyState.UNKNOWN),
        (httpx.Response(200, content=CHALLENGE), KeyState.UNKNOWN),
        (httpx.Response(401, content=CHALLENGE), KeyState.UNKNOWN),
        (httpx.Response(403, content=CHALLENGE), KeyState.UNKNOWN),
        (httpx.Response(503, content=CHALLENGE), KeyState.UNKNOWN),
    ],
)
async def test_the_answer_decides(answer, state):
    assert (await verdict(answer)).state is state


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ReadTimeout, httpx.RemoteProtocolError])
async def test_a_network_error_never_means_invalid(error):
    def handle(request: httpx.Request) -> httpx.Response:
        raise error("sk-hush-1234567890")

    told = f"could not be asked: {error.__name__}"
    assert await verdict(handle) == Verdict(KeyState.UNKNOWN, told, asked=ASKED)


async def test_a_provider_without_such_a_call_is_not_asked():
    def handle(request: httpx.Request) -> httpx.Response:
        raise AssertionError("asked")

    assert (await verdict(handle, key_check=None)).state is KeyState.UNKNOWN
    assert (await verdict(handle, key=Key("", "anonymous"))).detail == "used without a key"
    assert (await verdict(handle, key_check=None)).asked == ""


async def test_the_key_travels_as_the_provider_wants_it():
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={})

    await verdict(handle)
    await verdict(
        handle, auth=Auth("x-api-key", ""), headers={"x-app": "a"}, key_check="https://other.example/me"
    )
    first, second = seen
    assert str(first.url) == "https://api.example/v1/models"
    assert first.headers["authorization"] == f"Bearer {KEY.secret}"
    assert str(second.url) == "https://other.example/me"
    assert (second.headers["x-api-key"], second.headers["x-app"]) == (KEY.secret, "a")
    assert "authorization" not in second.headers


async def test_a_providers_own_rules_count():
    rules = (ErrorRule(kind="key_invalid", code="10000"),)
    answer = httpx.Response(400, json={"success": False, "errors": [{"code": 10000, "message": "Auth"}]})
    assert (await verdict(answer, errors=rules)).state is KeyState.INVALID


async def test_a_verdict_never_repeats_the_key():
    answer = httpx.Response(401, json={"error": {"message": f"Incorrect API key provided: {KEY.secret}"}})
    assert KEY.secret not in (await verdict(answer)).detail


async def test_a_very_long_answer_is_not_read_to_its_end():
    answer = httpx.Response(200, content=b"[" + b"1," * (1 << 20))
    assert (await verdict(answer)).state is KeyState.UNKNOWN


async def test_the_client_follows_no_redirect():
    async with new_client() as client:
        assert not client.follow_redirects


@pytest.mark.parametrize(
    ("told", "credit", "models"),
    [
        ({"data": [{"id": "m1"}, {"id": "models/m2"}, {"id": 3}, "m4"]}, None, {"m1", "m2"}),
        ({"models": [{"name": "m1"}]}, None, {"m1"}),
        ({"result": [{"id": "u-u-i-d", "name": "@cf/m1"}]}, None, {"u-u-i-d", "@cf/m1"}),
        ({"data": {"limit_remaining": 4.5}}, True, set()),
        ({"data": {"limit_remaining": 0}}, False, set()),
        ({"data": {"limit_remaining": None}}, None, set()),
        ({"data": {"limit_remaining": True}}, None, set()),
        ([1, 2], None, set()),
    ],
)
async def test_the_answer_may_tell_of_credit_and_models(told, credit, models):
    assert await verdict(httpx.Response(200, json=told)) == Verdict(
        KeyState.VALID, credit=credit, models=frozenset(models), asked=ASKED
    )


async def test_a_key_that_is_valid_but_not_paid_for_has_no_credit():
    assert (await verdict(httpx.Response(402, json={"error": {"message": "no credit"}}))).credit is False


async def test_checks_of_a_gateway_reach_the_provider_over_http():
    async with Site() as site:
        found = await HttpKeyChecks(ManualClock()).check(provider(key_check=f"{site.url}/models"), KEY)
    assert found.state is KeyState.VALID
    assert KEY.secret in site.seen[0]


class Site:
    """A server that lists no models to whoever asks, and keeps what it was sent."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def __aenter__(self) -> "Site":
        self.server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.seen.append((await reader.readuntil(b"\r\n\r\n")).decode())
        body = b'{"data": []}'
        writer.write(
            b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
        )
        await writer.drain()
        writer.close()
