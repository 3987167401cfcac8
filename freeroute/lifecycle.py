"""How the gateway runs: begins and ends its background work, and keeps to settings and files that change."""

import asyncio
import contextlib
import signal
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import TYPE_CHECKING, Any

import structlog

from freeroute.administration.clients import ClientBook
from freeroute.administration.doors import own_key
from freeroute.administration.operators import OperatorBook
from freeroute.administration.providers import ProviderBook
from freeroute.app import LOOPBACK, App, routing_of, secrets_of
from freeroute.config.assembly import SwitchedOn, with_local
from freeroute.config.load import Settings
from freeroute.domain.rates import with_told
from freeroute.engine import status
from freeroute.engine.operations import Operations
from freeroute.engine.probes import Probes
from freeroute.engine.revalidation import Revalidation
from freeroute.errors import ConfigError
from freeroute.local_servers import LocalServers, Wanted
from freeroute.recording import recorded
from freeroute.resources import dashboard_dir
from freeroute.stores.audit_file import AuditFile
from freeroute.stores.clients_file import ClientsFile
from freeroute.stores.followed import watch
from freeroute.stores.operators_file import OperatorsFile
from freeroute.surfaces.access import Policy
from freeroute.surfaces.admin.topics import Administration
from freeroute.surfaces.http import BodyBounds
from freeroute.surfaces.litestar_app import build_asgi
from freeroute.upstreams.local import OLLAMA_CONTEXT
from freeroute.upstreams.warming import Warming

if TYPE_CHECKING:
    from litestar import Litestar

AnnounceLocal = Callable[[SwitchedOn], None]

_log = structlog.get_logger("freeroute")


def application(app: App, admin_key: str, on_local: AnnounceLocal) -> "Litestar":
    """Return what serves *app*; its lifespan begins and ends the background work."""
    return Lifecycle(app, admin_key, LocalServers(app.gateway, on_local)).served()


