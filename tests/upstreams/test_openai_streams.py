"""Streams of the OpenAI-shaped upstream, from the first meaningful event to any end."""

import asyncio
from typing import Any

import msgspec
import pytest

from freeroute.domain.outcome import Blame, Kind, blamed
from freeroute.domain.usage import Usage
from freeroute.upstreams.counting import BEYOND_ANY_BOUND, BEYOND_BOUND
from freeroute.upstreams.transport import (
    Disconnected,
    Phase,
    TimedOut,
    Truncated,
)
from tests.support.asking import (
    DONE,
    HI,
    IMPATIENT,
    ROLE,
    STOP,
    TERMS,
    WHOLE,
    ask,
    event,
    rest,
    stream_of,
    streamed,
    texts,
)
from tests.support.transports import HANG, PlayedTransport, Reply, json_reply, sse_reply
from tests.support.virtual import run


async def test_a_stream_has_no_more_attributes_than_python_keeps_in_little_room():
    stream = stream_of(await streamed(HI, STOP, DONE))
    assert len(vars(stream)) <= 29  # one more, and each takes 1,300 bytes more


async def test_a_stream_is_served_from_its_first_meaningful_event_on():
    stream = stream_of(await streamed(b": wait\n\n", ROLE, HI, event({"content": "!"}) + STOP, DONE))
    assert len(await stream.next()) == 2
    assert len(await stream.next()) == 2
    assert await stream.next() == ()
    assert (stream.finish, stream.outcome) == ("stop", None)


async def test_payload_bytes_are_untouched():
    payload = (
        b'{"object":"chat.completion.chunk" ,"id":"c","created":1,"model":"m",'
        b'"choices" : [ {"index":0,"delta":{"content":"x"}} ], "extra":1.0}'
    )
    stream = stream_of(await streamed(b"data: " + payload + b"\n\n", STOP, DONE))
    assert list(await stream.next()) == [payload]


@pytest.mark.parametrize(
    ("steps", "kind"),
    [
        ((DONE,), Kind.EMPTY),
        ((ROLE, STOP, DONE), Kind.EMPTY),
        ((), Kind.EMPTY),
        ((ROLE,), Kind.TRUNCATED),
        ((b"data: nonsense\n\n", DONE), Kind.GARBAGE),
        ((b"data: " + b"x" * 5_000_000,), Kind.GARBAGE),
        ((b'data: {"error":{"code":429,"message":"x"}}\n\n',), Kind.RATE_LIMITED),
        ((b'data: [{"error":{"code":429,"message":"x"}}]\n\n',), Kind.RATE_LIMITED),
        ((ROLE, b'[{"error":{"code":429,"message":"x"}}]\n'), Kind.RATE_LIMITED),
        ((ROLE, b'data: {"error":{"message":"x","type":"server_error"}}\n\n'), Kind.FAULT),
        ((ROLE, b'{"error":"model runner has stopped"}\n'), Kind.FAULT),
        ((event({"content": ""}, "error"),), Kind.FAULT),
        ((b'data: {"message":"queue full","code":"queue_exceeded"}\n\n',), Kind.NO_CAPACITY),
        ((b'data: {"detail":"Too many requests"}\n\n',), Kind.RATE_LIMITED),
        ((b'data: {"type":"ping"}\n\n', DONE), Kind.GARBAGE),
    ],
)
async def test_a_stream_that_fails_before_its_first_event_is_a_failed_attempt(
    steps: tuple[bytes, ...], kind: Kind
):
    transport = PlayedTransport(sse_reply(*steps))
    assert (await ask(transport, stream=True)).outcome.kind is kind
    assert transport.exchanges[0].aborted


@pytest.mark.parametrize(
    ("steps", "kind"),
    [
        ((HI,), Kind.TRUNCATED),
        ((HI, Truncated("x")), Kind.TRUNCATED),
        ((HI, Disconnected("x")), Kind.TRUNCATED),
        ((HI, TimedOut(Phase.IDLE, 1)), Kind.STALLED),
        ((HI, HANG), Kind.STALLED),
        ((HI, b'data: {"error":{"code":502,"message":"gone"}}\n\n'), Kind.FAULT),
        ((HI, b'data: [{"error":{"code":502,"message":"gone"}}]\n\n'), Kind.FAULT),
        ((HI, event({"content": ""}, "error")), Kind.FAULT),
    ],
)
async def test_a_stream_that_dies_ends_with_what_it_said_and_an_outcome(steps: tuple[Any, ...], kind: Kind):
    terms = IMPATIENT if HANG in steps else TERMS
    stream = stream_of(await streamed(*steps, terms=terms, stream_options={"include_usage": True}))
    assert await texts(stream) == ["Hi"]
    assert stream.outcome is not None
    assert stream.outcome.kind is kind
    assert stream.usage is not None
    assert stream.usage.estimated


