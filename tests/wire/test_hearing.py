import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.domain.usage import Usage
from freeroute.wire.answers import error_events
from freeroute.wire.hearing import CallPiece, Heard, Hearing, hear


def body(choice=None, **more) -> bytes:
    return msgspec.json.encode({"id": "c1", "model": "m", "choices": [choice] if choice else [], **more})


def of(heard: Heard, *names: str):
    return tuple(getattr(heard, name) for name in names)


def test_a_whole_answer_is_heard_with_all_it_says():
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    message = {"role": "assistant", "content": "Hi", "reasoning_content": "Hm.", "tool_calls": [call]}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    heard = hear(body({"index": 0, "message": message, "finish_reason": "tool_calls"}, usage=usage))
    assert heard == Heard(
        text="Hi",
        reasoning="Hm.",
        calls=(CallPiece(0, "call_1", "weather", "{}"),),
        finish="tool_calls",
        usage=Usage(3, 2),
        id="c1",
        model="m",
    )


def test_a_text_of_a_completion_is_heard():
    assert hear(body({"text": "Hi", "finish_reason": None})).text == "Hi"


def test_a_piece_of_a_call_goes_by_its_index():
    delta = {"tool_calls": [{"index": 2, "function": {"arguments": '{"a'}}]}
    assert hear(body({"delta": delta})).calls == (CallPiece(2, "", "", '{"a'),)


def test_calls_without_an_index_are_counted():
    calls = [{"id": "a", "function": {"name": "f"}}, "?", {"id": "b", "function": None}]
    assert hear(body({"message": {"tool_calls": calls}})).calls == (
        CallPiece(0, "a", "f", ""),
        CallPiece(2, "b", "", ""),
    )


@pytest.mark.parametrize(
    ("said", "text", "reasoning"),
    [
        ({"content": "Hi"}, "Hi", ""),
        ({"content": None, "reasoning": "Hm."}, "", "Hm."),
        ({"content": [{"type": "text", "text": "Hi"}, {"type": "thinking", "thinking": "Hm."}]}, "Hi", "Hm."),
        ({}, "", ""),
    ],
)
def test_text_and_thoughts_are_heard_however_they_are_written(said, text, reasoning):
    assert of(hear(body({"delta": said})), "text", "reasoning") == (text, reasoning)


def test_the_sequence_that_an_answer_stopped_at_is_heard():
    choice = {"message": {"content": "Hi"}, "finish_reason": "stop", "stop_reason": "END"}
    assert of(hear(body(choice)), "finish", "stopped_at") == ("stop", "END")
    assert hear(body({**choice, "stop_reason": 128001})).stopped_at is None


def test_a_refusal_and_images_are_heard():
    images = [{"type": "image_url", "image_url": {"url": "data:a"}}, {"image_url": "data:b"}, "?", {}]
    heard = hear(body({"message": {"refusal": "No.", "images": images}}))
    assert of(heard, "refusal", "images") == ("No.", ("data:a", "data:b"))


def test_both_ways_in_which_a_broken_stream_is_told_are_heard_as_an_error_and_no_end():
    for event in error_events("It broke.", code="upstream_failed"):
        heard = hear(event)
        assert heard.error is not None
        assert (heard.error["message"], heard.finish) == ("It broke.", None)


def test_an_error_that_is_no_object_is_heard_as_its_text():
    assert hear(body(error="broken")).error == {"message": "broken"}


@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.text(max_size=5) | st.integers(),
        lambda x: (
            st.lists(x, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "choices",
                        "delta",
                        "message",
                        "tool_calls",
                        "function",
                        "index",
                        "content",
                        "usage",
                        "error",
                    ]
                ),
                x,
                max_size=4,
            )
        ),
        max_leaves=12,
    ).map(msgspec.json.encode)
)
def test_nothing_that_may_come_is_too_strange_to_hear(told):
    assert isinstance(hear(told), Heard)


@pytest.mark.parametrize(
    ("deltas", "told"),
    [
        ([{"content": "\n"}, {"reasoning_content": "Hm"}, {"content": "Hi"}], ["", "", "\nHi"]),
        (
            [{"content": "\n", "reasoning_content": "Hm"}, {"content": "Hi"}, {"content": " "}],
            ["", "\nHi", " "],
        ),
        ([{"reasoning_content": "Hm"}, {"content": "\n"}, {"tool_calls": [{"index": 0}]}], ["", "", "\n"]),
        ([{"content": " "}, {"refusal": "No."}], ["", " "]),
        ([{"content": " "}], [""]),
    ],
)
def test_blanks_of_a_stream_wait_for_what_they_belong_to(deltas, told):
    hearing = Hearing()
    heard = [hearing.hear(body({"delta": delta})) for delta in deltas]
    assert [one.text for one in heard] == told
    assert "".join(one.reasoning for one in heard) == "".join(
        one.get("reasoning_content", "") for one in deltas
    )
    last = hearing.hear(body({"delta": {}, "finish_reason": "stop"}))
    assert "".join(one.text for one in (*heard, last)) == "".join(one.get("content", "") for one in deltas)
