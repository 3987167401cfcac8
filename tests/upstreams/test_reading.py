"""What stands between the pieces of a stream, by its form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.upstreams.reading import is_idle


@pytest.mark.parametrize(
    "payload",
    [
        *(b"", b" ", b"ping", b"PING", b"[ping]", b'"ping"', b": keep-alive", b"keep_alive", b"[HEARTBEAT]"),
        *(b"null", b"true", b"17", b"1763718000.5", b"{}", b"[]", b'""', b'{"type":"ping"}', b'{"n":[1]}'),
        b'{"event":"heartbeat","at":1763718000}',
    ],
)
def test_a_sign_of_life_holds_no_text(payload: bytes):
    assert is_idle(payload)


@pytest.mark.parametrize(
    "payload",
    [
        *(b"Internal Server Error", b"error", b"hello", b'"hello"', b"{oops", b"\xff", b"<html>", b"[1]"),
        *(
            b'{"text":"a"}',
            b'{"data":{"delta" : {}}}',
            b'{"choices":7}',
            b'{"response":"a"}',
            b"ping pong, he",
        ),
        b'{"token":{"id":1}}',
        b"[1" * 100_000,
    ],
)
def test_anything_else_may_have_held_some(payload: bytes):
    assert not is_idle(payload)


CHUNK = b'{"id":"c","choices":[{"index":0,"delta":{"content":"not "},"finish_reason":null}]}'


@given(st.integers(0, len(CHUNK)), st.integers(0, len(CHUNK)))
def test_no_part_of_a_chunk_that_holds_a_letter_of_its_text_passes_for_one(start: int, end: int):
    part = CHUNK[start:end]
    assert not (b"not" in part and is_idle(part))