@pytest.mark.parametrize("last", [Truncated("x"), TimedOut(Phase.IDLE, 1), HANG, b""])
async def test_after_the_finish_nothing_can_go_wrong_any_more(last: Any):
    stream = stream_of(await streamed(HI, STOP, last, terms=IMPATIENT))
    assert await texts(stream) == ["Hi", ""]
    assert stream.outcome is None


CALLING = event(
    {"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "look", "arguments": '{"at"'}}]}
)


@pytest.mark.parametrize(
    ("steps", "kind"),
    [
        ((HI,), Kind.TRUNCATED),
        ((CALLING,), Kind.TRUNCATED),
        ((HI, b"data: Internal Server Error\n\n"), Kind.TRUNCATED),
        ((HI, b"<html>502 Bad Gateway</html>\n\n"), Kind.TRUNCATED),
        ((HI, b'{"error":"model runner has stopped"}\n\n'), Kind.FAULT),
    ],
)
async def test_done_without_a_finish_is_a_cut(steps: tuple[bytes, ...], kind: Kind):
    stream = stream_of(await streamed(*steps, DONE))
    assert len(await rest(stream)) == 1
    assert stream.outcome is not None
    assert stream.outcome.kind is kind


def second(said: object = None, finish: str | None = None, usage: object = None) -> bytes:
    """Return a chunk of another choice than the first."""
    return event(choices=[{"index": 1, "delta": said or {}, "finish_reason": finish}], usage=usage)


async def test_a_choice_that_begins_after_another_s_finish_has_to_finish_too():
    begun = (HI, STOP, second({"content": "Ho"}))
    cut = stream_of(await streamed(*begun, DONE, n=2))
    assert await texts(cut) == ["Hi", "", "Ho"]
    assert cut.outcome is not None
    assert cut.outcome.kind is Kind.TRUNCATED
    both = stream_of(await streamed(*begun, second(finish="stop"), DONE, n=2))
    assert await texts(both) == ["Hi", "", "Ho", ""]
    assert both.outcome is None


async def test_an_empty_choice_behind_the_finish_begins_nothing():
    stream = stream_of(await streamed(HI, STOP, second({"content": ""}, usage={"prompt_tokens": 3}), DONE))
    assert await texts(stream) == ["Hi", ""]
    assert stream.outcome is None


async def test_text_after_the_finish_is_passed_over():
    late = event({"content": "b"}, "length", usage={"prompt_tokens": 3, "completion_tokens": 2})
    stream = stream_of(await streamed(HI, STOP, late, STOP, DONE, stream_options={"include_usage": True}))
    assert await texts(stream) == ["Hi", "", "usage"]
    assert (stream.finish, stream.outcome, stream.skipped) == ("stop", None, 2)
    assert stream.usage == Usage(3, 2)


async def test_a_finish_beside_every_word_ends_nothing():
    stream = stream_of(await streamed(event({"content": "a"}, "stop"), event({"content": "b"}, "stop"), DONE))
    assert await texts(stream) == ["a", "b"]


async def test_a_tool_call_without_a_name_is_no_answer_yet():
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "", "arguments": ""}}
    assert (await streamed(event({"tool_calls": [call]}))).outcome.kind is Kind.TRUNCATED
    named = {**call, "function": {"name": "look", "arguments": ""}}
    for calling in (named, {"index": 0, "custom": {"name": "look"}}):
        stream = stream_of(await streamed(event({"tool_calls": [call]}), event({"tool_calls": [calling]})))
        assert len(await rest(stream)) == 2


def every_ten_seconds(*pieces: bytes, times: int) -> list[bytes | float]:
    """Return the *pieces* so many times, ten seconds before each."""
    return [step for _ in range(times) for piece in pieces for step in (10.0, piece)]


def test_empty_pieces_keep_a_stream_alive_no_longer_than_comments():
    async def told(*steps: bytes | float) -> tuple[Kind | None, float]:
        began = asyncio.get_running_loop().time()
        stream = stream_of(await streamed(HI, *steps, STOP, DONE))
        await rest(stream)
        kind = stream.outcome.kind if stream.outcome is not None else None
        return kind, asyncio.get_running_loop().time() - began

    empty, image = event({"content": ""}), event({"images": [{"type": "image_url"}]})
    assert run(told(*every_ten_seconds(empty, times=11))) == (None, 110)
    assert run(told(*every_ten_seconds(empty, times=100))) == (Kind.STALLED, 120)
    assert run(told(*every_ten_seconds(empty, b": wait\n\n", times=100))) == (Kind.STALLED, 120)
    for piece in (event({"content": "a"}), image):
        assert run(told(*every_ten_seconds(piece, times=100))) == (None, 1000)


