"""Whatever a provider writes for an answer, what goes on has OpenAI's form; what has it keeps its bytes."""

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import TypeAdapter

from freeroute.wire.answers import Piece, inspect, is_finished
from freeroute.wire.mending import Mender, mended_usage
from freeroute.wire.strict import has_form, inspect_chunk, inspect_whole

CHUNKS, WHOLES = TypeAdapter(ChatCompletionChunk), TypeAdapter(ChatCompletion)
HEAD = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}


def mender() -> Mender:
    return Mender(model="vendor/model", created=7)


def chunk(**fields: Any) -> dict[str, Any]:
    payload = msgspec.json.encode({"choices": [{"delta": {"content": "Hi"}}]} | fields)
    piece = inspect_chunk(payload)
    assert piece is not None
    value: dict[str, Any] = msgspec.json.decode(mender().chunk(payload, piece))
    return value


def whole(**choice: Any) -> dict[str, Any]:
    payload = msgspec.json.encode({"choices": [{"message": {"content": "Hi"}} | choice]})
    piece = inspect_whole(payload)
    assert piece is not None
    value: dict[str, Any] = msgspec.json.decode(mender().whole(payload, piece))
    return value


def test_what_has_the_form_keeps_its_bytes():
    payload = msgspec.json.encode({**HEAD, "choices": [{"index": 0, "delta": {"content": "Hi"}}], "new": 1.0})
    piece = inspect_chunk(payload)
    assert piece is not None
    assert has_form(piece)
    assert mender().chunk(payload, piece) is payload


def test_an_identity_is_filled_in_and_the_same_for_a_whole_stream():
    bare, named = b'{"choices":[{"delta":{"content":"x"}}]}', b'{"id":"own","choices":[]}'
    mend = mender()
    ids = [msgspec.json.decode(mend.chunk(one, inspect(one) or Piece()))["id"] for one in (named, bare, bare)]
    assert ids == ["own"] * 3
    made = chunk()
    assert made.pop("id").startswith("chatcmpl-")
    assert (made["object"], made["created"], made["model"]) == ("chat.completion.chunk", 7, "vendor/model")
    assert mend.like(None).id == "own"


def test_a_finish_is_told_in_openais_words_and_in_the_providers_own():
    choice = whole(finish_reason="MAX_TOKENS")["choices"][0]
    assert (choice["finish_reason"], choice["native_finish_reason"]) == ("length", "MAX_TOKENS")


def test_a_finish_that_is_none_is_null_and_no_finish_is_made_up():
    call = {"id": "c", "function": {"name": "f", "arguments": {"a": [1]}}}
    [choice] = whole(message={"tool_calls": [call]}, finish_reason="")["choices"]
    assert choice["finish_reason"] is None
    assert choice["message"]["tool_calls"][0]["function"]["arguments"] == '{"a": [1]}'
    assert chunk()["choices"][0]["finish_reason"] is None


def test_a_service_tier_that_openai_does_not_know_is_none():
    assert chunk(service_tier="on_demand")["service_tier"] is None
    assert chunk(service_tier="flex")["service_tier"] == "flex"


def test_usage_gets_its_total_and_keeps_what_it_tells_beside():
    raw = {"prompt_tokens": 3.0, "completion_tokens": 2, "cost": 0.5, "prompt_tokens_details": {"x": "y"}}
    assert mended_usage(raw) == {
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "total_tokens": 5,
        "cost": 0.5,
        "prompt_tokens_details": {},
    }
    assert mended_usage({"prompt_tokens": None}) is None


def test_counts_below_nothing_are_none():
    raw = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    details = {"prompt_tokens_details": {"cached_tokens": -3, "text_tokens": 5}}
    assert mended_usage(raw | details) == raw | {"prompt_tokens_details": {"text_tokens": 5}}
    assert mended_usage({**raw, "prompt_tokens": -5, "total_tokens": -3}) == {
        **raw,
        "prompt_tokens": 0,
        "total_tokens": 2,
    }


def test_thoughts_that_only_the_total_knows_are_told_as_such():
    raw = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 40}
    assert mended_usage(raw) == {
        "prompt_tokens": 10,
        "completion_tokens": 30,
        "total_tokens": 40,
        "completion_tokens_details": {"reasoning_tokens": 25},
    }


SCALARS = (
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-2, 2) | st.sampled_from(["", "x", "stop"])
)
NAMES = """
index id type function name arguments tokens token logprob top_logprobs bytes content text
prompt_tokens completion_tokens total_tokens completion_tokens_details reasoning_tokens
"""
HEADS = ("id", "object", "created", "model", "usage", "service_tier", "system_fingerprint")
NEAR: st.SearchStrategy[Any] = st.recursive(
    SCALARS | st.sampled_from(["assistant", "function", "chat.completion.chunk"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES.split()), inner, max_size=6)
    ),
    max_leaves=6,
)
ANY_SAID = st.dictionaries(
    st.sampled_from(["role", "content", "refusal", "tool_calls", "function_call", "reasoning"]), NEAR
)
CALL = st.dictionaries(st.sampled_from(["index", "id", "type", "function", "extra"]), NEAR)
SAID = ANY_SAID | st.builds(
    lambda said, calls: said | {"tool_calls": calls}, ANY_SAID, st.lists(CALL, max_size=3)
)
CHOICE = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("index", "finish_reason", "logprobs"), NEAR) | {"delta": SAID, "message": SAID},
)
TOP = st.fixed_dictionaries(
    {"choices": st.lists(CHOICE, max_size=3)},
    optional=dict.fromkeys(HEADS, NEAR),
)


@settings(max_examples=200, deadline=None)
@given(TOP)
def test_whatever_an_answer_lacks_it_goes_on_in_the_form(value: dict[str, Any]):
    payload = msgspec.json.encode(value)
    piece = inspect_chunk(payload)
    if piece is not None:
        CHUNKS.validate_json(mender().chunk(payload, piece), strict=True)
    piece = inspect_whole(payload)
    if piece is not None and is_finished(piece):
        WHOLES.validate_json(mender().whole(payload, piece), strict=True)
