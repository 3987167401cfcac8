"""What a request in Anthropic's words asks for, in OpenAI's."""

import base64
import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.errors import InvalidRequest
from freeroute.surfaces.anthropic_request import read_request

HI = [{"role": "user", "content": "Hi"}]
TOOL = {"name": "weather", "description": "Of a city", "input_schema": {"type": "object"}}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}
CACHED = {"cache_control": {"type": "ephemeral"}}


def asked(**given: Any) -> Any:
    """Return the body that a request comes to for the providers."""
    body = {"model": "free", "max_tokens": 8, "messages": HI, **given}
    call = read_request(msgspec.json.encode(body)).call
    return msgspec.json.decode(msgspec.json.encode(call.fields))


def messages(*told: Any, **given: Any) -> Any:
    return asked(messages=list(told), **given)["messages"]


def refused(**given: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        asked(**given)
    return caught.value


def user(*blocks: Any) -> Any:
    return {"role": "user", "content": list(blocks)}


def text(said: str) -> Any:
    return {"type": "text", "text": said, **CACHED}


def result(content: Any = None, **more: Any) -> Any:
    told = {} if content is None else {"content": content}
    return {"type": "tool_result", "tool_use_id": "toolu_1", **told, **more}


def test_a_question_is_one_of_openais():
    assert asked() == {"model": "free", "max_tokens": 8, "messages": HI}


def test_what_means_the_same_travels_as_it_is():
    same = {"temperature": 0.5, "top_p": 0.9, "top_k": 40, "stream": True}
    assert asked(**same) == asked() | same | {"stream_options": {"include_usage": True}}


def test_what_only_anthropic_knows_stays_here():
    more = {"service_tier": "auto", "context_management": {"edits": []}, "invented": 1, "mcp_servers": []}
    assert asked(**more, tools=None) == asked()


def test_the_system_speaks_first_whatever_it_is_made_of():
    assert messages(*HI, system="Be brief.")[0] == {"role": "system", "content": "Be brief."}
    billing = text("x-anthropic-billing-header: cc_version=2;")
    told = messages(*HI, system=[billing, text("Be brief."), text("Be kind.")])
    assert told[0] == {"role": "system", "content": "Be brief.\n\nBe kind."}
    assert messages(*HI, system=[]) == HI


def test_what_the_system_says_between_turns_comes_from_the_user():
    first, later = {"role": "system", "content": "First."}, {"role": "system", "content": [text("Later.")]}
    assert messages(first, *HI, later, system="Be brief.") == [
        {"role": "system", "content": "Be brief."},
        first,
        *HI,
        {"role": "user", "content": "<system>\nLater.\n</system>"},
    ]


def test_one_text_is_a_text_and_several_are_parts():
    assert messages(user(text("Hi"))) == HI
    two = [{"type": "text", "text": "Hi"}, {"type": "text", "text": "there"}]
    assert messages(user(text("Hi"), text("there"))) == [{"role": "user", "content": two}]
    assert messages(user()) == [{"role": "user", "content": ""}]


def test_images_are_sent_along_or_named():
    inline = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
    linked = {"type": "image", "source": {"type": "url", "url": "https://a.example/cat.png"}}
    [message] = messages(user(inline, linked))
    assert [part["image_url"]["url"] for part in message["content"]] == [
        "data:image/png;base64,aGk=",
        "https://a.example/cat.png",
    ]


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ({"type": "text", "media_type": "text/plain", "data": "Once."}, "Once."),
        ({"type": "content", "content": "Once."}, "Once."),
        ({"type": "content", "content": [text("Once."), text("Twice.")]}, "Once.\n\nTwice."),
        (
            {"type": "base64", "media_type": "text/plain", "data": base64.b64encode(b"Once.").decode()},
            "Once.",
        ),
    ],
)
def test_a_document_of_text_is_told_as_text(source, told):
    document = {"type": "document", "source": source, "title": "A tale", "context": None}
    assert messages(user(document))[0]["content"] == f"A tale\n\n{told}"


