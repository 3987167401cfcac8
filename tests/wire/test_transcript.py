import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from freeroute.wire.decode import decode_chat
from freeroute.wire.transcript import Transcript

MESSAGES = [{"role": "user", "content": "Grüße!"}]


def transcript(longest: int = 1000, messages: object = MESSAGES) -> Transcript:
    return Transcript(decode_chat(json.dumps({"model": "free", "messages": messages}).encode()), longest)


def event(**delta: object) -> bytes:
    return msgspec.json.encode({"choices": [{"index": 0, "delta": delta}]})


def whole(**message: object) -> bytes:
    return msgspec.json.encode({"choices": [{"index": 0, "message": message}]})


def test_what_was_asked_is_taken_down_as_it_was_written():
    found = transcript()
    assert json.loads(found.prompt) == MESSAGES
    assert (found.answer, found.calls, found.cut, found.size) == ("", "", False, len(found.prompt.encode()))


def test_the_text_of_a_stream_and_of_a_whole_answer_is_what_was_told():
    for told in (
        [event(role="assistant", content=""), event(content="Hel"), event(content="lo!"), event()],
        [whole(role="assistant", content="Hello!")],
        [whole(content=[{"type": "text", "text": "Hello!"}])],
    ):
        found = transcript()
        found.hear(told)
        assert (found.answer, found.calls, found.cut) == ("Hello!", "", False)


def test_tools_that_were_called_are_taken_down_with_their_arguments():
    function = {"name": "look", "arguments": '{"at": 1}'}
    told = [
        event(tool_calls=[{"index": 0, "function": {"name": "look", "arguments": '{"at"'}}]),
        event(tool_calls=[{"index": 1, "function": {"name": "hear", "arguments": "{}"}}]),
        event(tool_calls=[{"index": 0, "function": {"arguments": ": 1}"}}]),
    ]
    found = transcript()
    found.hear(told)
    assert json.loads(found.calls) == [function, {"name": "hear", "arguments": "{}"}]
    found = transcript()
    found.hear([whole(content=None, tool_calls=[{"id": "1", "function": function}, "no call", {}])])
    assert (json.loads(found.calls), found.answer) == ([function], "")


def test_other_choices_and_what_cannot_be_read_say_nothing():
    found = transcript()
    second = msgspec.json.encode({"choices": [{"index": 1, "delta": {"content": "other"}}]})
    found.hear([second, b"nonsense", b"{}", b'{"choices": null}', b'{"choices": [{"index": 0}]}'])
    assert (found.answer, found.calls) == ("", "")


def test_texts_that_are_too_long_are_cut_and_say_so():
    found = transcript(longest=10)
    assert (len(found.prompt), found.cut) == (10, True)
    found = transcript(longest=61)
    assert not found.cut
    found.hear([event(content="a" * 30), event(content="é" * 30), event(content="more")])
    assert (found.answer, found.cut) == ("a" * 30 + "é" * 15, True)
    found.hear([event(tool_calls=[{"index": 0, "function": {"name": "look"}}])])
    assert found.calls == ""


@given(st.lists(st.text()), st.integers(0, 50))
def test_no_text_is_longer_than_allowed_or_breaks_a_database(texts, longest):
    found = transcript(longest)
    found.hear([event(content=text) for text in texts])
    assert len(found.answer.encode()) <= longest
    assert "\0" not in found.answer
    assert found.answer == "".join(texts).replace("\0", "?") or found.cut
