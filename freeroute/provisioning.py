"""Which providers there are, and with which keys: what the settings say and what was entered, in step."""

import asyncio
from collections.abc import Callable

import structlog
from msgspec import structs

from freeroute.config.assembly import Assembly
from freeroute.config.overlay import Laid, Plan, laid
from freeroute.errors import ConfigError, Unavailable
from freeroute.stores.keysafe import KeySafe, Opened

PAUSE = 0.5
"""Seconds between looks at the file: a change counts within one. Own design: it costs two system calls."""


class Provisioning:
    """Lays what was entered over the settings, and keeps it in step with the file."""

    def __init__(self, plan: Plan) -> None:
        """Know what the settings come to; what was entered once there is a place where it is kept."""
        self.plan = plan
        self.opened = Opened()
        self._safe: KeySafe | None = None
        self._laid = laid(plan, self.opened)
        self._mark: object = None
        self._looking = asyncio.Lock()
        self._log = structlog.get_logger("freeroute.keys")

    @property
    def laid(self) -> Laid:
        """Return what is routed by."""
        return self._laid

    @property
    def assembly(self) -> Assembly:
        """Return the catalogue that is routed by, and what else the settings come to."""
        return self._laid.assembly

    @property
    def off(self) -> frozenset[str]:
        """Return the providers and models that are switched off."""
        return self.opened.overlay.off

    @property
    def safe(self) -> KeySafe:
        """Return where what is entered is kept; raises Unavailable if that is nowhere."""
        if self._safe is None:
            raise Unavailable("This gateway has no state directory to keep anything in.")
        return self._safe

    def open(self, safe: KeySafe) -> None:
        """Go by what is in *safe* as well; raises ConfigError if it cannot be read."""
        self._mark, self.opened, self._safe = safe.mark(), safe.read(), safe
        self._put_together()

    def give(self, plan: Plan) -> None:
        """Go by other settings."""
        self.plan = plan
        self._put_together()

    async def look(self) -> bool:
        """Read the file if it has changed; say whether there is anything new.

        One that is gone or damaged changes nothing, and keys that open no more are used as they were.
        """
        async with self._looking:
            safe = self._safe
            if safe is None or (mark := safe.mark()) == self._mark:
                return False
            self._mark = mark
            try:
                if mark is None:
                    raise ConfigError(f"{safe.path} is gone; what was in it counts until a restart")
                self.opened = _still_open(await asyncio.to_thread(safe.read), self.opened)
            except ConfigError as exc:
                self._log.error(
                    "entered keys and switches not read again, the old ones stay", reason=str(exc)
                )
                return False
            self._put_together()
            self._log.info("entered keys or switches changed", keys=len(self.opened.overlay.keys))
            return True

    async def watch(self, changed: Callable[[], None], pause: float = PAUSE) -> None:
        """Look every *pause* seconds, for ever, and call *changed* after each change."""
        while True:
            await asyncio.sleep(pause)
            if await self.look():
                changed()

    def _put_together(self) -> None:
        self._laid = laid(self.plan, self.opened)
        for problem in self._laid.problems:
            self._log.error("what was entered is not in use", reason=problem)


def _still_open(opened: Opened, before: Opened) -> Opened:
    """Return *opened*, with the secrets that are known from *before* where its keys do not open.

    What was not opened may say anything: a key stays good for the host alone that it was for.
    """
    if opened.problem is None:
        return opened
    origins = {key.place: key.origin for key in before.overlay.keys}
    stays = [key.place for key in opened.overlay.keys if key.origin == origins.get(key.place)]
    known = {place: before.secrets[place] for place in stays if place in before.secrets}
    return structs.replace(opened, secrets=known)
