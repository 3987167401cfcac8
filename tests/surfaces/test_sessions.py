"""Signing in at the dashboard: a cookie that counts from our own page alone, as long as its key is good."""

import time
from collections.abc import Callable
from contextlib import suppress

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from freeroute.domain.clients import Client, FormerKey, hash_key
from freeroute.domain.operators import Operator, Scope
from freeroute.domain.sessions import IDLE, LONGEST
from freeroute.errors import ApiError, Forbidden, InvalidApiKey
from freeroute.surfaces.guard import Access, Guard, Policy
from freeroute.surfaces.sent import cookie_name
from tests.support.clocks import EPOCH, ManualClock

PAGE = {b"host": b"gateway.example", b"x-freeroute-dashboard": b"1"}
ALICE = Client("alice", hash_key("sk-alice"))
TURNED = Client("turned", hash_key("sk-new"), former=(FormerKey(hash_key("sk-former"), EPOCH + 60),))
OPERATORS = tuple(Operator(scope.value, scope, hash_key(f"fo-{scope}")) for scope in Scope)
KEYED = Policy(clients=(ALICE, TURNED), operators=OPERATORS, admin_key="boss", loopback=False)
OPEN = structs.replace(KEYED, clients=(), loopback=True, hosts=frozenset({"gateway.example"}))
KEYS = {"client": "sk-alice", "read": "fo-read", "operate": "fo-operate", "admin": "fo-admin", "boss": "boss"}


def signed_in(door: Guard, key: str, page: dict[bytes, bytes] = PAGE) -> dict[bytes, bytes]:
    """Return what our page sends once *key* was entered."""
    name, _ = door.sign_in(key, "10.0.0.9")
    return {**page, b"cookie": f"theme=dark; {cookie_name(page)}={name}; x=y".encode()}


def passes(door: Guard, headers: dict[bytes, bytes], access: Access) -> bool:
    with suppress(InvalidApiKey, Forbidden):
        door.admit(headers, "10.0.0.9", access)
        return True
    return False


# --- the guard -------------------------------------------------------------------------------------------

CLIENTS = {Access.CLIENT, Access.MODELS, Access.STATUS, Access.AGENTS}
READ = {Access.MODELS, Access.AGENTS, Access.STATUS, Access.METRICS, Access.READ}
OPERATE = {*READ, Access.CLIENT, Access.OPERATE}
ADMIN = {*OPERATE, Access.ADMIN}


@pytest.mark.parametrize(
    ("key", "opened"),
    [("sk-alice", CLIENTS), ("fo-read", READ), ("fo-operate", OPERATE), ("fo-admin", ADMIN), ("boss", ADMIN)],
)
def test_a_session_opens_what_its_key_does_and_the_playground_to_operators(key, opened):
    door = Guard(KEYED, ManualClock())
    page = signed_in(door, key)
    judged = set(Access) - {Access.OPEN, Access.PAGE, Access.SESSION}
    assert {access for access in judged if passes(door, page, access)} == opened


def test_a_session_of_a_client_waits_and_is_counted_as_the_client():
    door = Guard(KEYED, ManualClock())
    caller = door.admit(signed_in(door, "sk-alice"), "10.0.0.9", Access.CLIENT)
    assert (caller.client, caller.queue, caller.operator) == (ALICE, "alice", None)


def test_what_an_operator_asks_at_the_dashboard_is_counted_for_no_client():
    door = Guard(KEYED, ManualClock())
    caller = door.admit(signed_in(door, "fo-operate"), "10.0.0.9", Access.CLIENT)
    assert (caller.client, caller.queue) == (None, "operator:operate")


def test_who_may_only_look_on_is_told_why_nothing_is_answered():
    door = Guard(KEYED, ManualClock())
    with pytest.raises(Forbidden) as caught:
        door.admit(signed_in(door, "fo-read"), "10.0.0.9", Access.CLIENT)
    assert caught.value.message == "This needs a token of scope operate; read has scope read."


def test_where_no_client_is_configured_whoever_is_signed_in_may_ask():
    door = Guard(OPEN, ManualClock())
    assert passes(door, signed_in(door, "fo-read"), Access.CLIENT)


