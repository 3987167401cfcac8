"""Whether the gateway is in maintenance, from one run to the next: one file in the state directory."""

from pathlib import Path

from msgspec import Struct

from freeroute.engine.view import Maintenance
from freeroute.stores.kept_file import KeptFile

NAME = "maintenance.json"
FORMAT = 1


class _Content(Struct, frozen=True, forbid_unknown_fields=True):
    """What is in the file."""

    format: int
    maintenance: Maintenance | None


class MaintenanceFile:
    """The file ``maintenance.json`` of a state directory; satisfies `engine.maintenance.MaintenanceStore`."""

    def __init__(self, directory: Path) -> None:
        """Keep it in *directory*; nothing is opened or made yet."""
        self._file = KeptFile(directory / NAME, _Content(FORMAT, None))

    def read(self) -> Maintenance | None:
        """Return the maintenance that is on, None for none; raises ConfigError if the file cannot be read."""
        return self._file.read().maintenance

    def write(self, maintenance: Maintenance | None) -> None:
        """Keep *maintenance*; raises ConfigError if that cannot be."""
        self._file.update(lambda _: _Content(FORMAT, maintenance))
