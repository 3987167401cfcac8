"""Maintenance: the operator lets no requests in for a while, and those under way finish."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
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
        return told(self._gateway.maintenance)

    @contextlib.asynccontextmanager
    async def switching(self, *, on: bool, message: str) -> AsyncIterator[Maintenance | None]:
        """Let no requests in (*on*), telling callers *message*, or let them in again, once the block is over.

        The block gets what is to be and keeps it with `keep`; if it raises, nothing has changed.
        """
        async with self._turn:
            before = self._gateway.maintenance
            since = self._gateway.clock.now().wall if before is None else before.since
            wanted = Maintenance(since, message) if on else None
            yield wanted
            self._gateway.maintenance = wanted
        if on != (before is not None):
            self._log.warning("maintenance: no requests are let in" if on else "maintenance is over")

    def keep(self, wanted: Maintenance | None) -> None:
        """Have *wanted* outlive a restart; raises ConfigError. It waits for a disk: it is for threads."""
        if self._store is not None:
            self._store.write(wanted)


def told(maintenance: Maintenance | None) -> dict[str, Any]:
    """Return *maintenance* as operators read it."""
    if maintenance is None:
        return {"on": False, "since": None, "message": None}
    return {"on": True, "since": round(maintenance.since, 3), "message": maintenance.message}
