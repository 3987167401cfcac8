"""Chunks of words take a short way through a stream, or past it, and come to the same as on the long."""

import asyncio
import re
from collections.abc import Sequence

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from freeroute.domain.catalogue import Quirks
from freeroute.domain.outcome import Kind
from freeroute.engine.ports import EventStream
from freeroute.upstreams.counting import BEYOND_ANY_BOUND, BEYOND_BOUND
from freeroute.upstreams.repairs import Repairs
from freeroute.wire.answers import error_in, text_size
from freeroute.wire.mending import Mender
from freeroute.wire.plain import plain
from freeroute.wire.sse import payload_of
from freeroute.wire.strict import inspect_chunk, words_in
from tests.support.asking import DONE, HI, STOP, event, stream_of, streamed
from tests.support.transports import Step
from tests.support.virtual import run

_TEXT = st.sampled_from(["", " ", "word", "ü 🙂", "two\nlines"])
_MAYBE_TEXT = st.one_of(st.none(), _TEXT)
_CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
_SAID = st.fixed_dictionaries(
    {},
    optional={
        "content": st.one_of(_MAYBE_TEXT, st.just([{"type": "text", "text": "part"}]), st.just(7)),
        "reasoning_content": _MAYBE_TEXT,
        "reasoning": _MAYBE_TEXT,
        "refusal": _MAYBE_TEXT,
        "role": st.sampled_from(["assistant", "model", None]),
        "tool_calls": st.sampled_from([None, [], [_CALL]]),
        "unheard_of": st.just(1),
    },
)
_CHOICE = st.fixed_dictionaries(
    {"index": st.sampled_from([0, 0, 0, 1]), "delta": _SAID},
    optional={
        "finish_reason": st.sampled_from([None, None, None, "stop", "eos", ""]),
        "logprobs": st.sampled_from([None, {"content": []}, {"tokens": 1}]),
        "text": st.sampled_from([None, "beside"]),
    },
)
_CHUNK = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["c1", "c1", "c2"]),
        "object": st.sampled_from(["chat.completion.chunk"] * 4 + ["", "error"]),
        "created": st.just(1),
        "model": st.just("m"),
        "choices": st.lists(_CHOICE, max_size=2, unique_by=lambda choice: choice["index"]),
    },
    optional={
        "usage": st.sampled_from(
            [None, None, {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}]
        ),
        "error": st.sampled_from([None, None, {"message": "no"}]),
        "x_groq": st.sampled_from([None, {"id": "r"}]),
        "service_tier": st.sampled_from([None, "on_demand"]),
    },
)
# Words of one shape.
_WORDS = _TEXT.map(lambda text: msgspec.json.decode(event({"content": text})[6:-2]))
# Has words and no others beside them, and yet the first of another form: what follows takes the long way.
_ODD = event({"content": "", "tool_calls": []})


async def _told(steps: Sequence[bytes]) -> tuple[list[list[bytes]], EventStream]:
    stream = stream_of(await streamed(HI, *steps, stream_options={"include_usage": True}))
    told = []
    while ready := await stream.next():
        told.append(list(ready))
    return told, stream


def _unnamed(payloads: Sequence[bytes]) -> list[bytes]:
    """Return *payloads* without the names that calls which lack one are given at random."""
    return [re.sub(rb"call_[0-9a-f]{24}", b"", payload) for payload in payloads]


def _came_to(stream: EventStream) -> tuple[object, ...]:
    return stream.usage, stream.finish, stream.outcome, stream.skipped


@settings(deadline=None)
@given(st.lists(_CHUNK, max_size=6))
def test_the_short_way_tells_what_the_long_one_does(chunks):
    steps = [b"data: %b\n\n" % msgspec.json.encode(chunk) for chunk in chunks]
    short, one = asyncio.run(_told([*steps, STOP, DONE]))
    long, other = asyncio.run(_told([_ODD, *steps, STOP, DONE]))
    assert [_ODD[6:-2]] in long
    long.remove([_ODD[6:-2]])
    assert list(map(_unnamed, short)) == list(map(_unnamed, long))
    assert _came_to(one) == _came_to(other)


