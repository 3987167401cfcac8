"""What the settings and what was entered come to, and a gateway over it that never calls anybody."""

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from freeroute.clock import SystemClock
from freeroute.commands.running import environment
from freeroute.config.entries import read_catalogue
from freeroute.config.load import Overrides, Settings, load
from freeroute.resources import config_dir

if TYPE_CHECKING:
    from freeroute.config.assembly import Assembly
    from freeroute.config.overlay import Laid, Plan
    from freeroute.engine.gateway import Gateway
    from freeroute.stores.keysafe import KeySafe, Opened


class Offline(Struct, frozen=True):
    """The settings with all that they come to, and what was entered over them."""

    plan: "Plan"
    safe: "KeySafe"
    opened: "Opened"
    laid: "Laid"

    @property
    def assembly(self) -> "Assembly":
        """Return the catalogue that a gateway would route by."""
        return self.laid.assembly


def offline(config: str | None, state_dir: str | None = None) -> Offline:
    """Read everything; raises ConfigError."""
    from freeroute.config.overlay import laid, planned
    from freeroute.stores.keysafe import KeySafe

    settings = load(Overrides(config=config, state_dir=state_dir), environment(), Path.cwd(), Path.home())
    today = dt.datetime.fromtimestamp(SystemClock().now().wall, dt.UTC).date()
    plan = planned(settings, read_catalogue(config_dir() / "providers"), today)
    safe = KeySafe(settings.state_dir, settings.encryption_key)
    opened = safe.read()
    return Offline(plan, safe, opened, laid(plan, opened))


def settings_and_assembly(config: str | None) -> "tuple[Settings, Assembly]":
    """Return the settings and what is switched on; raises ConfigError."""
    read = offline(config)
    return read.plan.settings, read.assembly


def gateway(config: str | None) -> "Gateway":
    """Return a gateway at its start, with the models that the settings name; local servers are not asked."""
    from freeroute.engine.gateway import Gateway
    from freeroute.stores.memory import MemoryCounters

    read = offline(config)
    made = Gateway(
        catalogue=read.assembly.catalogue,
        counters=MemoryCounters(),
        upstreams={},
        clock=SystemClock(),
        no_train=read.plan.settings.privacy == "no-train",
    )
    made.standing.switch(read.opened.overlay.off)
    return made
