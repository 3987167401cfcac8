"""What is Ollama's own: its lines to the byte, what only it asks for, and the models as it lists them."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.domain.catalogue import Provider
from freeroute.domain.tasks import Task
from freeroute.errors import CapacityExhausted, InvalidRequest, UnsupportedCapability
from freeroute.surfaces.ollama_answer import OllamaTelling, as_chat, as_generated
from freeroute.surfaces.ollama_request import (
    chat_as_openai,
    chat_of,
    generate_as_openai,
    generate_of,
    named_of,
)
from freeroute.upstreams.local import find
from freeroute.wire.chat import ChatCall
from tests.support.clocks import ManualClock
from tests.support.gateways import FakeServed, chunk

SILENCE = {"role": "assistant", "content": ""}
PNG = "iVBORw0KGgoAAAANSUhEUg=="
USAGE = b'{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}'
STOP = b'{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}'
CALLING = [
    b'{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c1","function":{"name":"f","arguments":""}}]}}]}',
    b'{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\\"a\\":"}}]}}]}',
    b'{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]}}]}',
]


def telling(wording: Any = as_chat) -> OllamaTelling:
    return OllamaTelling("free", wording, ManualClock())


def asked(**fields: Any) -> ChatCall:
    messages = [{"role": "user", "content": "Hi"}]
    return chat_as_openai(chat_of(json.dumps({"model": "free", "messages": messages, **fields}).encode()))


def sent(call: ChatCall) -> dict[str, Any]:
    return {name: json.loads(bytes(value)) for name, value in call.fields.items()}


# --- answers -------------------------------------------------------------------------------------------


def test_a_stream_is_lines_and_the_last_tells_why_and_how_much():
    clock = ManualClock()
    told = OllamaTelling("free", as_chat, clock)
    stamp = b'{"model":"free","created_at":"2026-'
    clock.advance(0.25)
    first = told.events([chunk("Hel")])
    assert first.startswith(stamp)
    assert first.endswith(b'Z","message":{"role":"assistant","content":"Hel"},"done":false}\n')
    clock.advance(0.5)
    assert told.events([STOP]) == b""
    last = told.events([USAGE])
    assert last.endswith(
        b'Z","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop",'
        b'"total_duration":750000000,"load_duration":0,"prompt_eval_count":3,"prompt_eval_duration":250000000,'
        b'"eval_count":2,"eval_duration":500000000}\n'
    )
    assert told.events([chunk("late")]) == told.end() == b""


@pytest.mark.parametrize("mark", ["\x85", "\u2028", "\u2029"])
def test_no_mark_in_a_text_ends_a_line_for_clients_that_know_more_ends_than_one(mark):
    [line] = telling().events([chunk(f"a{mark}b")]).decode().splitlines()
    assert json.loads(line)["message"]["content"] == f"a{mark}b"


def test_the_time_is_told_to_the_nanosecond():
    created = json.loads(telling().events([chunk("Hi")]))["created_at"]
    date, _, part = created.partition(".")
    assert len(date) == len("2026-01-01T00:00:00")
    assert len(part) == len("123456789Z")


def test_a_prompt_is_answered_in_its_own_words():
    assert json.loads(telling(as_generated).events([chunk("Hi")]))["response"] == "Hi"


def test_a_call_is_told_as_soon_as_its_arguments_are_complete():
    told = telling()
    assert told.events(CALLING[:2]) == b""
    line = json.loads(told.events(CALLING[2:]))
    call = {"id": "c1", "function": {"name": "f", "arguments": {"a": 1}}}
    assert line["message"] == {"role": "assistant", "content": "", "tool_calls": [call]}
    assert line["done"] is False


@given(st.lists(st.integers(0, 8), max_size=8))
def test_however_the_chunks_come_together_the_lines_are_the_same(cuts):
    chunks = [chunk("One"), chunk(" two"), *CALLING, STOP, USAGE]
    told = telling()
    ends = sorted({*cuts, len(chunks)})
    batches = [chunks[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    whole = telling()
    assert b"".join(told.events(batch) for batch in batches) + told.end() == whole.events(chunks)


def test_an_error_is_the_last_line():
    told = telling()
    error = b'{"error":{"message":"gone"},"choices":[{"delta":{},"finish_reason":"error"}]}'
    assert told.events([error, error, USAGE]) + told.end() == b'{"error":"gone"}\n'
    told = telling()
    assert told.fault(CapacityExhausted("spent"), None) + told.end() == b'{"error":"spent"}\n'


def test_a_stream_that_tells_no_usage_ends_all_the_same():
    told = telling()
    told.events([chunk("Hi"), STOP])
    assert json.loads(told.end())["done"] is True


def test_images_of_an_answer_are_base64():
    message = {"content": None, "images": [{"image_url": {"url": f"data:image/png;base64,{PNG}"}}]}
    body = json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode()
    assert json.loads(telling().whole(body))["message"]["images"] == [PNG]


# --- requests ------------------------------------------------------------------------------------------


def test_answers_are_streamed_unless_that_is_not_wanted():
    assert asked().stream
    assert asked().include_usage
    assert not asked(stream=False).stream


def test_options_are_said_in_openais_words():
    same = {"top_k": 5, "seed": 7, "stop": ["END"], "repeat_penalty": 1.1}
    said = sent(asked(options={"num_predict": 9, "num_ctx": 4096, **same}, stream=False))
    messages = [{"role": "user", "content": "Hi"}]
    assert said == {"model": "free", "messages": messages, "max_tokens": 9, **same}
    assert "max_tokens" not in sent(asked(options={"num_predict": -1}))


@pytest.mark.parametrize(
    ("think", "effort"), [(True, None), (None, None), (False, "none"), ("low", "low"), ("high", "high")]
)
def test_thinking_is_an_effort(think, effort):
    assert sent(asked(think=think)).get("reasoning_effort") == effort


def test_a_format_is_json_or_a_schema():
    assert sent(asked(format="json"))["response_format"] == {"type": "json_object"}
    assert sent(asked(format={"type": "object"}))["response_format"]["json_schema"]["schema"] == {
        "type": "object"
    }
    assert "response_format" not in sent(asked(format=""))


def test_results_are_tied_to_calls_by_the_names_of_functions():
    calls = [{"function": {"name": name, "arguments": {"n": 1}}} for name in ("a", "b")]
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "", "tool_calls": calls},
        {"role": "tool", "tool_name": "b", "content": "B"},
        {"role": "tool", "content": "A"},
    ]
    _, called, *results = sent(asked(messages=messages))["messages"]
    assert [call["id"] for call in called["tool_calls"]] == ["call_1", "call_2"]
    assert called["tool_calls"][0]["function"] == {"name": "a", "arguments": '{"n":1}'}
    assert [(result["tool_call_id"], result["content"]) for result in results] == [
        ("call_2", "B"),
        ("call_1", "A"),
    ]


def test_a_prompt_has_a_system_and_images():
    body = {"model": "free", "prompt": "What?", "system": "Brief.", "images": [PNG]}
    [system, user] = sent(generate_as_openai(generate_of(json.dumps(body).encode())))["messages"]
    assert system == {"role": "system", "content": "Brief."}
    assert [part["type"] for part in user["content"]] == ["text", "image_url"]


@pytest.mark.parametrize(
    ("fields", "texts"),
    [
        ({"suffix": "}"}, {"prompt": "Hi", "suffix": "}"}),
        ({"suffix": "}", "prompt": ""}, {"prompt": "", "suffix": "}"}),
        ({"raw": True}, {"prompt": "Hi"}),
    ],
)
def test_a_text_that_is_gone_on_with_or_filled_in_goes_up_as_it_is(fields, texts):
    body = {"model": "code", "prompt": "Hi", "options": {"num_predict": 9}, "think": False, "stream": False}
    call = generate_as_openai(generate_of(json.dumps(body | fields).encode()))
    assert call.task is Task.COMPLETIONS
    assert sent(call) == {"model": "code", "max_tokens": 9, **texts}


def test_a_bound_of_a_completion_is_named_in_ollamas_words():
    body = b'{"model": "code", "prompt": "a", "suffix": "b", "options": {"num_predict": 1000000000}}'
    with pytest.raises(InvalidRequest, match=r"options\.num_predict: must be"):
        generate_as_openai(generate_of(body))


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"messages": "Hi"}, "messages: Expected"),
        ({"messages": [{"role": "robot"}]}, "messages[0].role: "),
        ({"messages": [{"role": "user", "images": ["bm8="]}]}, "messages[0].images[0]: must be"),
        ({"messages": [{"role": "tool", "content": "A"}]}, "messages[0]: no call before it"),
        ({"options": {"num_predict": "many"}}, "options.num_predict: Expected"),
        ({"options": {"num_predict": 10**9}}, "options.num_predict: must be between"),
        ({"options": {"temperature": 3}}, "options.temperature: must be between"),
        ({"format": "xml"}, 'format: must be "json"'),
        ({"format": {"type": 5}}, "format: "),
        ({"tools": [{"type": "function"}]}, "tools[0].function is missing"),
        ({"model": None}, "model: Expected"),
    ],
)
def test_what_is_wrong_is_named_in_ollamas_words(fields, told):
    with pytest.raises(InvalidRequest) as refused:
        asked(**fields)
    assert refused.value.message.startswith(told)


@pytest.mark.parametrize(
    "field",
    [
        {"template": "{{ .Prompt }}"},
        {"context": [1]},
        *({name: given, "raw": True} for name, given in (("system", "S"), ("images", [PNG]))),
        {"format": "json", "suffix": "}"},
    ],
)
def test_what_no_provider_does_is_refused(field):
    with pytest.raises(UnsupportedCapability) as refused:
        generate_of(json.dumps({"model": "free", "prompt": "Hi", **field}).encode())
    assert refused.value.param == next(iter(field))


def test_a_model_may_be_named_in_the_old_way():
    assert named_of(b'{"name": "free"}').told == "free"
    with pytest.raises(InvalidRequest, match="model is missing"):
        _ = named_of(b"{}").told


# --- routes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "fields", "told"),
    [
        (
            "/api/chat",
            {"messages": []},
            {"message": {"role": "assistant", "content": ""}, "done_reason": "load"},
        ),
        ("/api/generate", {}, {"response": "", "done_reason": "load"}),
        ("/api/generate", {"prompt": "", "keep_alive": 0}, {"response": "", "done_reason": "unload"}),
    ],
)
async def test_a_request_without_a_prompt_only_loads_the_model(ask, gateway, path, fields, told):
    async with ask() as client:
        reply = await client.post(path, json={"model": "free", **fields})
        missing = await client.post(path, json={"model": "larg", **fields})
    assert reply.status_code == 200
    assert reply.json() == reply.json() | told | {"model": "free", "done": True}
    assert missing.status_code == 404
    assert missing.json() == {"error": "larg does not exist"}
    assert gateway.calls == []


async def test_models_are_listed_with_what_clients_expect(ask):
    async with ask() as client:
        [first, second] = (await client.get("/api/tags")).json()["models"]
    assert first["name"] == first["model"] == "free:latest"
    assert second["name"] == "groq/openai/gpt-oss-120b:latest"
    assert len(first["digest"]) == 64
    assert second["details"]["parameter_size"] == "120B"
    assert {"parent_model", "format", "family", "families", "quantization_level"} < set(second["details"])
    assert {"modified_at", "size"} < set(first)


async def test_a_model_tells_what_it_can_do(ask, gateway):
    entry = {
        "id": "free",
        "context_length": 131072,
        "supported_parameters": ["tools", "reasoning"],
        "architecture": {"input_modalities": ["text", "image"]},
        "freeroute": {"family": "gpt-oss-120b"},
    }
    gateway.entry = entry
    async with ask() as client:
        shown = (await client.post("/api/show", json={"model": "free"})).json()
    assert shown["capabilities"] == ["completion", "tools", "vision", "thinking"]
    architecture = shown["model_info"]["general.architecture"]
    assert shown["model_info"][f"{architecture}.context_length"] == 131072
    assert shown["details"]["family"] == "gpt-oss-120b"


async def test_a_model_that_fills_in_the_middle_says_so(ask, gateway):
    async with ask() as client:
        [inserts, chats] = [
            (await client.post("/api/show", json={"model": name})).json() for name in ("code", "free")
        ]
    assert ("insert" in inserts["capabilities"], ".Suffix" in inserts["template"]) == (True, True)
    assert ("insert" in chats["capabilities"], ".Suffix" in chats["template"]) == (False, False)


async def test_a_model_that_makes_vectors_says_so(ask, gateway):
    gateway.entry = {"architecture": {"input_modalities": ["text"], "output_modalities": ["embeddings"]}}
    async with ask() as client:
        shown = (await client.post("/api/show", json={"model": "free"})).json()
        listed = (await client.get("/v1beta/models/free")).json()
    assert shown["capabilities"] == ["embedding"]
    assert listed["supportedGenerationMethods"] == ["embedContent", "batchEmbedContents"]


async def test_pulling_a_model_that_is_there_succeeds_at_once(ask):
    async with ask() as client:
        streamed = await client.post("/api/pull", json={"model": "free"})
        whole = await client.post("/api/pull", json={"model": "free", "stream": False})
        missing = await client.post("/api/pull", json={"model": "larg"})
    assert [json.loads(line)["status"] for line in streamed.text.splitlines()] == [
        "pulling manifest",
        "success",
    ]
    assert whole.json() == {"status": "success"}
    assert missing.status_code == 404


@pytest.mark.parametrize("verb", ["create", "copy", "push"])
async def test_what_is_done_to_models_is_refused_with_words(ask, verb):
    async with ask() as client:
        reply = await client.post(f"/api/{verb}", json={"model": "free"})
    assert reply.status_code == 400
    assert reply.json()["error"].startswith("No model can be")


async def test_a_gateway_is_not_taken_for_an_ollama_server(build):
    transport = httpx.ASGITransport(build())
    async with httpx.AsyncClient(transport=transport) as client:
        version = await client.get("http://localhost:3000/api/version")
        server = Provider("ollama", "Ollama", "http://localhost:3000/v1", engine="ollama", kind="ollama")
        assert await find([server], client) == []
    assert version.json()["version"]


async def test_an_answer_keeps_the_name_that_was_asked_for(ask, gateway):
    gateway.answer = FakeServed(batches=[[chunk("Hi"), STOP, USAGE]])
    async with ask() as client:
        body = {"model": "free:latest", "messages": [{"role": "user", "content": "Hi"}]}
        reply = await client.post("/api/chat", json=body)
    assert [json.loads(line)["model"] for line in reply.text.splitlines()] == ["free:latest"] * 2
    assert reply.headers["x-freeroute-provider"] == "groq"


async def test_the_middle_is_told_as_it_comes(ask, gateway):
    pieces = [{"choices": [{"text": text, "finish_reason": None}]} for text in ("a", "b")]
    last = {"choices": [{"text": "", "finish_reason": "stop"}]}
    gateway.answer = FakeServed(batches=[[json.dumps(one).encode() for one in (*pieces, last)], [USAGE]])
    async with ask() as client:
        reply = await client.post("/api/generate", json={"model": "code", "prompt": "(", "suffix": ")"})
    lines = [json.loads(line) for line in reply.text.splitlines()]
    assert [line["response"] for line in lines] == ["a", "b", ""]
    assert (lines[-1]["done_reason"], lines[-1]["eval_count"]) == ("stop", 2)


VECTORS = (
    b'{"object":"list","model":"m","usage":{"prompt_tokens":3,"total_tokens":3},"data":['
    b'{"object":"embedding","index":0,"embedding":[0.5,1]}]}'
)


async def test_vectors_are_told_in_both_ways(ask, gateway):
    gateway.answer = FakeServed(VECTORS)
    async with ask() as client:
        several = await client.post("/api/embed", json={"model": "m", "input": ["a"], "dimensions": 2})
        one = await client.post("/api/embeddings", json={"model": "m", "prompt": "a"})
    assert several.json() == several.json() | {
        "model": "m",
        "embeddings": [[0.5, 1]],
        "load_duration": 0,
        "prompt_eval_count": 3,
    }
    assert one.json() == {"embedding": [0.5, 1]}
    assert sent(gateway.calls[0][0]) == {"model": "m", "input": ["a"], "dimensions": 2}


async def test_of_nothing_there_are_no_vectors(ask, gateway):
    async with ask() as client:
        several = await client.post("/api/embed", json={"model": "free"})
        one = await client.post("/api/embeddings", json={"model": "free", "prompt": ""})
    assert several.json() == {"model": "free", "embeddings": []}
    assert one.json() == {"embedding": []}
    assert gateway.calls == []
