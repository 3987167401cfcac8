"""Decoding a chat request: what is read and what passes through."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.domain.outcome import PREFILL
from freeroute.domain.usage import demand_of
from freeroute.errors import InvalidRequest
from freeroute.wire.decode import decode_chat

HELLO = {"model": "free-fast", "messages": [{"role": "user", "content": "Hello!"}]}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


def decoded(**fields: object):
    return decode_chat(msgspec.json.encode({**HELLO, **fields}))


def saying(*parts: object):
    return decoded(messages=[{"role": "user", "content": list(parts)}])


def test_the_first_request_anyone_sends_is_understood():
    call = decode_chat(b'{"model": "free-fast", "messages": [{"role": "user", "content": "Hello!"}]}')
    assert call.model == "free-fast"
    assert not call.stream
    assert call.needs == frozenset()
    assert call.demand.every() == demand_of(b"Hello!", messages=1, images=0).every()
    assert call.demand.max_output is None
    assert not call.has_assistant


def test_unknown_fields_pass_through_with_their_bytes():
    call = decode_chat(b'{"model":"m","messages":[{"role":"user","content":"x"}],"future": {"b" :1e2}}')
    assert bytes(call.fields["future"]) == b'{"b" :1e2}'


def test_the_gateways_own_fields_do_not_travel():
    call = decoded(provider={"only": ["groq"]}, models=["a", "b"], route="fallback", freeroute={})
    assert set(call.fields) == {"model", "messages"}
    assert call.models == ("a", "b")
    assert call.preferences.only == ("groq",)


def test_a_known_field_that_says_nothing_does_not_travel():
    assert set(decoded(temperature=None, tools=[], unknown=None).fields) == {"model", "messages", "unknown"}


def test_the_schema_an_answer_has_to_fit_is_read():
    def schema(**given):
        return decoded(response_format={"type": "json_schema", "json_schema": {"name": "x", **given}}).schema

    assert schema(schema={"type": "object"}) == b'{"type":"object"}'
    assert schema() == schema(schema=None) == b"true"
    assert decoded(response_format={"type": "json_object"}).schema is None


def test_parameters_that_must_be_honoured_are_named_only_if_the_caller_insists():
    fields = {
        "seed": 7,
        "n": 1,
        "top_p": 1.0,
        "stop": ["x"],
        "future": {"a": 1},
        "max_tokens": 5,
        "user": None,
    }
    assert decoded(**fields).parameters == {}
    assert decoded(**fields, provider={"require_parameters": False}).parameters == {}
    insisting = decoded(**fields, provider={"require_parameters": True})
    assert insisting.parameters == {"seed": 7, "stop": ["x"], "future": None}
    assert set(insisting.fields) >= {"seed", "n", "max_tokens"}


def test_the_tools_on_offer_are_known_by_name():
    assert decoded(tools=[TOOL, TOOL]).tools == ("look", "look")
    assert decoded(functions=[{"name": "f"}]).tools == ("f",)
    assert decoded(tools=[]).tools == ()


def test_the_smaller_output_bound_counts():
    assert decoded(max_tokens=100, max_completion_tokens=50).demand.max_output == 50
    assert decoded(max_tokens=100).demand.max_output == 100


def test_models_alone_name_the_model():
    body = {"messages": HELLO["messages"], "models": ["a/b", "free"]}
    assert decode_chat(msgspec.json.encode(body)).model == "a/b"


@pytest.mark.parametrize(
    ("fields", "needs"),
    [
        ({"tools": [TOOL]}, {"tools"}),
        ({"functions": [{"name": "f"}]}, {"tools"}),
        ({"response_format": {"type": "text"}}, set()),
        ({"response_format": {"type": "json_object"}}, {"json_object"}),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}}, {"json_schema"}),
        ({"modalities": ["text", "audio"]}, {"audio_output"}),
    ],
)
def test_needs_come_from_the_fields(fields: dict[str, object], needs: set[str]):
    assert decoded(**fields).needs == needs


def test_needs_come_from_the_parts_of_messages():
    assert saying(PICTURE).needs == {"images"}
    assert saying({"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}).needs == {"audio"}
    assert saying({"type": "file", "file": {"file_data": "AA"}}).needs == {"files"}


def test_a_remote_image_is_told_from_one_that_travels_along():
    assert not saying(PICTURE).remote_images
    call = saying(PICTURE, {"type": "image_url", "image_url": {"url": "HTTPS://example.org/a.png"}})
    assert call.remote_images


def test_images_and_tool_schemas_count_into_the_prompt_but_not_the_base64():
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100_000}}
    assert 700 < saying(picture).demand.prompt < 1000
    assert decoded(tools=[TOOL] * 20).demand.prompt > decoded().demand.prompt + 300


def test_stream_usage_is_asked_only_with_a_stream():
    assert decoded(stream=True, stream_options={"include_usage": True}).include_usage
    assert not decoded(stream=True).include_usage
    assert not decoded(stream=True, stream_options={"include_usage": False}).include_usage


def test_a_conversation_that_went_on_is_recognised():
    talk = [
        {"role": "system", "content": ""},
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"name": "f"}}]},
        {"role": "tool", "tool_call_id": "1", "content": "y"},
    ]
    assert decoded(messages=talk).has_assistant


def test_a_conversation_opens_the_same_way_in_all_its_turns():
    opening = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is a lease?"}]
    more = [{"role": "assistant", "content": "A promise."}, {"role": "user", "content": "And a hold?"}]
    first, second = decoded(messages=opening), decoded(messages=opening + more)
    assert (first.opening, first.has_assistant) == (second.opening, False)
    assert second.has_assistant
    others = (opening[1:], [opening[0], more[1]], [{"role": "user", "content": "Be brief.What is a lease?"}])
    assert len({first.opening, *(decoded(messages=other).opening for other in others)}) == 4


def test_a_greeting_of_the_assistant_does_not_hide_what_the_user_asks_first():
    greeting = {"role": "assistant", "content": "Hi!"}
    openings = {
        decoded(messages=[greeting, {"role": "user", "content": text}]).opening for text in ("one", "two")
    }
    assert len(openings) == 2


def test_little_is_read_of_a_long_opening():
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 10_000}}
    parts = [{"type": "text", "text": "é" * 10_000}, image] * 10
    messages = [{"role": "system", "content": parts}] * 10
    other_ends = [{"type": "text", "text": "é" * 9_999 + "e"}, image] * 5
    opening = decoded(messages=messages).opening
    assert opening == decoded(messages=[*messages[:3], {"role": "system", "content": other_ends}]).opening
    assert opening != decoded(messages=[*messages[:1], {"role": "user", "content": parts}]).opening


@pytest.mark.parametrize(
    ("fields", "features"),
    [
        ({"logprobs": True, "top_logprobs": 3, "n": 2}, {"logprobs", "n"}),
        ({"logprobs": False, "n": 1, "prediction": None}, set()),
        ({"prediction": {"type": "content", "content": "x"}, "web_search_options": {}, "seed": 1}, None),
    ],
)
def test_features_are_fields_that_ask_for_more_than_every_answer_has(fields, features):
    expected = {"prediction", "web_search_options"} if features is None else features
    assert decoded(**fields).features == expected


def test_a_last_message_of_the_assistant_s_asks_for_its_continuation():
    asked = {"role": "user", "content": "Count!"}
    begun = {"role": "assistant", "content": "One, two,"}
    assert decoded(messages=[asked, begun]).features == {PREFILL}
    assert decoded(messages=[asked, begun, asked]).features == set()


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [TOOL], "tool_choice": "required"},
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "look"}}},
        {"tool_choice": "none"},
        {"functions": [{"name": "f"}], "function_call": {"name": "f"}},
        {"metadata": {"a": "b"}},
        {"reasoning_effort": "xhigh"},
        {"max_output_tokens": -5},
        {"stream": True, "stream_options": {"include_obfuscation": False}},
    ],
)
def test_what_some_provider_can_serve_is_let_through_as_it_came(fields: dict[str, object]):
    call = decoded(**fields)
    for name, value in fields.items():
        assert msgspec.json.decode(call.fields[name]) == value


@pytest.mark.parametrize(
    "said",
    [
        {"content": ""},
        {"function_call": {"name": "f", "arguments": "{}"}},
        {"refusal": "no"},
        {"audio": {"id": "a"}},
        {"tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
    ],
)
def test_an_assistant_that_said_anything_may_leave_out_the_rest(said: dict[str, object]):
    assert decoded(messages=[{"role": "assistant", **said}]).has_assistant


def test_price_wishes_hold_for_free_models():
    assert (
        decoded(provider={"max_price": {"prompt": "0"}, "sort": "price", "zdr": False}).preferences.order
        == ()
    )
    assert not decoded(provider={"allow_fallbacks": False}).preferences.allow_fallbacks
    assert decoded(provider={"data_collection": "deny"}).preferences.data_collection == "deny"


_ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, 0, 1, 2, -1, 1.0, 0.5, 2.5, True, False, "", "x", [], ["x"], {}, 10**7, 10**8, 2**63]
)
_PLAIN = st.fixed_dictionaries(
    {},
    optional={
        "model": st.sampled_from(["m", "", " ", "a\nb", "x" * 257]) | _ODD,
        "messages": st.sampled_from([HELLO["messages"], [], [{"role": "user"}], [{"role": "nobody"}]]) | _ODD,
        "stream_options": st.sampled_from([{"include_usage": True}, {"include_usage": None}]) | _ODD,
        **dict.fromkeys(("stream", "max_tokens", "max_completion_tokens", "seed", "user"), _ODD),
        **dict.fromkeys(("temperature", "top_p", "presence_penalty", "frequency_penalty"), _ODD),
    },
)


def understood(fields: dict[str, object]) -> tuple[object, ...]:
    """Return what is made of *fields*, or how they are refused."""
    try:
        call = decode_chat(msgspec.json.encode(fields))
    except InvalidRequest as error:
        return error.message, error.param
    named = {name: bytes(raw) for name, raw in call.fields.items() if name != "future"}
    demand = (call.demand.every(), call.demand.max_output)
    return named, call.model, demand, call.stream, call.include_usage, call.opening, call.needs, call.features


@given(_PLAIN, st.booleans())
def test_what_most_requests_have_is_read_the_same_beside_other_fields(fields, whole):
    asked = {**HELLO, **fields} if whole else fields
    assert understood(asked) == understood({**asked, "future": 1})
