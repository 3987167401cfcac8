"""The Model Context Protocol: what is said in which version, what the tools find, and what is refused."""

import contextlib
import json
from typing import Any, cast

import httpx
import jsonschema_rs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.domain.catalogue import Limit, Unit
from freeroute.domain.clients import Client, hash_key
from freeroute.domain.outcome import Kind
from freeroute.errors import ApiError
from freeroute.surfaces.guard import Guard, Policy
from freeroute.surfaces.litestar_app import build_asgi
from freeroute.surfaces.mcp import AGREED, STATED, Fault, read_message
from freeroute.surfaces.mcp_tools import TOOLS
from tests.support.administration import administration
from tests.support.gateways import FakeGateway, FakeLive
from tests.support.world import PER_MINUTE, World, model, provider

META = {
    "io.modelcontextprotocol/protocolVersion": STATED[0],
    "io.modelcontextprotocol/clientCapabilities": {},
}
ALICE = Client(
    "alice",
    hash_key("sk-alice"),
    limits=(Limit(Unit.REQUESTS, 20, 60.0, span="minute"),),
)
POLICY = Policy(admin_key="boss")
KEYED = Policy(clients=(ALICE,), admin_key="boss", loopback=False)


@pytest.fixture
def world() -> World:
    groq = provider("groq", model("big", capabilities=["tools"]), model("small"), limits=(PER_MINUTE,))
    return World(groq, provider("gemini", model("big")), gemini=[Kind.FAULT])


@pytest.fixture
def mcp(world, dashboard):
    """Return what asks a gateway over MCP."""

    def mcp(policy: Policy = POLICY) -> "Asker":
        return asking(world, dashboard, policy)

    return mcp


def asking(world: World, dashboard: Any, policy: Policy) -> "Asker":
    """Return what asks the gateway of *world* over MCP."""
    world.gateway.enrol(policy.clients)
    fake = FakeGateway()
    app = build_asgi(
        world.gateway,
        Guard(policy, world.clock),
        live=FakeLive(),
        reload=fake.reload,
        render=fake.render,
        dashboard=dashboard,
        administration=administration(),
        clock=world.clock,
    )
    return Asker(app)


class Asker:
    """Sends one message at a time."""

    def __init__(self, app: Any) -> None:
        transport = httpx.ASGITransport(cast("Any", app))
        self._http = httpx.AsyncClient(transport=transport, base_url="http://localhost")

    async def send(self, body: Any, **headers: str) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self._http.post("/mcp", content=content, headers=named)

    async def request(self, method: str, params: Any = None, **headers: str) -> httpx.Response:
        body = {"jsonrpc": "2.0", "id": 7, "method": method}
        return await self.send(body | ({} if params is None else {"params": params}), **headers)

    async def stated(self, method: str, params: Any = None, **headers: str) -> httpx.Response:
        """Send a request that states its version by itself."""
        params = {"_meta": META, **(params or {})}
        named = {"mcp_protocol_version": STATED[0], "mcp_method": method}
        if "name" in params:
            named["mcp_name"] = params["name"]
        return await self.request(method, params, **(named | headers))

    async def call(self, name: str, arguments: Any = None, **headers: str) -> Any:
        params = {"name": name, **({} if arguments is None else {"arguments": arguments})}
        reply = await self.request("tools/call", params, **headers)
        assert reply.status_code == 200
        return reply.json()["result"]


def error(reply: httpx.Response) -> Any:
    body = reply.json()
    assert body["jsonrpc"] == "2.0"
    assert "result" not in body
    return body["error"]


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


# --- tools -------------------------------------------------------------------------------------------------


async def test_every_tool_says_what_it_takes_and_gives_and_that_it_only_reads(mcp):
    tools = (await mcp().request("tools/list")).json()["result"]["tools"]
    assert [tool["name"] for tool in tools] == [
        "list_models",
        "explain_route",
        "quota_left",
        "provider_health",
    ]
    for tool in tools:
        assert tool["inputSchema"]["type"] == tool["outputSchema"]["type"] == "object"
        assert tool["inputSchema"]["additionalProperties"] is False
        assert tool["annotations"]["readOnlyHint"] is True
        assert tool["description"]
        for name in ("inputSchema", "outputSchema"):
            jsonschema_rs.validator_for(tool[name])


CALLS = [
    ("list_models", None),
    ("list_models", {"search": "BIG", "usable_only": False, "limit": 1}),
    ("explain_route", {"model": "big"}),
    ("quota_left", {}),
    ("provider_health", {"provider": "groq"}),
]


@pytest.mark.parametrize("key", ["sk-alice", "boss"])
@pytest.mark.parametrize(("name", "arguments"), CALLS)
async def test_what_a_tool_finds_fits_its_schema_and_is_said_as_text_too(mcp, world, name, arguments, key):
    await world.ask("big")
    result = await mcp(KEYED).call(name, arguments, authorization=f"Bearer {key}")
    assert result["isError"] is False
    [text] = result["content"]
    assert json.loads(text["text"]) == result["structuredContent"]
    tool = next(tool for tool in TOOLS if tool.name == name)
    jsonschema_rs.validator_for(tool.described()["outputSchema"]).validate(result["structuredContent"])


