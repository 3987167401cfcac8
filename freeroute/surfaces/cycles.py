"""One request on a connection and its answer: the server's, with less that a usual request does not need."""

import asyncio
from collections.abc import Callable, Sized
from typing import Any

from uvicorn._types import ASGIReceiveEvent, ASGISendEvent, HTTPScope
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from freeroute.errors import ShuttingDown
from freeroute.surfaces.departure import Departure


class Flow(FlowControl):
    """The server's flow control, with an event only while there is somebody to wait for.

    Nearly every caller reads as fast as it is told, and an event takes 800 bytes of each connection. Once
    there are *most* requests *behind* the one that is answered, nobody's wish for a body has more read.
    """

    def __init__(self, transport: asyncio.Transport, behind: Sized, most: int) -> None:
        """Begin with a caller that reads."""
        self._transport, self._behind, self._most = transport, behind, most
        self.read_paused = self.write_paused = False
        self._read: asyncio.Event | None = None

    async def drain(self) -> None:
        """Wait until the caller has read."""
        if self.write_paused:
            self._read = self._read or asyncio.Event()
            await self._read.wait()

    def resume_reading(self) -> None:
        """Read on, unless enough requests wait."""
        if self.read_paused and len(self._behind) < self._most:
            super().resume_reading()

    def pause_writing(self) -> None:
        """Let whoever writes wait."""
        self.write_paused = True

    def resume_writing(self) -> None:
        """Let whoever waits write on."""
        self.write_paused = False
        if self._read is not None:
            self._read.set()
            self._read = None


class _Nobody:
    """Stands for the event of a request that nobody waits for more of."""

    def set(self) -> None:
        """Wake nobody."""


_NOBODY: Any = _Nobody()


class _Waiter:
    """Stands for the event of a request that one waits for more of, as an event is for many."""

    __slots__ = ("woken",)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.woken: asyncio.Future[None] = loop.create_future()

    def set(self) -> None:
        """Wake it."""
        if not self.woken.done():
            self.woken.set_result(None)


class _Ours:
    """What the server tells with every answer, as lines: the date among it, which it sets once a second."""

    def __init__(self) -> None:
        self._told: list[tuple[bytes, bytes]] = []
        self._lines = b""

    def of(self, told: list[tuple[bytes, bytes]]) -> bytes:
        """Return the lines of what is *told*, another list whenever that changes."""
        if told is not self._told:
            self._told, self._lines = told, b"".join([b"%b: %b\r\n" % field for field in told])
        return self._lines


_OURS = _Ours()


