"""The simulated providers behind a real socket."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import uvicorn

from freeroute.upstreams.simulated.faults import Fault
from freeroute.upstreams.simulated.http import asgi
from tests.support.simulation import World

PLAIN = {"model": "openai/gpt-oss-20b", "messages": [{"role": "user", "content": "Hello"}]}
CHAT = "/groq/openai/v1/chat/completions"


class Site:
    """A served world and a client for it."""

    def __init__(self, world: World, url: str, client: aiohttp.ClientSession) -> None:
        self.world = world
        self.url = url
        self.client = client

    async def chat(self, path: str = CHAT, **fields) -> tuple[int, bytes]:
        async with self.client.post(self.url + path, json=PLAIN | fields) as answer:
            return answer.status, await answer.read()

    async def script(self, **orders) -> int:
        async with self.client.post(f"{self.url}/_script/groq", json=orders) as answer:
            return answer.status

    async def calls(self) -> Any:
        async with self.client.get(f"{self.url}/_calls/groq") as answer:
            return await answer.json()


class Server(uvicorn.Server):
    """A server that says when it is up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    world = World()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(asgi(world.simulation), log_config=None, timeout_graceful_shutdown=1)
        server = Server(config)
        running = asyncio.ensure_future(server.serve([listening]))
        await server.up.wait()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        async with aiohttp.ClientSession(headers={"authorization": "Bearer demo"}) as client:
            yield Site(world, url, client)
        server.should_exit = True
        await running


async def test_every_provider_answers_under_its_own_path(site):
    for name, provider in site.world.simulation.providers.items():
        path = f"/{name}{provider.dialect.base_path}/chat/completions"
        status, body = await site.chat(path, model=next(iter(provider.models)))
        assert status == 200
        assert f"simulated answer from {name}/".encode() in body


async def test_other_routes_of_a_provider_are_served_too(site):
    async with site.client.get(site.url + "/ollama/api/version") as answer:
        assert "version" in await answer.json()
    async with site.client.get(site.url + "/nobody/v1/models") as answer:
        assert answer.status == 404


async def test_a_stream_leaves_event_by_event(site):
    site.world["groq"].script([Fault("stall", after=3)])
    async with site.client.post(site.url + CHAT, json=PLAIN | {"stream": True}) as answer:
        assert answer.headers["x-ratelimit-limit-requests"] == "1000"
        # Three tokens are here although the answer never ends.
        seen = b""
        while b'" a"' not in seen:
            seen += await answer.content.readany()


async def test_a_caller_who_leaves_stops_the_provider(site):
    assert await site.script(faults=["hang_after_head"]) == 200
    async with site.client.post(site.url + CHAT, json=PLAIN) as answer:
        assert answer.status == 200
        answer.close()
    while (await site.calls())["open"]:
        pass
    assert site.world["groq"].calls[-1].aborted


async def test_faults_below_http_break_the_connection(site):
    assert await site.script(faults=["reset", "refused", "cut"]) == 200
    for _ in range(2):
        with pytest.raises(aiohttp.ClientConnectionError):
            await site.chat()
    with pytest.raises(aiohttp.ClientPayloadError):
        await site.chat()
    assert (await site.chat())[0] == 200


async def test_a_script_from_another_process_sets_faults_speed_and_length(site):
    orders = {
        "faults": [503, {"kind": "status", "status": 500}, None],
        "always": "empty",
        "speed": {"first_token": 0, "tokens_per_second": 0},
        "answer_tokens": [9, 9],
    }
    assert await site.script(**orders) == 200
    assert [(await site.chat())[0] for _ in range(3)] == [503, 500, 200]
    assert b'"content":""' in (await site.chat())[1]
    told = await site.calls()
    assert [call["status"] for call in told["calls"]] == [503, 500, 200, 200]
    assert (told["calls"][2]["generated"], told["open"]) == (9, 0)
    assert await site.script(always=None) == 200
    assert b"simulated" in (await site.chat())[1]


@pytest.mark.parametrize("orders", [{"faults": ["resett"]}, {"fault": []}, {"speed": {"fast": 1}}])
async def test_a_script_that_makes_no_sense_is_refused(site, orders):
    assert await site.script(**orders) == 400


async def test_a_script_nested_without_end_is_refused(site):
    async with site.client.post(site.url + "/_script/groq", data=b'{"faults": ' + b"[" * 100_000) as answer:
        assert answer.status == 400


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"model": 5}', b'{"a": "\\ud800"}']
)
@pytest.mark.parametrize("name", ["groq", "gemini", "mistral"])
async def test_whatever_is_sent_is_refused_in_json(site, name, body):
    path = site.world[name].dialect.base_path
    async with site.client.post(f"{site.url}/{name}{path}/chat/completions", data=body) as answer:
        assert answer.status in (400, 422)
        assert await answer.json()


async def test_scripts_are_for_providers_that_exist(site):
    async with site.client.post(site.url + "/_script/nobody", json={}) as answer:
        assert answer.status == 404
    async with site.client.get(site.url + "/_script/groq") as answer:
        assert answer.status == 405
