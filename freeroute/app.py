"""Builds everything and serves it: the one place where the rooms meet."""

import asyncio
import contextlib
import datetime as dt
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog
from msgspec import Struct

from freeroute.administration.clients import ClientBook
from freeroute.administration.doors import own_key
from freeroute.administration.operators import OperatorBook
from freeroute.administration.providers import ProviderBook
from freeroute.clock import Clock, SystemClock
from freeroute.config.assembly import Assembly, SwitchedOn, with_local
from freeroute.config.entries import read_catalogue
from freeroute.config.load import Overrides, Settings, load
from freeroute.config.overlay import Plan, planned
from freeroute.domain.catalogue import Provider
from freeroute.domain.rates import with_told
from freeroute.engine import status
from freeroute.engine.attempts import Routing
from freeroute.engine.feed import Feed
from freeroute.engine.gateway import Gateway
from freeroute.engine.maintenance import MaintenanceSwitch
from freeroute.engine.operations import Operations
from freeroute.engine.probes import Probes
from freeroute.engine.revalidation import Revalidation
from freeroute.enrolment import Enrolment
from freeroute.errors import ConfigError
from freeroute.local_servers import LocalServers, Wanted
from freeroute.observe.logs import RequestLog, Scrub
from freeroute.observe.metrics import Metrics
from freeroute.provisioning import Provisioning
from freeroute.recording import reader_of, recorded, recorder_of, shelf_of
from freeroute.resources import config_dir, dashboard_dir
from freeroute.stores.audit_file import AuditFile
from freeroute.stores.clients_file import ClientsFile
from freeroute.stores.followed import Followed, watch
from freeroute.stores.keeper import Keeper
from freeroute.stores.keysafe import KeySafe
from freeroute.stores.maintenance_file import MaintenanceFile
from freeroute.stores.memory import MemoryCounters
from freeroute.stores.operators_file import OperatorsFile
from freeroute.stores.records.reader import RecordsReader
from freeroute.stores.records.recorder import Recorder
from freeroute.stores.records.shelf import ResponseShelf
from freeroute.stores.state_file import StateFile
from freeroute.surfaces.admin.topics import Administration
from freeroute.surfaces.guard import Guard, Policy
from freeroute.surfaces.http import BodyBounds
from freeroute.surfaces.litestar_app import build_asgi
from freeroute.tracing import traces_of
from freeroute.upstreams.keycheck import HttpKeyChecks, NoKeyChecks
from freeroute.upstreams.kinds import Upstreams
from freeroute.upstreams.local import OLLAMA_CONTEXT
from freeroute.upstreams.transport import Transport
from freeroute.upstreams.warming import Warming
from freeroute.version import version

if TYPE_CHECKING:
    from litestar import Litestar

    from freeroute.observe.traces import Traces

LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")


class ServeOptions(Struct, kw_only=True):
    """What the command line asks of ``serve`` and ``demo``; None where it says nothing."""

    overrides: Overrides
    demo: bool = False
    seed: int | None = None


AnnounceLocal = Callable[[SwitchedOn], None]


