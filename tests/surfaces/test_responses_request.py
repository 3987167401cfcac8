"""What a body of the Responses API asks for, in the words of chat completions."""

import json
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from freeroute.errors import InvalidRequest
from freeroute.surfaces.responses.items import response_of, with_id
from freeroute.surfaces.responses.request import Earlier, call_of, wanted_in
from freeroute.wire.chat import ChatCall

WEATHER = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}
PATCH = {"type": "custom", "name": "apply_patch", "description": "Edits files."}
AGENTS = {
    "type": "namespace",
    "name": "agents",
    "description": "Agents.",
    "tools": [{**WEATHER, "name": "close"}],
}
HELLO = {"role": "user", "content": "Hello!"}


def call(earlier: Earlier | None = None, **fields: Any) -> ChatCall:
    body = json.dumps({"model": "free", "input": "Hi", **fields}).encode()
    return call_of(wanted_in(body), earlier or Earlier())


def chat(**fields: Any) -> dict[str, Any]:
    """Return the chat completion that a body of these *fields* comes to."""
    return {name: msgspec.json.decode(raw) for name, raw in call(**fields).fields.items()}


def messages(*items: Any, **fields: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = chat(input=list(items), **fields)["messages"]
    return found


def refused(**fields: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        call(**fields)
    return caught.value


def test_a_text_is_what_the_user_says():
    assert chat(input="Hi") == {"model": "free", "messages": [{"role": "user", "content": "Hi"}]}


def test_instructions_come_first_as_the_system():
    assert [one["role"] for one in messages(HELLO, instructions="Be brief.")] == ["system", "user"]


def test_messages_keep_their_roles_and_parts():
    parts = [
        {"type": "input_text", "text": "See"},
        {"type": "input_image", "image_url": "https://example.org/a.png", "detail": "low"},
        {"type": "input_image", "image_url": "https://example.org/b.png", "detail": "original"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,aa"},
        {"type": "input_audio", "input_audio": {"data": "aa", "format": "wav"}},
    ]
    developer = {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Rules"}]}
    refusal = {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}
    found = messages(developer, {"role": "user", "content": parts}, refusal, HELLO)
    assert found[0] == {"role": "developer", "content": "Rules"}
    assert found[1]["content"] == [
        {"type": "text", "text": "See"},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://example.org/b.png"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aa"}},
        {"type": "input_audio", "input_audio": {"data": "aa", "format": "wav"}},
    ]
    assert found[2] == {"role": "assistant", "content": "No."}


def test_calls_of_one_turn_stand_together_before_what_they_gave():
    found = messages(
        HELLO,
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "sealed"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Let me see."}]},
        {"type": "function_call", "call_id": "a", "name": "weather", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "b", "name": "apply_patch", "input": 'x "y"'},
        {"type": "message", "role": "assistant", "content": "Both."},
        {"type": "function_call_output", "call_id": "a", "output": "sunny"},
        {
            "type": "custom_tool_call_output",
            "call_id": "b",
            "output": [{"type": "input_text", "text": "done"}],
        },
    )
    assert [one["role"] for one in found] == ["user", "assistant", "tool", "tool"]
    assert found[1]["content"] == "Let me see.\n\nBoth."
    functions = [(one["id"], one["function"]) for one in found[1]["tool_calls"]]
    assert functions == [
        ("a", {"name": "weather", "arguments": "{}"}),
        ("b", {"name": "apply_patch", "arguments": '{"input":"x \\"y\\""}'}),
    ]
    assert [(one["tool_call_id"], one["content"]) for one in found[2:]] == [("a", "sunny"), ("b", "done")]


def test_images_that_calls_gave_follow_all_results():
    image = {"type": "input_image", "image_url": "https://example.org/a.png"}
    calls = [{"type": "function_call", "call_id": one, "name": "view", "arguments": "{}"} for one in "ab"]
    shown = {"type": "function_call_output", "call_id": "a", "output": [image]}
    told = {"type": "function_call_output", "call_id": "b", "output": "nothing"}
    for last in ([], [HELLO]):
        found = messages(HELLO, *calls, shown, told, *last)
        assert [one["role"] for one in found] == [
            "user",
            "assistant",
            "tool",
            "tool",
            *["user"] * (1 + len(last)),
        ]
        assert found[2]["content"] == "It follows."
        assert [part["type"] for part in found[4]["content"]] == ["text", "image_url"]


def test_an_earlier_conversation_stands_before_the_input_and_references_are_followed():
    before = Raw(json.dumps(HELLO).encode())
    referred = {"msg_1": Raw(b'{"type":"message","role":"assistant","content":"Hi."}')}
    found = call(Earlier([before], referred), input=[{"id": "msg_1"}, {"role": "user", "content": "So?"}])
    assert [one["content"] for one in msgspec.json.decode(found.fields["messages"])] == [
        "Hello!",
        "Hi.",
        "So?",
    ]


def test_going_on_needs_no_input():
    wanted = wanted_in(b'{"model":"free","previous_response_id":"resp_1"}')
    assert (wanted.previous, wanted.items) == ("resp_1", ())


def test_what_shapes_the_answer_is_asked_for_in_its_other_words():
    found = chat(
        max_output_tokens=9,
        temperature=0.5,
        top_p=0.5,
        stop=["END"],
        user="me",
        reasoning={"effort": "low", "summary": "auto"},
        text={"verbosity": "low", "format": {"type": "json_object"}},
        stream=True,
        stream_options={"include_obfuscation": False},
        service_tier="flex",
        prompt_cache_key="k",
        client_metadata={"a": "b"},
        truncation="disabled",
        include=["reasoning.encrypted_content"],
        parallel_tool_calls=True,
        top_logprobs=0,
    )
    del found["messages"]
    assert found == {
        "model": "free",
        "max_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.5,
        "stop": ["END"],
        "user": "me",
        "reasoning_effort": "low",
        "verbosity": "low",
        "response_format": {"type": "json_object"},
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_a_schema_keeps_its_name_and_its_strictness():
    form = {"type": "json_schema", "name": "city", "schema": {"type": "object"}, "strict": True}
    found = chat(text={"format": {**form, "description": "A city."}})["response_format"]
    assert found == {
        "type": "json_schema",
        "json_schema": {
            "name": "city",
            "schema": {"type": "object"},
            "strict": True,
            "description": "A city.",
        },
    }
    assert "strict" not in chat(text={"format": {**form, "strict": None}})["response_format"]["json_schema"]
    assert "response_format" not in chat(text={"format": {"type": "text"}})


def test_functions_free_text_and_namespaces_are_functions():
    long = "x" * 50
    far = {
        "type": "namespace",
        "name": long,
        "tools": [{"type": "function", "name": long, "parameters": None}],
    }
    grammar = {
        **PATCH,
        "name": "run",
        "format": {"type": "grammar", "syntax": "lark", "definition": "start: A"},
    }
    strict = {**WEATHER, "description": "Tells.", "strict": True}
    found = chat(tools=[strict, PATCH, grammar, AGENTS, far], parallel_tool_calls=False)
    assert found["parallel_tool_calls"] is False
    weather, patch, run, close, shortened = (tool["function"] for tool in found["tools"])
    assert weather == {
        "name": "weather",
        "description": "Tells.",
        "parameters": WEATHER["parameters"],
        "strict": True,
    }
    assert patch["parameters"]["required"] == ["input"]
    assert run["description"] == "Edits files.\n\nThe input follows this lark grammar:\nstart: A"
    assert close["name"] == "agents__close"
    assert len(shortened["name"]) == 64
    assert shortened["name"].startswith(f"{long}__xxx")
    assert "parameters" not in shortened


@pytest.mark.parametrize(
    ("choice", "chosen", "names"),
    [
        (None, None, ["weather", "apply_patch"]),
        ("auto", None, ["weather", "apply_patch"]),
        ("required", "required", ["weather", "apply_patch"]),
        ("none", "none", ["weather", "apply_patch"]),
        ({"type": "function", "name": "weather"}, {"name": "weather"}, ["weather", "apply_patch"]),
        ({"type": "custom", "name": "apply_patch"}, {"name": "apply_patch"}, ["weather", "apply_patch"]),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "weather"}]},
            "required",
            ["weather"],
        ),
    ],
)
def test_every_way_to_choose_a_tool_is_understood(choice, chosen, names):
    found = chat(tools=[WEATHER, PATCH], tool_choice=choice)
    assert [tool["function"]["name"] for tool in found["tools"]] == names
    told = found.get("tool_choice")
    assert (told["function"] if isinstance(told, dict) else told) == chosen


def test_a_search_is_spared_where_there_are_other_tools_and_said_to_be():
    wanted = wanted_in(
        json.dumps({"input": "Hi", "tools": [WEATHER, {"type": "web_search"}], "truncation": "auto"}).encode()
    )
    assert wanted.dropped == ("web_search", "truncation=disabled")
    assert [msgspec.json.decode(tool)["type"] for tool in wanted.offer.echo] == ["function"]


def test_tools_that_are_not_chosen_from_are_nobodys_loss():
    wanted = wanted_in(b'{"input":"Hi","tools":[{"type":"file_search"}],"tool_choice":"none"}')
    assert (wanted.dropped, wanted.offer.chat) == ((), {})


@pytest.mark.parametrize(
    ("fields", "param", "told"),
    [
        ({"input": None}, "input", "input is missing"),
        ({"input": []}, "input", "input is empty"),
        ({"input": 5}, "input", "Expected `str | array`, got `int`"),
        ({"input": [5]}, "input[0]", "Expected `object`, got `int`"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role", "Invalid enum value 'tool'"),
        ({"input": [{"type": "computer_call"}]}, "input[0].type", "'computer_call' are not taken here"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
         "input[0].content[0].image_url", "data: URL or an address"),
        ({"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "u"}]}]},
         "input[0].content[0].file_data", "none are kept or fetched"),
        ({"instructions": "x",
          "input": [{"role": "user", "content": [{"type": "input_image", "image_url": "ftp:"}]}]},
         "input[0].content[0].image_url.url", "must be a data: or an http(s) URL"),
        ({"input": [HELLO, {"role": "user", "content": []}]}, "input[1].content", "the list is empty"),
        ({"model": None}, "model", "model is missing"),
        ({"temperature": 3}, "temperature", "must be between 0 and 2"),
        ({"max_output_tokens": 0}, "max_output_tokens", "must be between 1"),
        ({"reasoning": {"effort": "huge"}}, "reasoning.effort", "Invalid enum value 'huge'"),
        ({"text": {"format": {"type": "json_schema", "name": "x", "schema": {"type": "nothing"}}}},
         "text.format.schema", "text.format.schema:"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type", "Invalid value 'xml'"),
        ({"background": True}, "background", "in the background"),
        ({"conversation": "conv_1"}, "conversation", "previous_response_id"),
        ({"prompt": {"id": "p"}}, "prompt", "no templates"),
        ({"top_logprobs": 2}, "top_logprobs", "no logprobs"),
        ({"include": ["message.output_text.logprobs"]}, "include", "no logprobs"),
        ({"tools": [{"type": "code_interpreter"}]}, "tools[0].type", "'code_interpreter' is a tool that"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type", "'web_search' is a tool that OpenAI runs"),
        ({"tools": [WEATHER, WEATHER]}, "tools[1].name", "two tools have this name"),
        ({"tools": [{"type": "function"}]}, "tools[0]", "missing required field `name`"),
        ({"tools": [WEATHER], "tool_choice": {"type": "function", "name": "x"}}, "tool_choice", "no such"),
        ({"tools": [WEATHER], "tool_choice": {"type": "web_search"}}, "tool_choice.type", "OpenAI runs"),
        ({"tools": [WEATHER], "tool_choice": "any"}, "tool_choice", "Invalid enum value 'any'"),
        ({"tool_choice": "required"}, None, None),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused_in_this_apis_own_words(fields, param, told):
    if told is None:  # a choice among no tools says nothing
        assert "tool_choice" not in chat(**fields)
        return
    error = refused(**fields)
    assert error.param == param
    assert told in error.message
    assert "messages" not in error.message


def test_an_item_gets_an_id_and_keeps_its_own():
    assert msgspec.json.decode(with_id(Raw(b'{"role":"user"}'), "item_1")) == {
        "role": "user",
        "type": "message",
        "id": "item_1",
    }
    assert with_id(Raw(b'{"type":"message","id":"a"}'), "b") == Raw(b'{"type":"message","id":"a"}')


def test_the_id_of_an_item_tells_the_response_it_came_with():
    name = "0123456789abcdef" * 2
    assert response_of(f"msg_{name}_0") == response_of(f"item_{name}_i12") == f"resp_{name}"
    assert response_of("msg_123") is None
