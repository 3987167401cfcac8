"""Anthropic's SDK over the gateway: messages, streams, tools, schemas, counts, models and errors."""

import asyncio
import os
from typing import Any

import anthropic
import pytest
from pydantic import BaseModel

DIALECTS = [
    "free-smart",
    "claude-opus-4-8",
    "my-gemini/gemini-3.5-flash",
    "my-mistral/mistral-small-2603",
    "my-openrouter/google/gemma-4-31b-it:free",
]
HELLO: Any = [{"role": "user", "content": "Hello"}]
WEATHER: Any = {
    "name": "get_weather",
    "description": "The weather in a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
OSLO: Any = [{"role": "user", "content": "Use get_weather for 'Oslo'."}]


class Person(BaseModel):
    name: str
    age: int


@pytest.fixture
async def client(stage):
    url = os.environ["GATEWAY_URL"]
    async with anthropic.AsyncAnthropic(base_url=url, api_key="not-needed", max_retries=0) as client:
        yield client


@pytest.mark.parametrize("model", DIALECTS)
async def test_it_answers_and_counts(client, model):
    asked = {"model": model, "system": "Be brief.", "messages": HELLO}
    message = await client.messages.create(max_tokens=1000, **asked)
    assert message.content[0].text.startswith("This is a simulated answer")
    assert message.stop_reason == "end_turn"
    assert message.usage.output_tokens > 0
    counted = await client.messages.count_tokens(**asked)
    assert 0 < counted.input_tokens < 100


@pytest.mark.parametrize("model", DIALECTS)
async def test_it_streams(client, model):
    async with client.messages.stream(model=model, max_tokens=1000, messages=HELLO) as stream:
        pieces = [piece async for piece in stream.text_stream]
        message = await stream.get_final_message()
    assert len(pieces) > 10
    assert message.content[-1].text == "".join(pieces)
    assert message.content[-1].text.startswith("This is a simulated answer")
    assert message.usage.input_tokens > 0
    assert message.usage.output_tokens > 0


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("model", DIALECTS)
async def test_it_calls_tools_then_answers(client, model, streams):
    talk = list(OSLO)
    for reason in ("tool_use", "end_turn"):
        asked = {"model": model, "max_tokens": 1000, "messages": talk, "tools": [WEATHER]}
        if streams:
            async with client.messages.stream(**asked) as stream:
                message = await stream.get_final_message()
        else:
            message = await client.messages.create(**asked)
        assert message.stop_reason == reason
        calls = [block for block in message.content if block.type == "tool_use"]
        gave = [{"type": "tool_result", "tool_use_id": call.id, "content": "Rain"} for call in calls]
        talk += [{"role": "assistant", "content": message.content}, {"role": "user", "content": gave}]
        assert [call.input for call in calls] == ([{"city": "Oslo"}] if reason == "tool_use" else [])
    assert message.content[-1].text.startswith("This is a simulated answer")


async def test_it_shows_a_picture(client, stage):
    source = {"type": "base64", "media_type": "image/png", "data": stage.picture}
    content = [{"type": "image", "source": source}, {"type": "text", "text": "What is it?"}]
    talk: Any = [{"role": "user", "content": content}]
    message = await client.messages.create(model="free-smart", max_tokens=1000, messages=talk)
    assert message.content[0].text
    assert stage.showed_a_picture()


@pytest.mark.parametrize("model", DIALECTS[:3])
async def test_it_fills_a_schema(client, model):
    asked = {"model": model, "max_tokens": 1000, "messages": [{"role": "user", "content": "'Ada' is 36."}]}
    message = await client.messages.parse(**asked, output_format=Person)
    assert message.parsed_output == Person(name="Ada", age=36)


async def test_the_runner_of_tools_goes_on_until_it_has_an_answer(client):
    asked = []

    @anthropic.beta_async_tool
    async def get_weather(city: str) -> str:
        """Tell the weather in a city.

        Args:
            city: where.
        """
        asked.append(city)
        return "Rain"

    runner = client.beta.messages.tool_runner(
        model="free-smart", max_tokens=1000, tools=[get_weather], messages=OSLO
    )
    message = await runner.until_done()
    assert asked == ["Oslo"]
    assert message.content[-1].text.startswith("This is a simulated answer")


async def test_models_are_listed_page_by_page_and_shown(client):
    found = [model.id async for model in client.models.list(limit=2)]
    assert {"free-smart", DIALECTS[-1]} <= set(found)
    assert (await client.models.retrieve(DIALECTS[-1])).id == DIALECTS[-1]
    assert (await client.models.retrieve("claude-haiku-4-5")).id == "free-fast"


async def test_a_failing_provider_is_not_noticed(client, stage):
    stage.steer("groq", faults=[503])
    raw = await client.messages.with_raw_response.create(model="free-smart", max_tokens=1000, messages=HELLO)
    assert raw.headers["x-freeroute-provider"] == "beta"
    last = stage.last()
    assert (last["provider"], last["surface"]) == ("beta", "anthropic")


@pytest.mark.parametrize(
    ("given", "kind", "code"),
    [
        ({"model": "no-such-model"}, anthropic.NotFoundError, "model_not_found"),
        ({"model": "spent/openai/gpt-oss-120b"}, anthropic.RateLimitError, "capacity_exhausted"),
        ({"messages": []}, anthropic.BadRequestError, "invalid_request"),
        (
            {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
            anthropic.BadRequestError,
            "invalid_request",
        ),
    ],
)
async def test_errors_have_their_classes_and_codes(client, given, kind, code):
    asked: Any = {"model": "free", "max_tokens": 1000, "messages": HELLO, **given}
    with pytest.raises(kind) as error:
        await client.messages.create(**asked)
    assert error.value.error_code == code


async def test_a_stream_that_breaks_raises(client, stage):
    stage.steer("groq", faults=[{"kind": "cut", "after": 3}])
    with pytest.raises(anthropic.APIStatusError, match="stopped in the middle"):
        async with client.messages.stream(model="free-smart", max_tokens=1000, messages=HELLO) as stream:
            await stream.until_done()


async def test_leaving_a_stream_ends_the_providers_work(client, stage):
    stage.slow()
    async with client.messages.stream(model="free-smart", max_tokens=1000, messages=HELLO) as stream:
        assert await anext(stream.text_stream)
    assert await asyncio.to_thread(stage.left_behind)
