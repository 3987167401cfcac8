"""The state directory: one process owns it, and the admin key lives in it."""

import fcntl
import os
import secrets
from pathlib import Path
from typing import IO

import structlog

from freeroute.errors import ConfigError
from freeroute.stores.permissions import shut


class StateDir:
    """A directory only its owner can read, locked for the life of one process."""

    def __init__(self, path: Path) -> None:
        """Make *path* if need be and lock it; raises ConfigError if another process holds it.

        What others can read in it is taken from them, before anything in it is opened.
        """
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path / "lock", os.O_WRONLY | os.O_CREAT, 0o600)
            self._lock: IO[str] | None = os.fdopen(descriptor, "w")
        except OSError as exc:
            raise ConfigError(f"server.state_dir: cannot use {path}: {exc.strerror}") from exc
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            self._lock.close()
            raise ConfigError(
                f"server.state_dir: another freeroute already runs on {path}; "
                "stop it, or give this one its own server.state_dir"
            ) from exc
        self._shut()

    def admin_key(self) -> str:
        """Return the admin key kept here, made on the first call; raises ConfigError if it cannot be read."""
        path = self.path / "admin_key"
        try:
            if not path.exists():
                self._write_key(path)
            key = path.read_text().strip()
        except (OSError, UnicodeDecodeError) as exc:
            raise ConfigError(f"{path}: cannot read or write the admin key: {exc}") from exc
        if not key:
            raise ConfigError(f"{path}: is empty; delete it, and a new admin key is made")
        return key

    def _shut(self) -> None:
        log = structlog.get_logger("freeroute.state")
        found = shut(self.path)
        if found.shut:
            log.warning(
                "others could use files of the state directory; now only its owner can", files=found.shut
            )
        if found.open:
            log.error(
                "others can use the state directory, and that is not changed by itself: "
                "give freeroute a directory of its own, or take the right from them with chmod go=",
                files=found.open,
            )

    @staticmethod
    def _write_key(path: Path) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"fa-{secrets.token_urlsafe(32)}\n")

    def close(self) -> None:
        """Let another process have the directory."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None
