"""Simulated providers: the limits they hold, the shapes they speak, the routes they have."""

import json
from typing import Any

import pytest

from freeroute.upstreams.simulated.faults import Speed
from freeroute.upstreams.simulated.shapes import go_duration
from freeroute.upstreams.transport import NameNotFound
from tests.support.simulation import World, message_of, weather_tool

ALL = ["groq", "gemini", "cerebras", "mistral", "openrouter", "ollama"]
KEYED = [name for name in ALL if name != "ollama"]


@pytest.fixture
def world() -> World:
    return World()


# --- answers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
async def test_a_stream_tells_the_same_as_the_json_answer(world, name):
    whole = await world.ask(name)
    streamed = await world.ask(name, stream=True)
    assert whole.status == streamed.status == 200
    assert whole.text == streamed.text
    assert f"simulated answer from {name}/" in whole.text
    assert whole.json["choices"][0]["finish_reason"] == "stop"
    assert streamed.data[-1] == "[DONE]"


@pytest.mark.parametrize("name", ALL)
async def test_a_bounded_answer_ends_with_length_and_is_counted(world, name):
    heard = (await world.ask(name, max_tokens=9)).json
    assert heard["choices"][0]["finish_reason"] == "length"
    usage = heard["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (2, 9, 11)


# --- several choices -----------------------------------------------------------------------------------


def _by_choice(events: list[Any]) -> dict[int, str]:
    said: dict[int, str] = {}
    for event in events:
        for choice in event["choices"]:
            said[choice["index"]] = said.get(choice["index"], "") + (choice["delta"].get("content") or "")
    return said


@pytest.mark.parametrize("name", sorted({*ALL} - {"groq", "ollama"}))
async def test_as_many_choices_are_made_as_are_asked_for(world, name):
    whole = (await world.ask(name, n=3)).json
    texts = {choice["index"]: choice["message"]["content"] for choice in whole["choices"]}
    assert list(texts) == [0, 1, 2]
    assert len(set(texts.values())) == 3
    assert whole["usage"]["completion_tokens"] == sum(len(text.split(" ")) for text in texts.values())
    streamed = await world.ask(name, n=3, stream=True)
    assert _by_choice(streamed.events) == texts
    finishes = [
        one["finish_reason"]
        for event in streamed.events
        for one in event["choices"]
        if one.get("finish_reason")
    ]
    assert finishes == ["stop"] * 3
    assert streamed.data[-1] == "[DONE]"


@pytest.mark.parametrize("name", sorted({*ALL} - {"ollama"}))
@pytest.mark.parametrize("n", [0, 9, -1, 1.5, "2", True])
async def test_a_number_of_choices_out_of_bounds_is_refused(world, name, n):
    if (name, n) == ("groq", True):
        return
    assert (await world.ask(name, n=n)).status in (400, 422)


async def test_groq_makes_one_choice_and_ollama_does_not_know_of_more(world):
    assert (await world.ask("groq", n=2)).status == 400
    assert len((await world.ask("ollama", n=2)).json["choices"]) == 1


async def test_the_same_seed_gives_the_same_bytes_again():
    async def story(seed: int) -> list[bytes]:
        world = World(seed)
        return [(await world.ask(name, stream=stream)).body for name in ALL for stream in (False, True)]

    assert await story(3) == await story(3)
    assert await story(3) != await story(4)


@pytest.mark.parametrize("name", ALL)
async def test_models_are_listed_in_the_providers_shape(world, name):
    listed = (await world.get(world.base(name) + "/models")).json["data"]
    assert {one["id"].removeprefix("models/") for one in listed} == set(world[name].models)
    assert listed[0]["id"].startswith("models/") is (name == "gemini")
    expected = {"groq": "context_window", "mistral": "max_context_length", "openrouter": "context_length"}
    assert expected.get(name, "id") in listed[0]


async def test_ollama_tells_its_version_and_what_it_has(world):
    assert "version" in (await world.get("http://localhost:11434/api/version", key=None)).json
    tags = (await world.get("http://127.0.0.1:11434/api/tags", key=None)).json["models"]
    assert "llama3.2:3b" in [tag["name"] for tag in tags]


async def test_openrouter_tells_about_a_key(world):
    told = (await world.get("https://openrouter.ai/api/v1/key")).json["data"]
    assert told["is_free_tier"] is True
    assert (await world.get("https://openrouter.ai/api/v1/key", key="sk-or-x")).status == 401


@pytest.mark.parametrize(("name", "status"), [("groq", 401), ("gemini", 400), ("openrouter", 200)])
async def test_the_list_of_models_needs_a_key_except_at_openrouter(world, name, status):
    assert (await world.get(world.base(name) + "/models", key=None)).status == status


async def test_a_host_outside_the_simulation_does_not_exist(world):
    with pytest.raises(NameNotFound):
        await world.get("https://example.org/v1/models")


@pytest.mark.parametrize("name", ALL)
async def test_an_unknown_path_is_not_found(world, name):
    heard = await world.get(world.base(name) + "/nothing")
    assert heard.status == 404
    assert message_of(name, heard.json)


# --- streams of each provider --------------------------------------------------------------------------


async def test_groq_adds_its_own_usage_and_plain_usage_only_when_asked(world):
    bare = (await world.ask("groq", stream=True)).events
    asked = (await world.ask("groq", stream=True, stream_options={"include_usage": True})).events
    assert bare[-1]["x_groq"]["usage"]["prompt_tokens"] == 2
    assert "usage" not in bare[-1]
    assert asked[-1]["choices"] == []
    assert asked[-1]["usage"]["prompt_tokens"] == 2


async def test_gemini_sends_growing_usage_in_every_event(world):
    events = (await world.ask("gemini", stream=True, max_tokens=5)).events
    made = [event["usage"]["completion_tokens"] for event in events]
    assert made[:5] == [1, 2, 3, 4, 5]
    assert set(made[5:]) == {5}


async def test_gemini_streams_tool_calls_one_by_one_without_an_index_and_says_stop(world):
    second = weather_tool() | {"function": {"name": "get_time", "parameters": {"type": "object"}}}
    body = {
        "messages": [{"role": "user", "content": "get_weather and get_time"}],
        "tools": [weather_tool(), second],
    }
    events = (await world.ask("gemini", body, stream=True)).events
    calls = [event["choices"][0]["delta"]["tool_calls"] for event in events[:2]]
    assert [len(call) for call in calls] == [1, 1]
    assert "index" not in calls[0][0]
    assert calls[0][0]["extra_content"]["google"]["thought_signature"]
    assert "extra_content" not in calls[1][0]
    assert events[-1]["choices"][0]["finish_reason"] == "stop"
    whole = (await world.ask("gemini", body)).json
    assert whole["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("name", ["groq", "cerebras", "mistral", "openrouter", "ollama"])
async def test_others_number_their_tool_calls_and_say_so_at_the_end(world, name):
    body = {"messages": [{"role": "user", "content": "call get_weather"}], "tools": [weather_tool()]}
    events = (await world.ask(name, body, stream=True)).events
    deltas = [event["choices"][0] for event in events if event["choices"]]
    call, *rest = [call for delta in deltas for call in delta["delta"].get("tool_calls", ())]
    assert (call["index"], call["function"]["name"]) == (0, "get_weather")
    assert {piece["index"] for piece in rest} <= {0}
    assert "tool_calls" in [delta["finish_reason"] for delta in deltas]


async def test_openrouter_streams_a_tool_call_in_pieces(world):
    body = {"messages": [{"role": "user", "content": "call get_weather"}], "tools": [weather_tool()]}
    events = (await world.ask("openrouter", body, stream=True)).events
    deltas = [event["choices"][0]["delta"] for event in events if event["choices"]]
    pieces = [call["function"] for delta in deltas for call in delta.get("tool_calls", ())]
    assert len(pieces) > 3
    assert "name" not in pieces[-1]
    arguments = json.loads("".join(piece["arguments"] for piece in pieces))
    assert arguments.keys() == {"city", "days", "unit"}


async def test_openrouter_comments_while_it_waits_and_always_sends_usage(world):
    heard = await world.ask("openrouter", stream=True)
    assert heard.body.startswith(b": OPENROUTER PROCESSING\n\n")
    assert heard.events[-1]["usage"]["prompt_tokens"] == 2


async def test_mistral_and_cerebras_send_usage_with_the_finish_unasked(world):
    for name in ("mistral", "cerebras"):
        last = (await world.ask(name, stream=True)).events[-1]
        assert last["choices"][0]["finish_reason"] == "stop"
        assert last["usage"]["prompt_tokens"] == 2


async def test_ollama_sends_usage_only_when_asked(world):
    bare = (await world.ask("ollama", stream=True)).events
    asked = (await world.ask("ollama", stream=True, stream_options={"include_usage": True})).events
    assert not any("usage" in event for event in bare)
    assert (asked[-1]["choices"], "usage" in asked[-1]) == ([], True)


# --- what is refused -----------------------------------------------------------------------------------

BAD_KEY = {"groq": 401, "gemini": 400, "cerebras": 401, "mistral": 401, "openrouter": 401}


@pytest.mark.parametrize("name", KEYED)
async def test_a_foreign_key_is_refused_and_never_recorded(world, name):
    heard = await world.ask(name, key="sk-somebody-real")
    assert heard.status == BAD_KEY[name]
    assert world[name].calls[-1].key == "(unknown)"
    assert not heard.rates
    if name == "gemini":
        assert heard.json[0]["error"]["details"][0]["reason"] == "API_KEY_INVALID"


async def test_a_key_can_be_made_valid_and_ollama_needs_none(world):
    world["groq"].valid_keys.add("gsk-x")
    assert (await world.ask("groq", key="gsk-x")).status == 200
    assert (await world.ask("ollama", key=None)).status == 200


@pytest.mark.parametrize("name", ALL)
async def test_an_unknown_model_is_404_in_the_providers_words(world, name):
    heard = await world.ask(name, model="no-such-model")
    assert heard.status == 404
    assert "no-such-model" in message_of(name, heard.json)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"model": 3, "messages": [{}]}', b'{"messages": []}', b"\xff"]
)
async def test_an_unreadable_request_is_refused_in_the_providers_shape(world, name, body):
    heard = await world.ask(name, body)
    assert heard.status == 400
    assert message_of(name, heard.json)


