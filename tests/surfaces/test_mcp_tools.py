"""What agents find out by the tools of MCP."""

import contextlib
import json

import jsonschema_rs
import pytest

from freeroute.errors import ApiError
from freeroute.surfaces.mcp_tools import TOOLS
from tests.support.world import World, model, provider
from tests.surfaces.agents import KEYED, POLICY, asking, error


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
