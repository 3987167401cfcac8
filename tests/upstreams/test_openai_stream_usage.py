"""What streams of the OpenAI-shaped upstream tell of usage, and of how they finished."""

from typing import Any

import msgspec
import pytest

from freeroute.domain.catalogue import Quirks
from freeroute.domain.usage import Usage, tokens_in
from tests.support.asking import (
    COUNTED,
    DONE,
    HI,
    STOP,
    TERMS,
    ask,
    candidate,
    event,
    rest,
    stream_of,
    streamed,
    texts,
)
from tests.support.transports import PlayedTransport, sse_reply


async def test_the_usage_chunk_goes_only_to_those_who_asked():
    stream = stream_of(await streamed(HI, STOP, COUNTED, DONE))
    assert await texts(stream) == ["Hi", ""]
    assert stream.usage == Usage(3, 2)
    asked = stream_of(await streamed(HI, STOP, COUNTED, DONE, stream_options={"include_usage": True}))
    assert await texts(asked) == ["Hi", "", "usage"]


async def test_a_usage_chunk_with_an_empty_choice_after_the_finish_is_extra_as_well():
    counted = event({"role": "assistant", "content": ""}, usage={"prompt_tokens": 3, "completion_tokens": 2})
    stream = stream_of(await streamed(HI, STOP, counted, DONE))
    assert await texts(stream) == ["Hi", ""]
    assert stream.usage == Usage(3, 2)
    asked = stream_of(await streamed(HI, STOP, counted, DONE, stream_options={"include_usage": True}))
    assert len(chunks := await rest(asked)) == 3
    assert msgspec.json.decode(chunks[-1])["usage"]["prompt_tokens"] == 3


@pytest.mark.parametrize(
    "told", [({"content": "a"}, None), ({}, "stop"), ({"role": "assistant", "content": ""}, None)]
)
async def test_usage_with_more_to_say_or_before_the_finish_is_not_extra(told: Any):
    counted = event(*told, usage={"prompt_tokens": 3})
    assert len(await rest(stream_of(await streamed(HI, counted, DONE)))) == 2


async def test_usage_that_was_asked_for_and_not_given_is_estimated():
    stream = stream_of(await streamed(HI, STOP, DONE, stream_options={"include_usage": True}))
    last = msgspec.json.decode((await rest(stream))[-1])
    assert (last["choices"], last["id"]) == ([], "c1")
    assert last["usage"]["completion_tokens"] > 0
    assert stream.usage is not None
    assert stream.usage.estimated


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": -5, "completion_tokens": 1e30},
        {"prompt_tokens": -5, "completion_tokens": 2, "total_tokens": -3},
        {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
        {"prompt_tokens": 10**10, "completion_tokens": 1, "total_tokens": 10**10 + 1},
        {"total_tokens": "x"},
        {},
        7,
    ],
)
async def test_usage_that_was_asked_for_and_cannot_be_is_estimated_and_marked(usage: Any):
    for told in (
        event(choices=[], usage=usage),
        event({"content": ""}, usage=usage),
        event({"content": "!"}, usage=usage),
    ):
        steps = (HI, told, STOP) if b"!" in told else (HI, STOP, told)
        stream = stream_of(await streamed(*steps, DONE, stream_options={"include_usage": True}))
        usages = [msgspec.json.decode(payload).get("usage") for payload in await rest(stream)]
        assert usages[-1]["estimated"]
        assert not any(usages[:-1])


async def test_usage_that_was_true_while_it_was_told_is_estimated_once_it_no_longer_can_be():
    begun = event({"content": "a"}, usage={"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4})
    told = stream_of(await streamed(begun, event({"content": "b" * 50}), STOP, DONE))
    await rest(told)
    assert told.usage == Usage(3, 1)
    overtaken = stream_of(await streamed(begun, event({"content": "b" * 5000}), STOP, DONE))
    await rest(overtaken)
    assert overtaken.usage == Usage(3, tokens_in(5001), estimated=True)


async def test_cumulative_usage_is_told_once_at_the_end():
    counted = [event({"content": "a"}, usage={"prompt_tokens": 3, "completion_tokens": n}) for n in (1, 2)]
    transport = PlayedTransport(sse_reply(*counted, STOP, DONE))
    asked = candidate(quirks=Quirks(usage_every_chunk=True))
    sent = await ask(transport, TERMS, asked, stream=True, stream_options={"include_usage": True})
    chunks = [msgspec.json.decode(payload) for payload in await rest(stream_of(sent))]
    assert [chunk.get("usage") for chunk in chunks] == [
        None,
        None,
        None,
        {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    ]


async def test_usage_beside_the_finish_is_found():
    counts = {"prompt_tokens": 4, "completion_tokens": 1}
    stream = stream_of(await streamed(HI, event(finish="stop", x_groq={"usage": counts}), DONE))
    await rest(stream)
    assert stream.usage == Usage(4, 1)


async def test_the_finish_that_is_noted_is_the_one_the_caller_gets():
    call = {"tool_calls": [{"id": "a", "function": {"name": "f"}}]}
    asked = candidate(quirks=Quirks(tool_finish=False))
    stream = stream_of(
        await ask(PlayedTransport(sse_reply(event(call), STOP, DONE)), TERMS, asked, stream=True)
    )
    assert (
        msgspec.json.decode((await rest(stream))[-1])["choices"][0]["finish_reason"]
        == stream.finish
        == "tool_calls"
    )
