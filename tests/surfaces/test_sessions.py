"""Signing in at the dashboard and out again, over HTTP."""

from collections.abc import Callable

import httpx
import pytest
from msgspec import structs

from freeroute.domain.sessions import LONGEST
from tests.surfaces.holders import KEYED, OPEN

URL = "/dashboard/session"
OWN = {"x-freeroute-dashboard": "1"}
NOBODY = {"name": None, "scope": None, "client": None, "demo": False, "needs_key": True}
Ask = Callable[..., httpx.AsyncClient]


async def sign_in(client: httpx.AsyncClient, key: str) -> httpx.Response:
    return await client.post(URL, json={"key": key}, headers=OWN)


@pytest.mark.parametrize(
    ("key", "who"),
    [
        ("sk-alice", {"name": "alice", "client": "alice"}),
        ("fo-read", {"name": "read", "scope": "read"}),
        (" fo-operate\n", {"name": "operate", "scope": "operate"}),
        ("boss", {"name": "admin", "scope": "admin"}),
    ],
)
async def test_whoever_holds_a_key_can_sign_in_and_out_again(ask: Ask, key, who):
    async with ask(KEYED) as client:
        assert (await client.get(URL, headers=OWN)).json() == NOBODY
        reply = await sign_in(client, key)
        assert reply.json() == {**NOBODY, **who}
        assert reply.headers["cache-control"] == "no-store"
        assert (await client.get(URL, headers=OWN)).json() == {**NOBODY, **who}
        assert (await client.get("/v1/status", headers=OWN)).status_code == 200
        kept = dict(client.cookies)
        out = await client.delete(URL, headers=OWN)
        assert out.json() == NOBODY
        assert "Max-Age=0" in out.headers["set-cookie"]
        assert not client.cookies
        client.cookies.update(kept)
        assert (await client.get("/v1/status", headers=OWN)).status_code == 401


async def test_the_cookie_is_hidden_from_scripts_and_other_sites_and_from_eavesdroppers_by_https(ask: Ask):
    async with ask(KEYED) as client:
        plain = (await sign_in(client, "boss")).headers["set-cookie"]
        name, *terms = plain.split("; ")
        assert terms == ["Path=/", f"Max-Age={LONGEST:.0f}", "HttpOnly", "SameSite=Strict"]
        assert name.startswith("freeroute_session=")
        assert len(name.partition("=")[2]) == 43  # 256 bits
        assert "boss" not in plain
        proxied = await client.post(URL, json={"key": "boss"}, headers={**OWN, "x-forwarded-proto": "https"})
        assert proxied.headers["set-cookie"].endswith("; Secure")
        client.base_url = httpx.URL("https://localhost")
        assert (await sign_in(client, "boss")).headers["set-cookie"].endswith("; Secure")


async def test_a_wrong_key_signs_nobody_in_and_nobody_out(ask: Ask):
    async with ask(KEYED) as client:
        await sign_in(client, "fo-read")
        reply = await sign_in(client, "fr-wrong")
        assert reply.status_code == 401
        assert "set-cookie" not in reply.headers
        assert reply.json()["error"]["message"] == (
            "This key is unknown: send the admin key, the token of an operator or the key of a client."
        )
        assert (await client.get(URL, headers=OWN)).json()["name"] == "read"
        for _ in range(9):
            assert (await sign_in(client, "fr-wrong")).status_code == 401
        assert (await sign_in(client, "boss")).status_code == 429
        assert (await sign_in(client, "fo-admin")).status_code == 200


async def test_signing_in_with_another_key_ends_the_session_before(ask: Ask):
    async with ask(KEYED) as client:
        await sign_in(client, "fo-admin")
        [(name, before)] = client.cookies.items()
        assert (await sign_in(client, "fo-read")).json()["name"] == "read"
        client.cookies.clear()
        kept = {**OWN, "cookie": f"{name}={before}"}
        assert (await client.get(URL, headers=kept)).json()["name"] is None


@pytest.mark.parametrize(
    "body",
    [
        *("", "null", "[]", '{"key": 1}', '{"key": "a", "more": 1}', "\xff"),
        *('{"key": "\\ud800"}', "[" * 3000, '{"key": "boss"'),
    ],
)
async def test_a_body_that_is_no_key_is_refused(ask: Ask, body):
    async with ask(KEYED) as client:
        reply = await client.post(URL, content=body, headers=OWN)
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == "key"


async def test_a_key_of_any_letters_and_any_length_is_judged_or_refused(ask: Ask):
    async with ask(KEYED) as client:
        assert (await sign_in(client, "schlüssel 🔑")).status_code == 401
        assert (await sign_in(client, "")).status_code == 401
        assert "512 characters" in (await sign_in(client, "k" * 600)).json()["error"]["message"]
        assert (await sign_in(client, "k" * 5000)).status_code == 413


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-freeroute-dashboard": "2"},
        {**OWN, "origin": "https://evil.example"},
        {**OWN, "origin": "https://app.example"},
        {**OWN, "sec-fetch-site": "same-site"},
    ],
)
@pytest.mark.parametrize("policy", [KEYED, OPEN])
async def test_no_other_page_signs_in_or_out(ask: Ask, method, headers, policy):
    demo = structs.replace(policy, demo=True, cors=frozenset({"https://app.example"}))
    async with ask(demo) as client:
        reply = await client.request(method, URL, json={"key": "boss"}, headers=headers)
    assert reply.status_code == 403
    assert reply.json()["error"]["code"] == "forbidden_origin"
    assert "set-cookie" not in reply.headers


async def test_the_page_of_a_demo_signs_in_without_a_key(ask: Ask):
    async with ask(structs.replace(OPEN, demo=True)) as client:
        nobody = {**NOBODY, "demo": True, "needs_key": False}
        assert (await client.get(URL, headers=OWN)).json() == nobody
        reply = await client.post(URL, json={}, headers=OWN)
        assert reply.json() == {**nobody, "name": "admin", "scope": "admin"}
        assert "boss" not in reply.text + str(reply.headers)
        assert (await client.get(URL, headers=OWN)).json() == reply.json()
        assert (await client.get("/admin/whoami", headers=OWN)).json()["scope"] == "admin"
        assert (await client.delete(URL, headers=OWN)).json() == nobody
        assert (await client.get(URL, headers=OWN)).json() == nobody


@pytest.mark.parametrize("policy", [OPEN, KEYED, structs.replace(OPEN, demo=True, admin_key=None)])
async def test_nothing_but_a_demo_with_an_admin_key_signs_in_without_one(ask: Ask, policy):
    async with ask(policy) as client:
        reply = await client.post(URL, json={"key": None}, headers=OWN)
        assert "set-cookie" not in reply.headers
        assert reply.json()["name"] is None
        assert reply.json() == (await client.get(URL, headers=OWN)).json()


async def test_who_is_signed_in_stays_so_without_a_key(ask: Ask):
    for policy, key in ((structs.replace(OPEN, demo=True), {}), (KEYED, {"key": "boss"})):
        async with ask(policy) as client:
            who = (await client.post(URL, json=key, headers=OWN)).json()
            assert who["name"] == "admin"
            again = await client.post(URL, json={}, headers=OWN)
            assert again.json() == who
            assert "set-cookie" not in again.headers


async def test_a_demo_is_called_by_our_own_names_even_with_clients(ask: Ask):
    async with ask(structs.replace(KEYED, demo=True)) as client:
        reply = await client.get(URL, headers={**OWN, "host": "evil.example"})
    assert reply.status_code == 421
