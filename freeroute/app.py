"""Builds everything and serves it: the one place where the rooms meet."""

import asyncio
import contextlib
import datetime as dt
import os
import random
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from msgspec import Struct

from freeroute.assembly import Assembly, SwitchedOn, assemble, switched_on, with_local
from freeroute.clock import Clock, SystemClock
from freeroute.config import Overrides, Settings, load
from freeroute.demo import DEFAULT_SEED, demo_settings, simulation
from freeroute.engine.attempts import Routing
from freeroute.engine.gateway import Gateway
from freeroute.engine.probes import Probes
from freeroute.entries import read_catalogue
from freeroute.errors import ConfigError
from freeroute.observe.logs import RequestLog, set_up
from freeroute.observe.metrics import Metrics
from freeroute.resources import config_dir, dashboard_dir
from freeroute.stores.memory import MemoryCounters
from freeroute.stores.state_dir import StateDir
from freeroute.surfaces.guard import Policy
from freeroute.surfaces.http import BodyBounds
from freeroute.surfaces.litestar_app import build_asgi
from freeroute.upstreams.openai import OpenAiUpstream
from freeroute.upstreams.transport import Transport

if TYPE_CHECKING:
    from litestar import Litestar

# How long streams may go on after SIGTERM, in seconds.
GRACE = 30
LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")


class ServeOptions(Struct, kw_only=True):
    """What the command line asks of ``serve`` and ``demo``; None where it says nothing."""

    overrides: Overrides
    demo: bool = False
    seed: int = DEFAULT_SEED


class Started(Struct, frozen=True):
    """What there is to tell once the gateway listens."""

    url: str
    demo: bool
    switched_on: tuple[SwitchedOn, ...]
    hints: tuple[str, ...]
    looking_for_local: bool
    state_dir: Path
    needs_key: bool


Announce = Callable[[Started], None]
AnnounceLocal = Callable[[SwitchedOn], None]


class App:
    """One gateway with all it is made of, before it listens."""

    def __init__(
        self, settings: Settings, assembly: Assembly, *, transport: Transport, clock: Clock, demo: bool
    ) -> None:
        """Wire the rooms together over *transport*."""
        self.settings = settings
        self.assembly = assembly
        self.transport = transport
        self.clock = clock
        self.demo = demo
        self.counters = MemoryCounters()
        self.metrics = Metrics()
        routing = settings.routing
        self.gateway = Gateway(
            catalogue=assembly.catalogue,
            counters=self.counters,
            upstreams={"openai": OpenAiUpstream(transport, clock)},
            clock=clock,
            observers=[self.metrics, RequestLog()],
            routing=Routing(
                max_attempts=routing.max_attempts, deadline=routing.deadline, probes=routing.probes
            ),
            no_train=settings.privacy == "no-train",
            demo=demo,
            version=package_version(),
            rng=random.Random(),
        )
        self.metrics.watch(self.gateway.view)
        self._log = structlog.get_logger("freeroute")

    def asgi(self, admin_key: str, on_local: AnnounceLocal) -> "Litestar":
        """Return the application; it starts and ends the background work with its lifespan."""
        settings = self.settings

        @contextlib.asynccontextmanager
        async def lifespan(_: "Litestar") -> AsyncIterator[None]:
            async with contextlib.AsyncExitStack() as stack:
                stack.push_async_callback(self.transport.close)
                for work in (self._look_for_local(on_local), Probes(self.gateway).run()):
                    stack.push_async_callback(_cancelled, asyncio.create_task(work))
                yield

        policy = Policy(
            clients=settings.clients,
            admin_key=admin_key,
            metrics_key=settings.server.metrics_key,
            hosts=frozenset(settings.server.hosts),
            cors=frozenset(settings.server.cors),
            loopback=settings.server.host in LOOPBACK,
            open=settings.open,
            demo=self.demo,
        )
        return build_asgi(
            self.gateway,
            policy,
            render=self.metrics.render,
            dashboard=dashboard_dir(),
            clock=self.clock,
            bounds=BodyBounds(limit=settings.server.body_limit),
            lifespan=[lifespan],
        )

    async def _look_for_local(self, on_local: AnnounceLocal) -> None:
        """Find local servers in the background: a request need not wait for them."""
        if not self.assembly.local:
            return
        import httpx

        from freeroute.upstreams.local import find

        async with httpx.AsyncClient() as client:
            found = await find(self.assembly.local, client, own_port=self.settings.server.port)
        self.gateway.adopt(with_local(self.gateway.catalogue, found), self.settings.clients)
        for provider in found:
            on_local(switched_on(provider, f"found at {provider.base_url}"))


