"""Two clients at once, in the same conversation under the same ids: neither meets anything of the other's."""

import asyncio
import re
import sqlite3
from contextlib import AsyncExitStack, closing
from typing import Any

import msgspec
import pytest

from tests.faults.scene import played
from tests.support.asking import DONE
from tests.support.live import Live, Reply, live, until
from tests.support.provider import PlayedProvider, reset, sse, whole
from tests.support.servers import Peer, Request, serve

NAMES = ("alice", "bob")
ROUNDS = 24
ROOMY = [{"unit": "requests", "amount": 100_000, "per": "minute"}]
SETTINGS: dict[str, Any] = {
    "clients": [{"name": name, "key": f"fr-of-{name}"} for name in NAMES],
    "routing": {"probes": 0, "max_wait": 0, "hedge": True, "continue_streams": True},
    "storage": {"bodies": {}},
}


def text(name: str, number: int) -> str:
    """Return what a client asks, and is told: it names nobody else."""
    return f"{name} asked {number}: " + " ".join(f"{name}-{number}-{word}" for word in range(12))


def asked_in(request: Request) -> str:
    """Return the question of a *request*; a continuation has the beginning of its answer behind it."""
    messages = msgspec.json.decode(request.body)["messages"]
    found: str = next(one["content"] for one in reversed(messages) if one["role"] == "user")
    return found


def event(said: str, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": said}, "finish_reason": finish}
    chunk = {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "large",
        "choices": [choice],
    }
    return b"data: " + msgspec.json.encode(chunk) + b"\n\n"


async def echo(peer: Peer, request: Request) -> None:
    """Say the question back, in pieces where a stream is wanted."""
    said = asked_in(request)
    if b'"stream":true' in request.body:
        pieces = [said[at : at + 20] for at in range(0, len(said), 20)]
        await sse(*map(event, pieces), event("", "stop"), DONE)(peer, request)
        return
    choice = {"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}
    answer = {"id": "c", "object": "chat.completion", "created": 1, "model": "large", "choices": [choice]}
    await whole(msgspec.json.encode(answer))(peer, request)


async def moody(peer: Peer, request: Request) -> None:
    """Say the question back, or a part of it, or nothing for a while, or refuse a parameter."""
    mood = int(re.findall(r"asked (\d+)", asked_in(request))[0]) % 4
    if mood == 1 and b'"stream":true' in request.body:
        said = asked_in(request)
        await sse(event(said[:20]), event(said[20:60]), then=reset)(peer, request)
        return
    if mood == 2:
        await asyncio.sleep(0.05)
    if mood == 3 and b'"user":' in request.body:
        told = {"message": "Unsupported parameter: user", "code": "unsupported_parameter", "param": "user"}
        await peer.answer(
            msgspec.json.encode({"error": told}), b"content-type: application/json", status=b"400 Bad Request"
        )
        return
    await echo(peer, request)


@pytest.fixture
async def stage(tmp_path):
    async with AsyncExitStack() as stack:
        players = {"alpha": PlayedProvider(moody), "beta": PlayedProvider(echo)}
        providers = {}
        for name, player in players.items():
            server = await stack.enter_async_context(serve(player))
            quality = 90 if name == "alpha" else 50
            providers[name] = played(server.url("/v1"), [f"{name}-key"], quality, limits=ROOMY)
        state = tmp_path / "state"
        state.mkdir()
        gateway = await stack.enter_async_context(live(tmp_path, providers, state=state, **SETTINGS))
        yield gateway, players


def others(name: str) -> str:
    return next(other for other in NAMES if other != name)


async def ask(gateway: Live, name: str, number: int) -> Reply:
    headers = {
        "authorization": f"Bearer fr-of-{name}",
        "x-session-id": "the same",
        "x-request-id": f"same-{number}",
    }
    return await gateway.ask(
        text(name, number),
        stream=number % 2 == 1,
        headers=headers,
        model="free-fast",
        user=name,
        max_tokens=500,
    )


async def test_what_one_client_asks_and_is_told_reaches_no_other(stage, tmp_path):
    gateway, players = stage
    told: dict[str, list[Reply]] = {name: [] for name in NAMES}
    for number in range(ROUNDS):
        replies = await asyncio.gather(*(ask(gateway, name, number) for name in NAMES))
        for name, reply in zip(NAMES, replies, strict=True):
            told[name].append(reply)
    for name in NAMES:
        for number, reply in enumerate(told[name]):
            assert (reply.status, reply.text) == (200, text(name, number)), reply.raw
            assert others(name).encode() not in reply.raw + repr(reply.headers).encode()
    for player in players.values():
        for call in player.calls:
            assert sum(name.encode() in call.body for name in NAMES) == 1
    for name in NAMES:
        for path in ("/v1/status", "/v1/key", "/v1/models"):
            headers = {"authorization": f"Bearer fr-of-{name}"}
            assert others(name) not in (await gateway.http.get(path, headers=headers)).text
    recorder = gateway.app.recorder
    assert recorder is not None
    await until(lambda: recorder.state.written == 2 * ROUNDS)
    stored = """SELECT r.client, b.question, b.answer FROM receipts r
        JOIN bodies b ON b.at = r.at AND b.request_id = r.request_id AND b.client = r.client"""
    with closing(sqlite3.connect(tmp_path / "state" / "records.db")) as records:
        rows = records.execute(stored).fetchall()
    assert {answer for _, _, answer in rows} == {text(name, n) for name in NAMES for n in range(ROUNDS)}
    for client, question, answer in rows:
        assert answer.startswith(client)
        assert answer in question


async def test_ids_are_not_to_be_guessed(stage):
    gateway, _ = stage
    ids = []
    for number in range(20):
        headers = {"authorization": "Bearer fr-of-alice"}
        reply = await gateway.ask(text("alice", 4 * number), headers=headers)
        ids.append(reply.headers["x-request-id"])
    assert all(re.fullmatch(r"req_[0-9a-f]{24}", one) for one in ids)
    # 96 random bits each: no place of them says what stands there in the next.
    assert all(len({one[place] for one in ids}) > 5 for place in range(4, 28))
