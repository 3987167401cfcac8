"""A conversation in whatever API: that says what is asked and how answers are told, the rest is done here."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar

from msgspec import Struct, structs

from freeroute.clock import Clock
from freeroute.domain.clients import Client
from freeroute.engine.served import DONE, Onward, Served
from freeroute.errors import ApiError, Internal, ShuttingDown, forget_way
from freeroute.surfaces.comments import STREAM_HEADERS, Comments
from freeroute.surfaces.departure import departure_of
from freeroute.surfaces.http import (
    BODY_LIMIT,
    JSON,
    BodyBounds,
    Handler,
    Request,
    log_fault,
    trace_of,
)
from freeroute.surfaces.lasting import to_the_end
from freeroute.surfaces.passing import end_passed, passed
from freeroute.surfaces.wishes import NO_WISHES, wishes_in
from freeroute.wire.answers import Piece
from freeroute.wire.chat import CallContext, ChatCall
from freeroute.wire.sse import payload_of
from freeroute.wire.text import printable

T = TypeVar("T")

EVENT_STREAM = b"text/event-stream; charset=utf-8"
# A body of so many bytes is decoded at once; a longer one on a thread, since 20 MiB of many small messages
# take 200 ms. Own design: 1 MiB takes 2 to 15 ms.
_AT_ONCE = 2**20


class ChatGateway(Protocol):
    """What surfaces for callers need of the engine."""

    async def chat(self, call: ChatCall, context: CallContext) -> Served:
        """Answer *call*; raises ApiError with its headers filled in. Cancelling it stops all work."""
        ...

    def refuse(self, context: CallContext, asked: str, error: ApiError, *, stream: bool = False) -> None:
        """Record a request that never came as far as ``chat``."""
        ...

    def turn_away(self, context: CallContext, error: ApiError) -> None:
        """Record a request that the guard turned away."""
        ...

    def models(self, client: Client | None) -> list[dict[str, Any]]:
        """Return every enabled model as *client* sees it."""
        ...

    def model(self, model_id: str, client: Client | None) -> dict[str, Any]:
        """Return one model; raises NotFound with the nearest names."""
        ...

    def most_inputs(self, model: str) -> int | None:
        """Return how many texts every candidate for *model* takes in one call; None for any number."""
        ...

    def completes(self, model: str) -> bool:
        """Say whether every candidate for *model* goes on with a text as it is."""
        ...

    def key(self, client: Client | None) -> dict[str, Any]:
        """Return what *client* may use, has used and has left."""
        ...


Ask = Callable[[ChatCall, CallContext], Awaitable[Served]]
"""Answers a call, as ``ChatGateway.chat`` does."""


class Telling(Protocol):
    """Tells one answer in the words of one API, from OpenAI's.

    *stream_type* is the content type of its streams; *comment* may come between any two of their events,
    and is empty where nothing may.
    """

    stream_type: bytes
    comment: bytes

    def whole(self, body: bytes) -> bytes:
        """Return the answer *body* in this API."""
        ...

    def events(self, payloads: Sequence[bytes]) -> bytes:
        """Return what the chunks *payloads* of a stream say; nothing if that cannot be said yet.

        A chunk may hold an error: the provider's, after the first event. It is the last that says anything.
        """
        ...

    def end(self) -> bytes:
        """Return what a stream ends with, whatever came before."""
        ...

    def fault(self, error: ApiError, like: Piece | None) -> bytes:
        """Return what tells *error* inside of a stream that has begun; ``end`` follows.

        *like* is the identity of the stream, None if no provider gave it one.
        """
        ...


class Asked(Struct):
    """What a request asks of the gateway, and how it is to be answered.

    Without *store* nothing of it is kept, whatever the settings are. *verbatim* says that *telling* tells the
    events of a stream as they came.
    """

    call: ChatCall
    telling: Telling
    store: bool = True
    verbatim: bool = False

    def let_go(self) -> None:
        """Keep no more of *call* than its answer is told by: a stream takes minutes, a prompt megabytes."""
        self.call = structs.replace(self.call, fields={}, form=None)


class Known(Struct, frozen=True):
    """The whole answer *body* to a request for which nobody has to be asked; it is about *model*."""

    body: bytes
    model: str


Understand = Callable[[Request, bytes], Asked | Known | Awaitable[Asked]]
"""Reads the body of a request, at once unless something has to be looked up for it; raises InvalidRequest
that names the field in the words of its API."""


class Conversations:
    """Serves calls to a gateway, in any API."""

    def __init__(
        self,
        gateway: ChatGateway,
        clock: Clock,
        bounds: BodyBounds,
        dice: Callable[[], float] = random.random,
    ) -> None:
        """Serve *gateway*; *dice* gives each call its one random number."""
        self.gateway = gateway
        self.clock = clock
        self.bounds = bounds
        self._dice = dice

    def answering(
        self, surface: str, understand: Understand, *, longest: int = BODY_LIMIT, ask: Ask | None = None
    ) -> Handler:
        """Return what answers the requests that *understand* reads; *surface* names its API in receipts.

        A body may have *longest* bytes if the settings do not lower what every body may have. *ask* makes the
        calls, if not the gateway alone.
        """
        ask = ask or self.gateway.chat
        bounds = self.bounds
        if bounds.limit >= BODY_LIMIT:
            bounds = BodyBounds(max(bounds.limit, longest), bounds.timeout)

        def answer(request: Request) -> Coroutine[Any, Any, None]:
            context = self._context(request, surface)
            try:
                wishes = request.of_head(wishes_in)
                if wishes is not NO_WISHES:
                    wishes.tell(context)
                body = request.whole(bounds)
                asked: Asked | Known | Awaitable[Asked | Known]
                if body is not None and len(body) <= _AT_ONCE:  # as nearly always: nobody waits for anything
                    asked = understand(request, body)
                else:
                    asked = _read(request, body, bounds, understand)
            except ApiError as error:
                self.gateway.refuse(context, "", error)
                raise
            if isinstance(asked, Asked):
                return self._serve(request, asked, context, ask, wishes.keepalive)
            return self._serve_later(request, asked, context, ask, wishes.keepalive)

        return answer

    async def _serve_later(
        self,
        request: Request,
        asked: Known | Awaitable[Asked | Known],
        context: CallContext,
        ask: Ask,
        commented: bool,
    ) -> None:
        """Serve what is *asked* once that is known."""
        try:
            found = asked if isinstance(asked, Known) else await asked
            if isinstance(found, Known):  # of a model that its client has, or this raises
                self.gateway.model(found.model, request.caller.client)
        except ApiError as error:
            self.gateway.refuse(context, "", error)
            raise
        if isinstance(found, Known):
            await request.reply(200, found.body)
        else:
            await self._serve(request, found, context, ask, commented)

    def refused(self, surface: str) -> Callable[[Request, ApiError], None]:
        """Return what records the requests to *surface* that the guard turned away."""

        def turned_away(request: Request, error: ApiError) -> None:
            self.gateway.turn_away(self._context(request, surface), error)

        return turned_away

    def _context(self, request: Request, surface: str) -> CallContext:
        caller = request.caller
        return CallContext(
            request.id,
            request.received or self.clock.now(),
            surface,
            caller.client,
            caller.queue,
            caller.hop,
            self._dice(),
            trace_of(request.header(b"traceparent")) if b"traceparent" in request.headers else None,
        )

    async def _serve(
        self, request: Request, asked: Asked, context: CallContext, ask: Ask, commented: bool
    ) -> None:
        telling = asked.telling
        if not asked.store:
            context.store = False
        served: Served | None = None
        wrong: ApiError | None = None
        like: Piece | None = None
        told = b""
        answered = alone = False
        departure = departure_of(request)
        try:
            departure.watch()
            try:
                if commented and asked.call.stream and telling.comment:
                    async with Comments(request, telling.stream_type, telling.comment) as comments:
                        served = await ask(asked.call, context)
                        if served.body is None:
                            await _tell(request, asked, served, comments)
                else:
                    served = await ask(asked.call, context)
                    if served.body is None:
                        await _tell(request, asked, served, None)
            finally:
                alone = departure.unwatch()
            if not departure.left and (body := served.body) is not None and len(body) <= _AT_ONCE:
                told = telling.whole(body)
                # What is accounted for without waiting, as nearly always, is so before anybody can ask again.
                kind = JSON if served.content_type is None else _kind_of(served)
                answered = request.answer(200, told, served.headers, kind)
        except asyncio.CancelledError:
            if not alone:
                raise  # it is somebody else's
            if departure.stopped:
                wrong, like = _broken(ShuttingDown(), request, served)
        except Exception as error:
            wrong, like = _broken(error, request, served)
        finally:
            # Before the last byte: a caller that asks again at once finds its slot free and its use counted.
            if served is not None:
                left = departure.left
                stalled = (left or served.body is None) and request.stalled
                finishing = served.finish(caller_left=left, stalled=stalled)
                if finishing is not DONE:
                    await to_the_end(finishing)
        if answered or departure.left:
            return
        if request.started and served is not None and served.content_type is not None:
            await end_passed(request, served, wrong)
        elif request.started:
            fault = b"" if wrong is None else telling.fault(wrong, like or _identity(asked.call, context))
            await request.end(fault + telling.end())
        elif served is not None and served.body is not None:
            told = told or await _whole(asked, served.body)
            await request.reply(200, told, served.headers, _kind_of(served))


async def _read(
    request: Request, body: bytes | None, bounds: BodyBounds, understand: Understand
) -> Asked | Known:
    """Return what is asked by a *body* that is long, or still to come if it is None."""
    if body is None:
        body = await request.body(bounds)
    asked = await understood(understand, request, body)
    return asked if isinstance(asked, Asked | Known) else await asked


async def understood(understand: Callable[[Request, bytes], T], request: Request, body: bytes) -> T:
    """Return what *body* asks for, other streams not kept waiting meanwhile; raises InvalidRequest."""
    if len(body) <= _AT_ONCE:
        return understand(request, body)
    return await asyncio.to_thread(understand, request, body)


def _kind_of(served: Served) -> bytes:
    """Return the content type of a whole answer."""
    kind = served.content_type
    return JSON if kind is None else printable(kind).encode("ascii")


async def _whole(asked: Asked, body: bytes) -> bytes:
    """Return the long answer *body* as it is told: many vectors on a thread, as numbers take their time.

    A chat is told at once, as some keep what they tell.
    """
    if asked.call.task.is_text:
        return asked.telling.whole(body)
    return await asyncio.to_thread(asked.telling.whole, body)


def _tell(
    request: Request, asked: Asked, served: Served, comments: Comments | None
) -> Coroutine[Any, Any, None]:
    """Tell what comes of the stream *served*, as it comes."""
    asked.let_go()
    if served.content_type is not None:
        return passed(request, served, served.content_type)
    return _stream(request, asked, served, comments)


async def _stream(request: Request, asked: Asked, served: Served, comments: Comments | None) -> None:
    telling = asked.telling
    if comments is None:
        await request.begin(200, telling.stream_type, STREAM_HEADERS, served.headers)
    else:
        await comments.begin(served.headers)
    write = request.more if comments is None else comments.write
    served.onward = _straight(request, asked) if comments is None else None
    # What is ready together leaves in one write.
    while payloads := await served.next():
        if events := telling.events(payloads):
            await write(events)


def _straight(request: Request, asked: Asked) -> Onward | None:
    """Return what tells one event without anybody having to await it, where the server lets us."""
    outlet = request.outlet
    if outlet is None:
        return None
    if asked.verbatim:
        return outlet.write

    def onward(event: bytes) -> bool:
        if not outlet.is_free:
            return False
        try:
            told = asked.telling.events((payload_of(event),))
        except Exception:
            return False  # whoever waits is woken to meet it again, and tells the caller
        return not told or outlet.write(told)

    return onward


def _identity(call: ChatCall, context: CallContext) -> Piece:
    """Return the identity of a stream that no provider gave one."""
    return Piece(id=f"chatcmpl-{context.request_id}", created=int(context.received.wall), model=call.model)


def _broken(error: Exception, request: Request, served: Served | None) -> tuple[ApiError, Piece | None]:
    """Return *error* as it is told where the head is out, and who the stream was; raises it where it is not.

    A fault of ours is logged.
    """
    said = served.fail(stopped=isinstance(error, ShuttingDown)) if served is not None else None
    if not request.started:
        raise error
    if isinstance(error, ApiError):
        forget_way(error)
        return error, said
    log_fault(error, request.id)
    return Internal("The gateway failed in the middle of this answer; its log has the details."), said
