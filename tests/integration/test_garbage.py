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
from freeroute.upstreams.http_transport import HttpExchange
from freeroute.upstreams.simulated.faults import Speed
from freeroute.wire.chat import ChatCall
from tests.support.live import live, pair, question
from tests.support.patience import PATIENCE

_KINDS = (Request, ChatCall, Lease, HttpExchange)


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
    others = set(map(id, _left()))  # what other tests keep for themselves
    async with live(tmp_path, pair()) as gateway:
        for _ in range(3):
            await gateway.script("groq", fault)
            assert (await gateway.ask(stream=stream)).status == 200
        await _is_gone(gateway, others)


_CHAT, _MESSAGES = "/v1/chat/completions", "/v1/messages"
_HELLO = {"messages": [{"role": "user", "content": "Hello!"}]}
_WRONG: dict[str, tuple[str, Any]] = {
    "no such path": ("/v1/nowhere", {}),
    "unknown model": (_CHAT, {"model": "nobody", **_HELLO}),
    "unknown model, streamed": (_CHAT, {"model": "nobody", "stream": True, **_HELLO}),
    "overlong name": (_CHAT, {"model": "x" * 300, **_HELLO}),
    "wrong type": (_CHAT, {"model": "free", "temperature": "warm", **_HELLO}),
    "no object": (_CHAT, [1]),
    "nothing to say": (_CHAT, {"model": "free", "messages": []}),
    "unknown model, Anthropic": (_MESSAGES, {"model": "nobody", "max_tokens": 9, **_HELLO}),
    "wrong type, Anthropic": (_MESSAGES, {"model": "free", "max_tokens": "many", **_HELLO}),
    "unknown model, Responses": ("/v1/responses", {"model": "nobody", "input": "Hello!"}),
    "unknown model, Ollama": ("/api/chat", {"model": "nobody", **_HELLO}),
    "unknown model, Gemini": ("/v1beta/models/nobody:generateContent", {"contents": []}),
    "unknown model, vectors": ("/v1/embeddings", {"model": "nobody", "input": "Hello!"}),
}


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize(("path", "body"), _WRONG.values(), ids=_WRONG)
async def test_nothing_of_a_request_that_is_refused_waits_for_the_collector(tmp_path: Path, path, body):
    others = set(map(id, _left()))
    async with live(tmp_path, pair()) as gateway:
        for _ in range(3):
            assert (await gateway.http.post(path, json=body)).status_code in (400, 404)
        await _is_gone(gateway, others)


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "fault", [400, 413, 422, 500, 429, "cut", "garbage", "reset", "error_in_200", {"kind": "cut", "after": 3}]
)
async def test_nothing_of_a_request_that_failed_waits_for_the_collector(tmp_path: Path, stream, fault):
    others = set(map(id, _left()))
    async with live(tmp_path, pair()) as gateway:
        for _ in range(3):
            for name in ("groq", "cerebras"):
                await gateway.script(name, *[fault] * 4)
            await gateway.ask(stream=stream)
        await _is_gone(gateway, others)


async def _is_gone(gateway: Any, others: set[int]) -> None:
    """Wait until nothing but *others* is left."""
    await gateway.http.aclose()
    async with asyncio.timeout(PATIENCE):
        while any(id(one) not in others for one in _left()):  # noqa: ASYNC110 - nothing tells that an object is gone
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