class App:
    """One gateway with all it is made of, before it listens."""

    def __init__(self, read: Callable[[], Plan], *, transport: Transport, clock: Clock, demo: bool) -> None:
        """Wire the rooms together over *transport*; *read* gives the settings, now and at each reload."""
        self._read = read
        plan = read()
        self.settings = plan.settings
        self.provisioning = Provisioning(plan)
        self.scrub = Scrub()
        self.transport = transport
        self.clock = clock
        self.demo = demo
        self.metrics = Metrics()
        self.counters = MemoryCounters()
        self.gateway = Gateway(
            catalogue=plan.assembly.catalogue,
            counters=self.counters,
            upstreams=Upstreams(transport, clock),
            clock=clock,
            observers=[self.metrics, RequestLog()],
            routing=_routing(plan.settings),
            no_train=plan.settings.privacy == "no-train",
            demo=demo,
            version=version(),
            offers=plan.assembly.offers,
        )
        self.metrics.watch(self.gateway.view)
        self.enrolment = Enrolment(plan.settings.clients)
        self.gateway.enrol(self.enrolment.clients)
        self._directory = plan.settings.state_dir
        self.operators = Followed("operators", OperatorsFile(self._directory))
        self.guard = Guard(Policy(), clock)
        self.keeper: Keeper | None = None
        self.recorder: Recorder | None = None
        self.reader: RecordsReader | None = None
        self.shelf: ResponseShelf | None = None
        self.maintenance = MaintenanceSwitch(self.gateway)
        self.feed = Feed(self.gateway)
        self.traces: Traces | None = None
        self._log = structlog.get_logger("freeroute")

    @property
    def assembly(self) -> Assembly:
        """Return what the settings and what was entered come to."""
        return self.provisioning.assembly

    def remember(self, directory: Path, boot: str) -> None:
        """Go on from what was left in *directory*, and save from now on; raises ConfigError.

        *boot* names the machine's present boot.
        """
        gateway = self.gateway
        self.provisioning.open(KeySafe(directory, self.settings.encryption_key))
        gateway.standing.switch(self.provisioning.off)
        gateway.adopt(self.assembly.catalogue)
        self.scrub.hide(secrets_of(self))

        def report(unsaved: bool) -> None:
            gateway.unsaved = unsaved

        def providers() -> Iterable[Provider]:
            return gateway.catalogue.providers.values()

        self.keeper = Keeper(
            StateFile(directory / "state.db"),
            counters=self.counters,
            standing=gateway.standing,
            providers=providers,
            clock=self.clock,
            boot=boot,
            report=report,
        )
        self.keeper.recall()
        known = with_told(gateway.catalogue, self.counters.told_of())
        self.enrolment.open(ClientsFile(directory))
        gateway.adopt(known, self.enrolment.clients)
        self.keeper.save()
        self.maintenance = MaintenanceSwitch(gateway, MaintenanceFile(directory))
        self.maintenance.recall()

    def record(self, directory: Path) -> None:
        """Store receipts from now on, in *directory* if nowhere else; raises ConfigError."""
        self.recorder = recorder_of(self.settings.storage, directory, self.clock)
        self.reader = reader_of(self.settings.storage, directory, self.clock)
        self.shelf = shelf_of(self.settings.storage, directory, self.clock)
        if self.recorder is not None:
            self.gateway.recording = self.recorder.state
            self.gateway.observe(self.recorder)
            self.gateway.keep_contents(self.recorder.bodies)

    def trace(self, env: Mapping[str, str]) -> None:
        """Send traces from now on, if the settings or the process' *env* ask for it; raises ConfigError."""
        self.traces = None if self.demo else traces_of(self.settings.traces, env)
        if self.traces is not None:
            self.gateway.traced = self.settings.traces.sample
            self.gateway.observe(self.traces)

    def asgi(self, admin_key: str, on_local: AnnounceLocal) -> "Litestar":
        """Return the application; its lifespan begins and ends the background work."""
        self.guard.policy = self._policy(admin_key)
        local, warming = LocalServers(self.gateway, on_local), Warming(self.transport)

        def go_by_what_is_known() -> None:
            """Route by what settings, operators, local servers and answers have told so far."""
            self.scrub.hide(secrets_of(self))
            found = with_local(self.assembly.catalogue, local.still(self.assembly.local))
            self.gateway.standing.switch(self.provisioning.off)
            self.gateway.adopt(with_told(found, self.counters.told_of()), self.enrolment.clients)
            local.watch(self._wanted())
            warming.begin(self.gateway.catalogue.providers.values(), self.gateway.standing.off)

        def reload() -> dict[str, Any]:
            """Read the settings again; raises ConfigError, and then nothing has changed."""
            plan = self._read()
            waits = _needs_restart(self.settings, plan.settings)
            self.settings, self.gateway.unread = plan.settings, None
            self.provisioning.give(plan)
            self.enrolment.give(plan.settings.clients)
            self.guard.policy = self._policy(admin_key)
            self.gateway.no_train = plan.settings.privacy == "no-train"
            self.gateway.loop.routing = _routing(plan.settings)
            go_by_what_is_known()
            self.gateway.standing.retry_verdicts()
            providers = sorted(self.gateway.catalogue.providers)
            self._log.info("settings reloaded", providers=len(providers), needs_restart=waits or None)
            return {"status": "reloaded", "providers": providers, "needs_restart": waits}

        async def in_step() -> None:
            if await self.provisioning.look():
                go_by_what_is_known()

        def on_people() -> None:
            self.guard.policy = self._policy(admin_key)
            self.gateway.enrol(self.enrolment.clients)

        async def look() -> bool:
            clients, operators = await self.enrolment.look(), await self.operators.look()
            return clients or operators

        async def refresh() -> None:
            await look()
            on_people()

        def on_hangup() -> None:
            try:
                reload()
            except ConfigError as exc:
                self.gateway.unread = str(exc)
                self._log.error("settings not reloaded, the old ones stay", reason=str(exc))

        @contextlib.asynccontextmanager
        async def lifespan(_: "Litestar") -> AsyncIterator[None]:
            loop = asyncio.get_running_loop()
            async with contextlib.AsyncExitStack() as stack:
                if self.keeper is not None:
                    await stack.enter_async_context(self.keeper.running())
                if self.recorder is not None:
                    await stack.enter_async_context(recorded(self.recorder))
                if self.shelf is not None:
                    await stack.enter_async_context(self.shelf.running())
                if self.reader is not None:
                    stack.push_async_callback(self.reader.close)
                if self.traces is not None:
                    stack.push_async_callback(self.traces.close)
                stack.push_async_callback(self.transport.close)
                if not self.demo:  # simulated providers have no keys to ask about
                    revalidation = Revalidation(self.gateway, HttpKeyChecks(self.clock))
                    stack.push_async_callback(_cancelled, asyncio.create_task(revalidation.run()))
                minding = watch(look, on_people), watch(self.provisioning.look, go_by_what_is_known)
                for work in (Probes(self.gateway).run(), *minding):
                    stack.push_async_callback(_cancelled, asyncio.create_task(work))
                stack.push_async_callback(local.stop)
                stack.push_async_callback(warming.stop)
                local.watch(self._wanted())
                warming.begin(self.gateway.catalogue.providers.values(), self.gateway.standing.off)
                if threading.current_thread() is threading.main_thread():
                    loop.add_signal_handler(signal.SIGHUP, on_hangup)
                yield

        return build_asgi(
            self.gateway,
            self.guard,
            live=self.feed,
            reload=reload,
            render=self.metrics.render,
            dashboard=dashboard_dir(),
            administration=Administration(
                refresh=refresh,
                trail=AuditFile(self._directory),
                clients=ClientBook(ClientsFile(self._directory), lambda: self.settings, self.clock),
                operators=OperatorBook(OperatorsFile(self._directory), self.clock),
                operations=Operations(self.gateway),
                maintenance=self.maintenance,
                records=self.reader,
                providers=ProviderBook(
                    self.provisioning, self.clock, self._key_state, self._found, self._own_key
                ),
                in_step=in_step,
                checks=NoKeyChecks() if self.demo else HttpKeyChecks(self.clock),
            ),
            responses=self.shelf,
            clock=self.clock,
            bounds=BodyBounds(limit=self.settings.server.body_limit),
            lifespan=[lifespan],
        )

    def _key_state(self, provider: str, label: str) -> dict[str, Any]:
        return status.key_state(self.gateway.view(), provider, label)

    def _found(self, provider: str, model: str) -> bool:
        """Say whether a local server was found to have *model*."""
        known = self.gateway.catalogue.providers.get(provider)
        return known is not None and any(one.id == model for one in known.models)

    def _own_key(self, key: str) -> str | None:
        """Return whose *key* it is at this gateway's own doors."""
        policy = self.guard.policy
        told = {"the admin key": policy.admin_key, "the metrics key": policy.metrics_key}
        return own_key(key, told, policy.clients, policy.operators)

    def _policy(self, admin_key: str) -> Policy:
        server = self.settings.server
        return Policy(
            clients=self.enrolment.clients,
            operators=self.operators.value,
            admin_key=admin_key,
            metrics_key=server.metrics_key,
            hosts=frozenset(server.hosts),
            cors=frozenset(server.cors),
            loopback=server.host in LOOPBACK,
            demo=self.demo,
        )

    def _wanted(self) -> Wanted:
        context = self.settings.environ.get("OLLAMA_CONTEXT_LENGTH", "")
        return Wanted(
            servers=self.assembly.local,
            own_port=self.settings.server.port,
            ollama_context=int(context) if context.isdecimal() else OLLAMA_CONTEXT,
        )