@pytest.mark.parametrize(
    "headers",
    [
        {b"x-freeroute-dashboard": b""},
        {b"x-freeroute-dashboard": b"0"},
        {b"x-freeroute-dashboard": b"true"},
        {b"origin": b"https://evil.example"},
        {b"origin": b"null"},
        {b"origin": b"https://gateway.example:8443"},
        {b"origin": b"https://app.example"},
        {b"sec-fetch-site": b"cross-site"},
        {b"sec-fetch-site": b"same-site"},
        {b"sec-fetch-site": b"none"},
        {b"origin": b"https://gateway.example", b"sec-fetch-site": b"same-site"},
        {b"origin": b"https://evil.example", b"sec-fetch-site": b"same-origin"},
    ],
)
@pytest.mark.parametrize("access", [Access.STATUS, Access.CLIENT, Access.ADMIN])
def test_a_cookie_counts_for_nothing_from_anywhere_but_our_own_page(headers, access):
    door = Guard(structs.replace(KEYED, cors=frozenset({"https://app.example", "*"})), ManualClock())
    page = signed_in(door, "boss")
    assert passes(door, {**page, b"origin": b"https://gateway.example"}, access)
    assert passes(door, {**page, b"sec-fetch-site": b"same-origin"}, access)
    assert not passes(door, {**page, **headers}, access)


@given(
    marked=st.booleans(),
    origin=st.sampled_from([None, b"https://gateway.example", b"https://evil.example", b"null"]),
    site=st.sampled_from([None, b"same-origin", b"same-site", b"cross-site", b"none"]),
    key=st.sampled_from([{}, {b"authorization": b"Bearer no"}, {b"x-api-key": b"no"}, {b"api-key": b"no"}]),
    access=st.sampled_from([Access.STATUS, Access.CLIENT, Access.OPERATE, Access.ADMIN]),
)
def test_a_cookie_counts_beside_our_header_alone_and_beside_no_key(marked, origin, site, key, access):
    door = Guard(KEYED, ManualClock())
    headers = {**signed_in(door, "boss"), **key}
    if not marked:
        del headers[b"x-freeroute-dashboard"]
    if origin is not None:
        headers[b"origin"] = origin
    if site is not None:
        headers[b"sec-fetch-site"] = site
    ours = marked and not key
    ours = ours and origin in {None, b"https://gateway.example"} and site in {None, b"same-origin"}
    assert passes(door, headers, access) == ours


def test_a_key_that_is_sent_counts_and_not_the_cookie_beside_it():
    door = Guard(KEYED, ManualClock())
    page = signed_in(door, "boss")
    caller = door.admit({**page, b"authorization": b"Bearer sk-alice"}, "10.0.0.9", Access.CLIENT)
    assert caller.client == ALICE
    with pytest.raises(InvalidApiKey, match="This key is unknown"):
        door.admit({**page, b"authorization": b"Bearer boss"}, "10.0.0.9", Access.CLIENT)


def test_a_password_that_a_proxy_asked_for_does_not_hide_the_cookie():
    door = Guard(KEYED, ManualClock())
    page = {**signed_in(door, "boss"), b"authorization": b"Basic dXNlcjpwYXNz"}
    assert passes(door, page, Access.ADMIN)


def test_a_session_is_over_when_its_time_is():
    clock = ManualClock()
    door = Guard(KEYED, clock)
    page = signed_in(door, "boss")
    clock.advance(IDLE)
    with pytest.raises(InvalidApiKey, match=r"^This session is over: send"):
        door.admit(page, "10.0.0.9", Access.READ)


@pytest.mark.parametrize(
    ("key", "change", "told"),
    [
        ("sk-alice", {"clients": (structs.replace(ALICE, revoked=EPOCH), TURNED)}, "This key was revoked"),
        ("sk-alice", {"clients": (structs.replace(ALICE, expires=EPOCH), TURNED)}, "This key has expired"),
        ("sk-alice", {"clients": (TURNED,)}, "This key is unknown"),
        ("fo-read", {"operators": (structs.replace(OPERATORS[0], revoked=EPOCH),)}, "This key was revoked"),
        ("fo-read", {"operators": ()}, "This key is unknown"),
        ("boss", {"admin_key": "other"}, "This key is unknown"),
        ("boss", {"admin_key": None}, "This key is unknown"),
    ],
)
def test_a_session_ends_with_its_key_for_good(key, change, told):
    door = Guard(KEYED, ManualClock())
    page = signed_in(door, key)
    door.policy = structs.replace(KEYED, **change)
    with pytest.raises(InvalidApiKey, match=told):
        door.admit(page, "10.0.0.9", Access.STATUS)
    door.policy = KEYED
    with pytest.raises(InvalidApiKey, match="This session is over"):
        door.admit(page, "10.0.0.9", Access.STATUS)


