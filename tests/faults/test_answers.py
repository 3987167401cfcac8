"""Answers of 2xx that are none, before anything of them was shown: another candidate answers."""

import functools
import gzip
import tracemalloc
import zlib

import msgspec
import pytest

from tests.faults.scene import PROMPT, SERVED, Stand, spent, suspect
from tests.support.asking import COUNTED, DONE, HI, ROLE, STOP, WHOLE, event
from tests.support.provider import ANSWERED, JSON, SSE, closed, either, raw, reset, silent, sse, whole

HTML = b"<!DOCTYPE html><html><body><h1>Welcome to nginx!</h1></body></html>"
MIB = 1024 * 1024
STREAM = ROLE + HI + STOP + COUNTED + DONE


def completion(message: object, finish: str | None = "stop", **more: object) -> bytes:
    choice = {"index": 0, "message": message, "finish_reason": finish}
    head = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
    return msgspec.json.encode({**head, "choices": [choice], **more})


def counted(prompt: int, output: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}


# --- not an answer at all ----------------------------------------------------------------------------------


async def test_a_page_of_html_is_no_answer(play, stream):
    scene = await play(whole(HTML, kind=b"text/html; charset=utf-8"))
    assert await scene.moves_on(stream, "garbage:200") == suspect(1, PROMPT)


async def test_a_page_of_html_that_says_it_is_the_type_asked_for_is_no_answer(play, stream):
    scene = await play(whole(HTML, kind=SSE if stream else JSON))
    assert await scene.moves_on(stream, "empty:200" if stream else "garbage:200") == suspect(1, PROMPT)


async def test_a_body_that_breaks_off_in_its_json_is_no_answer(play):
    scene = await play(whole(WHOLE[:-20]))
    assert await scene.moves_on(False, "garbage:200") == suspect(1, PROMPT)


async def test_json_nested_beyond_reason_is_no_answer(play, stream):
    scene = await play(whole(b'{"choices":' + b"[" * 100_000))
    assert await scene.moves_on(stream, "garbage:200") == suspect(1, PROMPT)


@pytest.mark.parametrize("then", [closed, reset], ids=["closed", "reset"])
async def test_a_whole_answer_shorter_than_announced_is_no_answer(play, stream, then):
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9999\r\n\r\n"
    scene = await play(raw(head, WHOLE, then=then))
    assert await scene.moves_on(stream, "truncated:200") == suspect(1, PROMPT)


async def test_an_empty_body_is_no_answer(play, stream):
    scene = await play(whole(b"", kind=SSE if stream else JSON))
    assert await scene.moves_on(stream, "empty:200" if stream else "garbage:200") == suspect(1, PROMPT)


async def test_an_answer_without_choices_is_empty(play, stream):
    nothing = b'{"id":"c","choices":[]}'
    scene = await play(either(whole(nothing), sse(b"data: " + nothing + b"\n\n", DONE)))
    assert await scene.moves_on(stream, "empty:200") == suspect(1, PROMPT)


async def test_an_answer_whose_message_says_nothing_is_empty(play, stream):
    blank = {"role": "assistant", "content": " \n"}
    scene = await play(either(whole(completion(blank)), sse(event(blank), STOP, DONE)))
    assert await scene.moves_on(stream, "empty:200") == suspect(1, PROMPT)


async def test_a_finish_alone_is_no_event_that_anybody_waited_for(play):
    scene = await play(sse(STOP, COUNTED, DONE))
    assert await scene.moves_on(True, "empty:200") == suspect(1, PROMPT)


async def test_a_role_and_then_a_finish_is_an_empty_answer(play):
    scene = await play(sse(b": hold the line\n\n", ROLE, event({"content": ""}), STOP, DONE))
    assert await scene.moves_on(True, "empty:200") == suspect(1, PROMPT)


async def test_a_role_and_then_the_end_is_a_cut(play):
    scene = await play(sse(ROLE))
    assert await scene.moves_on(True, "truncated:200") == suspect(1, PROMPT)