def secrets_of(app: App) -> list[str]:
    """Return what no log line may hold: every key in use."""
    providers = [*app.assembly.catalogue.providers.values(), *app.assembly.local]
    keys = [key.secret for provider in providers for key in provider.keys]
    settings = app.settings
    password = urlsplit(settings.storage.url or "").password
    told = (part.strip() for part in (settings.encryption_key or "").split(","))
    own = (settings.admin_key, settings.server.metrics_key, password, *told)
    return [secret for secret in (*keys, *own) if secret]


def _needs_restart(before: Settings, after: Settings) -> list[str]:
    """Return the settings that differ and that only a start reads."""
    fixed = ("host", "port", "state_dir", "body_limit")
    changed = [name for name in fixed if getattr(before.server, name) != getattr(after.server, name)]
    sections = [
        name for name in ("logging", "storage", "traces") if getattr(before, name) != getattr(after, name)
    ]
    key = ["FREEROUTE_ENCRYPTION_KEY"] if before.encryption_key != after.encryption_key else []
    return [f"server.{name}" for name in changed] + sections + key


def _routing(settings: Settings) -> Routing:
    routing = settings.routing
    return Routing(
        max_attempts=routing.max_attempts,
        deadline=routing.deadline,
        probes=routing.probes,
        max_wait=routing.max_wait,
        max_wait_cap=routing.max_wait_cap,
        waiting_room=routing.waiting_room,
        affinity=routing.affinity,
        continue_streams=routing.continue_streams,
        hedge=routing.hedge,
    )