def test_a_session_of_a_former_key_ends_when_that_does():
    clock = ManualClock()
    door = Guard(KEYED, clock)
    page = signed_in(door, "sk-former")
    assert passes(door, page, Access.CLIENT)
    clock.advance(60)
    with pytest.raises(InvalidApiKey, match="This key was replaced"):
        door.admit(page, "10.0.0.9", Access.CLIENT)


def test_what_a_token_is_good_for_is_looked_up_at_each_use():
    door = Guard(KEYED, ManualClock())
    page = signed_in(door, "fo-admin")
    less = structs.replace(OPERATORS[2], scope=Scope.READ)
    door.policy = structs.replace(KEYED, operators=(less,))
    assert not passes(door, page, Access.OPERATE)
    assert passes(door, page, Access.READ)


def test_the_key_of_the_metrics_signs_nobody_in():
    door = Guard(structs.replace(KEYED, metrics_key="gauge"), ManualClock())
    with pytest.raises(InvalidApiKey):
        door.sign_in("gauge", "10.0.0.9")


def test_ten_thousand_wrong_keys_are_bounded_and_sign_nobody_out():
    door = Guard(KEYED, ManualClock())
    pages = [signed_in(door, key) for key in KEYS.values()]
    began, refusals = time.process_time(), []
    for number in range(10_000):
        with pytest.raises(ApiError) as caught:
            door.sign_in(f"guess-{number}", "10.0.0.8")
        refusals.append(caught.value.status)
    assert (refusals.count(401), refusals.count(429)) == (10, 9_990)
    # A tenth of a second.
    assert time.process_time() - began < 5.0
    assert all(passes(door, page, Access.STATUS) for page in pages)
    for key in ("sk-alice", "fo-read"):
        door.sign_in(key, "10.0.0.8")
    with pytest.raises(ApiError):
        door.sign_in("boss", "10.0.0.8")


def test_ten_thousand_wrong_cookies_cost_little_and_are_kept_nowhere():
    door, began = Guard(KEYED, ManualClock()), time.process_time()
    for number in range(10_000):
        cookie = f"{cookie_name(PAGE)}=guess-{number}".encode()
        assert not passes(door, {**PAGE, b"cookie": cookie}, Access.STATUS)
    assert time.process_time() - began < 5.0


def test_a_preflight_lets_no_page_send_the_header_that_cookies_count_beside():
    policy = structs.replace(KEYED, cors=frozenset({"https://app.example"}))
    headers = {b"origin": b"https://app.example"}
    for asked, allowed in (
        (b"x-freeroute-dashboard", ""),
        (b"authorization, X-Freeroute-Dashboard ,x-a", "authorization,x-a"),
        (b"authorization,x-a", "authorization,x-a"),
    ):
        wish = {**headers, b"access-control-request-headers": asked}
        assert Guard(policy, ManualClock()).preflight(wish, "GET")["access-control-allow-headers"] == allowed


@pytest.mark.parametrize(
    ("host", "name"),
    [
        (b"gateway.example", "freeroute_session"),
        (b"localhost:3000", "freeroute_session_3000"),
        (b"[::1]:3000", "freeroute_session_3000"),
        (b"[::1]", "freeroute_session"),
        (b"", "freeroute_session"),
        (b"evil\r\nset-cookie: x:80", "freeroute_session_80"),
    ],
)
def test_gateways_on_two_ports_of_a_computer_do_not_share_a_cookie(host, name):
    assert cookie_name({b"host": host}) == name


# --- over HTTP -------------------------------------------------------------------------------------------

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
