"""A conversation with parallel tool calls, as each provider's form of them reaches the caller."""

from typing import Any

import msgspec
import pytest

from tests.support.live import Live, entry

PROVIDERS = ["groq", "cerebras", "gemini", "mistral", "openrouter", "ollama"]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
                "additionalProperties": False,
            },
        },
    }
    for name in ("look", "weigh")
]


async def called(gateway: Live, stream: bool) -> tuple[list[dict[str, Any]], str]:
    """Ask; return the tool calls as a client puts them together, and why the answer ended."""
    reply = await gateway.ask("Please look, then weigh.", stream=stream, tools=TOOLS, max_tokens=300)
    assert (reply.status, reply.error) == (200, None)
    if not stream:
        choice = reply.json["choices"][0]
        return choice["message"]["tool_calls"], choice["finish_reason"]
    calls: list[dict[str, Any]] = []
    finish = ""
    for choice in (choice for event in reply.events for choice in event["choices"]):
        finish = choice.get("finish_reason") or finish
        for piece in choice["delta"].get("tool_calls", ()):
            if piece["index"] == len(calls):
                calls.append({"id": piece["id"], "function": {"name": "", "arguments": ""}})
            function = calls[piece["index"]]["function"]
            for name, text in piece["function"].items():
                function[name] += text
    return calls, finish


@pytest.mark.parametrize("kind", PROVIDERS)
async def test_parallel_calls_have_ids_indexes_and_a_finish_and_may_return(run, stream, kind):
    gateway = await run({"alpha": entry(kind, model={"capabilities": ["tools", "reasoning"]})})
    calls, finish = await called(gateway, stream)
    assert finish == "tool_calls"
    assert [call["function"]["name"] for call in calls] == ["look", "weigh"]
    assert all(msgspec.json.decode(call["function"]["arguments"])["city"] for call in calls)
    ids = [call["id"] for call in calls]
    assert len(set(ids)) == len(ids) == 2
    # Without what only this provider adds to its calls, as clients send them back.
    plain = [{"id": c["id"], "type": "function", "function": c["function"]} for c in calls]
    results = [{"role": "tool", "tool_call_id": name, "content": "seven"} for name in ids]
    turns = [{"role": "assistant", "content": None, "tool_calls": plain}, *results]
    messages = [{"role": "user", "content": "Please look, then weigh."}, *turns]
    reply = await gateway.ask(stream=stream, messages=messages, tools=TOOLS)
    assert (reply.status, reply.by, reply.headers["x-freeroute-attempts"]) == (200, "alpha", "1")
