"""One connection of a caller: how long is waited for what on it, and how it ends."""

import asyncio
import math
import socket
from collections import deque
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from freeroute.errors import ApiError, RequestTimeout
from freeroute.surfaces.bounds import Bounds
from freeroute.surfaces.cycles import Cycle, Flow
from freeroute.surfaces.entrance import Entrance
from freeroute.surfaces.http import STALLED, bare_refusal


class Connection(HttpToolsProtocol):
    """uvicorn's connection with bounds of patience; what it refuses by itself has OpenAI's error shape."""

    # With more than 29 attributes beside them, as uvicorn's 28, an object takes five times the room.
    __slots__ = (
        "_answering",
        "_head_timer",
        "_ignored",
        "_in_head",
        "_linger_timer",
        "_refused",
        "_write_timer",
        "idle_since",
    )
    bounds = Bounds()
    entrance: Entrance  # shared by all connections of a server
    cycle: Cycle  # the newest
    pipeline: deque[Cycle]  # type: ignore[assignment]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Start with nothing read."""
        super().__init__(*args, **kwargs)
        self._ignored = 0  # of a body nobody reads, or behind a refusal
        self._in_head = self._refused = False
        self.idle_since: float | None = None  # as the loop tells time; None while something comes or goes
        self._head_timer: asyncio.TimerHandle | None = None
        self._linger_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.Handle | None = None
        self._answering: Cycle | None = None  # older than `cycle` where callers pipeline

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a first request soon."""
        super().connection_made(transport)
        self.flow = Flow(transport, self.pipeline, self.bounds.behind)
        opened = transport.get_extra_info("socket")
        if opened is not None and hasattr(socket, "TCP_NOTSENT_LOWAT"):
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, self.bounds.unread_bytes)
        self._expect_head()
        self.idle_since = self.loop.time()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell every request on this connection, and let go of the timers."""
        # The server tells the newest one only: a pipelined one must not hide the answer under way.
        if self._answering is not None:
            self._answering.hang_up()
        super().connection_lost(exc)
        while self.pipeline:
            self.pipeline.pop().forget()  # which was not begun
        idle = self.timeout_keep_alive_task
        for timer in (self._head_timer, self._linger_timer, self._write_timer, idle):
            if timer is not None:
                timer.cancel()

    @property
    def may_close(self) -> bool:
        """Say whether nobody waits for anything here; while idle, an answer may still be on its way."""
        if self.transport.is_closing() or self.transport.get_write_buffer_size():
            return False
        cycle = self.cycle
        if self._refused:
            return True
        if cycle is not None and (cycle.more_body or not cycle.response_complete):
            return False
        return not self._in_head or self.loop.time() >= self._head_is_slow_at()

    @property
    def is_answering(self) -> bool:
        """Say whether an answer is under way."""
        return self._answering is not None and not self._answering.response_complete

    def stop(self) -> None:
        """Have the answer under way end with an error now, and begin none behind it."""
        while self.pipeline:
            self.pipeline.pop().forget()
        if self._answering is not None:
            self._answering.stop()

    def _start(self, cycle: Cycle) -> None:
        self._answering = cycle
        self.entrance.enter(cycle.start, self.loop)

    def on_response_complete(self) -> None:
        """Go on with the next request, which may have come; wait a little for a body that nobody read."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.pipeline:
            self._start(self.pipeline.pop())
        else:
            self.idle_since = self.loop.time()
            if self.timeout_keep_alive_task is None:
                self._look_if_idle(self.timeout_keep_alive)
        if self.flow.read_paused:
            self.flow.resume_reading()
        if self.cycle.more_body and self.cycle.response_complete:
            self._linger()

    def _look_if_idle(self, after: float) -> None:
        """See after so many seconds whether anything came: one timer does for many requests."""
        later = self.loop.call_later(after, self.timeout_keep_alive_handler)
        self.timeout_keep_alive_task = later

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection if it has been idle for long; else look again when it might have been."""
        self.timeout_keep_alive_task = None
        if self.idle_since is None:
            return
        left = self.idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._look_if_idle(left)
        elif not self.transport.is_closing():
            self.transport.close()

    def pause_writing(self) -> None:
        """Give a caller that stopped reading some time."""
        super().pause_writing()
        self._write_timer = self.loop.call_soon(self._look, math.inf)  # after the whole of this write

    def _look_later(self, unread: float) -> None:
        """See in a while whether the caller has read some of the *unread* bytes."""
        self._write_timer = self.loop.call_later(self.bounds.write_seconds, self._look, unread)

    def _look(self, unread: float) -> None:
        still = self.transport.get_write_buffer_size()
        if still < unread:
            self._look_later(still)
            return
        if self._answering is not None:
            self._answering.scope[STALLED] = True  # type: ignore[literal-required]
        self.transport.abort()

    def resume_writing(self) -> None:
        """Let a caller that reads again go on."""
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()

    def _head_has_come(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _is_idle(self) -> bool:
        """Say whether bytes came that began no request, such as empty lines after an answer."""
        done = self.cycle is None or (self.cycle.response_complete and not self.cycle.more_body)
        return done and self.idle_since is None

    def _expect_head(self) -> None:
        if self._head_timer is None and not self.transport.is_closing():
            self._head_timer = self.loop.call_later(self.bounds.head_seconds, self._head_is_late)
        if self._head_timer is not None and not self.is_answering:
            self.idle_since = self._head_is_slow_at()

    def _head_is_slow_at(self) -> float:
        """Return when a head that is on its way is as good as none, as the loop tells time."""
        if self._head_timer is None:
            return math.inf
        return self._head_timer.when() - self.bounds.head_seconds + self.bounds.slow_head_seconds

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self.transport.is_closing() or self._refused:
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self._expect_head()  # a pipelined head must not cut the answer before it
        elif self._in_head:
            self._refuse(
                RequestTimeout(f"The request head did not arrive within {self.bounds.head_seconds:g} s.")
            )
        else:
            self.transport.close()

    def _refuse(self, error: ApiError) -> None:
        """Answer without the application, and let go of the connection."""
        self._refused = True
        if self.transport.is_closing():
            return
        cycle = self._answering
        if cycle is not None and not cycle.response_complete and cycle.response_started:
            self.transport.close()  # nothing of ours may land inside another answer
            return
        for begun in (cycle, self.cycle):
            if begun is not None:
                begun.hang_up()
        self.transport.write(bare_refusal(error))
        self.idle_since = self.loop.time()
        # Half a close, so that a caller still sending reads the answer rather than a reset.
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._linger()

    def _linger(self) -> None:
        self._ignored = 0
        if self._linger_timer is None:
            self._linger_timer = self.loop.call_later(self.bounds.linger_seconds, self.transport.close)

    def _ignore(self, size: int) -> None:
        self._ignored += size
        if self._ignored > self.bounds.linger_bytes:
            self.transport.close()
