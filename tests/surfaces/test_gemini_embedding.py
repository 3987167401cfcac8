"""Vectors of texts, as Gemini's clients ask for them."""

import json

import pytest

from tests.support.gateways import FakeServed
from tests.surfaces.gemini import PNG

VECTORS = (
    b'{"object":"list","model":"m","usage":{"prompt_tokens":3,"total_tokens":3},"data":['
    b'{"object":"embedding","index":1,"embedding":[0.25,1]},'
    b'{"object":"embedding","index":0,"embedding":"AAAAPwAAgD8="}]}'
)


async def test_vectors_are_told_in_order_as_numbers(ask, gateway):
    gateway.answer = FakeServed(VECTORS)
    texts = [{"content": {"parts": [{"text": text}]}, "output_dimensionality": 2} for text in ("a", "b")]
    async with ask() as client:
        reply = await client.post("/v1beta/models/m:batchEmbedContents", json={"requests": texts})
        one = await client.post("/v1beta/models/m:embedContent", json=texts[0])
    assert reply.json() == {"embeddings": [{"values": [0.5, 1.0]}, {"values": [0.25, 1]}]}
    assert one.json() == {"embedding": {"values": [0.5, 1.0]}}
    [call, _] = [call for call, _ in gateway.calls]
    assert json.loads(bytes(call.fields["input"])) == ["a", "b"]
    assert json.loads(bytes(call.fields["dimensions"])) == 2


@pytest.mark.parametrize(
    ("requests", "told"),
    [
        ([], "requests: "),
        ([{"content": {"parts": []}}], "requests[0].content: the text is empty"),
        (
            [{"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": PNG}}]}}],
            "requests[0].con",
        ),
        (
            [{"content": {"parts": [{"text": "a"}]}, "outputDimensionality": size} for size in (2, 3)],
            "requests: outputDimensionality must be the same",
        ),
        (
            [{"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 0}],
            "requests.outputDimensionality: must be",
        ),
    ],
)
async def test_what_is_wrong_about_texts_for_vectors_is_named(ask, requests, told):
    async with ask() as client:
        reply = await client.post("/v1beta/models/m:batchEmbedContents", json={"requests": requests})
    assert reply.status_code == 400
    assert reply.json()["error"]["message"].startswith(told)
