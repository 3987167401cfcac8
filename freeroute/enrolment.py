"""Who may call: the clients of the settings, and those that were added while the gateway runs."""

import asyncio
from collections.abc import Callable, Iterable

import structlog

from freeroute.domain.clients import Client, enrolled
from freeroute.engine.ports import ClientStore
from freeroute.errors import ConfigError

PAUSE = 0.5
"""Seconds between looks at the store: a change counts within one. Own design: a look costs a system call."""


class Enrolment:
    """Puts the clients of the settings and of a store together, and keeps them in step with the store."""

    def __init__(self, given: Iterable[Client]) -> None:
        """Know the clients *given* in the settings; those of a store once there is one."""
        self.clients: tuple[Client, ...] = ()
        self._given = tuple(given)
        self._store: ClientStore | None = None
        self._stored: tuple[Client, ...] = ()
        self._mark: object = None
        self._log = structlog.get_logger("freeroute.clients")
        self._put_together()

    def open(self, store: ClientStore) -> None:
        """Let in who is in *store* as well; raises ConfigError if it cannot be read."""
        self._mark, self._stored, self._store = store.mark(), store.read(), store
        self._put_together()

    def give(self, given: Iterable[Client]) -> None:
        """Go by other settings."""
        self._given = tuple(given)
        self._put_together()

    async def look(self) -> bool:
        """Read the store if it has changed; say whether there is anything new.

        One that is gone or damaged changes nothing: a mistake with a file must not open the gateway.
        """
        store = self._store
        if store is None or (mark := store.mark()) == self._mark:
            return False
        self._mark = mark
        try:
            if mark is None:
                raise ConfigError("the file of clients is gone; those who were in it stay until a restart")
            self._stored = await asyncio.to_thread(store.read)
        except ConfigError as exc:
            self._log.error("clients not read again, the old ones stay", reason=str(exc))
            return False
        self._put_together()
        self._log.info("clients changed", clients=len(self.clients))
        return True

    async def watch(self, changed: Callable[[], None], pause: float = PAUSE) -> None:
        """Look every *pause* seconds, for ever, and call *changed* after each change."""
        while True:
            await asyncio.sleep(pause)
            if await self.look():
                changed()

    def _put_together(self) -> None:
        self.clients, hidden = enrolled(self._given, self._stored)
        if hidden:
            self._log.warning("clients that were added are hidden by those of the settings", clients=hidden)