NAMED = [{"role": "user", "content": "x", "name": "bob"}]
HISTORY: list[dict[str, Any]] = [
    {"role": "user", "content": "x"},
    {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]},
    {"role": "tool", "tool_call_id": "1", "content": "y"},
]


@pytest.mark.parametrize(
    ("name", "fields", "status"),
    [
        ("groq", {"logprobs": True}, 400),
        ("groq", {"logit_bias": {"1": 1}}, 400),
        ("groq", {"n": 2}, 400),
        ("groq", {"messages": NAMED}, 400),
        ("gemini", {"frequency_penalty": 0.5}, 400),
        ("gemini", {"store": True}, 400),
        ("gemini", {"tools": [weather_tool(additionalProperties=False)]}, 400),
        ("gemini", {"messages": HISTORY}, 400),
        ("cerebras", {"presence_penalty": 0.5}, 400),
        ("mistral", {"seed": 1}, 422),
        ("mistral", {"stream_options": {"include_usage": True}}, 422),
        ("mistral", {"temperature": 1.8}, 422),
        ("mistral", {"messages": NAMED}, 422),
        ("openrouter", {"anything": 1, "logit_bias": {}}, 200),
        ("ollama", {"anything": 1, "n": 3, "logit_bias": {}}, 200),
    ],
)
async def test_parameters_are_judged_as_the_provider_does(world, name, fields, status):
    assert (await world.ask(name, fields)).status == status


