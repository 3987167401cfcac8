"""The stream that dashboards follow, over HTTP."""

import asyncio
from typing import Any, cast

import httpx
import pytest

from freeroute.domain.clients import Client, hash_key
from freeroute.surfaces.access import Policy
from freeroute.surfaces.guard import Guard
from freeroute.surfaces.litestar_app import build_asgi
from freeroute.surfaces.live import PATIENCE
from tests.support import patience
from tests.support.administration import administration
from tests.support.clocks import ManualClock
from tests.support.gateways import FakeGateway, FakeLive
from tests.support.live import until
from tests.support.serving import RawCaller, serving
from tests.support.virtual import run

KEYED = Policy(clients=(Client("alice", hash_key("sk-alice")),), admin_key="boss")
GET = b"GET /v1/status/events HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer sk-alice\r\n\r\n"


def application(live, guard, dashboard):
    gateway = FakeGateway()
    return build_asgi(
        gateway,
        guard,
        live=live,
        reload=gateway.reload,
        render=gateway.render,
        dashboard=dashboard,
        administration=administration(),
        clock=ManualClock(),
    )


async def test_events_come_as_they_are_told(ask, live):
    async with ask() as client:
        reply = await client.get("/api/v1/status/events")
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert reply.headers["cache-control"] == "no-store"
    assert reply.content == b"".join(live.news)
    assert (live.asked, live.left) == ([("events", None)], 1)


async def test_whoever_asks_for_the_head_alone_does_not_watch(ask, live):
    async with ask() as client:
        reply = await client.head("/v1/status/events")
    assert (reply.status_code, reply.content, live.asked) == (200, b"", [])


async def test_one_provider_is_told_whole_to_whoever_asks(ask, live):
    async with ask(KEYED) as client:
        for key in ("sk-alice", "boss"):
            reply = await client.get("/v1/status/providers/groq", headers={"authorization": f"Bearer {key}"})
            assert reply.json() == {"id": "groq"}
        reply = await client.get("/v1/status/providers/x", headers={"authorization": "Bearer boss"})
    assert reply.status_code == 404
    assert live.asked == [("groq", "alice"), ("groq", None), ("x", None)]


async def test_a_watcher_that_hangs_up_is_let_go(dashboard):
    live = FakeLive(ends=False)
    guard = Guard(KEYED, ManualClock())
    async with serving(application(live, guard, dashboard)) as url, RawCaller.to(url) as caller:
        await caller.send(GET)
        assert (await caller.head())[0] == 200
        await caller.reader.readuntil(b"\n\n")
        caller.leave()
        await until(lambda: live.left == 1)


@pytest.mark.parametrize("key", [b"sk-alice", b"boss"])
async def test_a_stream_ends_with_the_key_it_was_asked_with(dashboard, key):
    live, guard = FakeLive(ends=False), Guard(KEYED, ManualClock())
    async with serving(application(live, guard, dashboard)) as url, RawCaller.to(url) as caller:
        await caller.send(GET.replace(b"sk-alice", key))
        await caller.head()
        await caller.reader.readuntil(b"\n\n")
        guard.policy = Policy(clients=(Client("bob", hash_key("sk-bob")),), admin_key="other")
        live.say(b"event: change\ndata: {}\n\n")
        rest = await asyncio.wait_for(caller.reader.readuntil(b"0\r\n\r\n"), patience.PATIENCE)
    assert b"change" not in rest


def test_a_stream_on_which_nothing_happens_ends_with_its_key_too(dashboard):
    live, guard = FakeLive(ends=False), Guard(KEYED, ManualClock())
    transport = httpx.ASGITransport(cast("Any", application(live, guard, dashboard)))

    async def follow():
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            asked = client.get("/v1/status/events", headers={"authorization": "Bearer sk-alice"})
            reading = asyncio.create_task(asked)
            await asyncio.sleep(60)
            assert not reading.done()
            guard.policy = Policy(clients=(Client("bob", hash_key("sk-bob")),))
            async with asyncio.timeout(PATIENCE):
                assert (await reading).content == b"".join(live.news)

    run(follow())
