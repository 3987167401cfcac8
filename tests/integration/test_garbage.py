"""What a finished request took is free at once: nothing waits for the collector, which stops everybody."""

import asyncio
import gc
from collections.abc import Iterator
from pathlib import Path
from types import CoroutineType
from typing import Any

import pytest

from freeroute.domain.leases import Lease
from freeroute.surfaces.http import Request
from freeroute.upstreams.simulated.faults import Speed
from freeroute.wire.chat import ChatCall
from tests.support.live import live, pair, question
from tests.support.patience import PATIENCE

_KINDS = (Request, ChatCall, Lease)


@pytest.fixture
def uncollected() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def _left() -> list[Any]:
    """Return what requests are made of and is still there."""
    waiting = [one for one in gc.get_objects() if type(one) is CoroutineType]
    answering = [one for one in waiting if one.__qualname__.startswith("Conversations.")]
    return [one for one in gc.get_objects() if type(one) in _KINDS] + answering


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", [None, 500, 429])
async def test_nothing_of_a_finished_request_waits_for_the_collector(tmp_path: Path, stream, fault):
    others = _left()  # what other tests keep for themselves
    known = set(map(id, others))
    async with live(tmp_path, pair()) as gateway:
        for _ in range(3):
            await gateway.script("groq", fault)
            assert (await gateway.ask(stream=stream)).status == 200
        await gateway.http.aclose()
        async with asyncio.timeout(PATIENCE):
            while any(id(one) not in known for one in _left()):  # noqa: ASYNC110 - nothing tells that an object is gone
                await asyncio.sleep(0)


async def test_a_stream_under_way_does_not_keep_what_was_asked(tmp_path: Path):
    others = set(map(id, _left()))
    prompt = "Hold this. " * 1000
    async with live(tmp_path, pair()) as gateway:
        gateway["groq"].speed = Speed(0.0, 20.0)
        asked = question(prompt, model="free", stream=True)
        async with gateway.http.stream("POST", "/v1/chat/completions", json=asked) as answer:
            await anext(answer.aiter_lines())
            calls = [one for one in _left() if id(one) not in others]
            assert [call.fields for call in calls if isinstance(call, ChatCall)] == [{}]
            frames = [
                one.cr_frame.f_locals for one in calls if isinstance(one, CoroutineType) and one.cr_frame
            ]
            assert frames
            assert not [name for frame in frames for name, value in frame.items() if _holds(value, prompt)]


def _holds(value: Any, prompt: str) -> bool:
    return isinstance(value, bytes | bytearray) and prompt.encode() in value
