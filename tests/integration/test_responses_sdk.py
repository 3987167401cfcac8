"""OpenAI's own SDK, by the Responses API, against the whole gateway on a real socket."""

import json
from typing import Any

import openai
import pydantic
import pytest
from openai.types.responses import ResponseFunctionToolCall, ResponseStreamEvent

from freeroute.upstreams.simulated.faults import Speed
from tests.integration.test_openai_sdk import CAPABLE, DOT, sdk
from tests.support.live import entry, live, pair, until
from tests.support.simulation import weather_tool

TOOL: Any = {"type": "function", "strict": None, **weather_tool()["function"]}
KEPT: dict[str, Any] = {"storage": {"bodies": {}}}
KINDS = ["groq", "cerebras", "gemini", "mistral", "openrouter"]


class City(pydantic.BaseModel):
    name: str
    people: int


async def test_it_answers_a_text(run):
    gateway = await run()
    async with sdk(gateway) as client:
        response = await client.responses.create(model="free", input="Hello!", instructions="Be brief.")
    assert response.output_text.startswith("This is a simulated answer from")
    assert (response.status, response.error) == ("completed", None)
    assert response.usage is not None
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens
    type(response).model_validate(response.to_dict(), strict=True)


async def test_it_streams_what_it_answers(run):
    gateway = await run()
    async with sdk(gateway) as client, client.responses.stream(model="free", input="Hello!") as stream:
        events = [event async for event in stream]
        response = await stream.get_final_response()
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == response.output_text
    assert [event.sequence_number for event in events] == [*range(len(events))]
    assert events[-1].type == "response.completed"


async def test_every_event_has_the_form_of_its_type(run):
    gateway = await run({"alpha": entry(model=CAPABLE)})
    async with sdk(gateway) as client:
        stream = await client.responses.create(
            model="free", input="Use get_weather for Oslo.", tools=[TOOL], tool_choice="required", stream=True
        )
        events = [event async for event in stream]
    known: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(ResponseStreamEvent)
    for event in events:
        known.validate_python(event.to_dict(), strict=True)


@pytest.mark.parametrize("kind", KINDS)
async def test_it_calls_functions_and_sends_their_results_back(run, kind, stream):
    gateway = await run({"alpha": entry(kind, model=CAPABLE)})
    said: Any = [{"role": "user", "content": "Use get_weather for Oslo."}]
    async with sdk(gateway) as client:
        asked: Any = {"model": "free", "input": said, "tools": [TOOL], "tool_choice": "required"}
        if stream:
            async with client.responses.stream(**asked) as manager:
                output: Any = (await manager.get_final_response()).output
        else:
            output = (await client.responses.create(**asked)).output
        [call] = [item for item in output if isinstance(item, ResponseFunctionToolCall)]
        assert call.name == "get_weather"
        assert set(json.loads(call.arguments)) == {"city", "days", "unit"}
        said += [item.to_dict() for item in output]
        said.append({"type": "function_call_output", "call_id": call.call_id, "output": "Rain"})
        response = await client.responses.create(model="free", input=said, tools=[TOOL])
    assert response.output_text


async def test_it_parses_an_answer_of_the_form_it_asked_for(run):
    gateway = await run({"alpha": entry(model=CAPABLE)})
    async with sdk(gateway) as client:
        response = await client.responses.parse(model="free", input="Name a city.", text_format=City)
    assert isinstance(response.output_parsed, City)


async def test_it_finds_what_it_was_told_before_a_restart(run, tmp_path):
    (tmp_path / "next").mkdir()
    async with live(tmp_path, pair(), state=tmp_path, **KEPT) as gateway, sdk(gateway) as client:
        response = await client.responses.create(model="free", input="Hello!")
        await until(lambda: gateway.app.shelf is not None and not len(gateway.app.shelf))
    async with live(tmp_path / "next", pair(), state=tmp_path, **KEPT) as gateway, sdk(gateway) as client:
        assert (await client.responses.retrieve(response.id)).output_text == response.output_text


