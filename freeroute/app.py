"""Builds everything and serves it: the one place where the rooms meet."""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import structlog
from msgspec import Struct

from freeroute.clock import Clock, SystemClock
from freeroute.config.assembly import Assembly
from freeroute.config.entries import read_catalogue
from freeroute.config.load import Overrides, Settings, load
from freeroute.config.overlay import Plan, planned
from freeroute.domain.catalogue import Provider
from freeroute.domain.rates import with_told
from freeroute.engine.attempts import Routing
from freeroute.engine.feed import Feed
from freeroute.engine.gateway import Gateway
from freeroute.engine.maintenance import MaintenanceSwitch
from freeroute.engine.ports import KeyChecks
from freeroute.enrolment import Enrolment
from freeroute.observe.logs import RequestLog
from freeroute.observe.metrics import Metrics
from freeroute.observe.scrub import Scrub
from freeroute.provisioning import Provisioning
from freeroute.recording import reader_of, recorder_of, shelf_of
from freeroute.resources import config_dir
from freeroute.stores.clients_file import ClientsFile
from freeroute.stores.followed import Followed
from freeroute.stores.keeper import Keeper
from freeroute.stores.keysafe import KeySafe
from freeroute.stores.maintenance_file import MaintenanceFile
from freeroute.stores.memory import MemoryCounters
from freeroute.stores.operators_file import OperatorsFile
from freeroute.stores.records.reader import RecordsReader
from freeroute.stores.records.recorder import Recorder
from freeroute.stores.records.shelf import ResponseShelf
from freeroute.stores.state_file import StateFile
from freeroute.surfaces.access import Policy
from freeroute.surfaces.guard import Guard
from freeroute.tracing import traces_of
from freeroute.upstreams.keycheck import HttpKeyChecks, NoKeyChecks
from freeroute.upstreams.kinds import Upstreams
from freeroute.upstreams.transport import Transport
from freeroute.version import version

if TYPE_CHECKING:
    from freeroute.observe.traces import Traces

LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")


class ServeOptions(Struct, kw_only=True):
    """What the command line asks of ``serve`` and ``demo``; None where it says nothing."""

    overrides: Overrides
    demo: bool = False
    seed: int | None = None


class App:
    """One gateway with all it is made of, before it listens."""

    def __init__(self, read: Callable[[], Plan], *, transport: Transport, clock: Clock, demo: bool) -> None:
        """Wire the rooms together over *transport*; *read* gives the settings, now and at each reload."""
        self.read = read
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
            routing=routing_of(plan.settings),
            no_train=plan.settings.privacy == "no-train",
            demo=demo,
            version=version(),
            offers=plan.assembly.offers,
        )
        self.metrics.watch(self.gateway.view)
        self.enrolment = Enrolment(plan.settings.clients)
        self.gateway.enrol(self.enrolment.clients)
        self.directory = plan.settings.state_dir
        self.operators = Followed("operators", OperatorsFile(self.directory))
        self.guard = Guard(Policy(), clock)
        self.keeper: Keeper | None = None
        self.recorder: Recorder | None = None
        self.reader: RecordsReader | None = None
        self.shelf: ResponseShelf | None = None
        self.maintenance = MaintenanceSwitch(self.gateway)
        self.feed = Feed(self.gateway)
        self.traces: Traces | None = None

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

    @property
    def key_checks(self) -> KeyChecks:
        """Return what asks providers about keys; simulated ones have none to ask about."""
        return NoKeyChecks() if self.demo else HttpKeyChecks(self.clock)


def secrets_of(app: App) -> list[str]:
    """Return what no log line may hold: every key in use."""
    providers = [*app.assembly.catalogue.providers.values(), *app.assembly.local]
    keys = [key.secret for provider in providers for key in provider.keys]
    settings = app.settings
    password = urlsplit(settings.storage.url or "").password
    told = (part.strip() for part in (settings.encryption_key or "").split(","))
    own = (settings.admin_key, settings.server.metrics_key, password, *told)
    return [secret for secret in (*keys, *own) if secret]


def routing_of(settings: Settings) -> Routing:
    """Return how *settings* let calls be routed."""
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
