"""The simulated Ollama in its own API: a line a value, models that load, prompts that are refused or cut."""

from typing import Any

import msgspec
import pytest

from freeroute.upstreams.simulated.faults import Speed
from freeroute.upstreams.transport import Deadlines
from tests.support.simulation import Heard, World, hear, weather_tool

HOME = "http://localhost:11434"
LONG = [{"role": "user", "content": "word " * 8000}]  # 10,000 tokens


@pytest.fixture
def world() -> World:
    return World()


async def ask(world: World, **fields: Any) -> Heard:
    body = {"model": "llama3.2:3b", "messages": [{"role": "user", "content": "Hello"}], **fields}
    url = HOME + "/api/chat"
    exchange = await world.simulation.open("POST", url, (), msgspec.json.encode(body), Deadlines())
    return Heard(exchange, await hear(exchange))


def lines(heard: Heard) -> list[Any]:
    return [msgspec.json.decode(line) for line in heard.body.splitlines()]


async def loaded(world: World) -> dict[str, int]:
    told = (await world.get(HOME + "/api/ps", key=None)).json["models"]
    return {model["name"]: model["context_length"] for model in told}


async def test_a_stream_is_lines_and_is_the_default(world):
    heard = await ask(world)
    assert heard.headers["content-type"] == "application/x-ndjson"
    *said, last = lines(heard)
    text = "".join(line["message"]["content"] for line in said)
    assert text.startswith("This is a simulated answer from ollama/llama3.2:3b")
    assert (last["done"], last["done_reason"], last["eval_count"]) == (True, "stop", len(said))
    whole = (await ask(world, stream=False)).json
    assert (whole["message"]["content"], whole["done"]) == (text, True)


async def test_options_format_and_tools_are_read(world):
    bounded = (await ask(world, stream=False, options={"num_predict": 3})).json
    assert (bounded["eval_count"], bounded["done_reason"]) == (3, "length")
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    for form in ("json", schema):
        said = (await ask(world, stream=False, format=form)).json["message"]["content"]
        assert isinstance(msgspec.json.decode(said), dict)
    asked = [{"role": "user", "content": "get_weather now", "images": ["aGk="]}]
    called = (await ask(world, stream=False, tools=[weather_tool()], messages=asked)).json
    [call] = called["message"]["tool_calls"]
    assert (call["function"]["name"], type(call["function"]["arguments"])) == ("get_weather", dict)
    streamed = lines(await ask(world, tools=[weather_tool()], messages=asked))
    assert streamed[0]["message"]["tool_calls"][0]["function"]["index"] == 0


async def test_a_long_prompt_is_cut_unless_that_is_forbidden(world):
    cut = (await ask(world, stream=False, messages=LONG)).json
    assert cut["prompt_eval_count"] == 4096
    refused = await ask(world, messages=LONG, truncate=False)
    assert refused.status == 400
    inner = msgspec.json.decode(refused.json["error"])["error"]
    assert (inner["type"], inner["n_ctx"]) == ("exceed_context_size_error", 4096)
    roomy = (await ask(world, stream=False, messages=LONG, truncate=False, options={"num_ctx": 16_384})).json
    assert roomy["prompt_eval_count"] > 9000


async def test_a_model_is_loaded_again_for_another_context_only(world):
    assert await loaded(world) == {}
    for size in (None, None, 8192, 8192, None, 4096, 999_999):
        await ask(world, options={"num_ctx": size} if size else {})
    assert await loaded(world) == {"llama3.2:3b": 131_072}
    assert world["ollama"].dialect.loads == 4


async def test_loading_takes_its_time_before_the_first_token(world):
    world["ollama"].dialect.loading = 0.01
    world["ollama"].speed = Speed(0.0, 0.0)
    exchange = await world.simulation.open(
        "POST", HOME + "/api/chat", (),
        msgspec.json.encode({"model": "gemma3:1b", "messages": LONG}), Deadlines(first_byte=0.02),
    )  # fmt: skip
    assert await hear(exchange)
    assert await loaded(world) == {"gemma3:1b": 4096}


@pytest.mark.parametrize("stream", [True, False])
async def test_its_ways_to_fail_have_its_own_words(world, stream):
    world["ollama"].script([500, "model_gone", "capacity", "error_in_200", "no_choices"])
    heard = [await ask(world, stream=stream) for _ in range(5)]
    assert [one.status for one in heard] == [500, 404, 503, 200, 200]
    told = [one.json["error"] for one in heard[:4]]
    assert (told[0], told[1]) == ("llama runner process has terminated", "model 'llama3.2:3b' not found")
    assert all(isinstance(text, str) for text in told[:3])
    assert heard[4].json == {"model": "llama3.2:3b"}


async def test_a_body_that_is_none_of_its_own_is_refused(world):
    assert (await ask(world, messages=[{"role": "user"}], options=3)).status == 400