async def test_models_are_those_that_can_be_used_now(mcp, world):
    result = await mcp().call("list_models")
    listed = {one["id"]: one for one in result["structuredContent"]["models"]}
    assert list(listed) == [*("free", "free-fast", "free-smart"), "groq/big", "groq/small", "gemini/big"]
    assert listed["groq/big"]["tools"] is True
    assert listed["gemini/big"]["tools"] is False
    short = (await mcp().call("list_models", {"limit": 1}))["structuredContent"]
    assert (len(short["models"]), short["more"]) == (1, 5)
    none = (await mcp().call("list_models", {"search": "nothing"}))["structuredContent"]
    assert none == {"models": [], "more": 0}


async def test_models_that_chat_can_be_told_from_others(dashboard):
    groq = provider("groq", model("big"), model("vectors", capabilities=["embeddings"]))
    asker = asking(World(groq), dashboard, POLICY)
    listed = (await asker.call("list_models"))["structuredContent"]["models"]
    gives = {one["id"]: one["output_modalities"] for one in listed}
    assert gives["groq/big"] == gives["free"] == ["text"]
    assert gives["groq/vectors"] == ["embeddings"]


async def test_a_model_without_quota_is_left_out_unless_it_is_asked_for(mcp, world):
    for _ in range(30):
        await world.ask("groq/small")
    usable = (await mcp().call("list_models", {"search": "small"}))["structuredContent"]["models"]
    assert usable == []
    [spent] = (await mcp().call("list_models", {"search": "small", "usable_only": False}))[
        "structuredContent"
    ]["models"]
    assert spent["usable"] is False
    assert 0 < spent["back_in"] <= 61


async def test_a_route_is_explained_with_the_reason_for_each(mcp, world):
    for _ in range(30):
        await world.ask("groq/small")
    found = (await mcp().call("explain_route", {"model": "big"}))["structuredContent"]
    assert found["usable"] == 1
    first, second = found["candidates"]
    assert (first["provider"], first["place"], first["reason"]) == ("gemini", 1, None)
    assert (second["provider"], second["place"], second["usable"]) == ("groq", None, False)
    assert second["reason"]


async def test_a_client_sees_its_own_quota_and_an_operator_that_of_providers(mcp, world):
    await world.ask("groq/small")
    own = await mcp(KEYED).call("quota_left", authorization="Bearer sk-alice")
    [limit] = own["structuredContent"]["quotas"]
    assert (limit["label"], limit["provider"], limit["limit"]) == ("requests/minute", None, 20)
    seen = await mcp(KEYED).call("quota_left", authorization="Bearer boss")
    assert [(one["provider"], one["left"]) for one in seen["structuredContent"]["quotas"]] == [("groq", 29)]
    none = await mcp(KEYED).call("quota_left", {"provider": "groq"}, authorization="Bearer sk-alice")
    assert none["structuredContent"] == {"quotas": [], "more": 0}


async def test_the_health_of_providers_has_its_last_error(mcp, world):
    with contextlib.suppress(ApiError):
        await world.ask("gemini/big")
    found = (await mcp().call("provider_health"))["structuredContent"]["providers"]
    states = {one["id"]: (one["state"], one["last_error"]) for one in found}
    assert states == {"groq": ("healthy", None), "gemini": ("suspect", "fault")}


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("list_models", {"limit": 0}, "`$.limit`"),
        ("list_models", {"limit": "many"}, "`$.limit`"),
        ("list_models", {"find": "x"}, "unknown field `find`"),
        ("list_models", [], "object"),
        ("explain_route", {}, "`model`"),
        ("explain_route", {"model": "bigg"}, "did you mean"),
        ("quota_left", {"provider": "nobody"}, "there is: gemini, groq"),
        ("provider_health", {"provider": "nobody"}, "'nobody' is not switched on"),
    ],
)
async def test_what_a_tool_cannot_do_is_told_so_that_a_model_can_do_better(mcp, name, arguments, told):
    result = await mcp().call(name, arguments)
    assert result["isError"] is True
    assert "structuredContent" not in result
    assert told in result["content"][0]["text"]


@pytest.mark.parametrize("params", [{}, {"name": "reset"}, {"name": 7}])
async def test_a_tool_that_is_not_there_is_an_error_that_names_those_that_are(mcp, params):
    reply = await mcp().request("tools/call", params)
    assert (reply.status_code, error(reply)["code"]) == (200, -32602)
    assert "list_models, explain_route" in error(reply)["message"]
    assert (await mcp().stated("tools/call", {"name": "reset"})).status_code == 400
