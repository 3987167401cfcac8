"""Which providers there are, and with which keys: what the settings say and what was entered, in step."""

import structlog
from msgspec import structs

from freeroute.config.assembly import Assembly
from freeroute.config.overlay import Laid, Plan, laid
from freeroute.errors import Unavailable
from freeroute.stores.followed import Followed
from freeroute.stores.keysafe import KeySafe, Opened


class Provisioning:
    """Lays what was entered over the settings, and keeps it in step with the file."""

    def __init__(self, plan: Plan) -> None:
        """Know what the settings come to; what was entered once there is a place where it is kept."""
        self.plan = plan
        self.opened = Opened()
        self._safe: KeySafe | None = None
        self._laid = laid(plan, self.opened)
        self._kept: Followed[Opened] | None = None
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
        self._kept = Followed("provider keys", safe)
        self.opened, self._safe = self._kept.value, safe
        self._put_together()

    def give(self, plan: Plan) -> None:
        """Go by other settings."""
        self.plan = plan
        self._put_together()

    async def look(self) -> bool:
        """Read what was entered if it has changed; say whether there is anything new.

        Keys that open no more are used as they were.
        """
        if self._kept is None or not await self._kept.look():
            return False
        self.opened = _still_open(self._kept.value, self.opened)
        self._put_together()
        return True

    def _put_together(self) -> None:
        self._laid = laid(self.plan, self.opened)
        for problem in self._laid.problems:
            self._log.error("what was entered needs an operator", reason=problem)


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
