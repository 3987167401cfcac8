"""What operators and machines ask: health, status, plan, metrics, and the two switches."""

from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from freeroute.domain.clients import Client
from freeroute.errors import InvalidRequest
from freeroute.surfaces.access import Access
from freeroute.surfaces.admin.desk import Desk
from freeroute.surfaces.http import Request
from freeroute.surfaces.routes import Route
from freeroute.version import version

Render = Callable[[], Awaitable[tuple[bytes, str]]]

_OPENAPI = Path(__file__).with_name("openapi.json")
_TOPICS = Path(__file__).with_name("admin")


class OperatorGateway(Protocol):
    """What this surface needs of the engine."""

    def status(self, client: Client | None = None) -> dict[str, Any]:
        """Return the state of everything, as docs/status.md shows it; a *client* sees its own use alone."""
        ...

    def plan(self, model: str, client: Client | None) -> dict[str, Any]:
        """Return the plan for *model* with a reason for every candidate; raises NotFound."""
        ...

    def reset(self, provider_id: str) -> dict[str, Any]:
        """Close the breakers of a provider and lift its holds; raises NotFound."""
        ...

    def set_strategy(self, strategy: str) -> dict[str, Any]:
        """Change the tie order inside ``free`` until restart; raises InvalidRequest."""
        ...

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Say whether requests should be sent here, and why."""
        ...


class Routing(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``PATCH /v1/status/routing``."""

    strategy: str


class OperatorSurface:
    """The routes for operators over a gateway."""

    def __init__(self, gateway: OperatorGateway, render: Render, desk: Desk) -> None:
        """Serve *gateway*; *render* gives the metrics and their content type, *desk* notes changes."""
        self._gateway = gateway
        self._render = render
        self._desk = desk

    def routes(self) -> list[Route]:
        """Return what is served."""
        return [
            Route("/", {"GET": self.welcome}, Access.PAGE),
            Route("/healthz", {"GET": self.live}, Access.OPEN),
            Route("/livez", {"GET": self.live}, Access.OPEN),
            Route("/readyz", {"GET": self.ready}, Access.OPEN),
            Route("/metrics", {"GET": self.metrics}, Access.METRICS),
            Route("/openapi.json", {"GET": self.openapi}, Access.PAGE),
            Route("/v1/status", {"GET": self.status}, Access.STATUS, mirrored=True),
            Route("/v1/plan", {"GET": self.plan}, Access.STATUS, mirrored=True),
            Route("/v1/status/routing", {"PATCH": self.route_by}, Access.OPERATE, mirrored=True),
            Route(
                "/v1/status/providers/{provider}/reset",
                {"POST": self.reset},
                Access.OPERATE,
                mirrored=True,
            ),
        ]

    async def welcome(self, request: Request) -> None:
        """Send people to the dashboard, and tell programs where things are."""
        if "text/html" in (request.header(b"accept") or ""):
            await request.reply(307, b"", {"location": "/dashboard"})
            return
        await request.reply_json(
            {"name": "freeroute", "api": "/v1", "dashboard": "/dashboard", "openapi": "/openapi.json"}
        )

    async def live(self, request: Request) -> None:
        """Say that the process answers."""
        await request.reply_json({"status": "ok"})

    async def ready(self, request: Request) -> None:
        """Say whether requests should be sent here: 503 while draining."""
        is_ready, detail = self._gateway.ready()
        await request.reply_json(detail, 200 if is_ready else 503)

    async def metrics(self, request: Request) -> None:
        """Give the metrics."""
        body, content_type = await self._render()
        await request.reply(
            200, body, {"cache-control": "no-store"}, content_type=content_type.encode("latin-1")
        )

    async def openapi(self, request: Request) -> None:
        """Give the description of this API."""
        await request.reply(200, openapi_document(), {"cache-control": "no-cache"})

    async def status(self, request: Request) -> None:
        """Give the state of everything."""
        await request.reply_json(self._gateway.status(request.caller.client))

    async def plan(self, request: Request) -> None:
        """Explain how a model would be chosen now."""
        model = request.query("model")
        if not model:
            raise InvalidRequest("Name the model to explain: /v1/plan?model=free-fast.", param="model")
        await request.reply_json(self._gateway.plan(model, request.caller.client))

    async def reset(self, request: Request) -> None:
        """Give a provider a fresh start."""
        provider = request.params["provider"]
        async with self._desk.making(request, "provider.reset", provider, None, None):
            found = self._gateway.reset(provider)
        await request.reply_json(found)

    async def route_by(self, request: Request) -> None:
        """Change the tie order inside ``free``."""
        strategy = _decode(await request.body(self._desk.bounds)).strategy
        async with self._desk.making(request, "routing.strategy", "free", None, strategy):
            found = self._gateway.set_strategy(strategy)
        await request.reply_json(found)


def _decode(body: bytes) -> Routing:
    try:
        return msgspec.json.decode(body, type=Routing)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as exc:
        raise InvalidRequest(
            'The body must be {"strategy": "balanced"}, with balanced, round_robin or random.',
            param="strategy",
        ) from exc


@cache
def openapi_document() -> bytes:
    """Return the maintained description of this API, with the version that runs."""
    document = msgspec.json.decode(_OPENAPI.read_bytes())
    document["info"]["version"] = version()
    for path in sorted([*_OPENAPI.parent.glob("*.openapi.json"), *_TOPICS.glob("*.openapi.json")]):
        topic = msgspec.json.decode(path.read_bytes())
        document["paths"] |= topic["paths"]
        document["components"]["schemas"] |= topic["schemas"]
    return msgspec.json.encode(document)
