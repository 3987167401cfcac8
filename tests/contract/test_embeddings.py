"""What embeddings alone have: one space of vectors, its length and its form, and any number of texts."""

import base64
import json
import struct
from typing import Any

import pytest

from tests.support.provider import Reply, whole
from tests.support.servers import Peer, Request

PATH = "/v1/embeddings"


async def vectors(peer: Peer, request: Request) -> None:
    """Answer with a vector for each text: its length, and its place among those of the call."""
    asked = json.loads(request.body)
    texts = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
    data = [
        {"object": "embedding", "index": at, "embedding": [float(len(text)), float(at)]}
        for at, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
    body = {"object": "list", "data": data[::-1], "model": asked["model"], "usage": usage}
    await peer.answer(json.dumps(body).encode(), b"content-type: application/json")


def maker(**facts: Any) -> dict[str, Any]:
    return {"models": [{"id": "large", "capabilities": ["embeddings"], **facts}]}


async def ask(scene: Any, **fields: Any) -> Any:
    order = {"order": ["alpha", "beta"]}
    asked = {"model": "large", "input": "Hello!", "provider": order, **fields}
    return await scene.gateway.http.post(PATH, json=asked)


@pytest.mark.parametrize("name", ["free", "auto", "free-smart"])
async def test_a_name_for_many_models_is_refused(play, name):
    scene = await play(vectors, every=maker())
    reply = await ask(scene, model=name)
    assert reply.status_code == 400
    assert "cannot be compared: name one of large" in reply.json()["error"]["message"]


async def test_several_models_are_refused(play):
    scene = await play(vectors, every=maker())
    reply = await ask(scene, models=["large", "free"])
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "models")


async def test_vectors_come_in_the_order_of_the_texts(play):
    scene = await play(vectors, every=maker())
    reply = await ask(scene, input=["a", "bb", "ccc"])
    assert [one["embedding"] for one in reply.json()["data"]] == [[1.0, 0.0], [2.0, 1.0], [3.0, 2.0]]
    assert [one["index"] for one in reply.json()["data"]] == [0, 1, 2]


async def test_more_texts_than_a_provider_takes_are_asked_for_in_turn(play):
    scene = await play(vectors, every=maker(max_inputs=2))
    texts = ["a", "bb", "ccc", "dddd", "eeeee"]
    reply = await ask(scene, input=texts)
    assert [one["embedding"][0] for one in reply.json()["data"]] == [1, 2, 3, 4, 5]
    assert reply.json()["usage"] == {"prompt_tokens": 5, "total_tokens": 5}
    assert [json.loads(call.body)["input"] for call in scene.alpha.calls] == [
        ["a", "bb"],
        ["ccc", "dddd"],
        ["eeeee"],
    ]
    assert reply.headers["x-freeroute-provider"] == "alpha"


async def test_a_batch_that_fails_ends_the_request(play):
    broken = whole(b'{"error":{"message":"broken"}}', status=b"500 Oops")
    scene = await play(vectors, broken, beta=broken, every=maker(max_inputs=1))
    reply = await ask(scene, input=["a", "b", "c"])
    assert reply.status_code == 502


@pytest.mark.parametrize(("declared", "asked"), [(3, {}), (3, {"dimensions": 3})])
async def test_vectors_of_another_length_than_the_model_has_are_not_told(play, declared, asked):
    scene = await play(vectors, every=maker(dimensions=declared))
    assert (await ask(scene, **asked)).status_code == 502


def one_vector(numbers: str) -> Reply:
    return whole(f'{{"data":[{{"index":0,"embedding":{numbers}}}]}}'.encode())


async def test_a_batch_with_vectors_of_another_length_than_the_first_is_asked_of_another(play):
    replies = one_vector("[1]"), one_vector("[1,2]")
    scene = await play(*replies, beta=one_vector("[3]"), every=maker(max_inputs=1))
    reply = await ask(scene, input=["a", "b"])
    assert [one["embedding"] for one in reply.json()["data"]] == [[1], [3]]
    assert reply.headers["x-freeroute-trail"] == "alpha/large=garbage:200"


async def test_batches_whose_vectors_are_of_different_lengths_are_a_failure_that_is_told(play):
    replies = one_vector("[1]"), one_vector("[1,2]")
    scene = await play(*replies, every=maker(max_inputs=1))
    reply = await ask(scene, input=["a", "b"], model="alpha/large")
    assert (reply.status_code, reply.json()["error"]["code"]) == (502, "upstream_failed")
    status = (await scene.gateway.http.get("/v1/status")).json()
    assert sorted(one["status"] for one in status["requests"]) == [200, 502]


