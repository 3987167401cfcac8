"""What the settings alone say: the catalogue they make, and a gateway over it that never calls anybody."""

import datetime as dt
import os
from pathlib import Path
from typing import TYPE_CHECKING

from freeroute.clock import SystemClock
from freeroute.config.entries import read_catalogue
from freeroute.config.load import Overrides, Settings, load
from freeroute.resources import config_dir

if TYPE_CHECKING:
    from freeroute.config.assembly import Assembly
    from freeroute.engine.gateway import Gateway


def settings_and_assembly(config: str | None) -> "tuple[Settings, Assembly]":
    """Return the settings and what they switch on; raises ConfigError."""
    from freeroute.config.assembly import assemble

    settings = load(Overrides(config=config), os.environ, Path.cwd(), Path.home())
    today = dt.datetime.fromtimestamp(SystemClock().now().wall, dt.UTC).date()
    return settings, assemble(settings, read_catalogue(config_dir() / "providers"), today)


def gateway(config: str | None) -> "Gateway":
    """Return a gateway at its start, with the models that the settings name; local servers are not asked."""
    from freeroute.engine.gateway import Gateway
    from freeroute.stores.memory import MemoryCounters

    settings, assembly = settings_and_assembly(config)
    return Gateway(
        catalogue=assembly.catalogue,
        counters=MemoryCounters(),
        upstreams={},
        clock=SystemClock(),
        no_train=settings.privacy == "no-train",
    )
