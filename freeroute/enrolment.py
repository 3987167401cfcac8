"""Who may call: the clients of the settings, and those that were added while the gateway runs."""

from collections.abc import Iterable

import structlog

from freeroute.domain.clients import Client, enrolled
from freeroute.engine.ports import ClientStore
from freeroute.stores.followed import Followed


class Enrolment:
    """Puts the clients of the settings and of a store together, and keeps them in step with the store."""

    def __init__(self, given: Iterable[Client]) -> None:
        """Know the clients *given* in the settings; those of a store once there is one."""
        self.clients: tuple[Client, ...] = ()
        self._given = tuple(given)
        self._stored: Followed[tuple[Client, ...]] | None = None
        self._log = structlog.get_logger("freeroute.clients")
        self._put_together()

    def open(self, store: ClientStore) -> None:
        """Let in who is in *store* as well; raises ConfigError if it cannot be read."""
        self._stored = Followed("clients", store)
        self._put_together()

    def give(self, given: Iterable[Client]) -> None:
        """Go by other settings."""
        self._given = tuple(given)
        self._put_together()

    async def look(self) -> bool:
        """Read the store if it has changed; say whether there is anything new."""
        if self._stored is None or not await self._stored.look():
            return False
        self._put_together()
        return True

    def _put_together(self) -> None:
        stored = () if self._stored is None else self._stored.value
        self.clients, hidden = enrolled(self._given, stored)
        if hidden:
            self._log.warning("clients that were added are hidden by those of the settings", clients=hidden)
