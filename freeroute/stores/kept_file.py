"""A small file of the state directory that is changed at run time, by a gateway and by commands alike."""

import contextlib
import errno
import fcntl
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import msgspec
from msgspec import Struct

from freeroute.errors import ConfigError

PATIENCE = 5.0
"""Seconds a change waits for others who change the same file. Own design: each takes milliseconds."""

# Seconds between looks at a lock that somebody has.
_LOOK = 0.01


class Content(Protocol):
    """What such a file holds: a msgspec Struct that has the number of its format."""

    @property
    def format(self) -> int:
        """Return the number of its format; a greater one is of a newer freeroute."""
        ...


ContentT = TypeVar("ContentT", bound=Content)


class _Format(Struct):
    """What every format has."""

    format: int


class KeptFile(Generic[ContentT]):
    """One file whose content is a struct, written as JSON.

    It is replaced whole, so that a reader sees it as it was before a change or after it. Those who change it
    take turns, by a lock on a file beside it. Its owner alone can read it.
    """

    def __init__(self, path: Path, empty: ContentT, patience: float = PATIENCE) -> None:
        """Keep in *path* what has the type and the format of *empty*, which stands for no file.

        Who changes it waits *patience* seconds at most for others who do. Nothing is opened or made yet.
        """
        self._patience = patience
        self.path = path
        self._empty = empty
        self._lock = path.with_name(f"{path.name}.lock")

    def read(self) -> ContentT:
        """Return the content; raises ConfigError if it cannot be read."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return self._empty
        except OSError as exc:
            raise ConfigError(f"{self.path}: cannot be read: {exc.strerror}") from exc
        try:
            told, known = msgspec.json.decode(content, type=_Format).format, self._empty.format
            if told > known:
                raise ConfigError(
                    f"{self.path}: was written by a newer freeroute (format {told}, this one knows {known})"
                )
            return msgspec.json.decode(content, type=type(self._empty))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            # Its message names fields and places, never what is in them.
            raise ConfigError(f"{self.path}: is damaged: {exc}; nothing is changed by it") from exc

    def update(self, change: Callable[[ContentT], ContentT]) -> ContentT:
        """Replace the content by what *change* makes of it, nobody coming between, and return it.

        Raises ConfigError if it cannot be read or written, and what *change* raises; then nothing has
        changed. It may wait for others who change the file, so not on the event loop.
        """
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with turn(self._lock, patience=self._patience):
                content = change(self.read())
                write_whole(self.path, self._legible(content))
        except OSError as exc:
            raise ConfigError(f"{self.path}: cannot be written: {exc.strerror}") from exc
        return content

    def _legible(self, content: ContentT) -> bytes:
        """Return *content* as it is written; raises ConfigError if it could not be read again as it is.

        Whatever slips through the checks before: a file that nobody can read is worse than a change refused.
        """
        written = msgspec.json.encode(content)
        try:
            again = msgspec.json.decode(written, type=type(self._empty))
        except (msgspec.DecodeError, RecursionError) as exc:
            raise ConfigError(f"{self.path}: could not be read again: {exc}; nothing is changed") from exc
        if again != content:
            raise ConfigError(f"{self.path}: would read otherwise than it was written; nothing is changed")
        return written

    def mark(self) -> object:
        """Return what differs once the file has been changed; None while there is none."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        # The time of the last change of any kind: whoever mends its permissions is noticed too.
        return found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_size


def write_whole(path: Path, content: bytes, mode: int = 0o600, mark: str = "") -> None:
    """Have *content* at *path*, all of it or none, readable by its owner alone or as *mode* says.

    Those who write there take turns: what lies beside it was left by one that was killed, and goes. Where
    others keep files too, a *mark* in its name tells it from theirs. Raises OSError.
    """
    prefix = f".{path.name}.{mark}"
    for left in path.parent.glob(f"{prefix}*"):
        left.unlink(missing_ok=True)
    # Made in the same directory, so that it can take the file's place.
    descriptor, made = tempfile.mkstemp(prefix=prefix, dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            hand_over(descriptor, path.parent)
            os.fchmod(descriptor, mode)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        Path(made).replace(path)
        settled(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(made).unlink()
        raise


@contextlib.contextmanager
def turn(lock: Path, kind: int = fcntl.LOCK_EX, patience: float = PATIENCE) -> Iterator[None]:
    """Let the block alone use what the file *lock* stands for, among processes and threads.

    Raises OSError if it is not to be had in *patience* seconds: a command that somebody stopped in the middle
    must not take the threads of the gateway with it.
    """
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        hand_over(descriptor, lock.parent)
        for _ in range(int(patience / _LOOK)):
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
                break
            threading.Event().wait(_LOOK)
        else:
            raise OSError(errno.EAGAIN, f"another process holds {lock.name}")
        yield
    finally:
        os.close(descriptor)


def hand_over(descriptor: int, directory: Path) -> None:
    """Let the file belong to whom *directory* does: the gateway reads what an administrator wrote as root."""
    owner, there = directory.stat(), os.fstat(descriptor)
    if (owner.st_uid, owner.st_gid) != (there.st_uid, there.st_gid) and os.geteuid() == 0:
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def settled(directory: Path) -> None:
    """Have what was renamed in *directory* outlive a power failure: a key that was revoked stays so."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
