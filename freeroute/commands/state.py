"""What commands share that change the state directory of a gateway, whether it runs or not."""

import datetime as dt
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from freeroute.clock import SystemClock
from freeroute.commands import options
from freeroute.commands.running import environment

if TYPE_CHECKING:
    from freeroute.config.load import Settings
    from freeroute.engine.changes import Note

directory = click.option("--state-dir", metavar="DIR", help="The gateway's, if not the one of the settings.")


def where(command: options.Decorated) -> options.Decorated:
    """Add the options of where the state directory is, and of how to answer."""
    return options.config(directory(options.as_json(command)))


def settings(config: str | None, state_dir: str | None) -> "Settings":
    """Return the settings of that gateway; raises ConfigError."""
    from freeroute.config.load import Overrides, load

    return load(Overrides(config=config, state_dir=state_dir), environment(), Path.cwd(), Path.home())


def making(found: "Settings", what: str, target: str) -> "AbstractContextManager[Note]":
    """Give the block that makes a change what writes it down in the audit of that gateway."""
    from freeroute.domain.operators import COMMAND_LINE
    from freeroute.engine.changes import Changes
    from freeroute.stores.audit_file import AuditFile

    return Changes(AuditFile(found.state_dir), SystemClock()).making(COMMAND_LINE, what, target)


def moment(wall: float | None) -> str:
    """Return Unix time as people read it."""
    return "-" if wall is None else dt.datetime.fromtimestamp(wall, dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