async def test_a_role_and_then_a_broken_connection_is_a_cut(play):
    scene = await play(sse(ROLE, then=closed))
    assert await scene.moves_on(True, "truncated:200") == suspect(1, PROMPT)


async def test_comments_without_end_are_silence(play):
    scene = await play(
        sse(*[b": still here\n\n"] * 3, then=silent), alpha={"timeouts": {"first_event": "0.2s"}}
    )
    assert await scene.moves_on(True, "timed_out:200") == suspect(1, PROMPT)


ODD = [
    b"null",
    b"[]",
    b'"hello"',
    b"1e999",
    b'{"choices":null}',
    b'{"choices":"none"}',
    b'{"choices":{}}',
    b'{"choices":[null]}',
    b'{"choices":[[]]}',
    b'{"choices":[{"message":null,"delta":null}]}',
    b'{"choices":[{"message":7,"delta":7}]}',
    b'{"choices":[{"message":{"content":true},"delta":{"content":true}}]}',
    b'{"choices":[{"message":{"tool_calls":{}},"delta":{"tool_calls":{}}}]}',
    b'{"choices":[{"message":{"tool_calls":[null]},"delta":{"tool_calls":[null]}}]}',
    b'{"choices":[{"index":"a","finish_reason":{},"message":{},"delta":{}}]}',
    b'{"error":null}',
    b'{"error":[]}',
    b'{"error":{}}',
    b'{"error":{"message":{"code":[]},"code":{}}}',
]


@pytest.mark.parametrize("odd", ODD)
async def test_json_of_a_shape_nobody_foresaw_is_no_answer(play, stream, odd):
    scene = await play(either(whole(odd), sse(b"data: " + odd + b"\n\n", DONE)))
    reply = await scene.ask(stream)
    assert (reply.status, reply.by, reply.raw) == (200, "beta", ANSWERED[stream])
    assert reply.trail in {f"alpha/large={kind}" for kind in ("garbage:200", "empty:200", "fault:502")}
    assert await scene.stands() == suspect(1, PROMPT)


# --- an error inside ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "ending"),
    [
        (b'{"error":{"message":"Internal server error","code":500}}', "fault:500"),
        (b'{"error":"upstream connect error"}', "fault:502"),
        (b'{"object":"error","message":"CUDA out of memory","code":50001}', "fault:502"),
        (b'{"detail":"The engine is unavailable"}', "fault:503"),
    ],
    ids=["object", "sentence", "vllm", "detail"],
)
async def test_an_error_in_a_success_is_the_failure_it_tells_of(play, stream, error, ending):
    scene = await play(either(whole(error), sse(b"data: " + error + b"\n\n", DONE)))
    assert await scene.moves_on(stream, ending) == suspect(1, PROMPT)


async def test_an_error_as_json_where_a_stream_was_asked_for_is_the_failure_it_tells_of(play):
    scene = await play(whole(b'{"error":{"message":"Internal server error","code":500}}'))
    assert await scene.moves_on(True, "fault:500") == suspect(1, PROMPT)


async def test_an_error_after_the_role_is_the_failure_it_tells_of(play):
    error = b'event: error\ndata: {"error":{"message":"overloaded_error","code":529}}\n\n'
    scene = await play(sse(ROLE, error))
    assert await scene.moves_on(True, "fault:529") == suspect(1, PROMPT)


async def test_an_error_on_a_bare_line_of_a_stream_is_the_failure_it_tells_of(play):
    scene = await play(sse(ROLE, b'{"error":{"message":"the worker died","code":500}}\n'))
    assert await scene.moves_on(True, "fault:500") == suspect(1, PROMPT)


async def test_an_error_on_bare_lines_instead_of_a_stream_is_the_failure_it_tells_of(play):
    error = b'{\n  "error": {\n    "message": "Rate limit exceeded",\n    "code": 429\n  }\n}\n'
    scene = await play(sse(error))
    assert await scene.moves_on(True, "rate_limited:429") == spent(5.0)