@given(_CHUNK)
def test_nothing_is_to_be_done_about_words(chunk):
    payload = msgspec.json.encode(chunk)
    words = words_in(payload)
    if words is None:
        return
    piece = inspect_chunk(payload)
    assert piece is not None
    assert not error_in(piece)
    assert (piece.usage, piece.finish) == (None, None)
    assert plain(payload, piece) is payload
    assert Repairs(Quirks()).chunk(payload, piece) is payload
    assert Mender(model="m", created=1).chunk(payload, piece) is payload
    assert words.size == text_size(piece)


@settings(deadline=None)
@given(
    st.lists(st.one_of(_CHUNK, _WORDS, st.just({"comment": 1})), max_size=8),
    st.lists(st.booleans(), max_size=8),
)
def test_what_goes_past_a_reader_and_what_it_reads_are_one_stream(chunks, taken):
    async def passed_by(steps: Sequence[bytes]) -> tuple[list[bytes], EventStream]:
        stream = stream_of(await streamed(HI, *steps, stream_options={"include_usage": True}))
        told: list[bytes] = []
        willing = iter(taken)

        def onward(event: bytes) -> bool:
            if takes := next(willing, True):
                told.append(payload_of(event))
            return takes

        stream.onward = onward
        while ready := await stream.next():
            told.extend(ready)
        return told, stream

    steps = [
        b": wait\n\n" if "comment" in chunk else b"data: %b\n\n" % msgspec.json.encode(chunk)
        for chunk in chunks
    ]
    told, one = asyncio.run(passed_by([*steps, STOP, DONE]))
    read, other = asyncio.run(_told([*steps, STOP, DONE]))
    assert _unnamed(told) == _unnamed([payload for ready in read for payload in ready])
    assert _came_to(one) == _came_to(other)


async def test_words_go_past_a_reader_once_the_stream_has_begun_and_their_like_alone():
    more, empty, called = event({"content": "!"}), event({"content": ""}), event({"tool_calls": []})
    stream = stream_of(await streamed(HI, more, more, empty, more, called, more, STOP, DONE))
    told: list[bytes] = []
    stream.onward = lambda event: not told.append(event)  # type: ignore[func-returns-value]
    read = [list(await stream.next()) for _ in range(5)]
    assert told == [more] * 3
    assert read == [[step[6:-2]] for step in (HI, empty, called, more, STOP)]


async def test_an_answer_far_beyond_its_bound_is_ended_though_it_goes_past_its_reader():
    page = event({"content": "x" * 8192})
    stream = stream_of(await streamed(*[page] * 100, STOP, DONE, max_tokens=100))
    told: list[bytes] = []
    stream.onward = lambda event: not told.append(event)  # type: ignore[func-returns-value]
    while ready := await stream.next():
        told.extend(ready)
    assert len(told) == (100 * BEYOND_BOUND + BEYOND_ANY_BOUND) // 8192
    assert stream.outcome is not None
    assert stream.outcome.kind is Kind.GARBAGE


def test_words_that_go_past_a_reader_end_a_silence():
    async def told() -> tuple[Kind | None, float]:
        began = asyncio.get_running_loop().time()
        few: list[Step] = [10.0, b": wait\n\n"] * 11
        many: list[Step] = [10.0, b": wait\n\n"] * 1000
        words = event({"content": "!"})
        stream = stream_of(await streamed(HI, *few, words, *few, words, *many, STOP, DONE))
        stream.onward = lambda _: True
        while await stream.next():
            pass
        kind = stream.outcome.kind if stream.outcome is not None else None
        return kind, asyncio.get_running_loop().time() - began

    assert run(told()) == (Kind.STALLED, 110 + 110 + 120)


async def test_words_of_a_choice_that_has_finished_are_passed_over():
    steps = (event({"content": "!"}), STOP, event({"content": "?"}), DONE)
    told, stream = await _told(steps)
    assert [payload for ready in told for payload in ready][:3] == [step[6:-2] for step in (HI, *steps[:2])]
    assert stream.skipped == 1
