"""What goes up to Ollama's own API."""

from typing import Any

import pytest

from freeroute.domain.outcome import Kind
from tests.support.ollamas import (
    COUNTS,
    END,
    WHOLE,
    Talk,
    candidate,
    line,
    ndjson,
    sent,
)
from tests.support.transports import json_reply

PNG = "iVBORw0KGgo="


async def test_a_plain_request_asks_for_no_cut_and_leaves_the_rest_to_the_server():
    talk = Talk(json_reply(WHOLE))
    await talk.ask()
    assert talk.transport.sent[0].url == "http://127.0.0.1:11434/api/chat"
    assert talk.sent == {
        "model": "llama3.2:3b",
        "messages": [{"role": "user", "content": "Hello!"}],
        "stream": False,
        "truncate": False,
        "shift": False,
        "options": {},
    }


async def test_sampling_goes_into_the_options_under_ollamas_names():
    body = await sent(
        temperature=0.5, top_p=0.9, seed=7, stop="END", max_tokens=50, presence_penalty=1, top_k=20, min_p=0.1
    )
    assert body["options"] == {
        "temperature": 0.5, "top_p": 0.9, "seed": 7, "presence_penalty": 1, "top_k": 20, "min_p": 0.1,
        "stop": ["END"], "num_predict": 50,
    }  # fmt: skip
    assert (await sent(stop=["a", "b"]))["options"] == {"stop": ["a", "b"]}


async def test_native_fields_of_the_caller_are_passed_on():
    body = await sent(keep_alive="10m", think=True, options={"num_gpu": 1, "temperature": 1}, temperature=0)
    assert (body["keep_alive"], body["think"]) == ("10m", True)
    assert body["options"] == {"num_gpu": 1, "temperature": 0}


async def test_what_has_no_counterpart_is_left_out_and_named():
    talk = Talk(json_reply(WHOLE))
    answer = await talk.ask(user="me", logit_bias={"1": 2}, novelty=3, reasoning_effort="low", n=1)
    assert set(answer.dropped) == {"user", "logit_bias", "novelty", "reasoning_effort"}
    assert {"user", "logit_bias", "novelty", "think"}.isdisjoint(talk.sent)


@pytest.mark.parametrize(
    ("effort", "told"),
    [
        ("minimal", ("reasoning_effort=low",)),
        ("xhigh", ("reasoning_effort=high",)),
        ("none", ()),
        ("low", ()),
    ],
)
async def test_an_effort_that_ollama_does_not_know_is_told_as_what_it_became(effort, told):
    thinker = candidate(capabilities=frozenset({"reasoning"}))
    assert (await Talk(json_reply(WHOLE)).ask(thinker, reasoning_effort=effort)).dropped == told


async def test_a_stream_always_tells_its_usage_so_nothing_is_dropped():
    talk = Talk(ndjson(line({"content": "Hi"}), END))
    answer = await talk.ask(stream=True, stream_options={"include_usage": True})
    assert (answer.dropped, talk.sent["stream"]) == ((), True)


TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"n": 2}, "n"),
        ({"tools": [TOOL], "tool_choice": "required"}, "tool_choice"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}]}]}, "messages"),
        ({"messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,A"}}]}]}, "messages"),
        ({"messages": [{"role": "user", "content": [
            {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]}]}, "messages"),
        ({"messages": [{"role": "assistant", "tool_calls": [
            {"id": "1", "function": {"name": "f", "arguments": "{broken"}}]}]}, "messages"),
    ],
)  # fmt: skip
async def test_what_ollama_cannot_do_goes_to_another_candidate(fields: dict[str, Any], field: str):
    talk = Talk()
    outcome = (await talk.ask(**fields)).outcome
    assert (outcome.kind, outcome.param, outcome.counted) == (Kind.BAD_PARAMETER, field, False)
    assert talk.transport.sent == []


async def test_no_tool_is_offered_where_none_may_be_called():
    assert "tools" not in await sent(tools=[TOOL], tool_choice="none")
    assert (await sent(tools=[TOOL], tool_choice="auto"))["tools"] == [TOOL]


async def test_the_form_of_the_answer_is_a_word_or_a_schema():
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    named = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    unnamed: Any = {"type": "json_schema", "json_schema": {}}
    json = line({"content": "{}"}, done=True, done_reason="stop", **COUNTS)
    assert (await sent(answer=json, response_format=named))["format"] == schema
    assert (await sent(answer=json, response_format=unnamed))["format"] == "json"
    assert (await sent(response_format={"type": "json_object"}))["format"] == "json"
    assert "format" not in await sent(response_format={"type": "text"})


@pytest.mark.parametrize(("effort", "think"), [("none", False), ("minimal", "low"), ("xhigh", "high")])
async def test_a_model_that_thinks_is_told_how_much(effort: str, think: Any):
    thinker = candidate(capabilities=frozenset({"reasoning"}))
    assert (await sent(thinker, reasoning_effort=effort))["think"] == think


async def test_a_conversation_with_tools_and_images_is_told_in_ollamas_form():
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at":"it"}'}}
    body = await sent(
        messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [
                {"type": "text", "text": "What is"}, {"type": "text", "text": "this?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64," + PNG.rstrip("=")}},
            ]},
            {"role": "assistant", "content": None, "reasoning_content": "Hm.", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "a cat"},
            {"role": "function", "name": "old", "content": "x"},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        ]
    )  # fmt: skip
    function = {"name": "look", "arguments": {"at": "it"}}
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is\nthis?", "images": [PNG]},
        {"role": "assistant", "content": "", "thinking": "Hm.",
         "tool_calls": [{"function": function, "id": "c1"}]},
        {"role": "tool", "content": "a cat", "tool_name": "look", "tool_call_id": "c1"},
        {"role": "tool", "content": "x", "tool_name": "old"},
        {"role": "assistant", "content": "No."},
    ]  # fmt: skip
