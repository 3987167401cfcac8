"""Google's own Python SDK: answers, streams, functions that it calls, forms, tokens, models, errors."""

import asyncio
import base64
import os
from typing import Any

import pydantic
import pytest
from google import genai
from google.genai import errors, types

ADDRESS = os.environ["GATEWAY_URL"]
WAYS = ["free-smart", "my-gemini/gemini-3.5-flash", "my-mistral/mistral-small-2603"]
OSLO = "Use get_weather for 'Oslo'."


class Person(pydantic.BaseModel):
    name: str
    age: int


def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"Rain in {city}"


@pytest.fixture(autouse=True)
def set_out(stage) -> None:
    """Begin with providers in good health."""


@pytest.fixture
def client() -> genai.Client:
    return genai.Client(api_key="not-needed", http_options=types.HttpOptions(base_url=ADDRESS))


@pytest.mark.parametrize("model", WAYS)
def test_it_generates(client, model):
    config = types.GenerateContentConfig(
        system_instruction="Be brief.", temperature=0.5, max_output_tokens=500, stop_sequences=["END"]
    )
    reply = client.models.generate_content(model=model, contents="Hello", config=config)
    assert (reply.text or "").startswith("This is a simulated answer")
    assert reply.candidates[0].finish_reason is types.FinishReason.STOP
    usage = reply.usage_metadata
    assert usage.total_token_count == usage.prompt_token_count + usage.candidates_token_count
    assert reply.response_id
    assert reply.model_version


@pytest.mark.parametrize("model", WAYS)
def test_it_streams(client, model):
    pieces = list(client.models.generate_content_stream(model=model, contents="Hello"))
    assert len(pieces) > 3
    assert "".join(piece.text or "" for piece in pieces).startswith("This is a simulated answer")
    assert [piece.candidates[0].finish_reason for piece in pieces[:-1]] == [None] * (len(pieces) - 1)
    assert pieces[-1].candidates[0].finish_reason is types.FinishReason.STOP
    assert pieces[-1].usage_metadata.candidates_token_count


@pytest.mark.parametrize("model", WAYS)
def test_it_calls_functions_by_itself(client, model):
    config = types.GenerateContentConfig(tools=[get_weather])
    reply = client.models.generate_content(model=model, contents=OSLO, config=config)
    _, asked, given = reply.automatic_function_calling_history[:3]
    assert asked.parts[0].function_call.args == {"city": "Oslo"}
    assert given.parts[0].function_response.response == {"result": "Rain in Oslo"}
    assert (reply.text or "").startswith("This is a simulated answer")


def test_it_tells_of_calls_in_a_stream(client):
    declared = types.FunctionDeclaration.from_callable(client=client._api_client, callable=get_weather)
    config = types.GenerateContentConfig(tools=[types.Tool(function_declarations=[declared])])
    pieces = list(client.models.generate_content_stream(model="free-smart", contents=OSLO, config=config))
    [call] = [call for piece in pieces for call in piece.function_calls or ()]
    assert (call.name, call.args) == ("get_weather", {"city": "Oslo"})


def test_a_chat_remembers_its_turns(client):
    chat = client.chats.create(model="free-smart")
    first = "".join(piece.text or "" for piece in chat.send_message_stream("Hello"))
    assert chat.send_message("And then?").text
    kept = [part.text for content in chat.get_history()[:-2] for part in content.parts]
    assert "".join(kept) == "Hello" + first


def test_it_shows_a_picture(stage, client):
    picture = types.Part.from_bytes(data=base64.b64decode(stage.picture), mime_type="image/png")
    assert client.models.generate_content(model="free-smart", contents=["What is it?", picture]).text
    assert stage.showed_a_picture()


@pytest.mark.parametrize("schema", [Person, {"type": "OBJECT", "properties": {"age": {"type": "INTEGER"}}}])
def test_it_fills_a_form(client, schema):
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=schema)
    reply = client.models.generate_content(model="free-smart", contents="'Ada' is 36.", config=config)
    if schema is Person:
        assert reply.parsed == Person(name="Ada", age=36)
    else:
        assert reply.parsed == {"age": 36}


def test_it_counts_tokens_and_lists_models(client):
    assert client.models.count_tokens(model="free-smart", contents="Hello").total_tokens > 0
    pager = client.models.list(config={"page_size": 2, "query_base": True})
    names = [model.name for model in pager]
    assert len(names) > 2
    assert "models/free-smart" in names
    assert client.models.get(model="free-smart").supported_actions == ["generateContent", "countTokens"]


def test_it_gets_vectors(client):
    reply = client.models.embed_content(model="gemini-embedding-001", contents=["a", "b", "c"])
    assert [len(one.values) for one in reply.embeddings] == [3072] * 3
    assert reply.embeddings[0].values != reply.embeddings[1].values


def test_a_failing_provider_is_not_noticed(stage, client):
    stage.steer("groq", faults=[503])
    assert client.models.generate_content(model="free-smart", contents="Hello").text
    assert (stage.last()["provider"], stage.last()["surface"]) == ("beta", "gemini")


@pytest.mark.parametrize(
    ("model", "code", "status"),
    [("no-such-model", 404, "NOT_FOUND"), ("spent/openai/gpt-oss-120b", 429, "RESOURCE_EXHAUSTED")],
)
@pytest.mark.parametrize("stream", [False, True])
def test_errors_are_told(client, model, code, status, stream):
    ask = client.models.generate_content_stream if stream else client.models.generate_content
    with pytest.raises(errors.ClientError) as refused:
        list(ask(model=model, contents="Hello"))
    assert (refused.value.code, refused.value.status) == (code, status)


def test_what_google_runs_is_refused(client):
    config = types.GenerateContentConfig(tools=[types.Tool(google_search=types.GoogleSearch())])
    with pytest.raises(errors.ClientError, match="googleSearch"):
        client.models.generate_content(model="free-smart", contents="Hello", config=config)


def test_a_stream_that_breaks_is_told(stage, client):
    stage.steer("groq", faults=[{"kind": "cut", "after": 3}])
    with pytest.raises(errors.ServerError, match="stopped in the middle"):
        list(client.models.generate_content_stream(model="free-smart", contents="Hello"))


async def test_it_works_asynchronously_and_leaving_ends_the_providers_work(stage, client):
    reply: Any = await client.aio.models.generate_content(model="free-smart", contents="Hello")
    assert reply.text
    stage.slow()
    stream = await client.aio.models.generate_content_stream(model="free-smart", contents="Hello")
    async for piece in stream:
        assert piece.text
        break
    await stream.aclose()
    await client.aio.aclose()
    assert await asyncio.to_thread(stage.left_behind)


def test_every_event_is_as_its_types_have_it(client):
    """Validate strictly what the SDK reads loosely: no field may be unknown to it."""

    class Strict(types.GenerateContentResponse):
        model_config = pydantic.ConfigDict(extra="forbid")

    for piece in client.models.generate_content_stream(model="free-smart", contents="Hello"):
        told = piece.model_dump(exclude_none=True, exclude={"sdk_http_response"})
        assert Strict.model_validate(told)
