"""One answer told by several models: the chunks of the next one fit in, if it can be gone on with."""

from typing import Any

import msgspec
import pytest

from freeroute.domain.usage import Usage
from freeroute.wire.decode import decode_chat
from freeroute.wire.splicing import LONGEST, Diverged, Splice, Told, spliceable

TOLD = "The quick brown fox jumps"
BY = [{"provider": "b", "model": "m", "from": 3}]


def chunk(text=None, *, finish=None, **given) -> bytes:
    delta = {} if text is None else {"content": text}
    choice = {"index": 0, "delta": {**delta, **given.pop("delta", {})}, "finish_reason": finish}
    fields = {"id": "first", "object": "chat.completion.chunk", "created": 7, "model": "one"}
    return msgspec.json.encode({**fields, "choices": [choice], **given})


def told(*texts: str, **given) -> Told:
    kept = Told()
    kept.note(chunk("", delta={"role": "assistant"}, **given))
    for text in texts:
        kept.note(chunk(text, **given))
    return kept


def other(text=None, **given) -> bytes:
    return chunk(text, **{"id": "second", "created": 9, "model": "two", "system_fingerprint": "fp", **given})


def decoded(payload: bytes | None) -> Any:
    assert payload is not None
    return msgspec.json.decode(payload)


def splice(kept: Told, how="none", used=None) -> Splice:
    return Splice(kept, how, used=used, by=BY)


# --- chunks --------------------------------------------------------------------------------------------


def test_the_next_model_s_chunks_take_the_stream_s_identity():
    fitted = decoded(splice(told(TOLD)).chunk(other(TOLD + " over", delta={"role": "assistant"})))
    assert (fitted["id"], fitted["created"], fitted["model"]) == ("first", 7, "one")
    assert fitted["choices"][0]["delta"] == {"content": " over"}
    assert "system_fingerprint" not in fitted
    assert "freeroute" not in fitted


def test_chunks_that_bring_nothing_new_are_left_out():
    fit = splice(told(TOLD))
    assert fit.chunk(other("", delta={"role": "assistant"})) is None
    assert fit.chunk(other("The quick")) is None
    assert fit.chunk(other(None, delta={"reasoning_content": "hm"})) is None


def test_the_last_chunk_says_who_went_on():
    fit = splice(told("The"), "trailing_assistant")
    assert "freeroute" not in decoded(fit.chunk(other(" end")))
    last = decoded(fit.chunk(other(None, finish="stop")))
    assert last["freeroute"] == {"continued": BY}
    assert last["choices"] == [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    assert fit.close() is None


def test_a_stream_without_a_finish_is_closed_with_what_was_held():
    fit = splice(told(TOLD), "trailing_assistant")
    assert fit.chunk(other("The quick")) is None
    last = decoded(fit.close())
    assert last["choices"] == [{"index": 0, "delta": {"content": "The quick"}, "finish_reason": None}]
    assert last["freeroute"] == {"continued": BY}


def test_what_was_held_goes_before_the_finish_and_before_a_tool_call():
    call = {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": ""}}]}
    for rest in ({"finish": "stop"}, {"delta": call}):
        fit = splice(told(TOLD), "trailing_assistant")
        assert fit.chunk(other("The quick")) is None
        fitted = decoded(fit.chunk(other(None, **rest)))
        assert fitted["choices"][0]["delta"]["content"] == "The quick"


@pytest.mark.parametrize("rest", [{"finish": "stop"}, {"delta": {"tool_calls": [{"index": 0}]}}])
def test_a_replay_that_ends_or_calls_a_tool_too_early_is_another_answer(rest):
    with pytest.raises(Diverged):
        splice(told(TOLD)).chunk(other("The quick", **rest))


def test_thoughts_go_through_as_long_as_no_text_was_told():
    kept = told()
    kept.note(chunk(None, delta={"reasoning_content": "first"}))
    assert (kept.text, kept.is_plain) == ("", True)
    fitted = splice(kept).chunk(other(None, delta={"reasoning_content": "second"}))
    assert decoded(fitted)["choices"][0]["delta"] == {"reasoning_content": "second"}


def test_usage_is_the_sum_of_all_calls():
    fit = splice(told("The"), "trailing_assistant", used=Usage(10, 5, reasoning=2, cached=4))
    usage = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
    extra = decoded(fit.chunk(msgspec.json.encode({"choices": [], "usage": usage})))
    assert extra["usage"] == {
        "prompt_tokens": 22,
        "completion_tokens": 8,
        "total_tokens": 30,
        "completion_tokens_details": {"reasoning_tokens": 2},
        "prompt_tokens_details": {"cached_tokens": 4},
    }
    assert extra["id"] == "first"
    guess = msgspec.json.encode({"choices": [], "usage": {**usage, "estimated": True}})
    assert decoded(fit.chunk(guess))["usage"]["estimated"] is True
    alone = splice(told("The")).chunk(msgspec.json.encode({"choices": [], "usage": usage}))
    assert decoded(alone)["usage"] == usage


def test_the_choice_keeps_its_number():
    kept = Told()
    kept.note(b'{"choices":[{"index":2,"delta":{"content":"a"}}]}')
    fitted = decoded(splice(kept, "trailing_assistant").chunk(other("b")))
    assert (kept.is_plain, fitted["choices"][0]["index"]) == (True, 2)


# --- what can be spliced -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "delta",
    [
        {"tool_calls": [{"index": 0, "id": "c"}]},
        {"function_call": {"name": "f"}},
        {"refusal": "no"},
        {"audio": {"id": "a"}},
        {"images": [{}]},
        {"content": ["part"]},
    ],
)
def test_an_answer_that_is_not_only_text_is_not_gone_on_with(delta):
    kept = told("The")
    kept.note(chunk(None, delta=delta))
    assert (kept.is_plain, kept.text) == (False, "")


def test_nor_one_of_two_choices_or_without_end():
    kept = told("The")
    kept.note(b'{"choices":[{"index":1,"delta":{"content":"a"}}]}')
    assert not kept.is_plain
    assert told("x" * LONGEST).is_plain
    assert not told("x" * LONGEST, "x").is_plain


def test_chunks_without_choices_tell_nothing():
    kept = Told()
    for payload in (b'{"choices":[],"usage":{}}', b"garbage"):
        kept.note(payload)
    assert (kept.first, kept.index, kept.text) == (None, 0, "")


@pytest.mark.parametrize(
    ("fields", "can"),
    [
        ({}, True),
        ({"stream": False}, False),
        ({"n": 1}, True),
        ({"n": 2}, False),
        ({"logprobs": True}, False),
        ({"response_format": {"type": "text"}}, True),
        ({"response_format": {"type": "json_object"}}, False),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}, False),
    ],
)
def test_only_a_stream_of_text_in_one_choice_can_be_spliced(fields, can):
    body = {"model": "free", "stream": True, "messages": [{"role": "user", "content": "hi"}], **fields}
    assert spliceable(decode_chat(msgspec.json.encode(body))) is can