async def test_mistral_names_the_place_of_a_field_it_does_not_know(world):
    (detail,) = (await world.ask("mistral", seed=1)).json["detail"]
    assert (detail["type"], detail["loc"]) == ("extra_forbidden", ["body", "seed"])


async def test_a_signed_tool_call_is_taken_back_by_gemini(world):
    calls = [{"id": "1", "extra_content": {"google": {"thought_signature": "s"}}}]
    signed = [HISTORY[0], HISTORY[1] | {"tool_calls": calls}, HISTORY[2]]
    assert (await world.ask("gemini", messages=signed)).status == 200


async def test_ollama_reads_max_tokens_only_and_ignores_tool_choice(world):
    longer = (await world.ask("ollama", max_completion_tokens=3)).json
    assert longer["usage"]["completion_tokens"] > 3
    talked = (await world.ask("ollama", tools=[weather_tool()], tool_choice="required")).json
    assert talked["choices"][0]["finish_reason"] == "stop"


async def test_ollama_cuts_a_long_prompt_without_a_word(world):
    messages = [{"role": "user", "content": "x" * 40_000}]
    assert (await world.ask("ollama", messages=messages)).json["usage"]["prompt_tokens"] == 4096


async def test_a_prompt_beyond_the_context_is_refused_elsewhere(world):
    messages = [{"role": "user", "content": "x" * 4 * 140_000}]
    heard = await world.ask("mistral", messages=messages, model="codestral-2508")
    assert heard.status == 400
    assert "128000 maximum context" in heard.json["message"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.825, "825ms"),
        (7.66, "7.66s"),
        (86.4, "1m26.4s"),
        (660.528, "11m0.528s"),
        (7201, "2h0m1s"),
    ],
)
def test_durations_are_printed_as_go_prints_them(seconds, text):
    assert go_duration(seconds) == text


