"""What simulated Mistral has beside chat: a middle that is filled in."""

import json

import pytest

from freeroute.upstreams.transport import Deadlines
from tests.support.simulation import Heard, World, hear


async def fill(key: str = "demo", **body) -> Heard:
    world = World()
    asked = {"model": "codestral-2508", "prompt": "def add(a, b):\n    ", "suffix": "\n", **body}
    headers = [(b"authorization", f"Bearer {key}".encode())]
    url = world.base("mistral") + "/fim/completions"
    exchange = await world.simulation.open("POST", url, headers, json.dumps(asked).encode(), Deadlines())
    return Heard(exchange, await hear(exchange))


@pytest.mark.parametrize("suffix", ["\n", None])
async def test_codestral_fills_in(suffix):
    reply = await fill(suffix=suffix, max_tokens=8)
    assert reply.json["choices"][0]["message"]["content"]
    assert reply.json["usage"]["completion_tokens"] <= 8


async def test_a_filling_is_streamed_as_a_chat_is():
    chunks = (await fill(stream=True)).events
    assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)
    assert chunks[-1]["usage"]["completion_tokens"] > 0


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"key": "nobody"}, 401),
        ({"model": "mistral-small-2603"}, 404),
        ({"prompt": None}, 400),
        ({"prompt": 5}, 400),
        ({"prompt": "", "suffix": ""}, 400),
        ({"tools": []}, 422),
    ],
)
async def test_what_mistral_does_not_fill_in_is_refused(given, status):
    assert (await fill(**given)).status == status
