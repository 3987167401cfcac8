"""Tasks other than chat, without a network: how long their bodies may be, and what asks for nothing."""

import pytest

from freeroute.surfaces.http import BodyBounds
from freeroute.wire.multipart import form_of

KIND = {"content-type": "multipart/form-data; boundary=x"}


def recording(size: int) -> bytes:
    model = b'--x\r\ncontent-disposition: form-data; name="model"\r\n\r\nwhisper\r\n'
    file = b'--x\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    return model + file + b"x" * size + b"\r\n--x--\r\n"


@pytest.mark.parametrize(
    ("limit", "size", "status"), [(20, 22, 200), (20, 27, 413), (30, 28, 200), (1, 2, 413)]
)
async def test_a_recording_may_be_longer_than_other_bodies(ask, gateway, limit, size, status):
    body = recording(size * 2**20)
    async with ask(bounds=BodyBounds(limit=limit * 2**20)) as client:
        reply = await client.post("/v1/audio/transcriptions", content=body, headers=KIND)
    assert reply.status_code == status
    if status == 200:
        [(call, context)] = gateway.calls
        assert context.surface == "audio"
        assert call.form == form_of(KIND["content-type"], body)


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/moderations", {"model": "m", "input": []}, "input"),
        ("/v1/moderations", {"model": "m", "input": ""}, "input"),
        ("/v1/images/generations", {"model": "m", "prompt": "a cat", "n": 0}, "n"),
        ("/v1/images/generations", {"model": "m", "prompt": "a cat", "n": "two"}, "n"),
    ],
)
async def test_whoever_asks_for_nothing_is_told_so_and_no_provider_is_asked(ask, gateway, path, body, param):
    async with ask() as client:
        reply = await client.post(path, json=body)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)
    assert not gateway.calls