class Cycle(RequestResponseCycle, Departure):
    """One request and its answer, which is the outlet of it and the departure of its caller too."""

    body: bytes | bytearray  # type: ignore[assignment]
    access_log = False

    def __init__(self, scope: HTTPScope, protocol: HttpToolsProtocol) -> None:
        """Begin the request that came over *protocol* with the head in *scope*."""
        self.scope = scope
        self.app: Any = protocol.app
        self._loop = protocol.loop
        self.transport = protocol.transport
        self.flow = protocol.flow
        self.logger = protocol.logger
        self.default_headers = protocol.server_state.default_headers
        self.on_response: Callable[..., None] = protocol.on_response_complete
        # Each in the object itself: CPython 3.11 takes long to find what is in its class.
        self.task: asyncio.Task[Any] | None = None
        self._watched: asyncio.Task[Any] | None = None
        self.gone = self.left = self.stopped = False
        self.disconnected = self.response_started = self.response_complete = False
        self.waiting_for_100_continue = False
        self.chunked_encoding: bool | None = None
        self.expected_content_length = 0
        self.body, self.more_body, self.keep_alive = b"", True, True
        self.message_event: Any = _NOBODY
        self._news = False  # of the body, since somebody asked last
        self._tasks = protocol.tasks

    def start(self) -> None:
        """Let the application answer, in a task of its own that the server knows of as long as it takes."""
        self.task = task = asyncio.Task(self._answered(), loop=self._loop, name="request")
        self._tasks.add(task)

    async def _answered(self) -> None:
        """Do what `run_asgi` does, which has to judge only what returns without an answer."""
        try:
            result: Any = await self.app(self.scope, self.receive, self.send)
        except BaseException as failure:
            if self.gone and isinstance(failure, asyncio.CancelledError):
                self.transport.abort()  # it was told, and took too long to end
                return
            self.logger.error("Exception in ASGI application\n", exc_info=failure)
            if self.response_started:
                self.transport.close()
            else:
                await self.send_500_response()
        else:
            if result is not None or not self.response_complete:
                await self._unanswered(result)
        finally:
            # Not when the task is done: that would be a step of its own for the event loop.
            self._tasks.discard(self.task)
            self.forget()

    async def _unanswered(self, result: Any) -> None:
        """Do what the server does when nothing, or not all, was answered and *result* came back."""
        if self.stopped:
            self.transport.close()  # cut short, where nothing could say so
        else:
            await self.run_asgi(_returning(result))

    def forget(self) -> None:
        """Let go of what knows of this request, and this of it: neither is left to the garbage collector."""
        self.scope = {}  # type: ignore[typeddict-item]
        self.task = self.app = None
        self.on_response = _NOBODY.set

    def come(self, piece: bytes) -> None:
        """Take the next *piece* of the body."""
        if self.body and isinstance(self.body, bytes):  # hardly ever: nearly all come at once
            self.body = bytearray(self.body)  # which many small pieces do not copy again and again
        self.body += piece
        self._news = True
        self.message_event.set()

    def came(self) -> None:
        """Take it that all of the body is there."""
        self.more_body = False
        self._news = True
        self.message_event.set()

    def come_whole(self, body: bytes) -> None:
        """Take *body* and that it is all, before anybody can wait for it."""
        self.body = body
        self.more_body, self._news = False, True

    def whole(self) -> bytes | None:
        """Return the body if all of it has come, and nobody has asked for any of it."""
        if self.more_body or self.disconnected or self.waiting_for_100_continue or not self._news:
            return None
        if self.flow.read_paused:
            self.flow.resume_reading()
        body, self.body, self._news = bytes(self.body), b"", False
        return body

    def hang_up(self) -> None:
        """Tell the request, unless it is answered, that nobody is there any more."""
        if not self.response_complete:
            self.disconnected = True
            self.message_event.set()
            self.tell()

    def stop(self) -> None:
        """Tell the request that the server stops, and begin none after it."""
        self.keep_alive = False
        super().stop()
        self.message_event.set()

    async def receive(self) -> ASGIReceiveEvent:
        """Return what is new of the body, or that the caller has left, or its request is answered."""
        if self._is_to_come():
            if self.message_event is _NOBODY:
                self.message_event = asyncio.Event()
            await self.message_event.wait()
            self.message_event = _NOBODY
        return self._come()

    async def receive_by(self, due: float) -> ASGIReceiveEvent:
        """Return what `receive` does; raises TimeoutError if nothing is there by *due*, as the loop tells it.

        Nobody else waits for the body meanwhile. Raises ShuttingDown if the server cannot wait for more.
        """
        if self._is_to_come():
            if self.stopped:
                raise ShuttingDown
            loop = asyncio.get_running_loop()
            waiter = self.message_event = _Waiter(loop)
            timer = loop.call_at(due, waiter.set)
            try:
                await waiter.woken
            finally:
                timer.cancel()
                self.message_event = _NOBODY
            if not (self._news or self.disconnected or self.response_complete):
                raise ShuttingDown if self.stopped else TimeoutError
        return self._come()

    def _is_to_come(self) -> bool:
        """Say whether there is nothing new, of a body that its caller knows to be wanted."""
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.waiting_for_100_continue = False
        if self.disconnected or self.response_complete:
            return False
        self.flow.resume_reading()
        return not self._news

    def _come(self) -> ASGIReceiveEvent:
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        body, self.body, self._news = bytes(self.body), b"", False
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    @property
    def is_free(self) -> bool:
        """Say whether the caller is there, and has read enough of what it was sent.

        One that was refused for what it sent behind this request is there to read of that alone.
        """
        return not (self.disconnected or self.flow.write_paused or self.transport.is_closing())

    def begin(self, status: int, lines: bytes) -> bool:
        """Write the head of a body that comes in pieces, unless the caller is not free: as `answer` does."""
        if self.response_started or not self.is_free:
            return False
        self.response_started = self.chunked_encoding = True
        self.waiting_for_100_continue = False
        self._write_head(status, lines + b"transfer-encoding: chunked\r\n", b"")
        return True

    def write(self, piece: bytes) -> bool:
        """Write a *piece*, which is not empty, of a body whose head is out, unless the caller is not free."""
        if self.flow.write_paused or self.transport.is_closing():
            return False
        self.transport.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        return True

    def answer(self, status: int, lines: bytes, body: bytes) -> bool:
        """Write a whole answer at once, unless the caller is not free: then the server has to do it.

        *lines* are its headers, each with its line end and sound. They tell the length of the body, unless
        the status allows none, and leave the connection alone.
        """
        # Not `is_free`, which costs more than to look.
        gone = self.disconnected or self.transport.is_closing()
        if gone or self.response_started or self.flow.write_paused:
            return False
        self.response_started = self.response_complete = True
        self.waiting_for_100_continue = False
        self._write_head(status, lines, body)
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()
        return True

    def _write_head(self, status: int, lines: bytes, body: bytes) -> None:
        close = b"" if self.keep_alive else b"connection: close\r\n"
        ours = _OURS.of(self.default_headers)
        self.transport.write(b"".join((STATUS_LINE[status], ours, lines, close, b"\r\n", body)))


class CycleUntilClosed(Cycle):
    """One request of HTTP/1.0: for its caller a body of unknown length ends only with the connection."""

    _measured = False

    async def send(self, message: ASGISendEvent) -> None:
        """Send what the application says; the server by itself chunks every body of unknown length.

        So each piece is declared to it as if it were expected.
        """
        if message["type"] == "http.response.start":
            self._measured = any(name.lower() == b"content-length" for name, _ in message["headers"])
            self.chunked_encoding = None if self._measured else False
        elif message["type"] == "http.response.body" and not self._measured:
            self.expected_content_length = len(message.get("body", b""))
        await super().send(message)

    def begin(self, status: int, lines: bytes) -> bool:
        """Leave it to the server."""
        return False

    def write(self, piece: bytes) -> bool:
        """Write a *piece* as it is, unless the caller is not free."""
        if not self.is_free:
            return False
        self.transport.write(piece)
        return True


def _returning(result: Any) -> Any:
    """Return an application that does nothing but return *result*."""

    async def returning(scope: Any, receive: Any, send: Any) -> Any:
        return result

    return returning