def build(
    options: ServeOptions, env: Mapping[str, str], state_dir: Path | None = None, clock: Clock | None = None
) -> App:
    """Read the settings and build the gateway; raises ConfigError. The demo keeps to *state_dir*."""
    clock = clock or SystemClock()

    def read() -> Plan:
        entries = read_catalogue(config_dir() / "providers")
        if options.demo:
            from freeroute.demo import demo_settings  # simulated providers are for it alone

            settings = demo_settings(options.overrides, env, state_dir or Path.cwd(), entries)
        else:
            settings = load(options.overrides, env, Path.cwd(), Path.home())
        today = dt.datetime.fromtimestamp(clock.now().wall, dt.UTC).date()
        return planned(settings, entries, today)

    return App(read, transport=_transport(options, env, clock), clock=clock, demo=options.demo)


def _transport(options: ServeOptions, env: Mapping[str, str], clock: Clock) -> Transport:
    if options.demo:
        from freeroute.demo import simulation

        return simulation(clock, options.seed)
    from freeroute.upstreams.http_proxies import Proxies
    from freeroute.upstreams.http_transport import HttpTransport

    proxies = Proxies(env)
    for name in proxies.unusable:
        structlog.get_logger("freeroute").warning(
            "no http:// proxy, so calls to providers do not go through it", variable=name
        )
    return HttpTransport(proxies=proxies)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
