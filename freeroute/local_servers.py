"""Local servers come and go: the gateway looks for them at the start and every minute after."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct, structs

from freeroute.config.assembly import SwitchedOn, switched_on, with_local
from freeroute.domain.catalogue import Provider
from freeroute.engine.gateway import Gateway
from freeroute.upstreams.local import OLLAMA_CONTEXT, Known, find, new_client

# An Ollama started later, or a model pulled meanwhile, is there within a minute.
PAUSE = 60.0


class Wanted(Struct, frozen=True):
    """Where to look, and what the gateway must not take for a server: the port of its own."""

    servers: Sequence[Provider]
    own_port: int
    ollama_context: int = OLLAMA_CONTEXT


class LocalServers:
    """Keeps the gateway's catalogue in step with the local servers that answer.

    One that was found stays when it falls silent: its breaker knows what to do.
    """

    def __init__(self, gateway: Gateway, on_found: Callable[[SwitchedOn], None]) -> None:
        """Tell *on_found* of each server when it is found first."""
        self._gateway = gateway
        self._on_found = on_found
        self._task: asyncio.Task[None] | None = None
        self._known: Known = {}

    def watch(self, wanted: Wanted) -> None:
        """Look for *wanted* from now on, in the background: no request waits for it."""
        if self._task is not None:
            self._task.cancel()
        self._task = asyncio.create_task(self._run(wanted)) if wanted.servers else None

    async def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def found(self) -> dict[str, Provider]:
        """Return the local servers of the catalogue, by id."""
        known = self._gateway.catalogue.providers
        return {name: provider for name, provider in known.items() if provider.origin == "discovered"}

    def still(self, servers: Iterable[Provider]) -> list[Provider]:
        """Return those of *servers* that were found before, with the models they had, as they are called now.

        Others are wanted no more, and a key that was taken away is not used until somebody looks.
        """
        found = self.found()
        return [
            structs.replace(
                server,
                keys=server.keys or before.keys,
                models=before.models,
                limits=before.limits,
                origin=before.origin,
            )
            for server in servers
            if (before := found.get(server.id)) is not None
        ]

    async def look(self, wanted: Wanted) -> None:
        """Look once, and route by what is there."""
        async with await asyncio.to_thread(new_client, wanted.servers) as client:
            answered = await find(
                wanted.servers,
                client,
                own_port=wanted.own_port,
                ollama_context=wanted.ollama_context,
                known=self._known,
            )
        before = self.found()
        after = {**before, **{provider.id: provider for provider in answered}}
        if after == before:
            return
        self._gateway.adopt(with_local(self._gateway.catalogue, list(after.values())))
        for name in after.keys() - before.keys():
            self._on_found(switched_on(after[name], f"found at {after[name].base_url}"))

    async def _run(self, wanted: Wanted) -> None:
        while True:
            await self.look(wanted)
            await asyncio.sleep(PAUSE)
