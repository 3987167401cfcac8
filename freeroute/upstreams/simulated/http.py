"""The simulated providers on a real socket, so that a network lies between the gateway and them.

Each provider answers under ``/<provider id><its own path>``. ``POST /_script/<id>`` tells it how to end its
coming calls, ``GET /_calls/<id>`` what it saw.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable, Coroutine, Mapping, MutableMapping
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from freeroute.upstreams.simulated.faults import Fault, Kind, Speed
from freeroute.upstreams.simulated.simulation import SimulatedProvider, Simulation
from freeroute.upstreams.transport import Deadlines, Exchange, TransportError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# The caller's own deadlines rule; a simulated hang only has to outlast them.
_PATIENT = Deadlines(pool=3600.0, connect=3600.0, first_byte=3600.0, idle=3600.0, total=3600.0)
_BODY_LIMIT = 64 * 1024 * 1024


class Orders(Struct, forbid_unknown_fields=True):
    """The body of ``POST /_script/<id>``; what is not named stays as it is."""

    faults: list[Fault | int | Kind | None] = []
    always: Fault | int | Kind | UnsetType | None = UNSET
    speed: Speed | UnsetType | None = UNSET
    answer_tokens: tuple[int, int] | UnsetType = UNSET


class _Left(Exception):
    """The caller is gone."""


def prefixes(simulation: Simulation) -> dict[str, str]:
    """Return where each provider is served, and the origin its paths belong to."""
    return {f"/{name}": provider.dialect.origins[0] for name, provider in simulation.providers.items()}


def asgi(simulation: Simulation, prefix_map: Mapping[str, str] | None = None) -> App:
    """Serve *simulation* over HTTP; *prefix_map* leads from a path's prefix to a provider's origin."""
    routes = dict(prefixes(simulation) if prefix_map is None else prefix_map)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            with contextlib.suppress(_Left):
                await _serve(simulation, routes, scope, receive, send)

    return app


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        phase = (await receive())["type"]
        await send({"type": f"{phase}.complete"})
        if phase == "lifespan.shutdown":
            return


async def _serve(
    simulation: Simulation, routes: Mapping[str, str], scope: Scope, receive: Receive, send: Send
) -> None:
    body = await _body(receive)
    head, _, name = scope["path"].removeprefix("/").partition("/")
    if head in ("_script", "_calls"):
        provider = simulation.providers.get(name)
        status, value = _steered(provider, f"{scope['method']} {head}", body)
        return await _json(send, status, value)
    origin = routes.get(f"/{head}")
    if origin is None:
        return await _json(send, 404, {"error": f"no provider is served under /{head}"})
    pipe = _Pipe(receive, send)
    try:
        opening = simulation.open(scope["method"], f"{origin}/{name}", list(scope["headers"]), body, _PATIENT)
        await pipe.while_heard(pipe.relay(opening))
    except TransportError:
        await _hang_up(receive, reset=not pipe.started)
    except Exception as wrong:
        if pipe.started:
            raise
        await _json(send, 500, {"error": f"the simulation failed: {type(wrong).__name__}"})


async def _body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Left
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > _BODY_LIMIT:
            raise _Left
        more = message.get("more_body", False)
    return b"".join(parts)


class _Pipe:
    """One answer on its way to one caller."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._left = False
        self.started = False

    async def while_heard(self, relaying: Coroutine[Any, Any, None]) -> None:
        """Run *relaying*, but stop it when the caller leaves: a server's send() would not tell."""
        task = asyncio.ensure_future(relaying)
        watch = asyncio.ensure_future(self._watch(task))
        try:
            await task
        except asyncio.CancelledError:
            if not self._left:
                raise
        finally:
            task.cancel()
            watch.cancel()

    async def _watch(self, task: asyncio.Future[None]) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._left = True
        task.cancel()

    async def relay(self, opening: Coroutine[Any, Any, Exchange]) -> None:
        """Pass the answer on as it comes."""
        exchange = await opening
        try:
            headers = [(name.lower(), value) for name, value in exchange.headers]
            self.started = True
            await self._send({"type": "http.response.start", "status": exchange.status, "headers": headers})
            # One message for all that is due: nothing waits for more.
            while data := await exchange.next():
                await self._send({"type": "http.response.body", "body": data, "more_body": True})
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            exchange.abort()


async def _hang_up(receive: Receive, *, reset: bool) -> None:
    """Break the connection. ASGI has no word for that, so reach for uvicorn's own transport."""
    transport = getattr(getattr(receive, "__self__", None), "transport", None)
    if transport is None:
        return
    if reset:
        # No lingering: the peer gets a reset instead of an orderly end.
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    else:
        # Some loops write at the end of a turn only; what was sent before must still leave.
        await asyncio.sleep(0.001)
    transport.abort()
    # Returning before the server has noticed would look to it like a fault of ours.
    await receive()


def _steered(provider: SimulatedProvider | None, route: str, body: bytes) -> tuple[int, Any]:
    if provider is None:
        return 404, {"error": "no such provider"}
    if route == "GET _calls":
        return 200, {"calls": list(provider.calls), "open": len(provider.open)}
    if route != "POST _script":
        return 405, {"error": "POST /_script/<provider> or GET /_calls/<provider>"}
    try:
        orders = msgspec.json.decode(body, type=Orders)
        _obey(provider, orders)
    except (msgspec.DecodeError, RecursionError, ValueError) as wrong:
        return 400, {"error": str(wrong)}
    return 200, {"ok": True}


def _obey(provider: SimulatedProvider, orders: Orders) -> None:
    provider.script(orders.faults)
    if orders.always is not UNSET:
        provider.always(orders.always)
    if orders.speed is not UNSET:
        provider.speed = orders.speed
    if orders.answer_tokens is not UNSET:
        provider.answer_tokens = orders.answer_tokens


async def _json(send: Send, status: int, value: Any) -> None:
    body = msgspec.json.encode(value)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