def test_a_document_of_another_kind_travels_as_a_file():
    [message] = messages(user({"type": "document", "source": PDF}))
    file = {"filename": "document.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}
    assert message["content"] == [{"type": "file", "file": file}]


def test_what_was_found_is_told_as_text():
    found = {"type": "search_result", "source": "https://a.example", "title": "A", "content": [text("B")]}
    assert messages(user(found))[0]["content"] == "A (https://a.example)\n\nB"


def test_a_call_and_what_it_gave_are_turns_of_their_own():
    call = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Ulm"}}
    thought = [{"type": "thinking", "thinking": "Hm.", "signature": "s"}]
    hidden = [{"type": "redacted_thinking", "data": "x"}]
    said = {"role": "assistant", "content": [*thought, *hidden, text("Let me see."), call]}
    given = [text("Well?"), result([text("sunny"), text("warm")], **CACHED)]
    function = {"name": "weather", "arguments": '{"city":"Ulm"}'}
    assert messages(*HI, said, user(*given)) == [
        *HI,
        {
            "role": "assistant",
            "content": "Let me see.",
            "tool_calls": [{"id": "toolu_1", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": "toolu_1", "content": "sunny\n\nwarm"},
        {"role": "user", "content": "Well?"},
    ]


def test_a_turn_of_thoughts_alone_is_left_out():
    thought = {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm.", "signature": "s"}]}
    assert messages(*HI, thought, *HI) == [*HI, *HI]


@pytest.mark.parametrize(
    ("content", "more", "told"),
    [
        (None, {}, ""),
        ("", {}, ""),
        ("broken", {"is_error": True}, "Error: broken"),
        ("fine", {"is_error": False}, "fine"),
    ],
)
def test_what_a_tool_gave_is_told_in_words(content, more, told):
    assert messages(user(result(content, **more))) == [
        {"role": "tool", "tool_call_id": "toolu_1", "content": told}
    ]


def test_an_image_that_a_tool_gave_follows_from_the_user():
    image = {"type": "image", "source": {"type": "url", "url": "https://a.example/cat.png"}}
    tool, follows = messages(user(result([text("See:"), image]), text("What is it?")))
    assert (tool["role"], tool["content"]) == ("tool", "See:\n\nWhat else it gave follows below.")
    assert [part["type"] for part in follows["content"]] == ["image_url", "text"]


def test_an_answer_may_be_begun():
    begun = {"role": "assistant", "content": "It is"}
    assert messages(*HI, begun)[-1] == begun


def test_tools_are_functions():
    function = {"name": "weather", "description": "Of a city", "parameters": {"type": "object"}}
    search = {"type": "tool_search_tool_bm25_20251119", "name": "tool_search_tool_bm25"}
    told = asked(tools=[TOOL | CACHED, TOOL | {"type": "custom"}, search])
    assert told["tools"] == [{"type": "function", "function": function}] * 2


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ({"type": "auto"}, {}),
        ({"type": "none"}, {"tool_choice": "none"}),
        ({"type": "any"}, {"tool_choice": "required"}),
        (
            {"type": "tool", "name": "weather"},
            {"tool_choice": {"type": "function", "function": {"name": "weather"}}},
        ),
        ({"type": "auto", "disable_parallel_tool_use": True}, {"parallel_tool_calls": False}),
    ],
)
def test_which_tool_is_used_may_be_said(choice, told):
    assert asked(tools=[TOOL], tool_choice=choice) == asked(tools=[TOOL]) | told


@pytest.mark.parametrize(
    ("thinking", "effort", "told"),
    [
        (None, None, None),
        ({"type": "disabled"}, "high", None),
        ({"type": "adaptive"}, None, None),
        ({"type": "adaptive"}, "max", "xhigh"),
        (None, "low", "low"),
        ({"type": "enabled", "budget_tokens": 1024}, None, "low"),
        ({"type": "enabled", "budget_tokens": 4096}, None, "medium"),
        ({"type": "enabled", "budget_tokens": 31_999}, None, "high"),
        ({"type": "enabled", "budget_tokens": 31_999}, "medium", "medium"),
        ({"type": "enabled", "budget_tokens": -1}, None, "low"),
    ],
)
def test_thinking_is_an_effort(thinking, effort, told):
    config = {} if effort is None else {"output_config": {"effort": effort}}
    assert asked(thinking=thinking, **config).get("reasoning_effort") == told


@pytest.mark.parametrize("place", ["output_config", "output_format"])
def test_the_form_of_an_answer_is_a_schema(place):
    form = {"type": "json_schema", "schema": {"type": "object"}}
    told = asked(**{place: {"format": form} if place == "output_config" else form})
    named = {"name": "answer", "schema": {"type": "object"}}
    assert told["response_format"] == {"type": "json_schema", "json_schema": named}


def test_sequences_to_stop_at_are_remembered():
    body = {"model": "free", "messages": HI, "stop_sequences": ["END"]}
    read = read_request(msgspec.json.encode(body))
    assert (bytes(read.call.fields["stop"]), read.stop) == (b'["END"]', frozenset({"END"}))


def test_a_long_name_of_a_user_becomes_a_short_one():
    assert asked(metadata={"user_id": "alice"})["user"] == "alice"
    long = asked(metadata={"user_id": "device" * 20})["user"]
    assert (len(long), "device" in long) == (64, False)
    assert "user" not in asked(metadata={})


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"messages": []}, "messages is empty: send at least one message."),
        ({"messages": None}, "messages is missing: send at least one message."),
        ({"model": None}, "model is missing: name one, or free, free-fast or free-smart."),
        ({"max_tokens": 0}, "max_tokens: must be between 1 and 1e+07."),
        ({"max_tokens": "8"}, "max_tokens: Expected `int`, got `str`."),
        ({"stream": 1}, "stream: Expected `bool`, got `int`."),
        ({"messages": [{"role": "tool", "content": ""}]}, "messages[0].role: Invalid enum value 'tool'."),
        ({"messages": [user({"type": "audio"})]}, "messages[0].content[0].type: Invalid value 'audio'."),
        (
            {"messages": [user({"type": "server_tool_use", "id": "a", "name": "b", "input": {}})]},
            "messages[0].content[0].type: Invalid value 'server_tool_use'.",
        ),
        (
            {"messages": [user({"type": "thinking", "thinking": ""})]},
            "messages[0].content[0]: such a block cannot stand here.",
        ),
        (
            {"messages": [{"role": "assistant", "content": [result("x")]}]},
            "messages[0].content[0]: only text can stand here.",
        ),
        (
            {"messages": [{"role": "system", "content": [result("x")]}]},
            "messages[0].content: only text can stand here.",
        ),
        (
            {
                "messages": [
                    *HI,
                    user({"type": "document", "source": {"type": "url", "url": "https://a/b.pdf"}}),
                ]
            },
            (
                "messages[1].content[0].source.url: this gateway fetches nothing; send the document as base64"
                " or as text."
            ),
        ),
        (
            {"messages": [user({"type": "document", "source": {"type": "file", "file_id": "f"}})]},
            (
                "messages[0].content[0].source.file_id: the file is on Anthropic's servers; send it as base64"
                " or as text."
            ),
        ),
        (
            {"messages": [user({"type": "image", "source": {"type": "file", "file_id": "f"}})]},
            (
                "messages[0].content[0].source.file_id: the file is on Anthropic's servers; send it as base64"
                " or as text."
            ),
        ),
        (
            {"messages": [user({"type": "document", "source": PDF | {"media_type": "image/png"}})]},
            "messages[0].content[0].source.media_type: a document is text or application/pdf.",
        ),
        (
            {
                "messages": [
                    user({"type": "document", "source": PDF | {"media_type": "text/plain", "data": "?"}})
                ]
            },
            "messages[0].content[0].source.data: is not text in base64.",
        ),
        (
            {
                "system": "Be brief.",
                "messages": [*HI, user({"type": "image", "source": {"type": "url", "url": "ftp://a"}})],
            },
            "messages[1].content: must be a data: or an http(s) URL.",
        ),
        ({"messages": [user(result("x", tool_use_id=""))]}, "messages[0].content[0] is missing."),
        ({"tools": [{"name": "a"}]}, "tools[0].input_schema: is missing."),
        ({"tools": [{"input_schema": {}}]}, "tools[0].name: is missing."),
        (
            {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
            "tools[0].type: 'web_search_20250305' is a tool of Anthropic's own, which no model here knows.",
        ),
        ({"tool_choice": {"type": "any"}}, "tool_choice: asks for a call, but tools is empty."),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name: is missing."),
        ({"mcp_servers": [{"url": "https://a"}]}, "mcp_servers: only Anthropic's servers have that."),
        ({"container": "c"}, "container: only Anthropic's servers have that."),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "x"}}}},
            "output_config.format.schema: ",
        ),
    ],
)
def test_what_cannot_be_said_is_refused_in_anthropics_words(given, error):
    told = refused(**given)
    assert told.message.startswith(error)
    assert told.param is None or told.message.startswith(told.param)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
