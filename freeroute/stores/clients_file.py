"""Clients that were added at run time: one file in the state directory, whoever changes it."""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from freeroute.domain.clients import Client
from freeroute.engine.ports import ClientChange
from freeroute.errors import ConfigError

NAME = "clients.json"
FORMAT = 1


class _Content(Struct, forbid_unknown_fields=True):
    """What is in the file."""

    format: int
    clients: tuple[Client, ...]


class _Format(Struct):
    """What every format has."""

    format: int


class ClientsFile:
    """The file ``clients.json`` of a state directory; satisfies `engine.ports.ClientStore`.

    It is replaced whole, so that a reader sees it as it was before a change or after it. Those who change it
    take turns, by a lock on a file beside it.
    """

    def __init__(self, directory: Path) -> None:
        """Keep clients in *directory*; nothing is opened or made yet."""
        self.path = directory / NAME
        self._lock = directory / f"{NAME}.lock"

    def read(self) -> tuple[Client, ...]:
        """Return the clients; none if there is no file. Raises ConfigError if it cannot be read."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return ()
        except OSError as exc:
            raise ConfigError(f"{self.path}: cannot be read: {exc.strerror}") from exc
        try:
            told = msgspec.json.decode(content, type=_Format).format
            if told > FORMAT:
                raise ConfigError(
                    f"{self.path}: was written by a newer freeroute (format {told}, this one knows {FORMAT})"
                )
            return msgspec.json.decode(content, type=_Content).clients
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            # Its message names fields and places, never what is in them.
            raise ConfigError(f"{self.path}: is damaged: {exc}; nobody is let in or out by it") from exc

    def update(self, change: ClientChange) -> tuple[Client, ...]:
        """Replace the clients by what *change* makes of them; raises ConfigError and what that raises."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._turn():
                clients = change(self.read())
                self._write(msgspec.json.encode(_Content(FORMAT, clients)))
        except OSError as exc:
            raise ConfigError(f"{self.path}: cannot be written: {exc.strerror}") from exc
        return clients

    def mark(self) -> object:
        """Return what differs once the file has been changed; None while there is none."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        # The time of the last change of any kind: whoever mends its permissions is noticed too.
        return found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_size

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _hand_over(descriptor, self.path.parent)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _write(self, content: bytes) -> None:
        # Made readable by its owner alone, in the same directory so that it can take the file's place.
        descriptor, made = tempfile.mkstemp(prefix=f".{NAME}.", dir=self.path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                _hand_over(descriptor, self.path.parent)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(made).replace(self.path)
            _settled(self.path.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(made).unlink()
            raise


def _hand_over(descriptor: int, directory: Path) -> None:
    """Let the file belong to whom *directory* does: the gateway reads what an administrator wrote as root."""
    owner, there = directory.stat(), os.fstat(descriptor)
    if (owner.st_uid, owner.st_gid) != (there.st_uid, there.st_gid) and os.geteuid() == 0:
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _settled(directory: Path) -> None:
    """Have what was renamed in *directory* outlive a power failure: a key that was revoked stays so."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
