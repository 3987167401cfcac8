"""Routes: what a path answers to, what it asks of callers, and the one way every request goes through."""

import re
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from litestar import asgi
from litestar.handlers import ASGIRouteHandler
from litestar.types import Receive, Scope, Send
from msgspec import Struct

from freeroute.clock import Now
from freeroute.errors import ApiError, Internal, MethodNotAllowed, NotFound, forget_way
from freeroute.surfaces.access import Access
from freeroute.surfaces.guard import Guard
from freeroute.surfaces.http import (
    Caller,
    CallerLeft,
    Handler,
    Refusal,
    Request,
    in_openais_shape,
    log_fault,
)
from freeroute.wire.text import printable

_PARAMETER = re.compile(r"\{(\w+)(:path)?\}")


class Route(Struct, frozen=True):
    """A *path* and who answers each method there; GET answers HEAD too.

    *access* is what it asks of callers, *changes* what methods other than GET ask if that is more.
    *mirrored* routes are served under ``/api`` as well. *refused* hears of requests that were turned away.
    *refusal* gives errors the shape of its API, whose clients may look for the request's id in *id_header*
    too. Of routes with the same path, one that is *spoken* answers the requests that send this header, since
    two APIs may have given one path two meanings.
    """

    path: str
    methods: Mapping[str, Handler]
    access: Access
    changes: Access | None = None
    mirrored: bool = False
    refused: Callable[[Request, ApiError], None] | None = None
    refusal: Refusal = in_openais_shape
    id_header: bytes | None = None
    spoken: bytes | None = None
    key_in_query: str | None = None

    @property
    def paths(self) -> list[str]:
        """Return every path this is served at."""
        return [self.path, f"/api{self.path}"] if self.mirrored else [self.path]

    @property
    def allowed(self) -> str:
        """Return the methods as the ``Allow`` header names them."""
        also = ["HEAD"] if "GET" in self.methods else []
        return ", ".join([*self.methods, *also])

    def is_for(self, request: Request) -> bool:
        """Say whether *request*, to its path, is meant for this and no other."""
        return self.spoken is None or self.spoken in request.headers

    def ways(self) -> Mapping[str, tuple[Handler, Access]]:
        """Return who answers each method, and what it asks of callers."""
        changes = self.changes or self.access
        found = {
            method: (handler, self.access if method == "GET" else changes)
            for method, handler in self.methods.items()
        }
        return {**found, "HEAD": found["GET"]} if "GET" in found else found

    def misfit(self, method: str) -> MethodNotAllowed:
        """Return the error for a *method* that nobody answers."""
        return MethodNotAllowed(
            f"{printable(method, 32)} is not a method of this path, which answers to {self.allowed}.",
            headers={"allow": self.allowed},
        )


Straight = Callable[[Request], Coroutine[Any, Any, None]]
"""Answers a request to the path of a route, past the framework."""


def handlers(routes: Sequence[Route], guard: Guard) -> tuple[list[ASGIRouteHandler], dict[str, Straight]]:
    """Return *routes* as Litestar takes them, raw ASGI with nothing in between, and by path the way past it.

    A route without parameters is looked up by its path. Litestar's raw routes cannot have parameters, so the
    others, and paths that lead nowhere, share one handler below the root.
    """
    # Of several at one path, whoever takes only some requests is asked first; and before, what is done with a
    # model rather than the model itself, whose name may hold anything.
    ordered = sorted(routes, key=lambda route: (route.path.endswith("}"), route.spoken is None))
    exact: dict[str, list[Route]] = {}
    for route in ordered:
        if route.path != "/" and "{" not in route.path:
            exact.setdefault(route.path, []).append(route)
    others = [route for route in ordered if route.path not in exact]
    straight = {path: _straight(found, guard) for found in exact.values() for path in found[-1].paths}
    return [*(_exact(path, found) for path, found in straight.items()), _others(others, guard)], straight


def _straight(routes: Sequence[Route], guard: Guard) -> Straight:
    *some, rest = [(route, answering(route, guard)) for route in routes]
    if not some:
        return rest[1]

    def begin(request: Request) -> Coroutine[Any, Any, None]:
        _, answer = next((one for one in some if one[0].is_for(request)), rest)
        return answer(request)

    return begin


def _exact(path: str, straight: Straight) -> ASGIRouteHandler:
    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        await straight(Request(scope, receive, send))

    return asgi(path, copy_scope=False)(handle)


def _others(routes: Sequence[Route], guard: Guard) -> ASGIRouteHandler:
    table = [(_pattern(path), route, answering(route, guard)) for route in routes for path in route.paths]

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        path = "/" + scope["path"].strip("/")
        for pattern, route, answer in table:
            match = pattern.fullmatch(path)
            if match is not None and route.is_for(request):
                request.params = match.groupdict()
                await answer(request)
                return
        await request.refuse(_nowhere(request.method, path))

    return asgi("/", is_mount=True, copy_scope=False)(handle)


def _pattern(path: str) -> re.Pattern[str]:
    """Return what matches *path*, in which ``{name}`` is one segment and ``{name:path}`` one or more."""
    parts = _PARAMETER.split(path)
    text = "".join(re.escape(part) for part in parts[:1])
    for name, many, literal in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        text += f"(?P<{name}>{'.+' if many else '[^/]+'})" + re.escape(literal)
    return re.compile(text, re.DOTALL)


def _nowhere(method: str, path: str) -> NotFound:
    """Return the error for a *path* that leads nowhere."""
    asked = f"{printable(method, 32)} {printable(path)}"
    return NotFound(f"There is nothing at {asked}; /openapi.json lists what there is.", param="path")


def answering(route: Route, guard: Guard) -> Straight:
    """Return what answers each request to *route*, whatever happens on the way."""
    refusal, id_header, ways = route.refusal, route.id_header, route.ways()

    async def answer(request: Request) -> None:
        request.refusal = refusal
        if id_header is not None:
            request.add_headers([(id_header, request.id.encode("ascii"))])
        try:
            if guard.hears_pages:
                request.add_headers(guard.cors_headers(request.headers))
            way = ways.get(request.method)
            if way is None:
                await _without_way(route, guard, request)
                return
            handler, access = way
            request.received = now = guard.clock.now()
            caller = guard.admit_again(access, now, request.kept)
            request.caller = caller or _admitted(route, access, guard, request, now)
            await handler(request)
        except CallerLeft:
            return
        except Exception as error:
            known = error if isinstance(error, ApiError) else None
            if known is None:
                log_fault(error, request.id)
            # Once the head is out, all that is left is not to finish: the server then closes the connection.
            if not request.started:
                await request.refuse(
                    known or Internal("Something went wrong in the gateway; its log says where.")
                )
            forget_way(error)

    return answer


async def _without_way(route: Route, guard: Guard, request: Request) -> None:
    """Answer a request whose method nobody answers: a browser may ask so what it may call."""
    if request.method != "OPTIONS" or b"access-control-request-method" not in request.headers:
        raise route.misfit(request.method)
    await request.reply(204, b"", guard.preflight(request.headers, route.allowed))


def _admitted(route: Route, access: Access, guard: Guard, request: Request, now: Now) -> Caller:
    """Return who calls; raises what the guard does."""
    key = request.query(route.key_in_query) if route.key_in_query is not None else None
    try:
        return guard.admit(request.headers, request.peer, access, key, now, request.kept)
    except ApiError as error:
        if route.refused is not None:
            route.refused(request, error)
        raise
