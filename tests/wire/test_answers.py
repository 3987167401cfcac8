"""Looking into answers: what counts as one, how it ended, what it used."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freeroute.domain.usage import Usage
from freeroute.wire import answers


def chunk(delta: object, **choice: object) -> answers.Piece:
    piece = answers.inspect(msgspec.json.encode({"choices": [{"index": 0, "delta": delta, **choice}]}))
    assert piece is not None
    return piece


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "Hi"},
        {"content": [{"type": "text", "text": "Hi"}]},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}]},
        {"reasoning": "Hm"},
        {"reasoning_content": "Hm"},
        {"refusal": "No"},
        {"tool_calls": [{"id": "1", "function": {"name": "look"}}]},
    ],
)
def test_something_to_read_is_meaningful(delta: object):
    assert answers.is_meaningful(chunk(delta))


@pytest.mark.parametrize(
    "delta",
    [
        {},
        {"role": "assistant"},
        {"role": "assistant", "content": ""},
        {"content": " \n"},
        {"content": None, "reasoning": None},
        {"content": []},
        {"tool_calls": []},
        {"tool_calls": [None, {}, {"id": "1", "function": {"name": ""}}]},
        {"tool_calls": {"name": "look"}},
    ],
)
def test_a_role_or_a_blank_is_not(delta: object):
    assert not answers.is_meaningful(chunk(delta))
    assert not answers.is_meaningful(chunk(delta, finish_reason="stop"))


def test_a_finish_is_read():
    assert chunk({}, finish_reason="length").finish == "length"
    assert chunk({}).finish is None


@pytest.mark.parametrize("told", [None, "", 7, {}])
def test_what_is_no_finish_is_none_and_only_tool_calls_speak_for_themselves(told: object):
    unfinished = {"index": 0, "message": {"content": "Hi"}, "finish_reason": told}
    called = {"index": 1, "message": {"tool_calls": [{"id": "1"}]}}
    ended = {"index": 2, "message": None, "finish_reason": "eos"}
    body = msgspec.json.encode({"choices": [unfinished, called, ended]})
    before, after = answers.inspect(body), answers.inspect(answers.with_finish(body, "length"))
    assert before is not None
    assert after is not None
    assert not answers.is_finished(before)
    assert answers.is_finished(after)
    assert [choice.finish_reason for choice in after.choices or ()] == ["length", "tool_calls", "eos"]


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "x"}},
        {"choices": [{"error": {"message": "x"}}]},
        {"choices": [{"delta": {}, "finish_reason": "error"}]},
        {"choices": [{"delta": {"content": "Hi"}, "finish_reason": "TIMEOUT"}]},
    ],
)
def test_an_error_inside_is_found(body: object):
    piece = answers.inspect(msgspec.json.encode(body))
    assert piece is not None
    assert answers.error_in(piece)


@pytest.mark.parametrize(
    "body", [b"", b"x", b"[]", b'{"choices":{}}', b"\xff", b"[" * 99_999, b'{"id":"\xff"}']
)
def test_what_is_no_answer_is_none(body: bytes):
    assert answers.inspect(body) is None


def test_usage_knows_its_details():
    raw = {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
        "completion_tokens_details": {"reasoning_tokens": 3},
        "prompt_tokens_details": {"cached_tokens": 4},
    }
    assert answers.usage_of(raw) == Usage(10, 5, 3, 4)


def test_thought_tokens_that_only_the_total_knows_are_counted():
    told = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 40}
    assert answers.usage_of(told) == Usage(10, 30, reasoning=25)
    assert answers.usage_of({"prompt_tokens": 10, "total_tokens": 40}) == Usage(10, 30)


@pytest.mark.parametrize("raw", [None, {}, [], "x", {"prompt_tokens": "7"}, {"prompt_tokens": -1}, {"a": 1}])
def test_usage_without_figures_is_none(raw: object):
    assert answers.usage_of(raw) is None


FIGURES = st.none() | st.booleans() | st.integers(-2, 60) | st.floats(allow_infinity=True) | st.just(10**12)
DETAILS = st.none() | st.dictionaries(st.sampled_from(["reasoning_tokens", "cached_tokens"]), FIGURES)


def figure(raw: object, *names: str) -> int | None:
    """Return the first figure of *raw* under one of *names*, as the rules have it."""
    for name in names:
        value = raw.get(name) if isinstance(raw, dict) else None
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12:
            return int(value)
    return None


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "prompt_tokens",
                "input_tokens",
                "completion_tokens",
                "output_tokens",
                "total_tokens",
                "estimated",
            ]
        ),
        FIGURES,
    ),
    DETAILS,
    DETAILS,
)
def test_a_usage_of_any_figures_is_read_by_the_rules(raw, completion_details, prompt_details):
    raw |= {"completion_tokens_details": completion_details, "prompt_tokens_details": prompt_details}
    prompt = figure(raw, "prompt_tokens", "input_tokens")
    completion = figure(raw, "completion_tokens", "output_tokens")
    total = figure(raw, "total_tokens")
    told = answers.usage_of(raw)
    if (prompt, completion, total) == (None, None, None):
        assert told is None
        return
    prompt, completion, total = prompt or 0, completion or 0, total or 0
    hidden = max(0, total - prompt - completion) if completion else 0
    assert told == Usage(
        prompt=prompt,
        completion=max(completion, total - prompt),
        reasoning=figure(completion_details, "reasoning_tokens") or hidden,
        cached=figure(prompt_details, "cached_tokens") or 0,
        estimated=raw.get("estimated") is True,
    )


def test_usage_beside_the_answer_is_found():
    piece = answers.inspect(b'{"choices":[],"x_groq":{"usage":{"prompt_tokens":1}}}')
    assert piece is not None
    assert answers.usage_in(piece) == {"prompt_tokens": 1}


def test_generated_text_is_measured_in_bytes():
    call = {"function": {"name": "ab", "arguments": "{}"}}
    assert answers.text_size(chunk({"content": "é", "reasoning": "abc", "tool_calls": [call]})) == 2 + 3 + 4


def test_an_error_is_told_with_a_finish_and_alone():
    like = answers.inspect(b'{"id":"c1","model":"m","created":5,"choices":[]}')
    told = answers.error_events("cut", code="upstream_failed", like=like)
    chunk, alone = [msgspec.json.decode(event) for event in told]
    assert chunk["id"] == "c1"
    assert chunk["error"] == {
        "message": "cut",
        "type": "upstream_error",
        "param": None,
        "code": "upstream_failed",
    }
    assert chunk["choices"][0]["finish_reason"] == "error"
    assert alone == {"error": chunk["error"]}


def test_a_whole_answer_becomes_one_chunk():
    whole = {
        "id": "c",
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "message": {"content": None, "tool_calls": [{"id": "1"}]},
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {"prompt_tokens": 1},
    }
    body = msgspec.json.decode(answers.chunk_of(msgspec.json.encode(whole)))
    assert body["object"] == "chat.completion.chunk"
    assert body["choices"][0]["delta"]["tool_calls"] == [{"id": "1", "index": 0}]
    assert "usage" not in body


def test_usage_is_added_without_touching_the_rest():
    body = answers.with_usage(b'{"choices": [ {"x":1.0} ]}', Usage(1, 2, estimated=True))
    assert body.startswith(b'{"choices":[ {"x":1.0} ],"usage":{"prompt_tokens":1')


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["choices", "delta", "message", "content", "usage", "text", "error", "tool_calls", "thinking"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(JSON)
def test_no_json_makes_the_look_inside_fail(value: object):
    piece = answers.inspect(msgspec.json.encode(value))
    if piece is not None:
        answers.is_meaningful(piece)
        answers.error_in(piece)
        answers.usage_of(answers.usage_in(piece))
        assert answers.text_size(piece) >= 0
