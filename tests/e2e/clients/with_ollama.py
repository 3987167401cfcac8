"""Ollama's own Python client: chats, prompts, tools, forms, models and errors, in both of its kinds."""

import asyncio
import json
import os
from typing import Any

import ollama
import pytest
from ollama import AsyncClient, Client, ResponseError

ADDRESS = os.environ["GATEWAY_URL"]
HELLO: Any = [{"role": "user", "content": "Hello"}]
WAYS = ["free-smart", "free-smart:latest", "my-gemini/gemini-3.5-flash", "my-mistral/mistral-small-2603"]
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}}


def get_weather(city: str) -> str:
    """The weather in a city.

    Args:
        city: which one
    """
    return f"Rain in {city}"


@pytest.fixture(autouse=True)
def set_out(stage) -> None:
    """Begin with providers in good health."""


@pytest.fixture
def client() -> Client:
    return Client(host=ADDRESS)


@pytest.mark.parametrize("model", WAYS)
def test_it_chats(client, model):
    reply = client.chat(model, HELLO, options={"num_predict": 50, "temperature": 0.5, "num_ctx": 4096})
    assert (reply.message.content or "").startswith("This is a simulated answer")
    assert (reply.model, reply.done, reply.message.role) == (model, True, "assistant")
    assert reply.prompt_eval_count
    assert reply.eval_count
    assert reply.total_duration is not None
    assert (reply.created_at or "").endswith("Z")


@pytest.mark.parametrize("model", WAYS)
def test_it_streams(client, model):
    *pieces, last = client.chat(model, HELLO, stream=True)
    assert len(pieces) > 3
    assert "".join(piece.message.content or "" for piece in pieces).startswith("This is a simulated answer")
    assert not any(piece.done for piece in pieces)
    assert (last.done, last.done_reason) == (True, "stop")
    assert last.eval_count


def test_it_generates(client):
    whole = client.generate("free-smart", "Hello", system="Be brief.")
    assert whole.response.startswith("This is a simulated answer")
    *pieces, last = client.generate("free-smart", "Hello", stream=True)
    assert "".join(piece.response for piece in pieces).startswith("This is a simulated answer")
    assert last.done_reason == "stop"
    assert client.generate("free-smart").done_reason == "load"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", WAYS)
def test_it_calls_a_function_and_answers(client, model, stream):
    messages: list[Any] = [{"role": "user", "content": "Use get_weather for 'Oslo'."}]
    reply = client.chat(model, messages, tools=[get_weather], stream=stream)
    told = [piece.message for piece in reply] if stream else [reply.message]
    [call] = [call for message in told for call in message.tool_calls or ()]
    assert (call.function.name, dict(call.function.arguments)) == ("get_weather", {"city": "Oslo"})
    result = get_weather(**call.function.arguments)
    messages += [
        {"role": "assistant", "tool_calls": [call.model_dump()]},
        {"role": "tool", "tool_name": call.function.name, "content": result},
    ]
    last = client.chat(model, messages, tools=[get_weather])
    assert (last.message.content or "").startswith("This is a simulated answer")


def test_it_shows_a_picture(stage, client):
    asked: Any = [{"role": "user", "content": "What is it?", "images": [stage.picture]}]
    assert client.chat("free-smart", asked).message.content
    assert stage.showed_a_picture()


@pytest.mark.parametrize("stream", [False, True])
def test_it_fills_a_schema(client, stream):
    asked: Any = [{"role": "user", "content": "'Ada' is 36."}]
    reply = client.chat("free-smart", asked, format=SCHEMA, stream=stream)
    told = [piece.message.content for piece in reply] if stream else [reply.message.content]
    assert json.loads("".join(told)) == {"name": "Ada", "age": 36}


def test_it_lists_and_shows_models(client):
    listed = client.list().models
    assert "free-smart:latest" in [model.model for model in listed]
    assert all(model.digest and model.modified_at and model.details for model in listed)
    shown = client.show("free-smart")
    assert {"completion", "tools"} <= set(shown.capabilities or ())
    assert shown.modelinfo["general.architecture"]
    assert client.ps().models == []
    assert client.pull("free-smart").status == "success"
    assert [step.status for step in client.pull("free-smart", stream=True)][-1] == "success"


def test_it_gets_vectors(client):
    reply = client.embed("gemini-embedding-001", ["a", "b", "c"])
    assert [len(one) for one in reply.embeddings] == [3072] * 3
    assert reply.prompt_eval_count
    assert client.embeddings("gemini-embedding-001", "a").embedding == reply.embeddings[0]


def test_a_failing_provider_is_not_noticed(stage, client):
    stage.steer("groq", faults=[503])
    assert client.chat("free-smart", HELLO).message.content
    assert (stage.last()["provider"], stage.last()["surface"]) == ("beta", "ollama")


@pytest.mark.parametrize(
    ("model", "status", "told"),
    [("no-such-model", 404, "does not exist"), ("spent/openai/gpt-oss-120b", 429, "out of quota")],
)
@pytest.mark.parametrize("stream", [False, True])
def test_errors_are_told(client, model, status, told, stream):
    with pytest.raises(ResponseError) as refused:
        list(client.chat(model, HELLO, stream=stream))
    assert refused.value.status_code == status
    assert told in refused.value.error


def test_what_cannot_be_done_is_told(client):
    with pytest.raises(ResponseError, match="No model can be copied here"):
        client.copy("free", "mine")
    with pytest.raises(ResponseError, match="no model that is switched on does completions"):
        client.generate("free", "Hello", raw=True)


def test_a_stream_that_breaks_is_told(stage, client):
    stage.steer("groq", faults=[{"kind": "cut", "after": 3}])
    with pytest.raises(ResponseError, match="stopped in the middle"):
        list(client.chat("free-smart", HELLO, stream=True))


async def test_it_works_asynchronously_and_leaving_ends_the_providers_work(stage):
    stage.slow()
    client = AsyncClient(host=ADDRESS)
    async for piece in await client.chat("free-smart", HELLO, stream=True):
        assert piece.message.content
        break
    await client._client.aclose()
    assert await asyncio.to_thread(stage.left_behind)


def test_every_line_is_as_its_types_have_it(client):
    """Validate strictly what the client reads loosely."""
    for piece in client.chat("free-smart", HELLO, stream=True):
        told = piece.model_dump(exclude_none=True)
        assert ollama.ChatResponse.model_validate(told, strict=True)
