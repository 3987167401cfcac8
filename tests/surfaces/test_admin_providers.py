"""``/admin/providers`` and ``/admin/models``: what is passed on and written down, what each scope may."""

import httpx
import pytest
from msgspec import UNSET

from freeroute.domain.clients import hash_key
from freeroute.domain.operators import Operator, Scope
from freeroute.errors import ConfigError
from freeroute.surfaces.access import Policy
from freeroute.surfaces.guard import Guard
from freeroute.surfaces.litestar_app import build_asgi
from tests.support.administration import FakeTrail, administration
from tests.support.clocks import ManualClock
from tests.support.gateways import FakeLive
from tests.support.providers import FakeProviders

TOKENS = {scope.value: f"fo-{scope.value}" for scope in Scope}
POLICY = Policy(
    operators=tuple(Operator(scope.value, scope, hash_key(TOKENS[scope.value])) for scope in Scope),
    admin_key="admin",
)


async def nothing() -> tuple[bytes, str]:
    return b"", "text/plain"


class Scene:
    """The surface over a provider that is not there."""

    def __init__(self, gateway, dashboard) -> None:
        self.trail, self.providers = FakeTrail(), FakeProviders()
        self._app = build_asgi(
            gateway,
            Guard(POLICY, ManualClock()),
            live=FakeLive(),
            reload=gateway.reload,
            render=nothing,
            dashboard=dashboard,
            administration=administration(self.trail, providers=self.providers),
            clock=ManualClock(),
        )

    async def call(self, method, path, body=None, scope="admin") -> httpx.Response:
        transport = httpx.ASGITransport(self._app)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            headers = {"authorization": f"Bearer {TOKENS[scope]}"}
            return await client.request(method, f"/admin{path}", json=body, headers=headers)


@pytest.fixture
def scene(gateway, dashboard) -> Scene:
    return Scene(gateway, dashboard)


async def test_a_key_is_passed_on_and_written_down_without_itself(scene):
    reply = await scene.call(
        "POST", "/providers/groq/keys", {"label": "mine", "key": "s3cret", "account": "a"}
    )
    assert (reply.status_code, reply.json()) == (201, {"label": "mine"})
    assert scene.providers.asked == [("add", "groq", "mine", "s3cret", "a")]
    [entry] = scene.trail.entries
    assert (entry.who, entry.what, entry.target, entry.after) == (
        "admin",
        "key.add",
        "groq/mine",
        {"account": "a"},
    )
    assert "s3cret" not in repr(scene.trail.entries) + repr(reply.headers) + reply.text


async def test_keys_are_switched_tested_and_removed(scene):
    assert (await scene.call("PATCH", "/providers/groq/keys/mine", {"enabled": False})).status_code == 200
    assert (await scene.call("PATCH", "/providers/groq/keys/mine", {"enabled": True})).status_code == 200
    removed = await scene.call("DELETE", "/providers/groq/keys/mine")
    assert (removed.status_code, removed.content) == (204, b"")
    assert scene.providers.asked == [
        ("key", "groq", "mine", False), ("key", "groq", "mine", True), ("remove", "groq", "mine"),
    ]  # fmt: skip
    assert [entry.what for entry in scene.trail.entries] == ["key.disable", "key.enable", "key.remove"]
    verdict = {"provider": "groq", "label": "mine", "verdict": "valid", "detail": ""}
    told = await scene.call("POST", "/providers/groq/keys/mine/test", scope="operate")
    assert told.json() == verdict | {"asked": "https://groq.test/models"}


async def test_a_model_may_have_slashes_in_its_name(scene):
    reply = await scene.call("PATCH", "/models/groq/openai/gpt-oss-120b", {"enabled": False}, "operate")
    assert reply.json() == {"provider": "groq", "model": "openai/gpt-oss-120b", "enabled": False}
    assert scene.providers.asked == [("model", "groq", "openai/gpt-oss-120b", False)]
    assert scene.trail.entries[0].what == "model.disable"


async def test_whoever_operates_may_switch_a_provider_and_not_move_it(scene):
    assert (await scene.call("PATCH", "/providers/groq", {"enabled": False}, "operate")).status_code == 200
    for body in (
        {"base_url": "https://x.example"},
        {"base_url": None, "enabled": True},
        {"send_keys": ["a"]},
    ):
        reply = await scene.call("PATCH", "/providers/groq", body, "operate")
        assert (reply.status_code, reply.json()["error"]["code"]) == (403, "insufficient_scope")
    assert scene.providers.asked == [("switch", "groq", False)]


async def test_moving_passes_on_what_was_given_and_what_was_not(scene):
    await scene.call("PATCH", "/providers/groq", {"base_url": None})
    await scene.call("PATCH", "/providers/groq", {"send_keys": ["a"]})
    await scene.call("PATCH", "/providers/groq", {"base_url": "https://x.example", "enabled": True})
    assert scene.providers.asked == [
        ("move", "groq", None, ()),
        ("move", "groq", UNSET, ("a",)),
        ("move", "groq", "https://x.example", ()),
        ("switch", "groq", True),
    ]


async def test_whoever_reads_sees_all_and_changes_nothing(scene):
    told = (await scene.call("GET", "/providers", scope="read")).json()
    assert told == {"data": [{"id": "groq"}], "problems": ["a key does not open"]}
    assert (await scene.call("GET", "/providers/groq", scope="read")).json() == {"id": "groq"}
    assert (await scene.call("GET", "/providers/grok", scope="read")).status_code == 404
    for method, path, scope in (
        ("PATCH", "/providers/groq", "read"),
        ("POST", "/providers/groq/keys", "operate"),
        ("PATCH", "/providers/groq/keys/mine", "operate"),
        ("DELETE", "/providers/groq/keys/mine", "operate"),
        ("POST", "/providers/groq/keys/mine/test", "read"),
        ("PATCH", "/models/groq/m", "read"),
    ):
        assert (await scene.call(method, path, {}, scope)).status_code == 403
    assert scene.providers.asked == []


@pytest.mark.parametrize(
    ("body", "param"),
    [({}, "enabled"), ({"enabled": 1}, "enabled"), ({"base_url": 1}, "base_url"), ({"keys": []}, "keys")],
)
async def test_a_body_that_says_nothing_or_too_much_is_refused_by_its_field(scene, body, param):
    reply = await scene.call("PATCH", "/providers/groq", body)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)


async def test_no_change_is_made_that_cannot_be_written_down(scene):
    scene.trail.broken = ConfigError("the disk is full")
    for method, path, body in (
        ("PATCH", "/providers/groq", {"enabled": False}),
        ("POST", "/providers/groq/keys", {"label": "mine", "key": "s3cret"}),
        ("DELETE", "/providers/groq/keys/mine", None),
    ):
        reply = await scene.call(method, path, body)
        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "audit_unavailable")
    assert scene.providers.asked == []