def test_the_time_in_which_nobody_reads_is_no_silence():
    async def told() -> Kind | None:
        empty = every_ten_seconds(event({"content": ""}), times=11)
        stream = stream_of(await streamed(HI, *empty, STOP, DONE))
        for _ in range(20):
            await stream.next()
            await asyncio.sleep(100)
        return stream.outcome.kind if stream.outcome is not None else None

    assert run(told()) is None


def test_comments_alone_keep_a_stream_alive_for_four_silences():
    async def told(*steps: bytes | float) -> tuple[list[str], Kind | None, float]:
        began = asyncio.get_running_loop().time()
        stream = stream_of(await streamed(HI, *steps, STOP, DONE))
        heard = await texts(stream)
        kind = stream.outcome.kind if stream.outcome is not None else None
        return heard, kind, asyncio.get_running_loop().time() - began

    few, many = (every_ten_seconds(b": wait\n\n", times=times) for times in (11, 1000))
    assert run(told(*few)) == (["Hi", ""], None, 110)
    assert run(told(*few, HI, *few)) == (["Hi", "Hi", ""], None, 220)
    assert run(told(*many)) == (["Hi"], Kind.STALLED, 120)


async def test_a_stream_that_never_ends_is_ended_far_beyond_its_bound():
    page = event({"content": "x" * 8192})
    endless = [page] * 100
    stream = stream_of(await streamed(*endless, STOP, DONE, max_tokens=100))
    assert len(await texts(stream)) == (100 * BEYOND_BOUND + BEYOND_ANY_BOUND) // 8192
    assert stream.outcome is not None
    assert (stream.outcome.kind, blamed(stream.outcome)) == (Kind.GARBAGE, Blame.PROVIDER)
    several = stream_of(await streamed(*endless, STOP, DONE, max_tokens=1000, n=100))
    assert len(await texts(several)) == 101
    unbounded = stream_of(await streamed(*endless, STOP, DONE))
    assert len(await texts(unbounded)) == 101
    assert unbounded.outcome is None


async def test_a_whole_answer_to_a_stream_request_becomes_a_stream():
    transport = PlayedTransport(json_reply(WHOLE))
    sent = await ask(transport, stream=True, stream_options={"include_usage": True})
    chunks = [msgspec.json.decode(payload) for payload in await rest(stream_of(sent))]
    assert chunks[0]["object"] == "chat.completion.chunk"
    assert chunks[0]["choices"][0]["delta"]["content"] == "Hi"
    assert chunks[1]["usage"]["prompt_tokens"] == 3
    assert transport.exchanges[0].aborted


async def test_events_without_a_content_type_are_read_all_the_same():
    reply = Reply([HI, STOP, DONE], content_type="text/plain")
    sent = await ask(PlayedTransport(reply), stream=True)
    assert await texts(stream_of(sent)) == ["Hi", ""]


async def test_the_body_is_read_to_its_end_so_that_the_connection_can_be_used_again():
    transport = PlayedTransport(sse_reply(HI + STOP + DONE))
    await rest(stream_of(await ask(transport, stream=True)))
    assert transport.exchanges[0].ended


async def test_leaving_a_stream_closes_it_and_keeps_the_account():
    transport = PlayedTransport(sse_reply(HI, HANG))
    stream = stream_of(await ask(transport, stream=True))
    await stream.next()
    stream.abort()
    stream.abort()
    assert transport.exchanges[0].aborted
    assert stream.usage is not None
    assert stream.usage.completion > 0
    assert await stream.next() == ()


@pytest.mark.parametrize(
    ("away", "then", "kind"),
    [
        (6.0, [Truncated("x")], Kind.CALLER_STALLED),
        (6.0, [], Kind.CALLER_STALLED),
        (6.0, [HI, Truncated("x")], Kind.CALLER_STALLED),
        (6.0, [HI, 2.0, Truncated("x")], Kind.TRUNCATED),
        (4.0, [Truncated("x")], Kind.TRUNCATED),
        (6.0, [event({"content": ""}, "error")], Kind.FAULT),
    ],
)
def test_a_stream_that_breaks_because_nobody_read_it_is_no_provider_s_fault(away, then, kind):
    async def scene():
        stream = stream_of(await streamed(HI, *then))
        await stream.next()
        await asyncio.sleep(away)
        await rest(stream)
        assert stream.unread == away
        assert stream.outcome is not None
        assert stream.outcome.kind is kind
        assert blamed(stream.outcome) is (Blame.NOBODY if kind is Kind.CALLER_STALLED else Blame.PROVIDER)

    run(scene())
