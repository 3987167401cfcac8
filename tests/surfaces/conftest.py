from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from litestar import Litestar

from freeroute.domain.outcome import Kind
from freeroute.surfaces.access import Policy
from freeroute.surfaces.guard import Guard
from freeroute.surfaces.http import BodyBounds
from freeroute.surfaces.litestar_app import build_asgi
from tests.support.administration import administration
from tests.support.clocks import ManualClock
from tests.support.gateways import ANSWER, FakeGateway, FakeLive, FakeResponses, FakeServed
from tests.support.world import PER_MINUTE, World, model, provider
from tests.surfaces.agents import POLICY, Asker, asking

Build = Callable[..., Litestar]


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway(FakeServed(ANSWER))


@pytest.fixture
def live() -> FakeLive:
    return FakeLive()


@pytest.fixture
def responses() -> FakeResponses:
    return FakeResponses()


@pytest.fixture
def dashboard(tmp_path: Path) -> Path:
    directory = tmp_path / "dashboard"
    (directory / "parts").mkdir(parents=True)
    (directory / "index.html").write_text("<!doctype html><title>freeroute</title>")
    (directory / "app.js").write_text("export {};")
    (directory / "parts" / "icon.svg").write_text("<svg/>")
    (directory / ".hidden").write_text("hidden")
    (tmp_path / "secret.txt").write_text("not yours")
    (directory / "link.txt").symlink_to(tmp_path / "secret.txt")
    return directory


@pytest.fixture
def build(gateway: FakeGateway, live: FakeLive, responses: FakeResponses, dashboard: Path) -> Build:
    def build(policy: Policy | None = None, bounds: BodyBounds | None = None) -> Litestar:
        return build_asgi(
            gateway,
            Guard(policy or Policy(admin_key="admin"), ManualClock()),
            live=live,
            reload=gateway.reload,
            render=gateway.render,
            dashboard=dashboard,
            administration=administration(),
            responses=responses,
            clock=ManualClock(),
            bounds=bounds,
        )

    return build


@pytest.fixture
def ask(build: Build) -> Callable[..., httpx.AsyncClient]:
    """Return a client in the same process, whose Host is localhost."""

    def ask(policy: Policy | None = None, bounds: BodyBounds | None = None) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(cast("Any", build(policy, bounds)))
        return httpx.AsyncClient(transport=transport, base_url="http://localhost")

    return ask


@pytest.fixture
def world() -> World:
    """Return two providers, of which the second fails."""
    groq = provider("groq", model("big", capabilities=["tools"]), model("small"), limits=(PER_MINUTE,))
    return World(groq, provider("gemini", model("big")), gemini=[Kind.FAULT])


@pytest.fixture
def mcp(world: World, dashboard: Path) -> Callable[..., Asker]:
    """Return what asks the gateway of *world* over MCP."""

    def mcp(policy: Policy = POLICY) -> Asker:
        return asking(world, dashboard, policy)

    return mcp
