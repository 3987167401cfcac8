"""OpenAI's own SDK over the tasks other than chat, with providers that are played."""

import json
from typing import Any

import openai
import pytest

from tests.contract.tasks import SOUND
from tests.contract.test_embeddings import maker, vectors
from tests.contract.test_tasks import able
from tests.support.provider import sse, whole

WAVE = ("a.wav", SOUND, "audio/wav")


def sdk(scene: Any) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{scene.gateway.url}/v1", api_key="not-needed", max_retries=0)


def told(body: Any) -> Any:
    return whole(json.dumps(body).encode())


async def test_embeddings(play):
    scene = await play(vectors, every=maker(max_inputs=2))
    async with sdk(scene) as client:
        reply = await client.embeddings.create(model="large", input=["a", "bb", "ccc"])
        raw = await client.embeddings.create(model="large", input="a", encoding_format="float")
    assert [one.embedding[0] for one in reply.data] == [1.0, 2.0, 3.0]
    assert raw.data[0].embedding == [1.0, 0.0]
    assert reply.usage.prompt_tokens == 3
    reply.model_validate(reply.model_dump(), strict=True)


async def test_images(play):
    scene = await play(told({"created": 1, "data": [{"b64_json": "AAAA"}]}), every=able("image_output"))
    async with sdk(scene) as client:
        reply = await client.images.generate(model="large", prompt="a cat", n=1)
    assert reply.data
    assert reply.data[0].b64_json == "AAAA"
    assert json.loads(scene.alpha.calls[-1].body) == {"model": "large", "prompt": "a cat", "n": 1}


async def test_images_as_they_are_painted(play):
    partial = {
        "type": "image_generation.partial_image",
        "b64_json": "AA==",
        "partial_image_index": 0,
        "background": "opaque",
        "created_at": 1,
        "output_format": "png",
        "quality": "low",
        "size": "1024x1024",
    }
    event = b"event: image_generation.partial_image\ndata: " + json.dumps(partial).encode() + b"\n\n"
    scene = await play(sse(event), every=able("image_output"))
    async with sdk(scene) as client:
        stream = await client.images.generate(model="large", prompt="a cat", stream=True)
        events = [one async for one in stream]
    assert [one.type for one in events] == ["image_generation.partial_image"]
    events[0].model_validate(events[0].model_dump(), strict=True)


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
@pytest.mark.parametrize("translate", [False, True])
async def test_what_is_said_in_a_file(play, translate):
    scene = await play(told({"text": "Hello!"}), every=able("transcription"))
    async with sdk(scene) as client:
        way = client.audio.translations if translate else client.audio.transcriptions
        reply = await way.create(model="large", file=WAVE)
    assert reply.text == "Hello!"
    assert SOUND in scene.alpha.calls[-1].body


async def test_what_is_said_as_text(play):
    scene = await play(whole(b"Hello!\n", kind=b"text/plain"), every=able("transcription"))
    async with sdk(scene) as client:
        reply = await client.audio.transcriptions.create(model="large", file=WAVE, response_format="text")
    assert reply == "Hello!\n"


async def test_what_is_said_as_it_is_heard(play):
    delta = b'data: {"type":"transcript.text.delta","delta":"Hi"}\n\n'
    done = b'data: {"type":"transcript.text.done","text":"Hi"}\n\n'
    scene = await play(sse(delta, done), every=able("transcription"))
    async with sdk(scene) as client:
        stream = await client.audio.transcriptions.create(model="large", file=WAVE, stream=True)
        events = [event async for event in stream]
    assert [event.type for event in events] == ["transcript.text.delta", "transcript.text.done"]


async def test_speech_is_heard_as_it_comes(play):
    scene = await play(whole(SOUND, kind=b"audio/mpeg"), every=able("speech"))
    async with sdk(scene) as client:
        spoken = client.audio.speech.with_streaming_response
        async with spoken.create(model="large", voice="alloy", input="Hi") as reply:
            assert b"".join([piece async for piece in reply.iter_bytes()]) == SOUND
            assert reply.headers["content-type"] == "audio/mpeg"


async def test_moderations(play):
    verdict = {"flagged": True, "categories": {"hate": True}, "category_scores": {"hate": 0.9}}
    scene = await play(told({"id": "m", "model": "m", "results": [verdict]}), every=able("moderation"))
    async with sdk(scene) as client:
        replies = [
            await client.moderations.create(model="large", input=["Hello!"]),
            await client.moderations.create(input="Hello!"),
        ]
    assert [reply.results[0].flagged for reply in replies] == [True, True]
    assert [json.loads(call.body)["model"] for call in scene.alpha.calls] == ["large"] * 2


async def test_moderations_that_nobody_does(play):
    scene = await play()
    async with sdk(scene) as client:
        with pytest.raises(openai.NotFoundError, match=r"capabilities: \[moderation\]"):
            await client.moderations.create(input="Hello!")


async def test_errors_are_its_own(play):
    scene = await play(every=maker())
    async with sdk(scene) as client:
        with pytest.raises(openai.NotFoundError):
            await client.moderations.create(model="large", input="Hello!")
        with pytest.raises(openai.BadRequestError, match="cannot be compared"):
            await client.embeddings.create(model="free", input="Hello!")
