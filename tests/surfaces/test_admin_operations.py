"""Holds, breakers, learned limits, maintenance and reload over HTTP: shown, undone, written down before."""

import math
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from freeroute.domain.catalogue import Limit, Unit
from freeroute.domain.outcome import Kind
from freeroute.errors import ConfigError
from freeroute.surfaces.access import Policy
from freeroute.surfaces.guard import Guard
from freeroute.surfaces.litestar_app import build_asgi
from tests.support.administration import FakeTrail, administration
from tests.support.clocks import ManualClock
from tests.support.gateways import FakeGateway, FakeLive
from tests.support.world import World, model, provider

PER_MINUTE = Limit(Unit.REQUESTS, 30, 60.0, span="minute")
Ask = Callable[..., Any]


@pytest.fixture
def world() -> World:
    return World(provider("groq", model("org/x"), limits=(PER_MINUTE,)), provider("other", model("y")))


@pytest.fixture
def trail() -> FakeTrail:
    return FakeTrail()


@pytest.fixture
def ask(world: World, trail: FakeTrail, gateway: FakeGateway, tmp_path) -> Ask:
    """Return what asks as the holder of the admin key."""
    app: Any = build_asgi(
        gateway,
        Guard(Policy(admin_key="boss"), ManualClock()),
        live=FakeLive(),
        reload=gateway.reload,
        render=gateway.render,
        dashboard=tmp_path,
        administration=administration(trail, world.gateway),
        clock=world.clock,
    )

    async def ask(method: str, path: str, **given: Any) -> httpx.Response:
        transport, headers = httpx.ASGITransport(app), {"authorization": "Bearer boss"}
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path, headers=headers, **given)

    return ask


def noted(trail: FakeTrail) -> list[tuple[str, str, str, bool]]:
    return [(entry.who, entry.what, entry.target, entry.made) for entry in trail.entries]


def hold(world: World, *place: str) -> None:
    world.gateway.standing.hold(place, math.inf, "why", since=world.clock.now())


async def test_a_hold_is_shown_and_lifted_by_its_id(ask, world, trail):
    hold(world, "key-model", "groq", "k1", "org/x")
    [entry] = (await ask("GET", "/admin/holds")).json()["data"]
    assert (entry["id"], entry["reason"]) == ("key-model/groq/k1/org/x", "why")
    reply = await ask("DELETE", f"/admin/holds/{entry['id']}")
    assert (reply.status_code, reply.content) == (204, b"")
    assert (await ask("GET", "/admin/holds")).json() == {"data": []}
    assert noted(trail) == [("admin", "hold.lift", entry["id"], True)]
    assert trail.entries[0].before == entry
    again = await ask("DELETE", f"/admin/holds/{entry['id']}")
    assert again.status_code == 404
    assert len(trail.entries) == 1


async def test_all_holds_or_those_of_a_provider_are_lifted(ask, world, trail):
    for name in ("groq", "other"):
        hold(world, "provider", name)
    reply = await ask("DELETE", "/admin/holds?provider=groq")
    assert reply.json() == {"lifted": ["provider/groq"]}
    assert (await ask("DELETE", "/admin/holds")).json() == {"lifted": ["provider/other"]}
    assert [entry.target for entry in trail.entries] == ["groq", "all"]
    unknown = await ask("DELETE", "/admin/holds?provider=grok")
    assert (unknown.status_code, unknown.json()["error"]["param"]) == (404, "provider")
    assert "did you mean groq" in unknown.json()["error"]["message"]


async def test_breakers_are_shown_and_closed(ask, world, trail):
    world.upstream.scripts["groq"] = [Kind.FAULT] * 3
    for _ in range(3):
        with pytest.raises(Exception, match=r"attempts? failed"):
            await world.ask("groq/org/x")
    shown = {entry["id"]: entry["state"] for entry in (await ask("GET", "/admin/breakers")).json()["data"]}
    assert shown == {"groq": "closed", "groq/org/x#k1": "open", "other": "closed", "other/y#k1": "closed"}
    reply = await ask("DELETE", "/admin/breakers/groq/org/x%23k1")
    assert (reply.status_code, reply.json()["state"]) == (200, "closed")
    assert (await ask("DELETE", "/admin/breakers")).json() == {"closed": []}
    assert (await ask("DELETE", "/admin/breakers/nobody")).status_code == 404
    assert [(e.target, e.before, e.after) for e in trail.entries] == [
        ("groq/org/x#k1", "open", "closed"),
        ("all", [], []),
    ]


