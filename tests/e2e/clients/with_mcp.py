"""The Python SDK of the Model Context Protocol, in each generation of it that there is."""

import json

import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError

AGREED, STATED = "2025-11-25", "2026-07-28"
TOOLS = {
    "list_models": {},
    "explain_route": {"model": "free"},
    "quota_left": {},
    "provider_health": {"provider": "alpha"},
}


pytestmark = pytest.mark.parametrize("mode", ["auto", "legacy", STATED])


def client(stage, mode: str) -> Client:
    return Client(f"{stage.url.removesuffix('/v1')}/mcp", mode=mode)


async def test_it_connects_and_lists_the_tools(stage, mode):
    async with client(stage, mode) as mcp:
        assert mcp.protocol_version == (AGREED if mode == "legacy" else STATED)
        if mode != STATED:  # who is told the version beforehand asks nothing
            assert mcp.server_info.name == "freeroute"
        listed = (await mcp.list_tools()).tools
    assert {tool.name for tool in listed} == set(TOOLS)
    assert all(tool.annotations.read_only_hint for tool in listed)


@pytest.mark.parametrize("name", TOOLS)
async def test_it_calls_each_of_them(stage, mode, name):
    async with client(stage, mode) as mcp:
        result = await mcp.call_tool(name, TOOLS[name])  # the SDK holds what comes to the tool's schema
    assert not result.is_error
    [text] = result.content
    assert json.loads(text.text) == result.structured_content


async def test_it_finds_the_models_that_can_be_asked_for(stage, mode):
    async with client(stage, mode) as mcp:
        found = (await mcp.call_tool("list_models", {"search": "alpha/"})).structured_content
    assert [model["id"] for model in found["models"]] == ["alpha/openai/gpt-oss-120b"]


async def test_errors_of_a_tool_reach_the_model(stage, mode):
    async with client(stage, mode) as mcp:
        result = await mcp.call_tool("explain_route", {"model": "no-such-model"})
        assert result.is_error
        assert "does not exist" in result.content[0].text
        assert (await mcp.call_tool("explain_route", {})).is_error


async def test_a_tool_or_a_method_that_is_not_there_is_an_error(stage, mode):
    async with client(stage, mode) as mcp:
        with pytest.raises(MCPError, match="There is no tool"):
            await mcp.call_tool("reset", {})
        with pytest.raises(MCPError, match="There is no method"):
            await mcp.list_prompts()
