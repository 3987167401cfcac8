from typing import Any

import httpx
import pytest

from freeroute.domain.catalogue import Auth, ErrorRule, Key, Provider
from freeroute.upstreams.keycheck import State, Verdict, check, new_client
from tests.support.clocks import ManualClock

NOW = ManualClock().now()
KEY = Key("sk-hush-1234567890", "key-1")


def provider(**more: Any) -> Provider:
    settings: dict[str, Any] = {"key_check": "/models", **more}
    return Provider(id="p", name="P", base_url="https://api.example/v1", **settings)


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
        (httpx.Response(200, json={"data": []}), State.VALID),
        (
            httpx.Response(401, json={"error": {"message": "bad key", "code": "invalid_api_key"}}),
            State.INVALID,
        ),
        (httpx.Response(400, json=GEMINI), State.INVALID),
        (httpx.Response(402, json={"error": {"message": "no credit"}}), State.VALID),
        (httpx.Response(403, json={"error": {"message": "not allowed"}}), State.UNKNOWN),
        (httpx.Response(404, json={}), State.UNKNOWN),
        (httpx.Response(429, json={"error": {"message": "slow down"}}), State.UNKNOWN),
        (httpx.Response(500, text="oops"), State.UNKNOWN),
        (httpx.Response(302, headers={"location": "https://login.example"}), State.UNKNOWN),
        (httpx.Response(200, content=CHALLENGE), State.UNKNOWN),
        (httpx.Response(401, content=CHALLENGE), State.UNKNOWN),
        (httpx.Response(403, content=CHALLENGE), State.UNKNOWN),
        (httpx.Response(503, content=CHALLENGE), State.UNKNOWN),
    ],
)
async def test_the_answer_decides(answer, state):
    assert (await verdict(answer)).state is state


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ReadTimeout, httpx.RemoteProtocolError])
async def test_a_network_error_never_means_invalid(error):
    def handle(request: httpx.Request) -> httpx.Response:
        raise error("sk-hush-1234567890")

    assert await verdict(handle) == Verdict(State.UNKNOWN, f"could not be asked: {error.__name__}")


async def test_a_provider_without_such_a_call_is_not_asked():
    def handle(request: httpx.Request) -> httpx.Response:
        raise AssertionError("asked")

    assert (await verdict(handle, key_check=None)).state is State.UNKNOWN
    assert (await verdict(handle, key=Key("", "anonymous"))).detail == "used without a key"


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
    assert (await verdict(answer, errors=rules)).state is State.INVALID


async def test_a_verdict_never_repeats_the_key():
    answer = httpx.Response(401, json={"error": {"message": f"Incorrect API key provided: {KEY.secret}"}})
    assert KEY.secret not in (await verdict(answer)).detail


async def test_a_very_long_answer_is_not_read_to_its_end():
    answer = httpx.Response(200, content=b"[" + b"1," * (1 << 20))
    assert (await verdict(answer)).state is State.UNKNOWN


async def test_the_client_follows_no_redirect():
    async with new_client() as client:
        assert not client.follow_redirects
