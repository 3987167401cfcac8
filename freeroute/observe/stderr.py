"""Standard error: each line leaves at once, or those of a busy loop together.

Each write is a call of the system, and lets go of Python's lock, for which threads wait.
"""

import asyncio
import contextlib
import select
import sys
import threading
from collections import deque
from collections.abc import Iterator

import structlog

TOGETHER = 0.05
"""Seconds for which a line may wait for others. Own design: nobody who reads along notices."""

MOST = 2**16
"""Characters that wait, about: lines beyond are lost while nobody reads. Own design: what a pipe holds."""

LAST = 1.0
"""Seconds that the end waits for somebody to read on. Own design: little is lost, and nothing hangs."""

# Bytes that do not have to wait once there is room for any, and the most of them that a character takes.
_PIECE, _WIDEST = select.PIPE_BUF, 4


class Stderr:
    """Standard error as it is at each moment. A reader that hung up must not cost a caller the answer."""

    def __init__(self) -> None:
        """Let each line leave at once."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0  # that of the loop
        self._waiting: deque[str] = deque()  # lines; any thread adds one without the lock
        self._cut = ""  # and before them what is left of those of which a part has left
        self._size = 0  # of both, in characters, about
        self._lost = 0  # lines
        self._is_due = False
        # Other threads have something to say too, and so has this one, at a collection in between.
        self._lock = threading.RLock()

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Let lines of the running loop leave together meanwhile; all have left at the end.

        Somebody who stops reading holds nobody up then: lines wait, and are lost beyond `MOST`.
        """
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        try:
            yield
        finally:
            with self._lock:
                self._loop, self._is_due = None, False
                self._leave(LAST)

    def msg(self, line: str) -> None:
        """Let *line* leave behind those before it: soon while they leave together, else at once."""
        if self._is_due and self._size <= MOST and threading.get_ident() == self._thread:
            # As nearly always, and without the lock, which would cost a tenth of what the line does.
            self._waiting.append(line)
            self._size += len(line)
        elif self._loop is None:
            _write(line + "\n")
        else:
            with self._lock:
                self._queue(line, self._loop)

    def _queue(self, line: str, loop: asyncio.AbstractEventLoop) -> None:
        """Let *line* wait if there is room, or leave if it is of another thread."""
        if self._size > MOST:
            self._leave()
            if self._size > MOST:
                self._lost += 1
                return
        self._waiting.append(line)
        self._size += len(line)
        if threading.get_ident() != self._thread:
            self._leave()
        elif not self._is_due:
            self._call_later(loop)

    debug = info = warning = msg

    def error(self, line: str) -> None:
        """Let *line* leave at once, behind those before it."""
        with self._lock:
            self.msg(line)
            self._leave()

    critical = error

    def write(self, text: str) -> None:
        """Let *text*, whole lines, leave at once."""
        self.error(text.removesuffix("\n"))

    def flush(self) -> None:
        """Hold nothing back: what is written leaves at once."""

    def _call_later(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_due = True
        loop.call_later(TOGETHER, self._due)

    def _due(self) -> None:
        with self._lock:
            self._is_due = False
            self._leave()
            if (self._cut or self._waiting) and self._loop is not None:
                self._call_later(self._loop)

    def _leave(self, patience: float = 0.0) -> None:
        """Let what waits leave, as far as somebody takes it within *patience* (seconds)."""
        lines = []
        while self._waiting:  # what comes in between may have let them leave
            lines.append(self._waiting.popleft())
        text, self._cut = self._cut + "\n".join([*lines, ""]), ""
        size = _PIECE if text.isascii() else _PIECE // _WIDEST
        while text and _has_room(patience):
            _write(text[:size])
            text = text[size:]
        self._cut = text + self._cut  # a line that came in between by this thread may have been cut too
        self._size = len(self._cut)
        if self._lost and not text:
            lost, self._lost = self._lost, 0
            structlog.get_logger("freeroute.log").warning("lines are missing: nobody read them", lines=lost)


def _has_room(patience: float) -> bool:
    """Say whether somebody takes a piece within *patience* (seconds), or can be found to be gone."""
    try:
        room = select.poll()
        room.register(sys.stderr.fileno(), select.POLLOUT)
        return bool(room.poll(patience * 1000))
    except (OSError, ValueError, AttributeError):
        return True  # no file: it never has to wait


def _write(text: str) -> None:
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        pass


STDERR = Stderr()
"""That of this process."""