class Lifecycle:
    """The life of one gateway, from the first to the last moment at which it listens."""

    def __init__(self, app: App, admin_key: str, local: LocalServers) -> None:
        """Let *app* be run by who has the *admin_key*, with the *local* servers that there are."""
        self._app = app
        self._admin_key = admin_key
        self._local = local
        self._warming = Warming(app.transport)
        app.guard.policy = self._policy()

    def served(self) -> "Litestar":
        """Return the application; its lifespan begins and ends the background work."""
        app = self._app
        return build_asgi(
            app.gateway,
            app.guard,
            live=app.feed,
            reload=self.reload,
            render=app.metrics.render,
            dashboard=dashboard_dir(),
            administration=self._administration(),
            responses=app.shelf,
            clock=app.clock,
            bounds=BodyBounds(limit=app.settings.server.body_limit),
            lifespan=[self.running],
        )

    def reload(self) -> dict[str, Any]:
        """Read the settings again; raises ConfigError, and then nothing has changed."""
        app = self._app
        plan = app.read()
        waits = _needs_restart(app.settings, plan.settings)
        app.settings, app.gateway.unread = plan.settings, None
        app.provisioning.give(plan)
        app.enrolment.give(plan.settings.clients)
        app.guard.policy = self._policy()
        app.gateway.no_train = plan.settings.privacy == "no-train"
        app.gateway.loop.routing = routing_of(plan.settings)
        self._go_by_what_is_known()
        app.gateway.standing.retry_verdicts()
        providers = sorted(app.gateway.catalogue.providers)
        _log.info("settings reloaded", providers=len(providers), needs_restart=waits or None)
        return {"status": "reloaded", "providers": providers, "needs_restart": waits}

    async def in_step(self) -> None:
        """Go by what was entered about providers just now."""
        if await self._app.provisioning.look():
            self._go_by_what_is_known()

    async def refresh(self) -> None:
        """Go by what was entered about clients and operators just now."""
        await self._look()
        self._on_people()

    @contextlib.asynccontextmanager
    async def running(self, _: "Litestar") -> AsyncIterator[None]:
        """Run the background work while the block runs."""
        app, loop = self._app, asyncio.get_running_loop()
        async with contextlib.AsyncExitStack() as stack:
            if app.keeper is not None:
                await stack.enter_async_context(app.keeper.running())
            if app.recorder is not None:
                await stack.enter_async_context(recorded(app.recorder))
            if app.shelf is not None:
                await stack.enter_async_context(app.shelf.running())
            if app.reader is not None:
                stack.push_async_callback(app.reader.close)
            if app.traces is not None:
                stack.push_async_callback(app.traces.close)
            stack.push_async_callback(app.transport.close)
            for work in self._background():
                stack.push_async_callback(_cancelled, asyncio.create_task(work))
            stack.push_async_callback(self._local.stop)
            stack.push_async_callback(self._warming.stop)
            self._follow_providers()
            if threading.current_thread() is threading.main_thread():
                loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
            yield

    def _background(self) -> list[Coroutine[Any, Any, None]]:
        app = self._app
        works = [
            Probes(app.gateway).run(),
            watch(self._look, self._on_people),
            watch(app.provisioning.look, self._go_by_what_is_known),
        ]
        return works if app.demo else [*works, Revalidation(app.gateway, app.key_checks).run()]

    def _go_by_what_is_known(self) -> None:
        """Route by what settings, operators, local servers and answers have told so far."""
        app = self._app
        app.scrub.hide(secrets_of(app))
        found = with_local(app.assembly.catalogue, self._local.still(app.assembly.local))
        app.gateway.standing.switch(app.provisioning.off)
        app.gateway.adopt(with_told(found, app.counters.told_of()), app.enrolment.clients)
        self._follow_providers()

    def _follow_providers(self) -> None:
        gateway = self._app.gateway
        self._local.watch(self._wanted())
        self._warming.begin(gateway.catalogue.providers.values(), gateway.standing.off)

    def _administration(self) -> Administration:
        app, directory = self._app, self._app.directory
        return Administration(
            refresh=self.refresh,
            trail=AuditFile(directory),
            clients=ClientBook(ClientsFile(directory), lambda: app.settings, app.clock),
            operators=OperatorBook(OperatorsFile(directory), app.clock),
            operations=Operations(app.gateway),
            maintenance=app.maintenance,
            records=app.reader,
            providers=ProviderBook(app.provisioning, app.clock, self._key_state, self._found, self._own_key),
            in_step=self.in_step,
            checks=app.key_checks,
        )

    def _key_state(self, provider: str, label: str) -> dict[str, Any]:
        return status.key_state(self._app.gateway.view(), provider, label)

    def _found(self, provider: str, model: str) -> bool:
        """Say whether a local server was found to have *model*."""
        known = self._app.gateway.catalogue.providers.get(provider)
        return known is not None and any(one.id == model for one in known.models)

    def _own_key(self, key: str) -> str | None:
        """Return whose *key* it is at this gateway's own doors."""
        policy = self._app.guard.policy
        told = {"the admin key": policy.admin_key, "the metrics key": policy.metrics_key}
        return own_key(key, told, policy.clients, policy.operators)

    def _on_people(self) -> None:
        self._app.guard.policy = self._policy()
        self._app.gateway.enrol(self._app.enrolment.clients)

    async def _look(self) -> bool:
        clients, operators = await self._app.enrolment.look(), await self._app.operators.look()
        return clients or operators

    def _on_hangup(self) -> None:
        try:
            self.reload()
        except ConfigError as exc:
            self._app.gateway.unread = str(exc)
            _log.error("settings not reloaded, the old ones stay", reason=str(exc))

    def _policy(self) -> Policy:
        app, server = self._app, self._app.settings.server
        return Policy(
            clients=app.enrolment.clients,
            operators=app.operators.value,
            admin_key=self._admin_key,
            metrics_key=server.metrics_key,
            hosts=frozenset(server.hosts),
            cors=frozenset(server.cors),
            loopback=server.host in LOOPBACK,
            demo=app.demo,
        )

    def _wanted(self) -> Wanted:
        app = self._app
        context = app.settings.environ.get("OLLAMA_CONTEXT_LENGTH", "")
        return Wanted(
            servers=app.assembly.local,
            own_port=app.settings.server.port,
            ollama_context=int(context) if context.isdecimal() else OLLAMA_CONTEXT,
        )


def _needs_restart(before: Settings, after: Settings) -> list[str]:
    """Return the settings that differ and that only a start reads."""
    fixed = ("host", "port", "state_dir", "body_limit")
    changed = [name for name in fixed if getattr(before.server, name) != getattr(after.server, name)]
    sections = [
        name for name in ("logging", "storage", "traces") if getattr(before, name) != getattr(after, name)
    ]
    key = ["FREEROUTE_ENCRYPTION_KEY"] if before.encryption_key != after.encryption_key else []
    return [f"server.{name}" for name in changed] + sections + key


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
