"""The Model Context Protocol: versions, messages, and who may ask."""

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.surfaces.mcp import AGREED, STATED, Fault, read_message
from tests.surfaces.agents import KEYED, META, error

# --- versions ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", AGREED)
async def test_a_version_that_is_known_is_agreed_on(mcp, asked):
    reply = await mcp().request("initialize", {"protocolVersion": asked, "capabilities": {}})
    assert reply.status_code == 200
    assert "mcp-session-id" not in reply.headers
    result = reply.json()["result"]
    assert result["protocolVersion"] == asked
    assert result["capabilities"] == {"tools": {}}
    assert result["serverInfo"]["name"] == "freeroute"
    assert reply.json()["id"] == 7


@pytest.mark.parametrize("asked", ["1999-01-01", STATED[0], 7, None])
async def test_another_version_is_answered_with_the_newest_that_can_be_agreed_on(mcp, asked):
    reply = await mcp().request("initialize", {"protocolVersion": asked})
    assert reply.json()["result"]["protocolVersion"] == AGREED[-1]


async def test_what_is_agreed_on_may_be_said_with_each_request_or_not(mcp):
    for headers in ({}, *({"mcp_protocol_version": version} for version in AGREED)):
        reply = await mcp().request("tools/list", **headers)
        assert reply.status_code == 200
        assert set(reply.json()["result"]) == {"tools"}


async def test_a_request_that_states_its_version_needs_no_agreement(mcp):
    found = (await mcp().stated("server/discover")).json()["result"]
    assert found["supportedVersions"] == [STATED[0], *reversed(AGREED)]
    assert found["capabilities"] == {"tools": {}}
    for method in ("server/discover", "tools/list"):
        result = (await mcp().stated(method)).json()["result"]
        assert result["resultType"] == "complete"
        assert result["ttlMs"] > 0
        assert result["cacheScope"] == "private"
        assert result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "freeroute"


async def test_a_name_that_was_encoded_for_its_header_is_the_same_name(mcp):
    encoded = "=?base64?bGlzdF9tb2RlbHM=?="
    reply = await mcp().stated("tools/call", {"name": "list_models"}, mcp_name=encoded)
    assert reply.json()["result"]["isError"] is False


@pytest.mark.parametrize("version", ["1999-01-01", "2999-01-01", "soon"])
async def test_a_version_that_is_not_served_is_refused_with_those_that_are(mcp, version):
    meta = META | {"io.modelcontextprotocol/protocolVersion": version}
    stated = await mcp().stated("tools/list", {"_meta": meta}, mcp_protocol_version=version)
    agreed = await mcp().request("tools/list", mcp_protocol_version=version)
    for reply in (stated, agreed):
        assert reply.status_code == 400
        assert error(reply)["code"] == -32022
        assert error(reply)["data"] == {"supported": [*STATED, *AGREED], "requested": version}


@pytest.mark.parametrize(
    ("params", "headers", "code"),
    [
        ({"_meta": {"io.modelcontextprotocol/protocolVersion": STATED[0]}}, {}, -32602),
        ({"_meta": None}, {}, -32602),
        ({}, {"mcp_method": "tools/call"}, -32020),
        ({}, {"mcp_protocol_version": AGREED[-1]}, -32020),
        ({"name": "list_models"}, {"mcp_name": "quota_left"}, -32020),
        ({"name": "list_models"}, {"mcp_name": "=?base64?*?="}, -32020),
    ],
)
async def test_a_request_that_does_not_state_the_same_everywhere_is_refused(mcp, params, headers, code):
    method = "tools/call" if "name" in params else "tools/list"
    reply = await mcp().stated(method, params, **headers)
    assert reply.status_code == 400
    assert error(reply)["code"] == code
    assert reply.json()["id"] == 7


async def test_what_one_generation_has_dropped_is_a_method_that_is_not_there(mcp):
    assert (await mcp().request("ping")).json()["result"] == {}
    for method in ("ping", "initialize", "resources/list"):
        reply = await mcp().stated(method)
        assert (reply.status_code, error(reply)["code"]) == (404, -32601)
    # Clients of before take a 404 for the end of their session.
    reply = await mcp().request("prompts/list")
    assert (reply.status_code, error(reply)["code"]) == (200, -32601)


# --- messages ----------------------------------------------------------------------------------------------


async def test_notifications_and_answers_are_taken_without_a_word(mcp):
    for body in (
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}},
        {"jsonrpc": "2.0", "id": 1, "result": {}},
    ):
        reply = await mcp().send(body)
        assert (reply.status_code, reply.content) == (202, b"")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", -32700),
        (b"{", -32700),
        (b"[" * 60_000, -32700),
        (b'"\xff"', -32700),
        (b"[]", -32600),
        (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', -32600),
        (b'{"id":1,"method":"ping"}', -32600),
        (b'{"jsonrpc":"1.0","id":1,"method":"ping"}', -32600),
        (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600),
        (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}', -32600),
    ],
)
async def test_what_is_not_one_message_is_refused(mcp, body, code):
    reply = await mcp().send(body)
    assert reply.status_code == 400
    assert error(reply)["code"] in {code, -32600}
    assert reply.json()["id"] is None


@given(st.binary(max_size=200))
async def test_no_bytes_make_it_fail(data):
    with contextlib.suppress(Fault):
        assert read_message(data).jsonrpc == "2.0"


async def test_a_body_of_any_length_is_not_read(mcp):
    reply = await mcp().send(b" " * 70_000)
    assert reply.status_code == 413
    assert error(reply)["data"]["code"] == "request_too_large"


async def test_ids_come_back_as_they_were(mcp):
    for about in (0, -1, 2**70, "", "a"):
        reply = await mcp().send({"jsonrpc": "2.0", "id": about, "method": "ping"})
        assert reply.json()["id"] == about


async def test_there_is_no_stream_to_get_and_no_session_to_end(mcp):
    asker = mcp()
    for method in ("GET", "DELETE"):
        reply = await asker._http.request(method, "/mcp", headers={"accept": "text/event-stream"})
        assert (reply.status_code, reply.headers["allow"]) == (405, "POST")


# --- who may ask -------------------------------------------------------------------------------------------


async def test_a_foreign_page_is_turned_away_with_the_key_of_a_client_too(mcp):
    listed = msgspec.structs.replace(KEYED, cors=frozenset({"https://app.example"}))
    key = {"authorization": "Bearer sk-alice"}
    for origin, status in (
        ("https://evil.example", 403),
        ("null", 403),
        ("https://app.example", 200),
        ("http://localhost", 200),
    ):
        assert (await mcp(listed).request("ping", origin=origin, **key)).status_code == status
    assert (await mcp(listed).request("ping", **key)).status_code == 200
    for origin in ("https://evil.example", "https://app.example"):
        assert (await mcp(KEYED).request("ping", origin=origin, **key)).status_code == 403


async def test_a_foreign_page_and_a_rebinding_name_are_turned_away(mcp):
    assert (await mcp().request("ping", origin="https://evil.example")).status_code == 403
    assert (await mcp().request("ping", host="evil.example")).status_code == 421


async def test_once_keys_are_in_use_one_is_asked_for_in_words_that_clients_show(mcp):
    reply = await mcp(KEYED).request("tools/list")
    assert reply.status_code == 401
    assert reply.headers["www-authenticate"] == "Bearer"
    assert "No key was sent" in error(reply)["message"]
    assert error(reply)["data"]["code"] == "invalid_api_key"
    assert (await mcp(KEYED).request("tools/list", authorization="Bearer sk-alice")).status_code == 200