async def test_what_was_learned_is_shown_beside_what_was_published_and_forgotten(ask, world, trail):
    x, now = world.candidate("groq/org/x#k1"), world.clock.now()
    world.gateway.standing.learn_context(x, 4096, now)
    found = (await ask("GET", "/admin/limits")).json()
    assert [(e["label"], e["published"], e["learned"]) for e in found["data"]] == [
        ("requests/minute", 30, False)
    ]
    [lesson] = found["models"]
    assert (lesson["id"], lesson["context"], lesson["published"]) == (
        "groq/org/x",
        4096,
        {"context": 100_000},
    )
    assert (await ask("GET", "/admin/limits/learned?provider=other")).json() == {"data": []}
    assert (await ask("GET", "/admin/limits/learned")).json() == {"data": [lesson]}
    assert (await ask("DELETE", "/admin/limits/learned/groq/org/x")).json() == {"forgotten": ["groq/org/x"]}
    assert (await ask("DELETE", "/admin/limits/learned")).json() == {"forgotten": []}
    assert (await ask("DELETE", "/admin/limits/learned/groq/org/z")).status_code == 404
    assert noted(trail)[0] == ("admin", "learned.forget", "groq/org/x", True)
    taught = {"context": 4096, "refuses": [], "spared": {}, "overlong": []}
    assert [entry.before for entry in trail.entries] == [{"groq/org/x": taught}, {}]


async def test_maintenance_is_turned_on_and_off(ask, world, trail):
    assert (await ask("GET", "/admin/maintenance")).json() == {"on": False, "since": None, "message": None}
    reply = await ask("PUT", "/admin/maintenance", json={"on": True, "message": "new disks"})
    since = world.clock.now().wall
    assert reply.json() == {"on": True, "since": since, "message": "new disks"}
    assert world.gateway.maintenance is not None
    assert (await ask("GET", "/admin/maintenance")).json() == reply.json()
    assert (await ask("PUT", "/admin/maintenance", json={"on": False})).json()["on"] is False
    assert world.gateway.maintenance is None
    assert [(e.what, e.before["on"], e.after["on"]) for e in trail.entries] == [
        ("maintenance.set", False, True),
        ("maintenance.set", True, False),
    ]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ("{}", "on"),
        ('{"on": "yes"}', "on"),
        ('{"on": true, "message": 1}', "message"),
        ('{"on": true, "message": "' + "x" * 501 + '"}', "message"),
        ('{"on": true, "message": "a\\u001b]0;x\\u0007"}', "message"),
        ('{"on": true, "message": "two\\nlines"}', "message"),
        ('{"on": true, "until": 1}', "until"),
        ("[]", "body"),
        ("{", "body"),
    ],
)
async def test_no_other_body_begins_maintenance(ask, world, trail, body, param):
    reply = await ask("PUT", "/admin/maintenance", content=body)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)
    assert world.gateway.maintenance is None
    assert trail.entries == []


async def test_settings_are_read_again_and_a_failure_is_written_down(ask, gateway, trail):
    assert (await ask("POST", "/admin/reload")).json() == {"status": "reloaded", "providers": []}
    gateway.settings_error = ConfigError("freeroute.yaml: providers.groq: unknown field")
    reply = await ask("POST", "/admin/reload")
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "invalid_settings")
    assert "unknown field" in reply.json()["error"]["message"]
    assert [(what, made) for _, what, _, made in noted(trail)] == [
        ("settings.reload", True),
        ("settings.reload", True),
        ("settings.reload", False),
    ]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("DELETE", "/admin/holds", None),
        ("DELETE", "/admin/holds/provider/groq", None),
        ("DELETE", "/admin/breakers", None),
        ("DELETE", "/admin/breakers/groq", None),
        ("DELETE", "/admin/limits/learned", None),
        ("DELETE", "/admin/limits/learned/groq/org/x", None),
        ("PUT", "/admin/maintenance", {"on": True}),
        ("POST", "/admin/reload", None),
        ("POST", "/v1/status/providers/groq/reset", None),
        ("PATCH", "/v1/status/routing", {"strategy": "random"}),
    ],
)
async def test_what_cannot_be_written_down_is_not_done(ask, world, gateway, trail, method, path, body):
    hold(world, "provider", "groq")
    x = world.candidate("groq/org/x#k1")
    world.gateway.standing.learn_context(x, 4096, world.clock.now())
    trail.broken = ConfigError("audit.jsonl: cannot be written: No space left on device")
    reply = await ask(method, path, json=body) if body else await ask(method, path)
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "audit_unavailable")
    assert len(world.gateway.standing.holds(world.clock.now())) == 1
    assert world.gateway.standing.context(x) == 4096
    assert world.gateway.maintenance is None
    assert gateway.asked == []
