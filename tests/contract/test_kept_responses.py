"""Responses that are kept, where many come back to them at once, on real sockets."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

MANY = 40
ROOM = {"limits": [{"unit": "requests", "amount": 10_000, "per": "minute"}]}

Ask = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
async def ask(play, tmp_path) -> Ask:
    """Ask a gateway that keeps responses, by method and path."""
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    scene = await play(every=ROOM, state=state, storage={"bodies": {}})

    async def ask(method: str, where: str = "", **body: Any) -> httpx.Response:
        json = {"model": "free", "input": "Hello!", **body} if method == "POST" else None
        return await scene.gateway.http.request(method, f"/v1/responses{where}", json=json)

    return ask


async def all_of(asked: list[Awaitable[httpx.Response]]) -> list[httpx.Response]:
    replies = await asyncio.gather(*asked)
    assert [reply.text for reply in replies if reply.status_code != 200] == []
    return list(replies)


async def test_many_go_on_with_one_response_at_once_and_come_back_to_theirs(ask):
    first = (await ask("POST")).json()["id"]
    for _ in range(2):
        told = await all_of([ask("POST", previous_response_id=first) for _ in range(MANY)])
        names = [reply.json()["id"] for reply in told]
        found = await all_of([ask("GET", f"/{name}") for name in names])
        assert [reply.json() for reply in found] == [reply.json() for reply in told]
        await all_of([ask("DELETE", f"/{name}") for name in names])
        assert (await ask("GET", f"/{names[0]}")).status_code == 404
