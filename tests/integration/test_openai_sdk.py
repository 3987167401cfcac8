"""OpenAI's own SDK, sync and async, against the whole gateway on a real socket."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import openai
import pydantic
import pytest

from freeroute.upstreams.simulated.faults import Speed
from tests.support.live import UNTIL_FIRST_EVENT, Live, entry, pair, until
from tests.support.simulation import weather_tool

HELLO: Any = [{"role": "user", "content": "Hello!"}]
TOOLS: Any = [weather_tool()]
CALL_IT: Any = [{"role": "user", "content": "Use get_weather for Oslo."}]
DOT = "data:image/png;base64,iVBORw0KGgo="
CAPABLE = {"capabilities": ["tools", "json_object", "json_schema"]}


def sdk(gateway: Live, key: str = "not-needed", retries: int = 0) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=key, max_retries=retries)


async def in_thread(gateway: Live, work: Callable[[openai.OpenAI], Any]) -> Any:
    """Do *work* with the plain client, as a program without an event loop would."""

    def run() -> Any:
        with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="not-needed", max_retries=0) as client:
            return work(client)

    return await asyncio.to_thread(run)


# --- answers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model", ["free", "free-fast", "free-smart", "alpha/openai/gpt-oss-120b", "gpt-oss-120b"]
)
async def test_it_chats(run, model):
    gateway = await run()
    async with sdk(gateway) as client:
        reply = await client.chat.completions.create(model=model, messages=HELLO)
    assert (reply.choices[0].message.content or "").startswith("This is a simulated answer from")
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage is not None
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens


async def test_the_plain_client_chats_and_streams(run):
    gateway = await run()

    def work(client: openai.OpenAI) -> tuple[str | None, str]:
        whole = client.chat.completions.create(model="free", messages=HELLO, seed=1)
        stream = client.chat.completions.create(model="free", messages=HELLO, stream=True)
        return whole.choices[0].message.content, "".join(c.choices[0].delta.content or "" for c in stream)

    whole, streamed = await in_thread(gateway, work)
    assert whole.startswith("This is a simulated answer")
    assert streamed.startswith("This is a simulated answer")


async def test_it_streams_without_a_chunk_of_usage_it_did_not_ask_for(run):
    gateway = await run()
    async with sdk(gateway) as client:
        stream = await client.chat.completions.create(model="free", messages=HELLO, stream=True)
        chunks = [chunk async for chunk in stream]
    assert all(len(chunk.choices) == 1 for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"


async def test_it_streams_with_usage_where_it_asks(run):
    gateway = await run()
    async with sdk(gateway) as client:
        stream = await client.chat.completions.create(
            model="free", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == sum(bool(c.choices[0].delta.content) for c in chunks[:-1])


@pytest.mark.parametrize("kind", ["groq", "cerebras", "gemini", "mistral", "openrouter"])
async def test_it_calls_tools_and_sends_their_results_back(run, kind):
    gateway = await run({"alpha": entry(kind, model=CAPABLE)})
    async with sdk(gateway) as client:
        reply = await client.chat.completions.create(
            model="free", messages=CALL_IT, tools=TOOLS, tool_choice="required"
        )
        assert reply.choices[0].finish_reason == "tool_calls"
        message = reply.choices[0].message
        [call] = message.tool_calls or []
        assert call.type == "function"
        assert call.function.name == "get_weather"
        assert set(json.loads(call.function.arguments)) == {"city", "days", "unit"}
        result = {"role": "tool", "tool_call_id": call.id, "content": "Rain"}
        turn: Any = [*CALL_IT, message.to_dict(), result]
        reply = await client.chat.completions.create(model="free", messages=turn, tools=TOOLS)
    assert reply.choices[0].message.content


@pytest.mark.parametrize("kind", ["groq", "cerebras", "gemini", "mistral", "openrouter"])
async def test_it_assembles_streamed_tool_calls(run, kind):
    gateway = await run({"alpha": entry(kind, model=CAPABLE)})
    async with sdk(gateway) as client:
        manager = client.chat.completions.stream(
            model="free", messages=CALL_IT, tools=TOOLS, tool_choice="required"
        )
        async with manager as stream:
            final = await stream.get_final_completion()
    assert final.choices[0].finish_reason == "tool_calls"
    [call] = final.choices[0].message.tool_calls or []
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments)["city"]


async def test_it_gets_json_where_it_asks_for_json(run, stream):
    gateway = await run({"alpha": entry(model=CAPABLE)})
    async with sdk(gateway) as client:
        shape: Any = {"type": "json_object"}
        if stream:
            chunks = await client.chat.completions.create(
                model="free", messages=HELLO, response_format=shape, stream=True
            )
            text = "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])
        else:
            reply = await client.chat.completions.create(model="free", messages=HELLO, response_format=shape)
            text = reply.choices[0].message.content or ""
    assert json.loads(text)["simulated"] is True


class Person(pydantic.BaseModel):
    name: str
    age: int


class Team(pydantic.BaseModel):
    """Definitions and references, as nested models make them."""

    lead: Person
    members: list[Person]


TEAM = Team(lead=Person(name="Ada", age=36), members=[Person(name="Grace", age=85)])
ABOUT_TEAM: Any = [{"role": "user", "content": "'Ada' (36) leads 'Grace' (85)."}]


@pytest.mark.parametrize("kind", ["groq", "cerebras", "gemini", "mistral", "openrouter"])
async def test_it_parses_structures_whole_and_streamed(run, kind):
    gateway = await run({"alpha": entry(kind, model=CAPABLE)})
    async with sdk(gateway) as client:
        reply = await client.chat.completions.parse(model="free", messages=ABOUT_TEAM, response_format=Team)
        assert reply.choices[0].message.parsed == TEAM
        manager = client.chat.completions.stream(model="free", messages=ABOUT_TEAM, response_format=Team)
        async with manager as stream:
            pieces = [event.delta async for event in stream if event.type == "content.delta"]
            final = await stream.get_final_completion()
    assert len(pieces) > 5
    assert final.choices[0].message.parsed == TEAM


async def test_it_parses_the_arguments_of_tools(run):
    gateway = await run({"alpha": entry(model=CAPABLE)})
    async with sdk(gateway) as client:
        reply = await client.chat.completions.parse(
            model="free",
            messages=ABOUT_TEAM,
            tools=[openai.pydantic_function_tool(Team)],
            tool_choice="required",
        )
    [call] = reply.choices[0].message.tool_calls or []
    assert call.function.parsed_arguments == TEAM


async def test_it_shows_a_picture(run):
    gateway = await run(pair(model={"capabilities": ["images"]}))
    picture = {"type": "image_url", "image_url": {"url": DOT}}
    asked: Any = [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, picture]}]
    async with sdk(gateway) as client:
        reply = await client.chat.completions.create(model="free", messages=asked)
    assert reply.usage is not None
    assert reply.usage.prompt_tokens > 258  # for which the simulated provider takes a picture


async def test_leaving_a_stream_ends_the_providers_work(run):
    gateway = await run(pair(model=CAPABLE))
    gateway["groq"].speed = Speed(0.01, 20.0)
    async with sdk(gateway) as client:
        stream = await client.chat.completions.create(model="free", messages=HELLO, stream=True)
        assert (await anext(stream)).choices
        await stream.close()
        await until(lambda: not gateway["groq"].open)
    assert gateway["groq"].calls[-1].aborted
    await until(lambda: gateway.app.gateway.in_flight == 0)


async def test_it_reads_the_headers_of_an_answer_and_of_a_stream(run, stream):
    gateway = await run()
    await gateway.script("groq", 503)
    async with sdk(gateway) as client:
        reply = await client.chat.completions.with_raw_response.create(
            model="free", messages=HELLO, stream=stream, extra_headers={"x-request-id": "mine-1"}
        )
        if stream:
            [_ async for _ in reply.parse()]
    assert reply.headers["x-request-id"] == "mine-1"
    assert reply.headers["x-freeroute-provider"] == "beta"
    assert reply.headers["x-freeroute-model"] == "gpt-oss-120b"
    assert reply.headers["x-freeroute-attempts"] == "2"
    assert reply.headers["x-freeroute-trail"] == "alpha/openai/gpt-oss-120b=fault:503"
    assert float(reply.headers["x-freeroute-queue-ms"]) == 0
    assert float(reply.headers["x-freeroute-overhead-ms"]) >= 0


# --- models ------------------------------------------------------------------------------------------------


async def test_it_lists_models_and_shows_one(run):
    gateway = await run()
    async with sdk(gateway) as client:
        ids = [model.id async for model in client.models.list()]
        shown = [(await client.models.retrieve(name)).id for name in ids]
    assert {"free", "free-fast", "free-smart", "alpha/openai/gpt-oss-120b", "beta/gpt-oss-120b"} <= set(ids)
    assert shown == ids
    assert await in_thread(gateway, lambda client: [model.id for model in client.models.list()]) == ids


# --- errors ------------------------------------------------------------------------------------------------


async def caught(gateway: Live, expected: type[openai.APIStatusError], key: str = "x", **fields: Any) -> Any:
    asked = {"model": "free", "messages": HELLO, **fields}
    async with sdk(gateway, key) as client:
        with pytest.raises(expected) as error:
            await client.chat.completions.create(**asked)
    assert error.value.request_id == error.value.response.headers["x-request-id"]
    return error.value


async def test_a_wrong_key_and_a_model_that_is_not_allowed(run):
    clients = [{"name": "alice", "key": "sk-alice", "models": ["free"]}]
    gateway = await run(clients=clients)
    assert (await caught(gateway, openai.AuthenticationError, "sk-mallory")).code == "invalid_api_key"
    error = await caught(gateway, openai.PermissionDeniedError, "sk-alice", model="free-smart")
    assert (error.code, error.param) == ("model_not_allowed", "model")


async def test_a_model_that_does_not_exist(run):
    error = await caught(await run(), openai.NotFoundError, model="gpt-oss-120")
    assert (error.code, error.param) == ("model_not_found", "model")
    assert "gpt-oss-120b" in error.message


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"messages": []}, "messages"),
        ({"temperature": "hot"}, "temperature"),
        ({"max_tokens": -1}, "max_tokens"),
    ],
)
async def test_a_request_that_is_wrong_in_itself(run, wrong, param):
    gateway = await run()
    error = await caught(gateway, openai.BadRequestError, **wrong)
    assert (error.code, error.param) == ("invalid_request", param)
    assert not await gateway.calls("groq")


async def test_a_clients_own_limit_says_when_to_come_back(run):
    gateway = await run(clients=[{"name": "alice", "key": "sk-alice", "requests_per_minute": 1}])
    async with sdk(gateway, "sk-alice") as client:
        reply = await client.chat.completions.with_raw_response.create(model="free", messages=HELLO)
    assert reply.headers["x-ratelimit-remaining-requests"] == "0"
    error = await caught(gateway, openai.RateLimitError, "sk-alice")
    assert error.code == "rate_limit_exceeded"
    assert 0 < float(error.response.headers["retry-after"]) <= 61


async def test_no_quota_anywhere_says_when_to_come_back(run):
    gateway = await run()
    await gateway.script("groq", {"kind": "rate_limit", "retry_after": 41})
    await gateway.script("cerebras", {"kind": "rate_limit", "retry_after": 90})
    error = await caught(gateway, openai.RateLimitError)
    assert (error.code, error.response.headers["retry-after"]) == ("capacity_exhausted", "41")


@pytest.mark.parametrize(("fault", "status"), [(500, 502), ("invalid_key", 502), ("hang", 504)])
async def test_what_is_the_providers_fault_is_a_server_error(run, fault, status):
    gateway = await run({"alpha": entry(timeouts=UNTIL_FIRST_EVENT)})
    await gateway.script("groq", fault)
    assert (await caught(gateway, openai.InternalServerError, max_tokens=8)).status_code == status


async def test_an_error_inside_a_stream_is_raised(run):
    gateway = await run(pair())
    await gateway.script("groq", {"kind": "cut", "after": 3})
    async with sdk(gateway) as client:
        stream = await client.chat.completions.create(model="free", messages=HELLO, stream=True)
        with pytest.raises(openai.APIError, match="stopped in the middle"):
            [_ async for _ in stream]


async def test_its_own_retries_are_not_needed(run):
    gateway = await run()
    await gateway.script("groq", 500)
    async with sdk(gateway, retries=2) as client:
        reply = await client.chat.completions.create(model="free", messages=HELLO)
    assert reply.choices[0].message.content
    assert len((await gateway.status())["requests"]) == 1