BLOCKS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(
            ["text", "image", "document", "tool_use", "tool_result", "thinking", "search_result", "x"]
        ),
        "text": st.text(max_size=4),
        "id": st.text(max_size=4),
        "name": st.text(max_size=4),
        "input": VALUES,
        "tool_use_id": st.text(max_size=4),
        "content": VALUES,
        "thinking": VALUES,
        "source": st.fixed_dictionaries(
            {"type": st.sampled_from(["base64", "url", "text", "file", "content"])},
            optional={"data": VALUES, "url": VALUES, "media_type": VALUES, "content": VALUES},
        ),
    },
)
BODIES = st.fixed_dictionaries(
    {
        "model": st.just("free"),
        "messages": st.lists(
            st.fixed_dictionaries(
                {
                    "role": st.sampled_from(["user", "assistant", "system"]),
                    "content": st.lists(BLOCKS, max_size=3) | st.text(max_size=4),
                }
            ),
            max_size=4,
        ),
    },
    optional={
        "system": VALUES,
        "tools": VALUES,
        "tool_choice": VALUES,
        "thinking": VALUES,
        "metadata": VALUES,
    },
)


@given(body=BODIES)
def test_whatever_is_asked_is_understood_or_refused(body):
    with contextlib.suppress(InvalidRequest):
        assert read_request(msgspec.json.encode(body)).call.model == "free"