def package_version() -> str:
    """Return the installed version, or 0 in a tree that was never installed."""
    try:
        return version("freeroute-gateway")
    except PackageNotFoundError:
        return "0"


def build(options: ServeOptions, env: Mapping[str, str], state_dir: Path | None = None) -> App:
    """Read the settings and build the gateway; raises ConfigError."""
    clock = SystemClock()
    entries = read_catalogue(config_dir() / "providers")
    if options.demo:
        if state_dir is None:
            raise ConfigError("the demo needs a state directory of its own")
        settings = demo_settings(options.overrides, env, state_dir, entries)
        transport: Transport = simulation(clock, options.seed)
    else:
        from freeroute.upstreams.aiohttp_transport import AiohttpTransport

        settings = load(options.overrides, env, Path.cwd(), Path.home())
        transport = AiohttpTransport()
    today = _today(clock)
    assembly = assemble(settings, entries, today)
    return App(settings, assembly, transport=transport, clock=clock, demo=options.demo)


def _today(clock: Clock) -> dt.date:
    return dt.datetime.fromtimestamp(clock.now().wall, dt.UTC).date()


def serve(options: ServeOptions, announce: Announce, on_local: AnnounceLocal) -> int:
    """Serve until told to stop; returns the exit code. Raises ConfigError before it listens."""
    with contextlib.ExitStack() as stack:
        temporary = None
        if options.demo:
            temporary = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="freeroute-demo-")))
        app = build(options, os.environ, temporary)
        settings = app.settings
        set_up(settings.logging.format, settings.logging.level)
        refuse_wide_bind(settings)
        state = StateDir(settings.state_dir)
        stack.callback(state.close)
        listening = listen(settings.server.host, settings.server.port)
        stack.callback(listening.close)
        announce(_started(app, listening))
        _run(app, listening, settings.admin_key or state.admin_key(), on_local)
    return 0


def _started(app: App, listening: socket.socket) -> Started:
    host, port = listening.getsockname()[:2]
    shown = "localhost" if host in ("127.0.0.1", "0.0.0.0", "::", "::1") else host
    return Started(
        url=f"http://{shown}:{port}",
        demo=app.demo,
        switched_on=app.assembly.switched_on,
        hints=app.assembly.hints,
        looking_for_local=bool(app.assembly.local),
        state_dir=app.settings.state_dir,
        needs_key=bool(app.settings.clients),
    )


def refuse_wide_bind(settings: Settings) -> None:
    """Refuse to be open to the network without any client key, unless told to."""
    if settings.server.host in LOOPBACK or settings.clients or settings.open:
        return
    raise ConfigError(
        f"server.host: {settings.server.host} is reachable from other machines and no client key is set; "
        "set FREEROUTE_API_KEY or list clients, or say --open (FREEROUTE_OPEN=1) if the network is yours"
    )


def listen(host: str, port: int) -> socket.socket:
    """Return a socket bound to *host* and *port*; raises ConfigError if that cannot be."""
    bare = host.strip("[]")
    family = socket.AF_INET6 if ":" in bare else socket.AF_INET
    listening = socket.socket(family)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((bare, port))
    except OSError as exc:
        listening.close()
        raise ConfigError(
            f"server.port: cannot listen on {host}:{port}: {exc.strerror or exc}; "
            "stop what uses it, or choose another with --port or PORT"
        ) from exc
    return listening


def _run(app: App, listening: socket.socket, admin_key: str, on_local: AnnounceLocal) -> None:
    import uvicorn

    from freeroute.surfaces.protocol import BoundedProtocol

    class Server(uvicorn.Server):
        """uvicorn's server; being told to stop turns ``/readyz`` first."""

        def handle_exit(self, sig: int, frame: object) -> None:
            app.gateway.draining = True
            super().handle_exit(sig, frame)  # type: ignore[arg-type]

    config = uvicorn.Config(
        app.asgi(admin_key, on_local),
        http=BoundedProtocol,
        loop="uvloop",
        lifespan="on",
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
    )
    Server(config).run(sockets=[listening])


async def _cancelled(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
