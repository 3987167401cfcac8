"""The topics of administration: what is asked, what is noted, what is answered."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from freeroute.domain.audit import Entry
from freeroute.domain.clients import hash_key
from freeroute.domain.operators import Operator, Scope
from freeroute.errors import ConfigError, Conflict, NotFound
from freeroute.surfaces.access import Policy
from freeroute.surfaces.guard import Guard
from freeroute.surfaces.litestar_app import build_asgi
from tests.support.administration import FakeBook, FakeTrail, administration
from tests.support.clocks import EPOCH, ManualClock
from tests.support.gateways import FakeGateway, FakeLive

ANN = Operator("ann", Scope.ADMIN, hash_key("fo-ann"))


async def rendered() -> tuple[bytes, str]:
    return b"", "text/plain"


class World:
    """The surfaces over books that say what they were asked."""

    def __init__(self, dashboard: Path) -> None:
        self.trail, self.clients, self.operators = FakeTrail(), FakeBook(), FakeBook()
        gateway = FakeGateway()
        app = build_asgi(
            gateway,
            Guard(Policy(admin_key="boss", operators=(ANN,)), ManualClock()),
            live=FakeLive(),
            reload=gateway.reload,
            render=rendered,
            dashboard=dashboard,
            administration=administration(self.trail, clients=self.clients, operators=self.operators),
            clock=ManualClock(),
        )
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(cast("Any", app)),
            base_url="http://localhost",
            headers={"authorization": "Bearer fo-ann"},
        )

    @property
    def noted(self) -> list[tuple[str, str, str, bool]]:
        return [(entry.who, entry.what, entry.target, entry.made) for entry in self.trail.entries]


@pytest.fixture
def world(dashboard: Path) -> World:
    return World(dashboard)


CHANGES: list[tuple[str, str, dict[str, Any] | None, int, str, tuple[Any, ...]]] = [
    ("POST", "/clients", {"name": "alice", "weight": 2}, 201, "client.add", ("add", "alice", {"weight": 2})),
    (
        "PATCH",
        "/clients/alice",
        {"weight": None},
        200,
        "client.change",
        ("amend", "alice", {"weight": None}),
    ),
    ("POST", "/clients/alice/rotate", {"overlap": "1h"}, 200, "client.rotate", ("rotate", "alice", "1h")),
    ("POST", "/clients/alice/rotate", None, 200, "client.rotate", ("rotate", "alice", "0s")),
    ("POST", "/clients/alice/revoke", None, 200, "client.revoke", ("revoke", "alice")),
    ("DELETE", "/clients/alice", None, 204, "client.remove", ("remove", "alice")),
    (
        "POST",
        "/operators",
        {"name": "ben", "scope": "read"},
        201,
        "operator.add",
        ("add", "ben", {"scope": "read"}),
    ),
    ("DELETE", "/operators/ben", None, 204, "operator.revoke", ("revoke", "ben")),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "what", "asked"), CHANGES)
async def test_a_change_is_noted_with_who_made_it_and_then_made(
    world, method, path, body, status, what, asked
):
    reply = await world.http.request(method, f"/admin{path}", json=body)
    assert reply.status_code == status
    assert reply.content == b"" if status == 204 else reply.json()["name"] == asked[1]
    assert world.noted == [("ann", what, asked[1], True)]
    assert [*world.clients.asked, *world.operators.asked] == [asked]
    assert "the-secret" not in str(world.trail.entries)


@pytest.mark.parametrize(("method", "path", "body", "status", "what", "asked"), CHANGES)
async def test_a_change_that_cannot_be_noted_is_not_made(world, method, path, body, status, what, asked):
    world.trail.broken = ConfigError("audit.jsonl: cannot be written: No space left on device")
    reply = await world.http.request(method, f"/admin{path}", json=body)
    assert reply.status_code == 503
    assert reply.json()["error"]["code"] == "audit_unavailable"
    assert world.clients.asked == world.operators.asked == []


@pytest.mark.parametrize(
    ("error", "status", "code", "param"),
    [
        (NotFound("there is no client alice"), 404, "not_found", None),
        (Conflict("there is a client alice already", param="name"), 409, "conflict", "name"),
        (
            ConfigError("clients: weight: expected number > 0", field="weight"),
            400,
            "invalid_request",
            "weight",
        ),
        (ConfigError("clients: give either", field=""), 400, "invalid_request", "body"),
        (ConfigError("clients.json: is damaged"), 503, "unavailable", None),
    ],
)
async def test_what_is_refused_is_told_and_leaves_no_trace(world, error, status, code, param):
    world.clients.broken = world.operators.broken = error
    for method, path, body, *_ in CHANGES:
        reply = await world.http.request(method, f"/admin{path}", json=body)
        told = reply.json()["error"]
        assert (reply.status_code, told["code"], told["param"]) == (status, code, param)
        assert str(error) in told["message"]
    assert (await world.http.get("/admin/clients/alice")).status_code == status
    assert world.noted == []


@pytest.mark.parametrize(
    ("content", "param"),
    [
        (b"{", "body"),
        (b"\xff", "body"),
        (b"[]", "body"),
        (b'{"overlap": []}', "overlap"),
        (b'{"over": "1h"}', "over"),
        (b"[" * 100_000, "body"),
    ],
)
async def test_a_body_that_is_wrong_is_refused_with_the_field(world, content, param):
    reply = await world.http.post("/admin/clients/alice/rotate", content=content)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)
    assert world.clients.asked == []


async def test_a_body_that_is_too_large_is_refused(world):
    reply = await world.http.post("/admin/clients", content=b" " * (256 * 1024 + 1))
    assert reply.status_code == 413


async def test_a_name_that_is_missing_is_left_to_the_rules(world):
    assert (await world.http.post("/admin/clients", json={})).status_code == 201
    assert world.clients.asked == [("add", None, {})]


async def test_what_there_is_is_shown(world):
    for path in ("/admin/clients", "/admin/operators"):
        assert (await world.http.get(path)).json() == {"data": [{"name": "alice"}]}
    assert (await world.http.get("/admin/clients/al%2Fice%20b")).status_code == 404
    assert (await world.http.get("/admin/clients/al%20ice")).json() == {"name": "al ice"}


async def test_a_token_says_whose_it_is(world):
    reply = await world.http.get("/admin/whoami")
    assert reply.json() == {"name": "ann", "scope": "admin", "expires": None}
    reply = await world.http.get("/admin/whoami", headers={"authorization": "Bearer boss"})
    assert reply.json() == {"name": "admin", "scope": "admin", "expires": None}


@pytest.fixture
def audited(world: World) -> Callable[..., Any]:
    world.trail.entries = [
        Entry(EPOCH - 86400 * days, who, "client.add", "alice") for days, who in [(9, "ann"), (1, "ben")]
    ]

    async def ask(**query: str) -> httpx.Response:
        return await world.http.get("/admin/audit", params=query)

    return ask


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, ["ben", "ann"]),
        ({"limit": "1"}, ["ben"]),
        ({"who": "ann"}, ["ann"]),
        ({"since": "7d"}, ["ben"]),
        ({"until": "7d"}, ["ann"]),
        ({"since": "2026-09-20"}, ["ben"]),
        ({"since": "2026-09-20T14:13:20+00:00"}, ["ben"]),
        ({"since": str(EPOCH)}, []),
    ],
)
async def test_changes_are_asked_for_by_time_and_person(audited, query, names):
    reply = await audited(**query)
    assert [one["who"] for one in reply.json()["data"]] == names


async def test_a_change_is_told_with_every_field(audited):
    assert (await audited(limit="1")).json()["data"] == [
        {
            "at": EPOCH - 86400,
            "who": "ben",
            "what": "client.add",
            "target": "alice",
            "before": None,
            "after": None,
            "made": True,
        }
    ]


@pytest.mark.parametrize(
    "query",
    [
        {"since": "soon"},
        {"until": "2026-13-01"},
        {"since": "-1"},
        {"since": "9" * 400},
        {"limit": "0"},
        {"limit": "1001"},
        {"limit": "ten"},
        {"limit": "9" * 5000},
        {"limit": "²"},
    ],
)
async def test_a_question_that_makes_no_sense_is_refused_with_the_parameter(audited, query):
    reply = await audited(**query)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, next(iter(query)))


async def test_an_audit_that_cannot_be_read_is_told(world):
    world.trail.broken = ConfigError("audit.jsonl: cannot be read: Permission denied")
    assert (await world.http.get("/admin/audit")).status_code == 503
