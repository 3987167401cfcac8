"""One HTTP/1.1 connection to a peer: a request goes out, its answer is parsed as it comes, within bounds."""

import asyncio
import select
from collections.abc import Awaitable, Callable
from typing import cast

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpResponseParser

from freeroute.upstreams.heads import Telling
from freeroute.upstreams.http_alarm import Alarm
from freeroute.upstreams.http_fields import taken_apart
from freeroute.upstreams.http_layouts import Layouts
from freeroute.upstreams.transport import Disconnected, ProtocolError, TransportError, Truncated

_HEAD_BYTES = 32 * 1024
_HEAD_FIELDS = 128
_FIELD_BYTES = 4  # at least, as "a:" and its line end
_IDLE_TOO_LONG = 408
_TOO_LARGE = "the head is too large"
_READ_AHEAD = 128 * 1024  # the peer is slowed down once so much is waiting to be read
_PIECE = 64 * 1024  # a body goes out in such pieces: TLS would copy a larger one whole, and keep the room


class Answer:
    """An answer as it comes. *head* is done when its head is there, or has failed before.

    *reused* tells whether its connection had answered before. With *layouts*, what is known of such answers,
    *told* is what the head tells, if that was found by them.
    """

    __slots__ = (
        "complete",
        "failure",
        "framed",
        "head",
        "layouts",
        "lines",
        "passed_on",
        "pieces",
        "received",
        "reused",
        "size",
        "status",
        "told",
        "waiter",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Expect an answer."""
        self.head: asyncio.Future[None] = loop.create_future()
        self.layouts: Layouts | None = None
        self.reused = False
        self.status = 0
        self.lines = b""  # of its head
        self.told: Telling | None = None
        self.framed = False  # whether the head says where the body ends
        self.received = 0
        self.pieces: list[bytes] = []
        self.size = 0
        self.complete = False
        self.failure: TransportError | None = None
        self.waiter: asyncio.Future[None] | None = None
        self.passed_on: Callable[[], bool] | None = None

    def ended(self) -> None:
        """Hear, once, that the connection is free of it or gone."""

    def wake(self) -> None:
        """Let whoever waits for more look again, unless *passed_on* says that there is no need."""
        waiter = self.waiter
        if waiter is None or waiter.done() or (self.passed_on is not None and self.passed_on()):
            return
        self.waiter = None
        waiter.set_result(None)

    def fail(self, failure: TransportError) -> None:
        """End here, unless it has ended."""
        if self.complete or self.failure is not None:
            return
        self.failure = failure
        if not self.head.done():
            self.head.set_exception(failure)
            self.head.exception()  # it is told, whether or not somebody still waits for it
        self.wake()


class Connection(asyncio.Protocol):
    """A connection in the pool, or with one answer under way."""

    def __init__(self, where: str) -> None:
        """Belong to the peer at *where*, as errors name it."""
        self.where = where
        self.uses = 0
        self.idle_since = 0.0
        self.is_open = False
        self.answer: Answer | None = None
        self.keeps_alive = False
        self._transport: asyncio.Transport | None = None
        self._parser = HttpResponseParser(self)
        self._interim = False
        self._came = b""  # of a head, and of the interim ones before it
        self._past = 0  # bytes of those
        self._dry = 0  # bytes that came since the head or the last of the body
        self._chunk_announced = False
        self._paused = False
        self._sending = False
        self._writable: asyncio.Future[None] | None = None
        self._poll: select.poll | None = None
        self.alarm = Alarm()

    # --- what is asked ---------------------------------------------------------------------------------

    @property
    def transport(self) -> asyncio.Transport:
        """What carries it, once it is made."""
        assert self._transport is not None
        return self._transport

    @transport.setter
    def transport(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    @property
    def is_quiet(self) -> bool:
        """Say whether nothing has come that nobody asked for: a goodbye, or the surplus of an answer."""
        if not self.is_open:
            return False
        # What the event loop has not read yet would be taken for the next answer.
        poll = self._poll
        if poll is None:
            socket = self.transport.get_extra_info("socket")
            if socket is None:
                return False  # TLS lets go of its socket a turn before it tells that the peer has left
            poll = self._poll = select.poll()
            poll.register(socket.fileno(), select.POLLIN)
        return not poll.poll(0)

    def ask(self, head: bytes, body: bytes, answer: Answer) -> Awaitable[None] | None:
        """Send a request at once; for one with a large body return what does, as far as it is awaited.

        Its *head* says all but how long the body is. What comes from now on is the *answer*.
        """
        self.answer = answer
        answer.reused = self.uses > 0
        self.uses += 1
        self._chunk_announced = False
        size, transport = len(body), self._transport
        assert transport is not None  # a property would cost as much as the rest of this
        if size <= _PIECE:
            transport.write(
                b"%bcontent-length: %d\r\n\r\n%b" % (head, size, body) if size else head + b"\r\n"
            )
            return None
        return self._send_on(b"%bcontent-length: %d\r\n\r\n" % (head, size), body, answer)

    async def _send_on(self, head: bytes, body: bytes, answer: Answer) -> None:
        """Send a large body in pieces as the peer takes them, and no more once it has answered."""
        self._sending = True
        self.transport.write(head)
        view = memoryview(body)
        for at in range(0, len(body), _PIECE):
            if answer.head.done() or not self.is_open:
                return  # the rest is never sent: no other request can follow
            self.transport.write(view[at : at + _PIECE])
            if self._writable is not None:
                await asyncio.wait((self._writable, answer.head), return_when=asyncio.FIRST_COMPLETED)
        self._sending = False

    def begin_again(self) -> None:
        """Forget the answer, whose connection leads on to somebody else."""
        self.answer = None
        self.uses = 0
        self._parser = HttpResponseParser(self)

    def take(self, answer: Answer) -> bytes:
        """Return what is ready of *answer*, and let more come."""
        pieces = answer.pieces
        ready = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        answer.size = 0
        if self._paused and self.answer is answer and self.is_open:
            self._paused = False
            self.transport.resume_reading()
        return ready

    def abort(self, failure: TransportError | None = None) -> None:
        """Close the socket now; what is under way fails with *failure*."""
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()
        self._end(failure or Disconnected(f"{self.where}: the connection was closed here"))

    # --- what the transport says -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        """Parse what came; what nobody asked for ends the connection."""
        answer = self.answer
        if answer is None:
            self.abort()  # whoever uses it next would take this for the answer
            return
        size = len(data)
        answer.received += size
        self._dry += size
        if not answer.status:
            self._came += data
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as exc:
            rule = _rule(exc)
            self.abort(ProtocolError(f"{self.where}: not an answer in HTTP as we know it", rule=rule))
            return
        if self.answer is not answer:
            return  # it is complete, or has failed
        if self._dry > _HEAD_BYTES and answer.status:
            self._cut(answer)
            return
        if answer.status == 0 and answer.received > _HEAD_BYTES:
            text = f"{self.where}: the answer's head is larger than {_HEAD_BYTES} bytes"
            self.abort(ProtocolError(text, rule=_TOO_LARGE))
            return
        answer.wake()
        if answer.size > _READ_AHEAD and not self._paused:
            self._paused = True
            self.transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """End; a body without a length ends with its connection, if that ended in peace."""
        self.is_open = False
        self.alarm.stop()
        self.resume_writing()
        answer = self.answer
        if answer is None:
            return
        if answer.status == 0:
            text = f"{self.where} closed the connection"
            self._end(Disconnected(text, reused=answer.reused, received=answer.received))
        elif answer.framed or exc is not None:
            self._end(Truncated("the body ended before its announced end"))
        else:
            self.keeps_alive = False
            self._completed(answer)

    def pause_writing(self) -> None:
        """Hold a large body back until the peer takes more."""
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """Go on."""
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)

    # --- what the parser says --------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Notice an answer after the one that was asked for."""
        if self.answer is None:
            self.abort()

    def on_headers_complete(self) -> None:
        """Tell that the head is there; an interim one is passed over.

        Raises ProtocolError where it is beyond the bounds.
        """
        answer = self.answer
        if answer is None:
            return
        came, begins = self._came, self._past
        while came[begins] in b"\r\n":  # which the parser passes over before a head
            begins += 1
        layouts = answer.layouts
        layout = None if layouts is None else layouts.layout
        found = None if layout is None else layout.found(came, begins)
        if found is None:
            ends = _end_of_lines(came, begins)
        else:
            ends, answer.told = found
        if ends > _HEAD_BYTES:
            raise ProtocolError("the answer's head is too large")
        answer.lines = lines = came[begins:ends]
        status = self._parser.get_status_code()
        if status < 200:
            self._interim, self._past = True, ends + 4
            return
        self._came, self._past = b"", 0
        keeps_alive = self._parser.should_keep_alive()
        # What keeps its connection says where it ends: few heads have to be looked through.
        answer.framed = keeps_alive or any(
            name.lower() in (b"content-length", b"transfer-encoding") for name, _ in taken_apart(lines)
        )
        self.keeps_alive = keeps_alive and not self._sending
        if status == _IDLE_TOO_LONG and answer.reused and not self.keeps_alive:
            # It was on its way before we asked (RFC 9110, 15.5.9), as a close without a word would have been.
            self.abort(Disconnected(f"{self.where} closed the connection", reused=True))
            return
        if found is None and layouts is not None and status == 200:
            layouts.learn(lines)
        self._dry = 0
        answer.status = status
        if not answer.head.done():
            answer.head.set_result(None)

    def on_chunk_header(self) -> None:
        """Notice that a chunk begins; the last one has no body."""
        self._chunk_announced = True

    def on_body(self, data: bytes) -> None:
        """Keep a piece of the body."""
        self._dry, self._chunk_announced = 0, False
        answer = self.answer
        if answer is not None:
            answer.pieces.append(data)
            answer.size += len(data)

    def on_message_complete(self) -> None:
        """Let go of the answer: the connection may be used again."""
        if self._interim:
            self._interim = False
        elif self.answer is not None:
            self._completed(self.answer)

    def _cut(self, answer: Answer) -> None:
        """End an *answer* that goes on without a body: whole if it only adds trailers, else as an error."""
        self.keeps_alive = False
        if self._chunk_announced:
            self._completed(answer)
        else:
            text = f"{self.where}: over {_HEAD_BYTES} bytes of a body's framing"
            self.abort(ProtocolError(text, rule="a chunk's size that does not end"))

    def _completed(self, answer: Answer) -> None:
        self.answer = None
        answer.complete = True
        if self._paused:
            self._paused = False
            if self.is_open:
                self.transport.resume_reading()
        answer.wake()
        answer.ended()

    def _end(self, failure: TransportError) -> None:
        answer, self.answer = self.answer, None
        if answer is not None:
            answer.fail(failure)
            answer.ended()


def _end_of_lines(came: bytes, begins: int) -> int:
    """Return where the lines of a head end that *begins* there; raises ProtocolError for too many."""
    ends = came.index(b"\r\n\r\n", begins)
    if ends > _HEAD_FIELDS * _FIELD_BYTES and came.count(b"\n", begins, ends) > _HEAD_FIELDS:
        raise ProtocolError("the answer's head has too many lines")
    return ends


def _rule(error: HttpParserError | HttpParserUpgrade) -> str:
    """Return which rule was broken: the parser has a fixed text for each, and knows nothing of ours."""
    if isinstance(error, HttpParserUpgrade):
        return "an upgrade that nobody asked for"
    return _TOO_LARGE if isinstance(error, HttpParserCallbackError) else str(error)
