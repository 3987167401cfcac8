"""Chunks of words take a short way through a stream: what comes of them is what came of the long one."""

import asyncio
from collections.abc import Sequence

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from freeroute.domain.catalogue import Quirks
from freeroute.engine.ports import EventStream
from freeroute.upstreams.repairs import Repairs
from freeroute.wire.answers import error_in, text_size
from freeroute.wire.mending import Mender
from freeroute.wire.plain import plain
from freeroute.wire.strict import inspect_chunk, words_in
from tests.support.asking import DONE, HI, STOP, event, stream_of, streamed

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
        "choices": st.lists(_CHOICE, min_size=0, max_size=2),
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
# Has words and no others beside them, and yet the first of another form: what follows takes the long way.
_ODD = event({"content": "", "tool_calls": []})


async def _told(steps: Sequence[bytes]) -> tuple[list[list[bytes]], EventStream]:
    stream = stream_of(await streamed(HI, *steps, stream_options={"include_usage": True}))
    told = []
    while ready := await stream.next():
        told.append(list(ready))
    return told, stream


@settings(deadline=None)
@given(st.lists(_CHUNK, max_size=6))
def test_the_short_way_tells_what_the_long_one_does(chunks):
    steps = [b"data: %b\n\n" % msgspec.json.encode(chunk) for chunk in chunks]
    short, one = asyncio.run(_told([*steps, STOP, DONE]))
    long, other = asyncio.run(_told([_ODD, *steps, STOP, DONE]))
    assert [_ODD[6:-2]] in long
    long.remove([_ODD[6:-2]])
    assert short == long
    assert (one.usage, one.finish, one.outcome, one.skipped) == (
        other.usage,
        other.finish,
        other.outcome,
        other.skipped,
    )


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


async def test_words_of_a_choice_that_has_finished_are_passed_over():
    steps = (event({"content": "!"}), STOP, event({"content": "?"}), DONE)
    told, stream = await _told(steps)
    assert [payload for ready in told for payload in ready][:3] == [step[6:-2] for step in (HI, *steps[:2])]
    assert stream.skipped == 1
