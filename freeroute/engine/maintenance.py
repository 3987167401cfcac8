"""Maintenance: the operator lets no requests in for a while, and those under way finish."""

import asyncio
from typing import Any, Protocol

import structlog

from freeroute.engine.gateway import Gateway
from freeroute.engine.view import Maintenance


class MaintenanceStore(Protocol):
    """Keeps from one run to the next whether requests are let in."""

    def read(self) -> Maintenance | None:
        """Return the maintenance that is on, None for none; raises ConfigError if nobody can tell."""
        ...

    def write(self, maintenance: Maintenance | None) -> None:
        """Keep *maintenance*; raises ConfigError if that cannot be."""
        ...


class MaintenanceSwitch:
    """Turns maintenance on and off, and leaves it as the last run did."""

    def __init__(self, gateway: Gateway, store: MaintenanceStore | None = None) -> None:
        """Open or close *gateway*; without a *store* that lasts until the process ends."""
        self._gateway = gateway
        self._store = store
        self._turn = asyncio.Lock()
        self._log = structlog.get_logger("freeroute.maintenance")

    def recall(self) -> None:
        """Go on as the last run ended; raises ConfigError if that cannot be read."""
        self._gateway.maintenance = None if self._store is None else self._store.read()
        if self._gateway.maintenance is not None:
            self._log.warning("maintenance goes on: no requests are let in")

    def shown(self) -> dict[str, Any]:
        """Return whether it is ``on``, ``since`` when (Unix time), and the ``message`` for callers."""
        present = self._gateway.maintenance
        if present is None:
            return {"on": False, "since": None, "message": None}
        return {"on": True, "since": round(present.since, 3), "message": present.message}

    async def set(self, *, on: bool, message: str) -> dict[str, Any]:
        """Let no requests in (*on*), telling callers *message*, or let them in again; return `shown`.

        Raises ConfigError if it could not outlive a restart; then nothing has changed.
        """
        async with self._turn:
            before = self._gateway.maintenance
            since = self._gateway.clock.now().wall if before is None else before.since
            wanted = Maintenance(since, message) if on else None
            if self._store is not None:
                await asyncio.to_thread(self._store.write, wanted)
            self._gateway.maintenance = wanted
        if on != (before is not None):
            self._log.warning("maintenance: no requests are let in" if on else "maintenance is over")
        return self.shown()
