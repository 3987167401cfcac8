"""The ASGI application: every route of every surface, and an answer in OpenAI's shape to all the rest."""

import re
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import msgspec
from litestar import Litestar, Response
from litestar import Request as LitestarRequest
from litestar.exceptions import HTTPException
from litestar.handlers import ASGIRouteHandler

from freeroute.clock import Clock, SystemClock
from freeroute.engine.changes import Changes
from freeroute.engine.ports import ResponseStore
from freeroute.errors import ApiError, Internal, InvalidRequest
from freeroute.surfaces import audio, embeddings, rerank, tasks
from freeroute.surfaces.admin import topics
from freeroute.surfaces.admin.desk import Desk
from freeroute.surfaces.admin.operations import Reload
from freeroute.surfaces.anthropic import AnthropicSurface
from freeroute.surfaces.completions import CompletionsSurface
from freeroute.surfaces.conversing import ChatGateway, Conversations
from freeroute.surfaces.gemini import GeminiSurface
from freeroute.surfaces.guard import Guard
from freeroute.surfaces.http import BodyBounds, Request, error_headers, log_fault
from freeroute.surfaces.live import Live, LiveSurface
from freeroute.surfaces.mcp import McpSurface
from freeroute.surfaces.ollama import OllamaSurface
from freeroute.surfaces.openai import OpenAiSurface
from freeroute.surfaces.operator import OperatorGateway, OperatorSurface, Render
from freeroute.surfaces.responses.surface import ResponsesSurface
from freeroute.surfaces.routes import Route, Straight, handlers
from freeroute.surfaces.sessions import SessionSurface
from freeroute.surfaces.static import DashboardSurface

Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]


class Gateway(ChatGateway, OperatorGateway, Protocol):
    """What all surfaces together need of the engine."""


def routes(
    gateway: Gateway,
    live: Live,
    guard: Guard,
    clock: Clock,
    bounds: BodyBounds,
    render: Render,
    reload: Reload,
    dashboard: Path,
    administration: topics.Administration,
    responses: ResponseStore | None = None,
) -> list[Route]:
    """Return every route there is."""
    conversations = Conversations(gateway, clock, bounds)
    desk = Desk(Changes(administration.trail, clock), clock, administration.refresh)
    return [
        *OpenAiSurface(conversations).routes(),
        *AnthropicSurface(conversations).routes(),
        *GeminiSurface(conversations).routes(),
        *OllamaSurface(conversations, clock).routes(),
        *CompletionsSurface(conversations).routes(),
        *ResponsesSurface(conversations, responses, clock).routes(),
        *embeddings.routes(conversations),
        *rerank.routes(conversations),
        *tasks.routes(conversations),
        *audio.routes(conversations),
        *OperatorSurface(gateway, render, desk).routes(),
        *LiveSurface(live, guard).routes(),
        *McpSurface(gateway, clock, bounds).routes(),
        *topics.routes(desk, administration, reload),
        *SessionSurface(guard).routes(),
        *DashboardSurface(dashboard).routes(),
    ]


def build_asgi(
    gateway: Gateway,
    guard: Guard,
    *,
    live: Live,
    reload: Reload,
    render: Render,
    dashboard: Path,
    administration: topics.Administration,
    responses: ResponseStore | None = None,
    clock: Clock | None = None,
    bounds: BodyBounds | None = None,
    lifespan: Sequence[Lifespan] = (),
) -> Litestar:
    """Build the application over *gateway*.

    *guard* admits, *live* tells how things stand as it goes on, *reload* reads the settings again,
    *render* gives the metrics and their content type,
    *dashboard* is the directory of its files, *administration* what ``/admin`` works on, *responses* keeps
    responses for those who come back to them, and *lifespan* holds what is opened before the first request
    and closed after the last.
    """
    clock = clock or SystemClock()
    table = routes(
        gateway,
        live,
        guard,
        clock,
        bounds or BodyBounds(),
        render,
        reload,
        dashboard,
        administration,
        responses,
    )
    return _Application(
        *handlers(table, guard),
        openapi_config=None,
        logging_config=None,
        debug=False,
        lifespan=list(lifespan),
        exception_handlers={HTTPException: _framework_refusal, Exception: _framework_fault},
    )


class _Application(Litestar):
    """Litestar, and a way past it for requests to a path that a route has to itself.

    Nothing of what the framework does on the way to a raw route is needed there, and it costs 10 us, and more
    for each piece of a stream.
    """

    def __init__(
        self, handlers: Sequence[ASGIRouteHandler], straight: Mapping[str, Straight], **given: Any
    ) -> None:
        """Serve *handlers*, and *straight* what goes past the framework, by its path."""
        super().__init__(handlers, **given)
        self._straight = straight

    def __call__(self, scope: Any, receive: Any, send: Any) -> Coroutine[Any, Any, None]:
        """Answer a request; what is unusual about one is for the framework to judge."""
        straight = self._straight.get(scope["path"]) if scope["type"] == "http" else None
        if straight is not None:
            request = Request(scope, receive, send)
            if _is_plain(request.headers.get(b"host", b"")):
                return straight(request)
        return super().__call__(scope, receive, send)


_PLAIN_HOST = re.compile(rb"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*(?::[0-9]{1,5})?")


@lru_cache(256)
def _is_plain(host: bytes) -> bool:
    return _PLAIN_HOST.fullmatch(host) is not None


def _framework_refusal(request: LitestarRequest[Any, Any, Any], exc: HTTPException) -> Response[bytes]:
    """Answer what never reached a route: the one thing the framework looks at before is the Host header."""
    if exc.status_code >= 500:
        return _framework_fault(request, exc)
    return _response(request, InvalidRequest("The Host header is malformed.", param="host"))


def _framework_fault(request: LitestarRequest[Any, Any, Any], exc: Exception) -> Response[bytes]:
    return _response(request, Internal("Something went wrong inside the gateway."), exc)


def _response(
    request: LitestarRequest[Any, Any, Any], error: ApiError, fault: Exception | None = None
) -> Response[bytes]:
    ours = Request(request.scope, request.receive, request.send)
    if fault is not None:
        log_fault(fault, ours.id)
    headers = {**error_headers(error), "x-request-id": ours.id, "x-content-type-options": "nosniff"}
    return Response(
        msgspec.json.encode(error.body()),
        status_code=error.status,
        media_type="application/json",
        headers=headers,
    )