async def test_it_goes_on_with_what_is_kept_and_shows_and_deletes_it(run, tmp_path):
    gateway = await run(state=tmp_path, **KEPT)
    async with sdk(gateway) as client:
        first = await client.responses.create(model="free", input="Hello!")
        second = await client.responses.create(model="free", input="So?", previous_response_id=first.id)
        assert (await client.responses.retrieve(second.id)).to_dict() == second.to_dict()
        listed = await client.responses.input_items.list(second.id, order="asc")
        assert [item.type for item in listed.data] == ["message"] * 3
        await client.responses.delete(second.id)
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(second.id)
        assert (await client.responses.retrieve(first.id)).output_text == first.output_text


async def test_a_client_finds_its_own_responses_alone(run, tmp_path):
    clients = [{"name": name, "key": f"fr-{name}"} for name in ("alice", "bob")]
    gateway = await run(clients=clients, state=tmp_path, **KEPT)
    async with sdk(gateway, "fr-alice") as alice, sdk(gateway, "fr-bob") as bob:
        response = await alice.responses.create(model="free", input="Hello!")
        assert (await alice.responses.retrieve(response.id)).id == response.id
        with pytest.raises(openai.NotFoundError):
            await bob.responses.retrieve(response.id)
        with pytest.raises(openai.BadRequestError) as caught:
            await bob.responses.create(model="free", input="So?", previous_response_id=response.id)
    assert caught.value.code == "previous_response_not_found"


async def test_where_nothing_is_kept_it_is_told_so(run):
    gateway = await run()
    async with sdk(gateway) as client:
        response = await client.responses.create(model="free", input="Hello!")
        with pytest.raises(openai.BadRequestError, match=r"storage\.bodies"):
            await client.responses.create(model="free", input="So?", previous_response_id=response.id)
        with pytest.raises(openai.NotFoundError, match=r"storage\.bodies"):
            await client.responses.retrieve(response.id)


async def test_errors_are_those_that_it_knows(run):
    gateway = await run({"alpha": entry(limits=[{"unit": "requests", "amount": 1, "per": "minute"}])})
    async with sdk(gateway) as client:
        with pytest.raises(openai.NotFoundError) as missing:
            await client.responses.create(model="nothing-like-it", input="Hello!")
        assert missing.value.code == "model_not_found"
        with pytest.raises(openai.BadRequestError) as wrong:
            await client.responses.create(model="free", input="Hello!", temperature=9)
        assert wrong.value.param == "temperature"
        await client.responses.create(model="free", input="Hello!")
        with pytest.raises(openai.RateLimitError) as spent:
            await client.responses.create(
                model="free", input="Hello!", extra_headers={"x-freeroute-max-wait": "0"}
            )
        assert spent.value.response.headers["retry-after"]


async def test_a_stream_that_breaks_raises(run):
    gateway = await run({"alpha": entry()})
    await gateway.script("groq", {"kind": "cut", "after": 3})
    async with sdk(gateway) as client:
        stream = await client.responses.create(model="free", input="Hello!", stream=True)
        with pytest.raises(openai.APIError, match="stopped in the middle"):
            async for _ in stream:
                pass


async def test_it_shows_a_picture(run):
    gateway = await run(pair(model={"capabilities": ["images"]}))
    picture = {"type": "input_image", "image_url": DOT, "detail": "auto"}
    asked: Any = [{"role": "user", "content": [{"type": "input_text", "text": "What is it?"}, picture]}]
    async with sdk(gateway) as client:
        response = await client.responses.create(model="free", input=asked)
    assert response.usage is not None
    assert response.usage.input_tokens > 258  # for which the simulated provider takes a picture


async def test_leaving_a_stream_ends_the_providers_work(run):
    gateway = await run()
    gateway["groq"].speed = Speed(0.01, 20.0)
    async with sdk(gateway) as client:
        stream = await client.responses.create(model="free", input="Hello!", stream=True)
        async for event in stream:
            if event.type == "response.output_text.delta":
                break
        await stream.close()
        await until(lambda: not gateway["groq"].open)
    assert gateway["groq"].calls[-1].aborted
