"""What was changed, by whom: lines of JSON in the state directory, the last of them last."""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import structs

from freeroute.domain.audit import Entry, Wanted
from freeroute.errors import ConfigError
from freeroute.stores.kept_file import hand_over, settled, turn

NAME = "audit.jsonl"

BOUND = 4 * 1024 * 1024
"""Bytes of one file. Own design: ten thousand changes or more."""

FORMER = 4
"""Full files that are kept beside the one that is written: 20 MiB in all. Own design: years of changes."""

LONGEST = 64 * 1024
"""Bytes of a line; of a longer one what was before and after is left out. Own design."""


class AuditFile:
    """The file ``audit.jsonl`` of a state directory, and ``audit.jsonl.1`` and so on, which are older.

    Satisfies `engine.ports.AuditTrail`. The gateway and commands take turns, by a lock on a file beside it.
    """

    def __init__(self, directory: Path, bound: int = BOUND) -> None:
        """Write to *directory*, in files of at most *bound* bytes; nothing is opened or made yet."""
        self.path = directory / NAME
        self._lock = directory / f"{NAME}.lock"
        self._bound = bound

    def append(self, entry: Entry) -> None:
        """Keep *entry*: on the disk once this returns. Raises ConfigError if it cannot be written."""
        line = msgspec.json.encode(entry) + b"\n"
        if len(line) > LONGEST:
            line = msgspec.json.encode(structs.replace(entry, before="left out", after="left out")) + b"\n"
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with turn(self._lock):
                self._write(line)
        except OSError as exc:
            raise ConfigError(f"{self.path}: cannot be written: {exc.strerror}") from exc

    def newest(self, wanted: Wanted) -> list[Entry]:
        """Return the entries that are *wanted*, the last first; raises ConfigError if they cannot be read.

        A line that was cut off, or that nobody here wrote, is passed over.
        """
        if not self.path.parent.is_dir():
            return []
        try:
            with turn(self._lock, fcntl.LOCK_SH):
                contents = [_content(path) for path in (self.path, *self._former())]
        except OSError as exc:
            raise ConfigError(f"{self.path}: cannot be read: {exc.strerror}") from exc
        found: list[Entry] = []
        for entry in _entries(contents):
            if len(found) >= wanted.limit:
                break
            if wanted.fits(entry):
                found.append(entry)
        return found

    def _former(self) -> list[Path]:
        return [self.path.with_name(f"{NAME}.{number}") for number in range(1, FORMER + 1)]

    def _write(self, line: bytes) -> None:
        is_new = not self.path.exists()
        if not is_new and self.path.stat().st_size + len(line) > self._bound:
            self._rotate()
            is_new = True
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            hand_over(descriptor, self.path.parent)
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                line = b"\n" + line  # what was cut off by a power failure stays a line of its own
            try:
                _whole(descriptor, line)
            except OSError:
                os.ftruncate(descriptor, size)
                raise
        finally:
            os.close(descriptor)
        if is_new:
            settled(self.path.parent)

    def _rotate(self) -> None:
        *_, last = files = [self.path, *self._former()]
        last.unlink(missing_ok=True)
        for older, newer in zip(reversed(files), reversed(files[:-1]), strict=False):
            if newer.exists():
                newer.rename(older)


def _whole(descriptor: int, line: bytes) -> None:
    written = os.write(descriptor, line)
    while written < len(line):
        written += os.write(descriptor, line[written:])
    os.fsync(descriptor)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _entries(contents: list[bytes]) -> Iterator[Entry]:
    for content in contents:
        for line in reversed(content.split(b"\n")):
            try:
                yield msgspec.json.decode(line, type=Entry)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue
