"""Chat requests that are refused: by which name, and never with more than an error of the caller's."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freeroute.errors import InvalidRequest
from freeroute.wire.decode import decode_chat

HELLO = {"model": "free-fast", "messages": [{"role": "user", "content": "Hello!"}]}
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


def refused(body: bytes) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        decode_chat(body)
    return caught.value


BAD = [
    ({"model": None}, "model"),
    ({"model": ""}, "model"),
    ({"model": 7}, "model"),
    ({"model": "a\r\nb"}, "model"),
    ({"model": "a\x00"}, "model"),
    ({"model": "x" * 300}, "model"),
    ({"models": ["ok", "a\nb"]}, "models[1]"),
    ({"models": "x"}, "models"),
    ({"messages": None}, "messages"),
    ({"messages": []}, "messages"),
    ({"messages": "hi"}, "messages"),
    ({"messages": ["hi"]}, "messages[0]"),
    ({"messages": [{"content": "hi"}]}, "messages[0]"),
    ({"messages": [{"role": "wizard", "content": "hi"}]}, "messages[0].role"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": []}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": [{"type": "smell"}]}]}, "messages[0].content[0].type"),
    ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0]"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
    ({"max_tokens": -1}, "max_tokens"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": 10**30}, "max_tokens"),
    ({"max_tokens": "12"}, "max_tokens"),
    ({"max_tokens": True}, "max_tokens"),
    ({"max_completion_tokens": 1.5}, "max_completion_tokens"),
    ({"temperature": 3}, "temperature"),
    ({"temperature": "hot"}, "temperature"),
    ({"top_p": -0.1}, "top_p"),
    ({"n": 0}, "n"),
    ({"seed": 2**70}, "seed"),
    ({"stream": "yes"}, "stream"),
    ({"stop": [1]}, "stop[0]"),
    ({"tools": {}}, "tools"),
    ({"tools": [{"type": "function"}]}, "tools[0].function"),
    ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
    (
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": "x"}}]},
        "tools[0].function.parameters",
    ),
    ({"tools": [TOOL], "tool_choice": "some"}, "tool_choice"),
    ({"tools": [TOOL], "tool_choice": 1}, "tool_choice"),
    ({"tools": [TOOL], "tool_choice": {"type": "function"}}, "tool_choice"),
    ({"tools": [TOOL], "tool_choice": {"function": {"name": 3}}}, "tool_choice.function.name"),
    ({"tool_choice": "required"}, "tool_choice"),
    ({"tool_choice": {"type": "function", "function": {"name": "f"}}, "tools": []}, "tool_choice"),
    ({"function_call": {"name": "f"}}, "function_call"),
    ({"functions": [{"name": "f", "parameters": []}]}, "functions[0].parameters"),
    ({"metadata": "x"}, "metadata"),
    ({"reasoning_effort": "huge"}, "reasoning_effort"),
    ({"reasoning_effort": 3}, "reasoning_effort"),
    ({"stream_options": {"include_usage": True}}, "stream_options"),
    ({"stream": False, "stream_options": {}}, "stream_options"),
    ({"messages": [{"role": "assistant"}]}, "messages[0].content"),
    ({"messages": [{"role": "assistant", "content": None, "tool_calls": []}]}, "messages[0].content"),
    ({"response_format": {"type": "xml"}}, "response_format.type"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "objekt"}}}},
        "response_format.json_schema.schema",
    ),
    ({"provider": "groq"}, "provider"),
    ({"provider": {"order": "groq"}}, "provider.order"),
    ({"provider": {"zdr": True}}, "provider.zdr"),
    ({"provider": {"sort": "latency"}}, "provider.sort"),
    ({"provider": {"quantizations": ["fp8"]}}, "provider.quantizations"),
    ({"provider": {"max_price": {"prompt": -1}}}, "provider.max_price.prompt"),
    ({"provider": {"data_collection": "sell"}}, "provider.data_collection"),
]


@pytest.mark.parametrize(("fields", "param"), BAD)
def test_a_bad_field_is_refused_by_name(fields: dict[str, object], param: str):
    error = refused(msgspec.json.encode({**HELLO, **fields}))
    assert error.param == param
    assert error.status == 400


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://x/y",
        "",
        "javascript:1",
        "data:,",
        "data:image/png,AAAA",
        "data:image/png;base64,",
        "data:image/png;base64",
        "data:image/svg+xml;base64,<svg/>",
        "data:image/png;base64," + " " * 100_000 + "!",
    ],
)
def test_an_image_is_never_anything_but_data_or_a_web_address(url: str):
    body = {
        **HELLO,
        "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}],
    }
    assert refused(msgspec.json.encode(body)).param == "messages[0].content[0].image_url.url"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  ",
        b"{",
        b"nonsense",
        b"[]",
        b"7",
        b"null",
        b'{"model":"m","messages":[{"role":"user","content":"\xff"}]}',
        b'{"model":"m","messages":[{"role":"user","content":"x"}],"temperature":NaN}',
        b'{"model":"m","messages":[{"role":"user","content":"x"}],"temperature":1e999}',
        b'{"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":' + b"9" * 5000 + b"}",
        b'{"model":"m","messages":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        b'{"a":' * 50_000,
        b'{"model":"\\ud800","messages":[{"role":"user","content":"x"}]}',
    ],
)
def test_a_malformed_body_is_the_callers_error_and_says_so(body: bytes):
    error = refused(body)
    assert error.status == 400
    assert len(error.message) < 300


def test_an_error_repeats_little_of_what_the_caller_wrote():
    secret = "the launch code is 0000 " * 10
    error = refused(msgspec.json.encode({**HELLO, "messages": [{"role": secret, "content": "x"}]}))
    assert "launch" not in error.message


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KNOWN = st.sampled_from(
    [
        "model",
        "messages",
        "stream",
        "stop",
        "tools",
        "n",
        "provider",
        "models",
        "max_tokens",
        "stream_options",
        "tool_choice",
        "function_call",
        "metadata",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(KNOWN, JSON, max_size=5))
def test_any_json_is_a_call_or_a_400(fields: dict[str, object]):
    body = msgspec.json.encode({**HELLO, **fields})
    try:
        assert decode_chat(body).model
    except InvalidRequest as exc:
        assert exc.param  # noqa: PT017


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_a_call_or_a_400(body: bytes):
    with pytest.raises(InvalidRequest):
        decode_chat(body)


def test_a_long_body_with_half_a_character_is_refused_without_a_search_for_it():
    long = b'{"model":"m","messages":[{"role":"user","content":"' + b"\\n" * 2**20 + b'\\ud800"}]}'
    assert "surrogate pair, no character" not in refused(long).message
    assert "surrogate pair, no character" in refused(long[:60] + long[-12:]).message