async def test_a_quota_refused_in_a_success_is_a_quota_refused(play, stream):
    error = b'{"error":{"message":"Rate limit exceeded","code":429,"metadata":{"retry_after":7}}}'
    scene = await play(either(whole(error, b"retry-after: 7"), sse(b"data: " + error + b"\n\n", DONE)))
    back = 5.0 if stream else 7.0
    assert await scene.moves_on(stream, "rate_limited:429") == spent(back)


# --- types and forms ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [b"text/plain", b"application/octet-stream", None])
async def test_a_wrong_content_type_or_none_harms_nothing(play, stream, kind):
    wrong = (
        sse(ROLE, HI, STOP, COUNTED, DONE, kind=kind) if kind else raw(b"HTTP/1.1 200 OK\r\n\r\n" + STREAM)
    )
    scene = await play(either(whole(kind=kind), wrong))
    await scene.serves(stream)
    assert await scene.stands() == SERVED


async def test_a_whole_answer_where_a_stream_was_asked_for_becomes_one(play):
    scene = await play(whole())
    reply = await scene.ask(True)
    assert (reply.by, reply.text, reply.ended) == ("alpha", "Hi", True)
    [chunk] = reply.events
    choice = {"index": 0, "delta": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    assert chunk == {**head, "choices": [choice]}
    assert await scene.stands() == SERVED


async def test_a_stream_where_a_whole_answer_was_asked_for_is_no_answer(play):
    scene = await play(sse(ROLE, HI, STOP, COUNTED, DONE))
    assert await scene.moves_on(False, "garbage:200") == suspect(1, PROMPT)


@pytest.mark.parametrize("told", [None, "", "timeout", "cancelled", "ERROR", "OTHER", "unknown"])
async def test_an_answer_that_does_not_say_that_it_ended_is_broken(play, stream, told):
    cut = {"role": "assistant", "content": "The answer is not"}
    ending = "fault:502" if told else "truncated:200"
    scene = await play(whole(completion(cut, told, usage=counted(3, 4))))
    assert await scene.moves_on(stream, ending) == suspect(1, PROMPT)


@pytest.mark.parametrize(
    ("told", "meant"),
    [("ERROR_LIMIT", "length"), ("ERROR_TOXIC", "content_filter"), ("content_filtered", "content_filter")],
)
async def test_an_end_in_another_dialect_means_the_same(play, stream, told, meant):
    cut = {"role": "assistant", "content": "Hi"}
    scene = await play(whole(completion(cut, told, usage=counted(3, 2))))
    reply = await scene.ask(stream)
    [choice] = reply.events[0]["choices"] if stream else reply.json["choices"]
    assert (reply.by, choice["finish_reason"], choice["native_finish_reason"]) == ("alpha", meant, told)
    assert await scene.stands() == SERVED


async def test_an_answer_cut_short_in_any_words_is_not_held_to_its_schema(play):
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
    scene = await play(
        whole(completion({"role": "assistant", "content": '{"n":'}, "MAX_TOKENS", usage=counted(3, 2))),
        alpha={"models": [{"id": "large", "capabilities": ["json_object", "json_schema"]}]},
    )
    reply = await scene.ask(response_format=form)
    assert (reply.by, reply.json["choices"][0]["finish_reason"]) == ("alpha", "length")
    assert await scene.stands() == SERVED


async def test_a_filtered_answer_is_served_as_it_is(play, stream):
    filtered = completion({"role": "assistant", "content": ""}, "content_filter", usage=counted(3, 0))
    events = (ROLE, event(finish="content_filter"), DONE)
    scene = await play(either(whole(filtered), sse(*events)))
    await scene.serves(stream, b"".join(events) if stream else filtered)
    assert await scene.stands() == Stand((1, PROMPT if stream else 3))


async def test_an_answer_that_was_all_spent_on_thoughts_is_served_as_it_is(play, stream):
    spent = completion({"role": "assistant", "content": ""}, "length", usage=counted(4, 10))
    events = (ROLE, event(finish="length"), DONE)
    scene = await play(either(whole(spent), sse(*events)))
    await scene.serves(stream, b"".join(events) if stream else spent)


@pytest.mark.parametrize(
    ("told", "paid"),
    [((0, 0), (PROMPT, 112)), ((-5, 112), (PROMPT, 112)), ((10**15, 100), (PROMPT, 100)), ((7, 0), (7, 112))],
)
async def test_usage_that_cannot_be_true_is_estimated_told_so_and_charged(play, stream, told, paid):
    said = {"role": "assistant", "content": "x" * 400}
    scene = await play(whole(completion(said, usage=counted(*told))))
    reply = await scene.ask(stream, **({"stream_options": {"include_usage": True}} if stream else {}))
    usage = reply.events[-1]["usage"] if stream else reply.json["usage"]
    assert usage == {**counted(*paid), "estimated": True}
    assert await scene.stands() == Stand((1, sum(paid)))


# --- compressed --------------------------------------------------------------------------------------------

GZIPPED = b"content-encoding: gzip"


async def test_a_compressed_answer_that_nobody_asked_for_is_read_all_the_same(play, stream):
    packed = gzip.compress(STREAM if stream else WHOLE)
    scene = await play(whole(packed, GZIPPED, kind=SSE if stream else JSON))
    await scene.serves(stream)
    assert await scene.stands() == SERVED


async def test_garbage_that_says_it_is_gzip_is_no_answer(play, stream):
    scene = await play(whole(b"this is no gzip at all", GZIPPED, kind=SSE if stream else JSON))
    assert await scene.moves_on(stream, "garbage:200") == suspect(1, PROMPT)


async def test_a_compressed_answer_that_is_cut_is_no_answer(play, stream):
    packed = gzip.compress(STREAM if stream else WHOLE)[:20]
    scene = await play(whole(packed, GZIPPED, kind=SSE if stream else JSON))
    assert await scene.moves_on(stream, "truncated:200") == suspect(1, PROMPT)


async def test_a_compression_nobody_can_undo_is_no_answer(play, stream):
    scene = await play(whole(b"\x0b\x02\x80Hi\x03", b"content-encoding: br", kind=SSE if stream else JSON))
    reply = await scene.ask(stream)
    assert (reply.by, reply.raw) == ("beta", ANSWERED[stream])
    assert reply.trail.startswith("alpha/large=garbage")
    assert await scene.stands() == suspect(1, PROMPT)


async def test_a_bomb_is_left_before_it_unfolds(play, stream):
    scene = await play(whole(_bomb(), GZIPPED, kind=SSE if stream else JSON))
    await scene.ask(provider={"only": ["beta"]})  # what is loaded once is loaded by now
    tracemalloc.start()
    try:
        reply = await scene.ask(stream)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (reply.by, reply.trail) == ("beta", "alpha/large=garbage:200")
    assert peak < 40 * MIB  # what came unfolded up to where it is beyond all measure
    assert await scene.stands() == suspect(1, PROMPT)


async def test_an_event_over_the_bound_that_comes_first_is_no_answer(play):
    scene = await play(sse(b"data: " + b"x" * (5 * MIB), then=silent))
    assert await scene.moves_on(True, "garbage:200") == suspect(1, PROMPT)


async def test_an_answer_larger_than_any_is_left_before_it_is_read_whole(play):
    scene = await play(whole(b'{"choices":"' + b"x" * (33 * MIB)))
    assert await scene.moves_on(False, "garbage:200") == suspect(1, PROMPT)


@functools.cache
def _bomb() -> bytes:
    """Return 128 MiB of blanks, a thousand times smaller."""
    packer = zlib.compressobj(9, wbits=16 + zlib.MAX_WBITS)
    blanks = b" " * MIB
    return b"".join([*(packer.compress(blanks) for _ in range(128)), packer.flush()])
