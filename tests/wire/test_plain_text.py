"""Answers of plain text, which are served as they came: nobody would find anything to do about them."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.domain.catalogue import Quirks
from freeroute.domain.outcome import Kind, Outcome
from freeroute.domain.usage import BESIDE_TEXT, BEYOND_SIGHT, Usage, is_common
from freeroute.upstreams.reading import read_whole
from freeroute.upstreams.repairs import Repairs
from freeroute.upstreams.wholes import failure_in, finished, usage_of_whole
from freeroute.upstreams.writing import Habits
from freeroute.wire.answers import usage_of
from freeroute.wire.mending import Mender
from freeroute.wire.strict import plain_text

USAGE = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
ANSWER: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}],
    "usage": USAGE,
}
LISTS = st.sampled_from([[], {}, [{"type": "text", "text": "x"}], {"message": "no"}])
ODD = st.none() | st.booleans() | st.integers(-2, 2**63) | st.floats() | st.text(max_size=3) | LISTS
SAID = ["content", "role", "refusal", "tool_calls", "reasoning", "reasoning_content", "audio", "images"]
TEXTS = st.sampled_from(["Hi.", "", " ", "é", "<think>a</think>b", "\ud800", "a\u2028"])
DETAILS = {"reasoning_tokens": 1, "cached_tokens": 2, "audio_tokens": 0}


def some(names: list[str], values: st.SearchStrategy = ODD) -> st.SearchStrategy:
    return st.dictionaries(st.sampled_from(names), values, max_size=2)


@st.composite
def answers(draw) -> bytes:
    """Return an answer in OpenAI's form but for some of its fields."""
    answer = {**ANSWER, **draw(some([*ANSWER, "error", "service_tier", "system_fingerprint", "x_groq"]))}
    message = {"role": "assistant", "content": draw(TEXTS)}
    message |= draw(some(SAID))
    finish = draw(st.sampled_from(["stop", "length", "tool_calls", "error", "MAX_TOKENS", None]))
    choice = {"index": 0, "message": message, "finish_reason": finish}
    choice |= draw(some(["index", "logprobs", "error", "text", "delta", "finish_reason"]))
    if draw(st.integers(0, 3)):
        answer["choices"] = [choice] * draw(st.sampled_from([1, 1, 1, 2]))
    usage = {**USAGE, **draw(some([*USAGE, "estimated"]))}
    usage |= draw(some(["prompt_tokens_details", "completion_tokens_details"], st.just(DETAILS) | ODD))
    if draw(st.integers(0, 3)):
        answer["usage"] = usage
    return msgspec.json.encode(answer) if encodable(answer) else b"{}"


def encodable(value: object) -> bool:
    try:
        msgspec.json.encode(value)
    except ValueError:
        return False
    return True


@given(answers(), st.integers(0, 10**6), st.booleans())
def test_what_is_served_as_it_came_would_come_to_the_same_in_all_the_steps(body, prompt, thinks):
    plain = plain_text(body)
    if plain is None:
        return
    read, piece = read_whole(body)
    assert read is body
    assert piece is not None
    failed = failure_in(
        body, piece, lambda _: Outcome(Kind.FAULT), status=200, silent=frozenset(), says_why=True
    )
    assert failed is None
    usage = usage_of_whole(piece, prompt, thinks=thinks)
    assert plain.usage == usage_of(piece.usage) == usage
    assert finished(body, piece, usage, None) == (body, piece)
    repairs = Repairs(Quirks(), Habits())
    assert repairs.whole(body, piece) is body
    assert repairs.finish(piece.finish) == plain.finish
    assert Mender(model="x", created=0).whole(body, piece) is body


def test_an_ordinary_answer_is_one():
    plain = plain_text(msgspec.json.encode(ANSWER))
    assert plain is not None
    assert (plain.finish, plain.usage.total) == ("stop", 15)


COUNTS = st.sampled_from([0, 1, 2, 3, BESIDE_TEXT, BESIDE_TEXT + 1, BEYOND_SIGHT, BEYOND_SIGHT + 1, 2**62])


@given(COUNTS, COUNTS, COUNTS, COUNTS, st.sampled_from(["a", "é", "a" * 128, "é" * 64, "é" * 65, "a" * 257]))
def test_usage_is_believed_without_a_doubt_where_it_is_common(prompt, completion, cached, reasoning, text):
    told = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }
    choice = {**ANSWER["choices"][0], "message": {"role": "assistant", "content": text}}
    plain = plain_text(msgspec.json.encode({**ANSWER, "choices": [choice], "usage": told}))
    usage = Usage(prompt, completion, reasoning, cached)
    assert (plain is not None) == is_common(usage, len(text.encode()))
    assert plain is None or plain.usage == usage


@pytest.mark.parametrize("details", [None, DETAILS])
def test_details_of_the_usage_are_told(details):
    usage = {**USAGE, "prompt_tokens_details": details, "completion_tokens_details": details}
    plain = plain_text(msgspec.json.encode({**ANSWER, "usage": usage}))
    assert plain is not None
    assert (plain.usage.reasoning, plain.usage.cached) == ((1, 2) if details else (0, 0))


@pytest.mark.parametrize(
    "changed",
    [
        {"usage": None},
        {"usage": {**USAGE, "total_tokens": 20}},
        {"usage": {**USAGE, "estimated": True}},
        {"usage": {**USAGE, "prompt_tokens": 0, "total_tokens": 3}},
        {"error": {"message": "no"}},
        {"choices": []},
        {"object": "text_completion"},
        {"choices": [{**ANSWER["choices"][0], "delta": {}}]},
    ],
)
def test_whatever_else_it_says_is_looked_into(changed):
    assert plain_text(msgspec.json.encode({**ANSWER, **changed})) is None
