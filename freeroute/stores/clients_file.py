"""Clients that were added at run time: one file in the state directory, whoever changes it."""

from pathlib import Path

from msgspec import Struct

from freeroute.domain.clients import Client
from freeroute.engine.ports import ClientChange
from freeroute.stores.kept_file import KeptFile

NAME = "clients.json"
FORMAT = 1


class _Content(Struct, frozen=True, forbid_unknown_fields=True):
    """What is in the file."""

    format: int
    clients: tuple[Client, ...]


class ClientsFile:
    """The file ``clients.json`` of a state directory; satisfies `engine.ports.ClientStore`."""

    def __init__(self, directory: Path) -> None:
        """Keep clients in *directory*; nothing is opened or made yet."""
        self.path = directory / NAME
        self._file = KeptFile(self.path, _Content(FORMAT, ()))

    def read(self) -> tuple[Client, ...]:
        """Return the clients; none if there is no file. Raises ConfigError if it cannot be read."""
        return self._file.read().clients

    def update(self, change: ClientChange) -> tuple[Client, ...]:
        """Replace the clients by what *change* makes of them; raises ConfigError and what that raises."""
        return self._file.update(lambda known: _Content(FORMAT, change(known.clients))).clients

    def mark(self) -> object:
        """Return what differs once the file has been changed; None while there is none."""
        return self._file.mark()