@pytest.mark.parametrize("form", ["float", "base64"])
async def test_many_long_vectors_are_told_whole(play, form):
    length, texts = 3072, [str(at) for at in range(60)]
    data = [{"index": at, "embedding": [float(at), *[0.25] * (length - 1)]} for at in range(len(texts))]
    scene = await play(whole(json.dumps({"data": data, "model": "m"}).encode()), every=maker())
    told = (await ask(scene, input=texts, encoding_format=form)).json()["data"]
    if form == "base64":
        numbers = [struct.unpack(f"<{length}f", base64.b64decode(one["embedding"])) for one in told]
    else:
        numbers = [one["embedding"] for one in told]
    found = [(one[0], one[-1], len(one)) for one in numbers]
    assert found == [(at, 0.25, length) for at in range(len(texts))]


@pytest.mark.parametrize("form", ["float", "base64"])
@pytest.mark.parametrize("told", ["float", "base64"])
async def test_vectors_are_told_in_the_form_that_is_asked_for(play, form, told):
    numbers = [0.5, -1.25]
    packed = base64.b64encode(struct.pack("<2f", *numbers)).decode()
    answer = {"data": [{"index": 0, "embedding": numbers if told == "float" else packed}], "model": "m"}
    scene = await play(whole(json.dumps(answer).encode()), every=maker())
    reply = await ask(scene, encoding_format=form)
    assert reply.json()["data"][0]["embedding"] == (numbers if form == "float" else packed)
    assert reply.json()["usage"]["prompt_tokens"] > 0


async def test_the_other_vectors_of_a_family_are_not_taken_for_the_same(play):
    broken = whole(b"{}", status=b"500 Oops")
    scene = await play(broken, beta=vectors, every=maker(dimensions=2), alpha=maker(dimensions=3))
    reply = await ask(scene)
    assert reply.status_code == 502
    assert not scene.beta.calls


async def test_a_length_is_asked_for_where_it_can_be_told(play):
    able = maker(dimensions=1024)
    able["models"][0]["capabilities"].append("dimensions")
    scene = await play(vectors, beta=vectors, every=maker(), alpha=able)
    assert (await ask(scene, dimensions=2)).headers["x-freeroute-provider"] == "alpha"
    assert json.loads(scene.alpha.calls[-1].body)["dimensions"] == 2
    refused = await ask(scene, model="beta/large", dimensions=2)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "unsupported_capability")


async def test_a_length_that_a_model_has_anyway_is_not_told(play):
    scene = await play(vectors, every=maker(dimensions=2))
    assert (await ask(scene, dimensions=2)).status_code == 200
    assert "dimensions" not in json.loads(scene.alpha.calls[-1].body)


@pytest.mark.parametrize(
    "data",
    [
        [],
        [{"index": 0, "embedding": []}],
        [{"index": 0, "embedding": [1.0, None]}],
        [{"index": 0}],
        [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0]}],
    ],
)
async def test_what_are_no_vectors_is_not_told(play, data):
    wrong: Reply = whole(json.dumps({"data": data}).encode())
    scene = await play(wrong, beta=vectors, every=maker())
    assert (await ask(scene)).headers["x-freeroute-provider"] == "beta"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": ["a", ""]}, "input[1]"),
        ({"input": ["a", 1]}, "input"),
        ({"input": [[1], "a"]}, "input"),
        ({"input": ["a", [1]]}, "input"),
        ({"input": [[1], 1]}, "input"),
        ({"input": [[1], []]}, "input[1]"),
        ({"input": {"a": 1}}, "input"),
        ({"input": ["a"] * 10_001}, "input"),
        ({"input": None}, "input"),
        ({"model": None}, "model"),
        ({"dimensions": 0}, "dimensions"),
        ({"encoding_format": "bits"}, "encoding_format"),
        ({"provider": {"require_parameters": True}}, "provider.require_parameters"),
    ],
)
async def test_what_is_wrong_about_a_request_is_named(play, fields, param):
    scene = await play(vectors, every=maker())
    reply = await ask(scene, **fields)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)
    assert not scene.alpha.calls


@pytest.mark.parametrize("tokens", [[1, 2, 3], [[1, 2, 3]]])
async def test_tokens_pass_and_are_counted(play, tokens):
    answer = whole(b'{"data":[{"index":0,"embedding":[1.0]}]}')
    scene = await play(answer, every=maker())
    reply = await ask(scene, input=tokens)
    assert reply.json()["usage"]["prompt_tokens"] >= 3
    assert json.loads(scene.alpha.calls[-1].body)["input"] == tokens
