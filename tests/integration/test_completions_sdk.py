"""OpenAI's own SDK, by the older API for completions, against the whole gateway on a real socket."""

import json

import openai
import pytest

from freeroute.upstreams.simulated.faults import Speed
from tests.faults.conftest import log, play
from tests.integration.test_openai_sdk import sdk
from tests.support.asking import DONE
from tests.support.live import until
from tests.support.provider import either, sse, whole

__all__ = ["log", "play"]

COMPLETES = {"models": [{"id": "large", "quality": 90, "capabilities": ["completions"]}]}
HEAD = {"id": "c1", "object": "text_completion", "created": 1, "model": "large"}
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def piece(text: str, finish: str | None = None) -> bytes:
    choice = {"text": text, "index": 0, "logprobs": None, "finish_reason": finish}
    return b"data: " + json.dumps({**HEAD, "choices": [choice]}).encode() + b"\n\n"


CHOICE = {"text": "return 1", "index": 0, "logprobs": None, "finish_reason": "stop"}
FILLED = either(
    whole(json.dumps({**HEAD, "choices": [CHOICE], "usage": USAGE}).encode()),
    sse(piece("return"), piece(" 1"), piece("", "stop"), DONE),
)


async def test_it_is_answered_by_chat(run):
    gateway = await run()
    async with sdk(gateway) as client:
        reply = await client.completions.create(model="free", prompt="Hello!")
        assert reply.choices[0].text.startswith("This is a simulated answer")
        stream = await client.completions.create(model="free", prompt="Hello!", stream=True)
        assert "".join([chunk.choices[0].text async for chunk in stream])


async def test_errors_are_those_that_it_knows(run):
    gateway = await run()
    async with sdk(gateway) as client:
        with pytest.raises(openai.NotFoundError) as missing:
            await client.completions.create(model="nothing-like-it", prompt="Hello!")
    assert missing.value.code == "model_not_found"


async def test_leaving_a_stream_ends_the_providers_work(run):
    gateway = await run()
    gateway["groq"].speed = Speed(0.01, 20.0)
    async with sdk(gateway) as client:
        stream = await client.completions.create(model="free", prompt="Hello!", stream=True)
        assert (await anext(stream)).choices
        await stream.close()
        await until(lambda: not gateway["groq"].open)
    assert gateway["groq"].calls[-1].aborted


@pytest.mark.parametrize("streamed", [False, True])
async def test_the_middle_is_filled_in_by_a_model_that_can(play, streamed):
    scene = await play(FILLED, alpha=COMPLETES)
    async with openai.AsyncOpenAI(
        base_url=f"{scene.gateway.url}/v1", api_key="not-needed", max_retries=0
    ) as client:
        if streamed:
            stream = await client.completions.create(
                model="alpha/large", prompt="def f():", suffix="# end", stream=True
            )
            text = "".join([chunk.choices[0].text async for chunk in stream])
        else:
            reply = await client.completions.create(model="alpha/large", prompt="def f():", suffix="# end")
            text = reply.choices[0].text
            assert reply.usage is not None
            assert reply.usage.total_tokens == 5
        with pytest.raises(openai.APIStatusError) as caught:
            await client.completions.create(model="beta/large", prompt="def f():", suffix="# end")
    assert text == "return 1"
    [call] = scene.providers["alpha"].calls
    assert call.line.startswith("POST /v1/completions ")
    assert (json.loads(call.body)["prompt"], json.loads(call.body)["suffix"]) == ("def f():", "# end")
    assert caught.value.code == "unsupported_capability"
    assert not scene.providers["beta"].calls
