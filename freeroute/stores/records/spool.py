"""The file in which batches wait for the database: what is in it outlives the process."""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from freeroute.stores.records.rows import Batch

BOUND = 64 * 2**20
"""Bytes the file may grow to: some 200,000 receipts. Own design: hours of a busy gateway, and no disk is
filled by a database that is gone."""

HELD = 2**20
"""Bytes of batches that are handed on as they came, besides being in the file. Own design: what comes while
the database takes one; of more it has not kept up anyway, and they are read."""

T = TypeVar("T")

_decode = msgspec.json.Decoder(Batch)


class SpoolFullError(Exception):
    """There is no room for another batch."""


class Spool:
    """Batches, first in, first out, one a line. Any thread may use it; its calls exclude each other.

    A batch that is done stays in the file until it is `settled`, or its room is needed: till then `again`
    gives it once more.
    """

    def __init__(self, path: Path, bound: int = BOUND) -> None:
        """Keep batches in *path*, of at most *bound* bytes; nothing is opened yet."""
        self.path = path
        self._bound = bound
        self._lock = threading.Lock()
        self.strange = 0  # lines that were passed over
        self._settled = 0  # where the oldest batch begins that is not settled
        self._at = 0  # where the oldest one begins that is not done
        self._next = 0  # where the one behind it begins, once it was read
        self._held: deque[tuple[int, int, Batch]] = deque()  # where they begin and end, and they themselves

    def append(self, line: bytes, batch: Batch | None = None) -> None:
        """Add a batch, a *line* without its end, or nothing; raises SpoolFullError or OSError.

        *batch* is what the line says: given, it need not be read again if its turn comes soon.
        """
        with self._lock:
            if self._settled < self._at and self._length() + len(line) + 2 > self._bound:
                self._settle()
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                size = os.fstat(descriptor).st_size
                if size < (self._held[-1][1] if self._held else self._next):  # somebody else made it anew
                    self._begin_anew()
                whole = self._end_of_a_torn_line(descriptor, size) + line + b"\n"
                if size + len(whole) > self._bound:
                    raise SpoolFullError
                self._write(descriptor, whole, size)
            finally:
                os.close(descriptor)
            if batch is not None:
                end = size + len(whole)
                self._hold(end - len(line) - 1, end, batch)

    def first(self) -> Batch | None:
        """Return the oldest batch that is not done, None if all are; raises OSError.

        A line that is no batch, such as one that was cut when the machine stopped, is passed over.
        """
        with self._lock:
            if (batch := self._held_here()) is not None:
                return batch
            for line in self._lines():
                try:
                    return _decode.decode(line)
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                    if self._settled == self._at:
                        self._settled = self._next
                    self._at = self._next
                    self.strange += bool(line.strip())
        return None

    def at_hand(self) -> Batch | None:
        """Return what `first` would, if that needs neither the disk nor waiting for another thread."""
        return self._at_once(self._held_here)

    def done(self) -> int:
        """Go on to the batch behind the one that `first` returned; returns the bytes that wait still."""
        with self._lock:
            return self._gone_on()

    def done_at_once(self) -> int | None:
        """Do what `done` does; nothing, and return None, if that means waiting for another thread."""
        return self._at_once(self._gone_on)

    def again(self) -> None:
        """Go back to the oldest batch that is not settled."""
        with self._lock:
            self._at = self._next = self._settled

    def settled(self) -> None:
        """Forget the batches that are done; the file is emptied if all are. Raises OSError."""
        with self._lock:
            self._settle()

    def size(self) -> int:
        """Return the bytes that wait; raises OSError."""
        with self._lock:
            return self._left()

    def _at_once(self, step: Callable[[], T]) -> T | None:
        """Return what *step* does; None, without it, while another thread is at work here."""
        if not self._lock.acquire(blocking=False):
            return None
        try:
            return step()
        finally:
            self._lock.release()

    def _gone_on(self) -> int:
        self._at = self._next
        return self._left()

    def _left(self) -> int:
        return max(self._length() - self._at, 0)

    def _hold(self, begin: int, end: int, batch: Batch) -> None:
        """Have *batch* at hand, which is in the file from *begin* to *end*, if there is room for it."""
        if not self._held or end - self._held[0][0] <= HELD:
            self._held.append((begin, end, batch))

    def _held_here(self) -> Batch | None:
        """Return the oldest batch that is not done, if it is at hand."""
        while self._held and self._held[0][0] < self._at:
            self._held.popleft()
        if not self._held or self._held[0][0] != self._at:
            return None
        _, self._next, batch = self._held[0]
        return batch

    def _begin_anew(self) -> None:
        self._settled = self._at = self._next = 0
        self._held.clear()

    def _lines(self) -> Iterator[bytes]:
        if self._length() < self._at:  # somebody else emptied it
            self._begin_anew()
        if not self._length():
            return
        with self.path.open("rb") as file:
            file.seek(self._at)
            for line in file:
                self._next = self._at + len(line)
                yield line

    def _length(self) -> int:
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def _settle(self) -> None:
        length = self._length()
        if self._at >= length:
            if length:
                os.truncate(self.path, 0)
            self._begin_anew()
        elif self._at > self._bound // 2:
            self._drop_what_is_done()
        else:
            self._settled = self._at

    def _drop_what_is_done(self) -> None:
        with self.path.open("rb") as file:
            file.seek(self._at)
            rest = file.read()
        beside = self.path.with_suffix(".new")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(rest)
        beside.replace(self.path)
        self._begin_anew()

    @staticmethod
    def _end_of_a_torn_line(descriptor: int, size: int) -> bytes:
        return b"\n" if size and os.pread(descriptor, 1, size - 1) != b"\n" else b""

    @staticmethod
    def _write(descriptor: int, whole: bytes, size: int) -> None:
        """Append *whole* to a file of *size*, or nothing: a disk that is nearly full takes a part."""
        written = 0
        try:
            while written < len(whole):
                written += os.write(descriptor, whole[written:])
        except OSError:
            os.ftruncate(descriptor, size)
            raise
