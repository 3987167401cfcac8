"""Quirks on the way out."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.domain.catalogue import Candidate, Key, Model, Provider, Quirks
from freeroute.engine.ports import Terms
from freeroute.upstreams.quirks import NotTaken, Outgoing, outgoing
from freeroute.upstreams.signatures import DUMMY_SIGNATURE
from freeroute.wire.decode import decode_chat

MESSAGES = b'[ {"role":"user", "content":"Hi\\u0021"} ]'
TERMS = Terms(connect=1, first_event=1, between_events=1, total=1)


def candidate(quirks: Quirks) -> Candidate:
    provider = Provider("p", "P", "http://p/v1", quirks=quirks)
    return Candidate(provider, Model("vendor/model", "model"), Key("k", "key-1"), "c", ())


def send(quirks: Quirks, terms: Terms = TERMS, messages: bytes = MESSAGES, **fields: object) -> Outgoing:
    rest = msgspec.json.encode(fields)[1:]
    body = b'{"model":"free","messages":' + messages + (b"," if fields else b"") + rest
    return outgoing(decode_chat(body), candidate(quirks), terms)


def sent(
    quirks: Quirks, terms: Terms = TERMS, messages: bytes = MESSAGES, **fields: object
) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.json.decode(send(quirks, terms, messages, **fields).body)
    return body


def talk(quirks: Quirks, *messages: object, without: str = "") -> list[Any]:
    terms = Terms(1, 1, 1, 1, without=frozenset({without} if without else ()))
    listed: list[Any] = sent(quirks, terms, msgspec.json.encode(messages))["messages"]
    return listed


def test_without_quirks_only_the_model_changes_and_bytes_stay():
    out = send(Quirks(), future=[1.0])
    assert out.body == b'{"model":"vendor/model","messages":' + MESSAGES + b',"future":[1.0]}'
    assert out.dropped == ()


def test_dropped_fields_are_named():
    out = send(Quirks(drops=("logit_bias", "user")), user="me", seed=1)
    assert b"user" not in out.body.replace(b'"role":"user"', b"")
    assert out.dropped == ("user",)


def test_a_whitelist_lets_nothing_else_through():
    out = send(Quirks(accepts=("temperature",)), temperature=1, top_k=5, max_tokens=9)
    assert msgspec.json.decode(out.body).keys() == {"model", "messages", "temperature", "max_tokens"}
    assert out.dropped == ("top_k",)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("functions", [{"name": "f"}]),
        ("stop", ["x"]),
        ("n", 2),
        ("modalities", ["text", "audio"]),
        ("audio", {"voice": "a", "format": "wav"}),
        ("prediction", {"type": "content", "content": "x"}),
        ("web_search_options", {}),
    ],
)
def test_a_whitelist_never_drops_what_the_caller_relies_on(field: str, value: Any):
    with pytest.raises(NotTaken) as caught:
        send(Quirks(accepts=("temperature",)), **{field: value})
    assert caught.value.field == field


def test_a_whitelist_drops_and_tells_what_changes_nothing():
    lost: dict[str, Any] = {
        "store": True,
        "metadata": {"a": "b"},
        "service_tier": "auto",
        "verbosity": "low",
        "user": "me",
        "prompt_cache_key": "k",
        "safety_identifier": "s",
    }
    out = send(Quirks(accepts=()), **lost, n=1, logprobs=False, modalities=["text"])
    assert msgspec.json.decode(out.body).keys() == {"model", "messages"}
    assert set(out.dropped) == {*lost, "n", "logprobs", "modalities"}


def test_a_whitelist_may_use_either_name_of_a_renamed_field():
    for name in ("seed", "random_seed"):
        assert sent(Quirks(accepts=(name,), renames={"seed": "random_seed"}), seed=7)["random_seed"] == 7


@pytest.mark.parametrize(("given", "sent_as"), [(1.9, 1.5), (1.2, 1.2), (0, 0)])
def test_numbers_are_clamped(given: float, sent_as: float):
    assert sent(Quirks(clamps={"temperature": (0, 1.5)}), temperature=given)["temperature"] == sent_as


@pytest.mark.parametrize(
    ("quirks", "fields", "told"),
    [
        (Quirks(clamps={"temperature": (0, 1.5)}), {"temperature": 1.9}, ("temperature=1.5",)),
        (Quirks(clamps={"temperature": (0, 1.5)}), {"temperature": 1.5}, ()),
        (Quirks(clamps={"presence_penalty": (0, 1)}), {"presence_penalty": -1.5}, ("presence_penalty=0",)),
        (Quirks(efforts={"*": ("none", "high")}), {"reasoning_effort": "low"}, ("reasoning_effort=high",)),
        (Quirks(efforts={"*": ("none", "high")}), {"reasoning_effort": "high"}, ()),
    ],
)
def test_values_that_are_changed_are_told(quirks: Quirks, fields: dict[str, Any], told: tuple[str, ...]):
    assert send(quirks, **fields).dropped == told


def test_members_of_messages_are_told_only_where_there_were_any():
    terms = Terms(1, 1, 1, 1, without=frozenset({"messages[].mood"}))
    some = b'[{"role":"user","content":"Hi","name":"a","mood":1},{"role":"user","content":"name"}]'
    none = b'[{"role":"user","content":"\\"name\\" and mood"}]'
    assert send(Quirks(message_name=False), terms, some).dropped == ("messages[].name", "messages[].mood")
    assert send(Quirks(message_name=False), terms, none).dropped == ()
    assert msgspec.json.decode(send(Quirks(), terms, some).body)["messages"][0].keys() == {
        "role",
        "content",
        "name",
    }


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_the_output_bound_travels_under_the_name_the_provider_reads(field: str):
    body = sent(Quirks(output_field=field), max_tokens=100, max_completion_tokens=50)
    assert {k: v for k, v in body.items() if k.startswith("max")} == {field: 50}


def test_the_terms_bound_overrides_the_callers():
    terms = Terms(1, 1, 1, 1, max_output=7)
    assert sent(Quirks(), terms, max_completion_tokens=50)["max_completion_tokens"] == 7
    assert sent(Quirks(), terms)["max_tokens"] == 7
    assert (
        sent(Quirks(output_field="max_completion_tokens"), terms, max_tokens=9)["max_completion_tokens"] == 7
    )


def test_a_default_bound_is_sent_only_where_none_is_given():
    quirks = Quirks(default_max_tokens=256, output_field="max_tokens")
    assert sent(quirks)["max_tokens"] == 256
    assert sent(quirks, max_completion_tokens=9)["max_tokens"] == 9


@given(
    told=st.dictionaries(st.sampled_from(["max_tokens", "max_completion_tokens", "seed"]), st.integers(1, 9)),
    field=st.sampled_from(["both", "max_tokens", "max_completion_tokens"]),
    most=st.none() | st.integers(-1, 9),
    default=st.none() | st.integers(1, 9),
    without=st.frozensets(st.sampled_from(["max_tokens", "max_completion_tokens"])),
)
def test_the_bound_stands_once_under_each_name_that_is_read_and_nowhere_else(
    told, field, most, default, without
):
    terms = Terms(1, 1, 1, 1, without=without, max_output=most)
    body = sent(Quirks(output_field=field, default_max_tokens=default), terms, **told)
    asked = decode_chat(
        msgspec.json.encode({"model": "m", "messages": [{"role": "user", "content": "Hi"}], **told})
    ).demand.max_output
    bound = next((one for one in (most, asked, default) if one is not None), None)
    left = {name: value for name, value in told.items() if name not in without}
    if bound is not None:
        names = [name for name in left if name != "seed"] or ["max_tokens"]
        if field != "both":
            left = {"seed": left["seed"]} if "seed" in left else {}
            names = [field]
        left |= {name: max(1, bound) for name in names if name not in without}
    assert list(body.items())[2:] == list(left.items())


def test_usage_is_always_asked_of_a_stream_that_can_tell_it():
    assert sent(Quirks(), stream=True)["stream_options"] == {"include_usage": True}
    options = {"include_usage": False, "include_obfuscation": False}
    body = sent(Quirks(), stream=True, stream_options=options)
    assert body["stream_options"] == {"include_obfuscation": False, "include_usage": True}


def test_stream_options_do_not_travel_where_they_have_no_place():
    asked = {"include_usage": True}
    assert "stream_options" not in sent(Quirks(stream_usage=False), stream=True, stream_options=asked)
    terms = Terms(1, 1, 1, 1, without=frozenset({"stream_options"}))
    assert "stream_options" not in sent(Quirks(), terms, stream=True)


def test_parameters_refused_before_are_left_out():
    terms = Terms(1, 1, 1, 1, without=frozenset({"seed", "penalties"}))
    out = send(Quirks(), terms, seed=1, presence_penalty=1, top_k=2)
    assert msgspec.json.decode(out.body).keys() == {"model", "messages", "top_k"}
    assert out.dropped == ("presence_penalty", "seed")


@pytest.mark.parametrize(
    ("known", "asked", "told"),
    [
        (("none", "high"), "none", "none"),
        (("none", "high"), "minimal", "none"),
        (("none", "high"), "low", "high"),
        (("none", "high"), "xhigh", "high"),
        (("low", "medium", "high"), "none", "low"),
        (("low", "medium", "high"), "medium", "medium"),
    ],
)
def test_an_effort_that_a_model_does_not_know_becomes_the_nearest(known, asked, told):
    quirks = Quirks(efforts={"other/*": ("xhigh",), "Vendor/*": known})
    assert sent(quirks, reasoning_effort=asked)["reasoning_effort"] == told
    assert sent(Quirks(efforts={"other/*": known}), reasoning_effort=asked)["reasoning_effort"] == asked


def test_a_router_is_told_to_honour_what_has_to_be_honoured():
    router, insisting = Quirks(require_parameters=True), {"require_parameters": True}
    assert sent(router, seed=7, provider=insisting)["provider"] == insisting
    assert "provider" not in sent(router, seed=7)
    assert "provider" not in sent(router, provider=insisting)
    assert "provider" not in sent(Quirks(), seed=7, provider=insisting)


def test_names_are_taken_out_of_messages():
    messages = (
        {"role": "user", "name": "ann", "content": "x"},
        {"role": "function", "name": "f", "content": "y"},
    )
    assert talk(Quirks(message_name=False), *messages) == [{"role": "user", "content": "x"}, messages[1]]


def test_a_developer_speaks_as_system():
    message = {"role": "developer", "content": "x"}
    assert talk(Quirks(), message)[0]["role"] == "system"
    assert talk(Quirks(developer_role=True), message)[0]["role"] == "developer"


CALLED = {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"name": "f"}}]}


def test_null_content_beside_tool_calls_becomes_empty():
    assert talk(Quirks(tool_content_null=False), CALLED)[0]["content"] == ""
    assert talk(Quirks(), CALLED)[0]["content"] is None


def test_text_parts_are_joined_but_pictures_stay():
    text = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    quirks = Quirks(flatten_content=True)
    assert talk(quirks, {"role": "user", "content": text})[0]["content"] == "a\nb"
    assert talk(quirks, {"role": "user", "content": [*text, picture]})[0]["content"] == [*text, picture]


def test_a_turn_of_another_model_gets_the_dummy_signature():
    call = talk(Quirks(echo_signature=True), CALLED)[0]["tool_calls"][0]
    assert call["extra_content"] == {"google": {"thought_signature": DUMMY_SIGNATURE}}


def test_a_signature_that_is_there_is_kept():
    signed = {"id": "1", "function": {"name": "f"}, "extra_content": {"google": {"thought_signature": "s"}}}
    message = {**CALLED, "tool_calls": [signed, {"id": "2", "function": {"name": "g"}}]}
    assert talk(Quirks(echo_signature=True), message)[0]["tool_calls"] == message["tool_calls"]


def test_a_refused_member_of_messages_is_taken_out_of_each():
    message = {"role": "assistant", "content": "x", "reasoning_content": "hm"}
    assert talk(Quirks(), message, without="messages[].reasoning_content") == [
        {"role": "assistant", "content": "x"}
    ]


def test_keywords_a_provider_does_not_read_leave_the_tool_schemas_only():
    schema = {
        "$schema": "http://x",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "additionalProperties": {"type": "string", "default": {"$schema": 1}},
            "place": {"$ref": "#/$defs/Place", "description": "where"},
        },
        "$defs": {"Place": {"type": "object", "properties": {"in": {"$ref": "#/$defs/Place"}}}},
    }
    tools = [{"type": "function", "function": {"name": "f", "parameters": schema}}]
    quirks = Quirks(schema_strips=("$schema", "additionalProperties", "$ref", "$defs"))
    body = sent(quirks, tools=tools)
    seen = body["tools"][0]["function"]["parameters"]
    assert seen.keys() == {"type", "properties"}
    assert seen["properties"]["additionalProperties"] == {"type": "string", "default": {"$schema": 1}}
    assert seen["properties"]["place"]["type"] == "object"
    assert seen["properties"]["place"]["description"] == "where"
    assert "$ref" not in msgspec.json.encode(seen).decode()


def test_references_that_multiply_end():
    layer = {f"L{i}": {"anyOf": [{"$ref": f"#/$defs/L{i + 1}"}] * 10} for i in range(14)}
    schema = {"anyOf": [{"$ref": "#/$defs/L0"}], "$defs": layer}
    tools = [{"type": "function", "function": {"name": "f", "parameters": schema}}]
    assert len(send(Quirks(schema_strips=("$ref", "$defs")), tools=tools).body) < 100_000


# --- an answer that has begun ----------------------------------------------------------------------------


def continued(quirks: Quirks, begun: str = "So far, \n", **fields: object) -> dict[str, Any]:
    body = msgspec.json.encode({"model": "free", "messages": [{"role": "user", "content": "Hi"}], **fields})
    call = msgspec.structs.replace(decode_chat(body), begun=begun)
    out: dict[str, Any] = msgspec.json.decode(outgoing(call, candidate(quirks), TERMS).body)
    return out


@pytest.mark.parametrize(
    ("how", "member", "fields"),
    [
        ("trailing_assistant", {}, {}),
        ("prefix_flag", {"prefix": True}, {}),
        ("continue_final_message", {}, {"continue_final_message": True, "add_generation_prompt": False}),
    ],
)
def test_an_answer_that_has_begun_is_given_to_models_that_go_on_with_it(how, member, fields):
    body = continued(Quirks(prefill=how, accepts=("temperature",)))
    assert body.pop("messages")[1:] == [{"role": "assistant", "content": "So far,", **member}]
    assert body == {"model": "vendor/model", **fields}


def test_other_models_begin_anew():
    body = continued(Quirks(), max_tokens=10)
    assert (len(body["messages"]), body["max_tokens"]) == (1, 10)


def test_what_was_said_already_is_taken_off_the_output_bound():
    prefilled = Quirks(prefill="trailing_assistant")
    assert continued(prefilled, "x" * 36, max_tokens=100)["max_tokens"] == 90
    assert continued(prefilled, "x" * 36, max_tokens=5)["max_tokens"] == 1
