"""Text in streams of the OpenAI-shaped upstream that comes in an odd form, or may have been lost."""

import pytest

from freeroute.domain.outcome import Blame, Kind, blamed
from tests.support.asking import (
    DONE,
    HI,
    ROLE,
    STOP,
    event,
    stream_of,
    streamed,
    texts,
)

# Events that cannot be read as a chunk, and may have held text.
LOST = (
    b"{broken",
    b'"choices":[{"index":0,"delta":{"content":"not "}}]}',
    b'[{"choices":[{"index":0,"delta":{"content":"not "}}]}]',
    b'{"data":{"choices":[{"index":0,"delta":{"content":"not "}}]}}',
    b'{"response":"not "}',
    b'{"choices":"not "}',
    b"Internal Server Error",
    b"<html>502</html>",
    b'"not "',
    b"\xff\xfe",
)


async def test_signs_of_life_among_the_events_are_skipped_and_counted():
    alive = [b"data: " + word + b"\n\n" for word in (b"ping", b'{"type":"ping"}', b"17", b"null", b"{}")]
    stream = stream_of(await streamed(*alive, HI, *alive, STOP, b"data: {broken\n\n", DONE))
    assert await texts(stream) == ["Hi", ""]
    assert stream.skipped == 11
    assert stream.outcome is None


@pytest.mark.parametrize("lost", LOST)
async def test_an_event_that_may_have_held_text_fails_the_attempt_while_nothing_was_told(lost: bytes):
    outcome = (await streamed(ROLE, b"data: " + lost + b"\n\n", HI, STOP, DONE)).outcome
    assert (outcome.kind, blamed(outcome)) == (Kind.GARBAGE, Blame.PROVIDER)


@pytest.mark.parametrize("lost", LOST)
async def test_an_event_that_may_have_held_text_is_a_cut_once_something_was_told(lost: bytes):
    stream = stream_of(await streamed(HI, b"data: " + lost + b"\n\n", event({"content": "!"}), STOP, DONE))
    assert await texts(stream) == ["Hi"]
    assert stream.outcome is not None
    assert (stream.outcome.kind, stream.skipped) == (Kind.TRUNCATED, 1)


def said_as(written: str, more: str = "") -> bytes:
    return event({"content": "TEXT"}).replace(b'"TEXT"}', f'"{written}"}}{more}'.encode())


async def test_text_that_is_not_quite_json_arrives():
    odd = said_as("two ", ',"logprobs":{"content":[{"token":"two","logprob":-Infinity,"top_logprobs":[]}]}')
    pieces = (
        said_as(r"b\ud83d"),
        said_as(r"\ude00 one "),
        odd,
        said_as(r"half\ud83d"),
        event({"content": "."}),
    )
    stream = stream_of(await streamed(*pieces, STOP, DONE))
    assert await texts(stream) == ["b", "😀 one ", "two ", "half", "\ufffd.", ""]
    assert (stream.skipped, stream.outcome) == (0, None)


@pytest.mark.parametrize(
    ("told", "text"),
    [
        (event({"content": 4}), "4"),
        (event({"content": 1.50}).replace(b"1.5", b"1.50"), "1.50"),
        (event({"content": {"type": "text", "text": "two"}}), "two"),
        (event({"content": {"type": "text", "text": 2}}), "2"),
        (event({"content": ["a", 4, {"text": 2}, None, {"type": "image_url", "image_url": {}}]}), "a42"),
        (event(choices=[{"index": 0, "text": "old"}]), "old"),
        (event(choices=[{"index": 0, "text": "old", "delta": {"role": "assistant", "content": ""}}]), "old"),
        (event(choices=[{"index": 0, "text": "new", "delta": {"content": "new"}}]), "new"),
        (event({"content": {}}), ""),
        (event({"content": []}), ""),
    ],
)
async def test_text_in_another_form_is_read_where_it_is_plain_what_it_says(told: bytes, text: str):
    stream = stream_of(await streamed(HI, told, STOP, DONE))
    assert await texts(stream) == ["Hi", text, ""]
    assert (stream.skipped, stream.outcome) == (0, None)


@pytest.mark.parametrize(
    "told",
    [
        event({"content": True}),
        event({"content": {"value": "not "}}),
        event({"content": [{"type": "text", "content": "not "}]}),
        event({"content": {"text": ["not "]}}),
        event(choices=[{"index": 0, "delta": {}, "text": {"value": "not "}}]),
        event({"content": 4}).replace(b": 4", b":4").replace(b":4", b":[" * 900 + b"4" + b"]" * 900),
    ],
)
async def test_text_of_which_it_is_not_plain_what_it_says_is_a_gap(told: bytes):
    stream = stream_of(await streamed(HI, told, STOP, DONE))
    assert await texts(stream) == ["Hi"]
    assert stream.outcome is not None
    assert stream.outcome.kind is Kind.TRUNCATED
