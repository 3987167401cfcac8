"""Agents that speak MCP to a gateway."""

import json
from typing import Any, cast

import httpx

from freeroute.domain.catalogue import Limit, Unit
from freeroute.domain.clients import Client, hash_key
from freeroute.surfaces.access import Policy
from freeroute.surfaces.guard import Guard
from freeroute.surfaces.litestar_app import build_asgi
from freeroute.surfaces.mcp import STATED
from tests.support.administration import administration
from tests.support.gateways import FakeGateway, FakeLive
from tests.support.world import World

META = {
    "io.modelcontextprotocol/protocolVersion": STATED[0],
    "io.modelcontextprotocol/clientCapabilities": {},
}
ALICE = Client(
    "alice",
    hash_key("sk-alice"),
    limits=(Limit(Unit.REQUESTS, 20, 60.0, span="minute"),),
)
POLICY = Policy(admin_key="boss")
KEYED = Policy(clients=(ALICE,), admin_key="boss", loopback=False)


def asking(world: World, dashboard: Any, policy: Policy) -> "Asker":
    """Return what asks the gateway of *world* over MCP."""
    world.gateway.enrol(policy.clients)
    fake = FakeGateway()
    app = build_asgi(
        world.gateway,
        Guard(policy, world.clock),
        live=FakeLive(),
        reload=fake.reload,
        render=fake.render,
        dashboard=dashboard,
        administration=administration(),
        clock=world.clock,
    )
    return Asker(app)


class Asker:
    """Sends one message at a time."""

    def __init__(self, app: Any) -> None:
        transport = httpx.ASGITransport(cast("Any", app))
        self._http = httpx.AsyncClient(transport=transport, base_url="http://localhost")

    async def send(self, body: Any, **headers: str) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self._http.post("/mcp", content=content, headers=named)

    async def request(self, method: str, params: Any = None, **headers: str) -> httpx.Response:
        body = {"jsonrpc": "2.0", "id": 7, "method": method}
        return await self.send(body | ({} if params is None else {"params": params}), **headers)

    async def stated(self, method: str, params: Any = None, **headers: str) -> httpx.Response:
        """Send a request that states its version by itself."""
        params = {"_meta": META, **(params or {})}
        named = {"mcp_protocol_version": STATED[0], "mcp_method": method}
        if "name" in params:
            named["mcp_name"] = params["name"]
        return await self.request(method, params, **(named | headers))

    async def call(self, name: str, arguments: Any = None, **headers: str) -> Any:
        params = {"name": name, **({} if arguments is None else {"arguments": arguments})}
        reply = await self.request("tools/call", params, **headers)
        assert reply.status_code == 200
        return reply.json()["result"]


def error(reply: httpx.Response) -> Any:
    body = reply.json()
    assert body["jsonrpc"] == "2.0"
    assert "result" not in body
    return body["error"]
