"""Who is let in: hosts, pages and keys."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from freeroute.domain.clients import LONGEST_KEY, Client, hash_key
from freeroute.errors import ApiError, Forbidden, InvalidApiKey, LoopDetected, Misdirected
from freeroute.surfaces.access import Access, Policy
from freeroute.surfaces.guard import Guard
from tests.support.clocks import EPOCH, ManualClock
from tests.surfaces.holders import ALICE, KEYED, LOCAL, TURNED, admit, guard


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:3000",
        "127.0.0.1:80",
        "[::1]",
        "[::1]:3000",
        "localhost.",
        "box.lan:8",
        "named",
    ],
)
def test_local_and_listed_hosts_are_answered_on_any_port(host):
    admit({b"host": host.encode()}, Policy(hosts=frozenset({"Box.lan", "named:3000"})))


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "localhost.evil.example", "evil.example:3000", "127.0.0.1.evil.example", "", "::1"),
        *("localhost:3000:1", "evil@localhost", "localhost/", "[::1", "127.0.0.2", "0.0.0.0", "local host"),
    ],
)
def test_a_rebinding_host_is_misdirected_while_no_key_is_required(host):
    with pytest.raises(Misdirected) as caught:
        admit({b"host": host.encode()})
    assert caught.value.param == "host"


def test_a_missing_host_is_misdirected():
    with pytest.raises(Misdirected):
        admit({})


@given(st.binary(max_size=40))
def test_no_other_host_passes_and_none_breaks_the_guard(host):
    try:
        admit({b"host": host})
    except Misdirected:
        return
    name = host.decode("latin-1").strip().lower()
    assert name.startswith(("localhost", "127.0.0.1", "[::1]"))


def test_any_host_will_do_once_keys_are_required():
    headers = {
        b"host": b"llm.example",
        b"origin": b"https://app.example",
        b"authorization": b"Bearer sk-alice",
    }
    assert admit(headers, KEYED).client == ALICE


@pytest.mark.parametrize(
    "headers",
    [
        {b"origin": b"https://evil.example"},
        {b"origin": b"null"},
        {b"origin": b"http://localhost:5173"},
        {b"origin": b"http://127.0.0.1:3000"},
        {b"origin": b"http://localhost"},
        {b"origin": b"chrome-extension://abc"},
        {b"origin": b"http://localhost:3000/path"},
        {b"sec-fetch-site": b"cross-site"},
    ],
)
def test_a_page_from_elsewhere_is_turned_away(headers):
    with pytest.raises(Forbidden) as caught:
        admit({**LOCAL, **headers})
    assert caught.value.code == "forbidden_origin"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {b"origin": b"http://localhost:3000", b"sec-fetch-site": b"same-origin"},
        {b"sec-fetch-site": b"none"},
        {b"origin": b"https://app.example", b"sec-fetch-site": b"cross-site"},
    ],
)
def test_our_own_page_and_listed_origins_pass(headers):
    admit({**LOCAL, **headers}, Policy(cors=frozenset({"https://App.example/"})))


def test_a_star_lists_every_origin():
    admit({**LOCAL, b"origin": b"https://any.example"}, Policy(cors=frozenset({"*"})))


@pytest.mark.parametrize("header", [b"x-api-key", b"api-key"])
def test_a_key_may_come_in_other_headers(header):
    assert admit({header: b"sk-alice"}, KEYED).client == ALICE


@pytest.mark.parametrize("scheme", [b"Bearer ", b"bearer ", b"BEARER   "])
def test_the_bearer_scheme_is_read_in_any_case(scheme):
    assert admit({b"authorization": scheme + b"sk-alice"}, KEYED).client == ALICE


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {b"authorization": b"Bearer "},
        {b"authorization": b"Basic sk-alice"},
        {b"authorization": b"sk-alice"},
        {b"authorization": b"Bearer sk-alice2"},
        {b"authorization": b"Bearer \xff\xfe"},
        {b"authorization": b"Bearer sk-late"},
        {b"authorization": b"Bearer boss"},
        {b"x-api-key": b"not-needed"},
    ],
)
def test_a_missing_wrong_or_expired_key_is_refused_once_one_is_required(headers):
    with pytest.raises(InvalidApiKey) as caught:
        admit({**LOCAL, **headers}, KEYED)
    assert caught.value.code == "invalid_api_key"
    assert "sk-" not in caught.value.message


@pytest.mark.parametrize(
    ("header", "told"),
    [
        (None, "No key was sent"),
        (b"Bearer", "The Authorization header is not `Bearer` and a key"),
        (b"Basic dXNlcjpwYXNz", "The Authorization header is not `Bearer` and a key"),
        (b"Bearer sk-alice\xff", "This key is unknown"),
        (b"Bearer sk-alice, Bearer sk-alice", "This key is unknown"),
        (b"Bearer sk-late", "This key has expired"),
        (b"Bearer sk-gone", "This key was revoked"),
        (b"Bearer sk-old", "This key was replaced, and its time is over"),
        (b"Bearer " + b"k" * (LONGEST_KEY + 1), "This is no key: it has more than 512 characters"),
    ],
)
def test_a_refusal_says_what_is_wrong_with_the_key(header, told):
    with pytest.raises(InvalidApiKey) as caught:
        admit({**LOCAL} if header is None else {**LOCAL, b"authorization": header}, KEYED)
    assert caught.value.status == 401
    assert caught.value.message == (
        f"{told}: send a client key of this gateway as `Authorization: Bearer ...`."
    )
    assert caught.value.headers == {"www-authenticate": "Bearer"}


@pytest.mark.parametrize(
    "headers",
    [
        {b"authorization": b"Bearer sk-alice", b"x-api-key": b"sk-new"},
        {b"authorization": b"Bearer sk-alice", b"api-key": b"not-needed"},
        {b"x-api-key": b"sk-alice", b"api-key": b"sk-new"},
        {b"authorization": b"Bearer sk-nobody", b"x-api-key": b"sk-alice"},
    ],
)
@pytest.mark.parametrize("access", [Access.CLIENT, Access.STATUS, Access.METRICS, Access.ADMIN])
def test_two_keys_that_differ_are_refused_whichever_of_them_is_good(headers, access):
    with pytest.raises(InvalidApiKey, match=r"^Two different keys were sent: send one") as caught:
        admit(headers, KEYED, access)
    assert caught.value.status == 401
    assert "sk-" not in caught.value.message


def test_one_key_may_be_sent_in_every_header_and_any_keys_while_none_is_required():
    everywhere = {b"authorization": b"Bearer sk-alice", b"x-api-key": b" sk-alice", b"api-key": b"sk-alice"}
    assert admit(everywhere, KEYED).client == ALICE
    beside = {b"authorization": b"Basic of-a-proxy", b"x-api-key": b"sk-alice"}
    assert admit(beside, KEYED).client == ALICE
    admit({**LOCAL, b"authorization": b"Bearer one", b"x-api-key": b"two"})


def test_keys_end_by_the_calendar_that_is_believed_whichever_way_it_was_set():
    clock = ManualClock()
    door = Guard(Policy(clients=(TURNED, Client("brief", hash_key("sk-brief"), expires=EPOCH + 60))), clock)

    def opens(key: bytes) -> bool:
        try:
            return door.admit({b"x-api-key": key}, "-", Access.CLIENT).client is not None
        except InvalidApiKey:
            return False

    for by, brief, former, old in (
        (0, True, True, False),
        (3600, False, False, False),
        (-7200, True, True, True),
    ):
        clock.set_wall(by)
        assert (opens(b"sk-brief"), opens(b"sk-former"), opens(b"sk-old")) == (brief, former, old)
        assert opens(b"sk-new")


def test_who_scrapes_with_a_key_may_call_the_gateway_by_any_name():
    elsewhere = {b"host": b"gateway:3000"}
    wide = Policy(metrics_key="gauge", loopback=False)
    admit({**elsewhere, b"authorization": b"Bearer gauge"}, wide, Access.METRICS)
    with pytest.raises(InvalidApiKey):
        admit(elsewhere, wide, Access.METRICS)
    with pytest.raises(Misdirected):
        admit({**elsewhere, b"authorization": b"Bearer gauge"}, Policy(metrics_key="gauge"), Access.METRICS)


def test_the_admin_key_opens_no_route_of_a_client():
    with pytest.raises(InvalidApiKey, match="This key is unknown"):
        admit({b"authorization": b"Bearer boss"}, KEYED)


def test_a_key_that_was_replaced_opens_the_door_until_its_time_is_over():
    assert admit({b"authorization": b"Bearer sk-former"}, KEYED).queue == "turned"
    assert admit({b"authorization": b"Bearer sk-new"}, KEYED).queue == "turned"


def test_a_key_counts_from_the_next_request_on():
    door = guard(KEYED)
    door.policy = Policy(clients=(Client("bob", hash_key("sk-bob")),))
    assert door.admit({b"x-api-key": b"sk-bob"}, "-", Access.CLIENT).queue == "bob"
    with pytest.raises(InvalidApiKey):
        door.admit({b"x-api-key": b"sk-alice"}, "-", Access.CLIENT)


def test_ten_thousand_wrong_keys_cost_little_and_lock_nobody_out():
    many = tuple(Client(f"c{number}", hash_key(f"sk-{number}")) for number in range(10_000))
    door = guard(Policy(clients=many))
    began = time.process_time()
    for number in range(10_000):
        with pytest.raises(InvalidApiKey):
            door.admit({b"authorization": b"Bearer wrong-%d" % number}, "10.0.0.9", Access.CLIENT)
    # A tenth of a second; looking at every client each time would take most of a minute.
    assert time.process_time() - began < 5.0
    assert door.admit({b"authorization": b"Bearer sk-9999"}, "10.0.0.9", Access.CLIENT).queue == "c9999"


def test_any_key_or_none_will_do_while_none_is_configured():
    assert admit({**LOCAL, b"authorization": b"Bearer not-needed"}).client is None


def test_turns_are_named_by_client_then_key_then_peer():
    assert admit({b"authorization": b"Bearer sk-alice"}, KEYED).queue == "alice"
    former, anew = (
        admit({b"authorization": b"Bearer k"}, Policy(clients=(Client("a", hash_key("k"), created=at),)))
        for at in (1.0, 2.0)
    )
    assert former.queue != anew.queue
    assert admit(LOCAL).queue == "peer:10.0.0.9"
    first = admit({**LOCAL, b"authorization": b"Bearer one"}).queue
    assert first.startswith("key:")
    assert "one" not in first
    assert first == admit({**LOCAL, b"authorization": b"Bearer one"}).queue
    assert first != admit({**LOCAL, b"authorization": b"Bearer two"}).queue


@pytest.mark.parametrize(
    ("policy", "access", "passing"),
    [
        (KEYED, Access.CLIENT, {"sk-alice"}),
        (KEYED, Access.STATUS, {"sk-alice", "boss"}),
        (KEYED, Access.METRICS, {"gauge", "boss"}),
        (KEYED, Access.ADMIN, {"boss"}),
        (Policy(admin_key="boss"), Access.ADMIN, {"boss"}),
        (Policy(admin_key=None), Access.ADMIN, set()),
        (Policy(admin_key="boss"), Access.METRICS, {None, "sk-alice", "gauge", "boss"}),
        (Policy(admin_key="boss", metrics_key="gauge", loopback=False), Access.METRICS, {"gauge", "boss"}),
        (Policy(admin_key="boss"), Access.STATUS, {None, "sk-alice", "gauge", "boss"}),
    ],
)
def test_each_kind_of_route_takes_its_own_keys_alone(policy, access, passing):
    for key in (None, "sk-alice", "gauge", "boss", ""):
        headers = {**LOCAL} if key is None else {**LOCAL, b"authorization": b"Bearer " + key.encode()}
        try:
            admit(headers, policy, access)
            passed = True
        except (InvalidApiKey, Forbidden):
            passed = False
        assert passed == ((key or None) in passing), key


def test_health_is_open_to_probes_that_name_another_host():
    admit({b"host": b"10.1.2.3:3000", b"origin": b"https://evil.example"}, access=Access.OPEN)


def test_a_link_from_elsewhere_may_lead_to_the_dashboard():
    admit({**LOCAL, b"sec-fetch-site": b"cross-site"}, access=Access.PAGE)
    with pytest.raises(Misdirected):
        admit({b"host": b"evil.example"}, access=Access.PAGE)
    admit({b"host": b"llm.example"}, KEYED, Access.PAGE)


@pytest.mark.parametrize(
    "headers", [{b"host": b"evil.example"}, {**LOCAL, b"origin": b"https://evil.example"}]
)
@pytest.mark.parametrize("policy", [Policy(), KEYED])
def test_the_session_of_a_demo_is_for_our_own_page_whatever_the_policy(headers, policy):
    with pytest.raises((Misdirected, Forbidden)):
        admit({**headers, b"x-freeroute-dashboard": b"1"}, structs.replace(policy, demo=True), Access.SESSION)


@pytest.mark.parametrize(("value", "hop"), [(b"0", 0), (b"1", 1), (b"x", 0), (b"-5", 0), (b"", 0)])
def test_one_gateway_before_us_is_fine(value, hop):
    assert admit({**LOCAL, b"x-freeroute-hop": value}).hop == hop


@pytest.mark.parametrize("value", [b"2", b"17", b"9" * 5000])
def test_a_request_that_goes_round_is_stopped(value):
    with pytest.raises(LoopDetected):
        admit({**LOCAL, b"x-freeroute-hop": value})


def test_a_listed_origin_may_read_replies_and_no_other():
    listed = guard(Policy(cors=frozenset({"https://app.example"})))
    allowed = dict(listed.cors_headers({b"origin": b"https://app.example"}))
    assert allowed[b"access-control-allow-origin"] == b"https://app.example"
    assert dict(listed.cors_headers({b"origin": b"https://evil.example"})) == {b"vary": b"origin"}
    assert guard().cors_headers({b"origin": b"https://app.example"}) == []


def test_a_preflight_is_answered_for_listed_origins_without_a_key():
    policy = Policy(cors=frozenset({"https://app.example"}), clients=(ALICE,))
    headers = {b"origin": b"https://app.example", b"access-control-request-headers": b"authorization,x-a"}
    told = guard(policy).preflight(headers, "GET, HEAD")
    assert told["access-control-allow-headers"] == "authorization,x-a"
    assert told["access-control-allow-methods"] == "GET, HEAD"
    for other in ({}, {b"origin": b"https://evil.example"}):
        with pytest.raises(ApiError):
            guard(policy).preflight(other, "GET")
