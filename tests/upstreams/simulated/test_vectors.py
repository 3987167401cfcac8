"""Vectors of simulated providers."""

import base64
import json
import struct

import pytest

from freeroute.upstreams.simulated.vectors import vector
from freeroute.upstreams.transport import Deadlines
from tests.support.simulation import Heard, World, hear


@pytest.fixture
def world() -> World:
    return World()


async def make(world: World, name: str = "mistral", key: str = "demo", **body):
    asked = {"model": "mistral-embed", "input": "red car", **body}
    headers = [(b"authorization", f"Bearer {key}".encode())]
    url = world.base(name) + "/embeddings"
    exchange = await world.simulation.open("POST", url, headers, json.dumps(asked).encode(), Deadlines())
    return Heard(exchange, await hear(exchange))


def alike(one, other) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_texts_with_words_in_common_are_near():
    car, cars, tree = (vector(text, 256) for text in ("the red car", "a red car", "green trees grow"))
    assert alike(car, cars) > alike(car, tree)
    assert alike(car, car) == pytest.approx(1.0)
    assert vector("!", 8) != [0.0] * 8


async def test_each_text_has_a_vector_of_the_length_that_is_usual(world):
    reply = await make(world, input=["red car", "blue car"])
    assert [len(one["embedding"]) for one in reply.json["data"]] == [1024, 1024]
    assert reply.json["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    assert reply.json["data"][0]["embedding"] == (await make(world)).json["data"][0]["embedding"]


async def test_a_length_and_a_form_may_be_asked_for(world):
    reply = await make(world, "gemini", model="gemini-embedding-001", dimensions=4, encoding_format="base64")
    packed = base64.b64decode(reply.json["data"][0]["embedding"])
    assert struct.unpack("<4f", packed) == pytest.approx(vector("red car", 4))


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"key": "nobody"}, 401),
        ({"model": "mistral-small-2603"}, 400),
        ({"input": []}, 400),
        ({"input": [1, 2]}, 400),
        ({"dimensions": "many"}, 400),
    ],
)
async def test_what_is_wrong_is_refused(world, given, status):
    assert (await make(world, **given)).status in {status, 404, 422}


async def test_it_is_counted(world):
    for _ in range(60):
        assert (await make(world)).status == 200
    assert (await make(world)).status == 429
