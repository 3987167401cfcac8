"""pydantic-ai: agents over the gateway, with tools, every way of structured output, streams and errors."""

import asyncio
import base64
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, BinaryContent, Embedder, ModelHTTPError, NativeOutput, ToolOutput
from pydantic_ai.embeddings.openai import OpenAIEmbeddingModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

DIALECTS = [
    "free-smart",
    "my-gemini/gemini-3.5-flash",
    "my-mistral/mistral-small-2603",
    "my-openrouter/google/gemma-4-31b-it:free",
]


class Person(BaseModel):
    name: str
    age: int


class Team(BaseModel):
    """Definitions and references, as nested models make them."""

    lead: Person
    members: list[Person]


@pytest.fixture
def agent(stage):
    def make(model: str = "free-smart", **given: Any) -> Agent:
        provider = OpenAIProvider(base_url=stage.url, api_key="not-needed")
        return Agent(OpenAIChatModel(model, provider=provider), **given)

    return make


@pytest.mark.parametrize("model", DIALECTS)
async def test_it_answers_and_counts(agent, model):
    result = await agent(model, instructions="Be brief.").run("Hello")
    assert result.output.startswith("This is a simulated answer")
    assert result.usage.input_tokens > 0
    assert result.usage.output_tokens > 0


@pytest.mark.parametrize("model", DIALECTS)
async def test_it_streams(agent, model):
    async with agent(model).run_stream("Hello") as result:
        pieces = [piece async for piece in result.stream_text(delta=True, debounce_by=None)]
    assert len(pieces) > 10
    assert "".join(pieces).startswith("This is a simulated answer")
    assert result.usage.output_tokens > 0


@pytest.mark.parametrize("model", DIALECTS)
async def test_it_calls_tools_then_answers(agent, model):
    asked = []
    weather = agent(model)

    @weather.tool_plain
    def get_weather(city: str) -> str:
        """Tell the weather in a city."""
        asked.append(city)
        return "Rain"

    result = await weather.run("Use get_weather for 'Oslo'.")
    assert asked == ["Oslo"]
    assert result.output.startswith("This is a simulated answer")
    follow = await weather.run("And tomorrow?", message_history=result.all_messages())
    assert follow.output


@pytest.mark.parametrize("model", DIALECTS)
async def test_it_streams_tool_calls(agent, model):
    weather = agent(model)

    @weather.tool_plain
    def get_weather(city: str, days: int) -> str:
        """Tell the weather in a city."""
        return f"{days} days of rain in {city}"

    async with weather.run_stream("Use get_weather for 'Oslo' and 3 days.") as result:
        assert await result.get_output()
    [returned] = [
        part.content
        for message in result.all_messages()
        for part in message.parts
        if part.part_kind == "tool-return"
    ]
    assert returned == "3 days of rain in Oslo"


@pytest.mark.parametrize("way", [ToolOutput, NativeOutput], ids=["tool", "native"])
@pytest.mark.parametrize("model", DIALECTS)
async def test_it_gives_structures(agent, model, way):
    result = await agent(model, output_type=way(Person)).run("'Ada' is 36.")
    assert result.output == Person(name="Ada", age=36)
    nested = await agent(model, output_type=way(Team)).run("'Ada' (36) leads 'Grace' (85).")
    assert nested.output.lead == Person(name="Ada", age=36)
    assert nested.output.members == [Person(name="Grace", age=85)]


async def test_it_shows_a_picture(agent, stage):
    picture = BinaryContent(base64.b64decode(stage.picture), media_type="image/png")
    assert (await agent().run(["What is it?", picture])).output
    assert stage.showed_a_picture()


async def test_it_gets_vectors(stage):
    provider = OpenAIProvider(base_url=stage.url, api_key="not-needed")
    embedder = Embedder(OpenAIEmbeddingModel("gemini-embedding-001", provider=provider))
    result = await embedder.embed_documents(["a", "b", "c"])
    assert [len(vector) for vector in result.embeddings] == [3072] * 3


async def test_it_streams_structures(agent):
    async with agent(output_type=NativeOutput(Person)).run_stream("'Ada' is 36.") as result:
        seen = [partial async for partial in result.stream_output(debounce_by=None)]
    assert seen[-1] == Person(name="Ada", age=36)


async def test_tools_and_structures_go_together(agent):
    both = agent(output_type=Person)

    @both.tool_plain
    def get_age(name: str) -> int:
        """Look up an age."""
        return 36

    result = await both.run("Use get_age for 'Ada' and say 36.")
    assert result.output.age == 36


async def test_a_failing_provider_is_not_noticed(agent, stage):
    stage.steer("groq", faults=[503])
    assert (await agent().run("Hello")).output
    assert stage.last()["provider"] == "beta"


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [
        ("no-such-model", 404, "model_not_found"),
        ("spent/openai/gpt-oss-120b", 429, "capacity_exhausted"),
    ],
)
async def test_errors_carry_status_and_code(agent, model, status, code):
    with pytest.raises(ModelHTTPError) as error:
        await agent(model).run("Hello")
    assert error.value.status_code == status
    assert error.value.body["code"] == code


async def test_a_stream_that_breaks_raises(agent, stage):
    stage.steer("groq", faults=[{"kind": "cut", "after": 3}])
    with pytest.raises(Exception, match="stopped in the middle"):
        async with agent().run_stream("Hello") as result:
            await result.get_output()


async def test_leaving_a_stream_ends_the_providers_work(agent, stage):
    stage.slow()
    async with agent().run_stream("Hello") as result:
        async for _ in result.stream_text(delta=True, debounce_by=None):
            break
    assert await asyncio.to_thread(stage.left_behind)
