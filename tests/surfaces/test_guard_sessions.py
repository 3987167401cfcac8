"""What a session is good for: its cookie counts from our own page alone, as long as its key is good."""

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from freeroute.domain.operators import Scope
from freeroute.domain.sessions import IDLE
from freeroute.errors import ApiError, Forbidden, InvalidApiKey
from freeroute.surfaces.access import Access
from freeroute.surfaces.guard import Guard
from freeroute.surfaces.sent import cookie_name
from tests.support.clocks import EPOCH, ManualClock
from tests.surfaces.holders import ALICE, KEYED, OPEN, OPERATORS, TURNED

PAGE = {b"host": b"gateway.example", b"x-freeroute-dashboard": b"1"}
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