def test_the_usual_speeds_of_the_catalogue_are_kept_unless_overridden():
    world = World(speed=Speed(0.5, 10))
    assert world["groq"].speed == Speed(0.5, 10)
    assert world["groq"].models["openai/gpt-oss-20b"].speed.tokens_per_second == 1000


# --- bodies nobody means -------------------------------------------------------------------------------

UNSOUND = [
    {"tools": "a"},
    {"tools": [1]},
    {"tools": {"a": 1}},
    {"tools": [{"function": {"name": "get", "parameters": {"properties": [1]}}}], "tool_choice": "required"},
    {"response_format": {"type": "json_schema", "json_schema": 5}},
    {"messages": [{"role": "assistant", "tool_calls": [5]}]},
    {"messages": [{"role": "assistant", "tool_calls": 5}, {"role": 5, "content": {}}]},
    {"stop": {"a": 1}, "max_tokens": [], "stream_options": 5, "n": []},
    {"max_tokens": -(10**30), "temperature": {}},
]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("fields", UNSOUND)
@pytest.mark.parametrize("stream", [False, True])
async def test_no_body_breaks_a_provider(world, name, fields, stream):
    assert (await world.ask(name, fields, stream=stream)).status in (200, 400, 422)


def deep_tool(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}
    return {"type": "function", "function": {"name": "dig", "parameters": schema}}


@pytest.mark.parametrize("name", ALL)
async def test_a_body_nested_too_deeply_is_refused_in_the_providers_own_shape(world, name):
    assert (await world.ask(name, tools=[deep_tool(20)])).status == 200
    for depth in (60, 450):
        refused = await world.ask(name, tools=[deep_tool(depth)])
        assert refused.status == 400
        assert "nested" in message_of(name, refused.json)


async def test_a_refused_body_takes_nothing_from_the_token_limits(world):
    before = (await world.ask("groq", max_tokens=5)).rates["x-ratelimit-remaining-tokens"]
    refused = await world.ask("groq", response_format={"type": "json_schema", "json_schema": 5})
    assert refused.status == 400
    assert refused.rates["x-ratelimit-remaining-tokens"] == before
