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
        *(b"ping - 2026-11-21 10:00:00", b": OPENROUTER PROCESSING", b"OPENROUTER PROCESSING", b"queued"),
        *(b"loading model", b"Loading...", b"Processing, please wait", b"queued: 3 ahead", b"keep-alive 7"),
        *(b"2026-11-21T10:00:00Z", b"2026-11-21 10:00:00.000+00:00", b"Heart-Beat"),
        b'{"id":"c","object":"chat.completion.chunk","choices":null}',
        b'{"choices":[{"index":0,"delta":"","finish_reason":null}]}',
        *(b'{"type":"heartbeat","content":""}', b'{"type":"debug","text":""}'),
        b'{"status":"queued","position":3,"output":null}',
        b'{"type":"message_start","message":{"role":"assistant","content":[]}}',
        b'{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}',
        b'{"response":{"id":"r","object":"response","status":"in_progress","output":[]}}',
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
            b'{"data":{"delta" : {"content":"a"}}}',
            b'{"choices":7}',
            b'{"response":"a"}',
            b'"ping pong, he"',
            b"[ping pong, he]",
            b"pingpong",
        ),
        *(
            b'ping {"text":"a"}',
            b"ping\nhe",
            b"queuedly",
            b"loading" + b"x" * 300,
            b"2026-11-21 was a Saturday",
        ),
        *(b'{"content":0}', b'{"content":false}', b'{"content":" "}', b'{"delta":{"value":"a"}}'),
        *(b'{"parts":[{"id":"p","inner":"a"}]}', b'{"c\\u006fntent":"a"}', b'{"x":{"content":["a"]}}'),
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
