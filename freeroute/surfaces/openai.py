"""OpenAI's API: chat completions, JSON and streamed, and the list of models."""

import asyncio
import contextlib
import math
import random
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from freeroute.clock import Clock
from freeroute.domain.clients import Client
from freeroute.engine.served import Served
from freeroute.errors import ApiError, Internal, InvalidRequest
from freeroute.surfaces.guard import Access
from freeroute.surfaces.http import BodyBounds, CallerWatch, Request, log_fault, to_the_end, trace_of
from freeroute.surfaces.routes import Route
from freeroute.wire.answers import Piece, error_events
from freeroute.wire.chat import CallContext, ChatCall
from freeroute.wire.decode import decode_chat
from freeroute.wire.sse import DONE, frame

_EVENT_STREAM = b"text/event-stream; charset=utf-8"
# A proxy that buffers would hold the first token back.
_STREAM_HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}
_LONGEST_SESSION = 256
# A body of so many bytes is decoded at once; a longer one on a thread, since 20 MiB of many small messages
# take 200 ms. Own design: 1 MiB takes 2 to 15 ms.
_AT_ONCE = 2**20
# How long a caller that asked for comments is left without a byte, in seconds. Own design: proxies and
# clients close silent connections after 10 s and more, and most answers begin sooner than this.
_KEEPALIVE = 5.0
_COMMENT = b": waiting\n\n"
_NO_COMMENTS = contextlib.nullcontext()
_SWITCH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_LAST_EVENT = frame(DONE)


class ChatGateway(Protocol):
    """What this surface needs of the engine."""

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

    def key(self, client: Client | None) -> dict[str, Any]:
        """Return what *client* may use, has used and has left."""
        ...


class OpenAiSurface:
    """The routes of OpenAI's API over a gateway."""

    def __init__(
        self,
        gateway: ChatGateway,
        clock: Clock,
        bounds: BodyBounds,
        dice: Callable[[], float] = random.random,
    ) -> None:
        """Serve *gateway*; *dice* gives each call its one random number."""
        self._gateway = gateway
        self._clock = clock
        self._bounds = bounds
        self._dice = dice

    def routes(self) -> list[Route]:
        """Return what is served."""
        return [
            Route(
                "/v1/chat/completions",
                {"POST": self.complete},
                Access.CLIENT,
                mirrored=True,
                refused=self.refused,
            ),
            Route("/v1/models", {"GET": self.list_models}, Access.MODELS, mirrored=True),
            Route("/v1/models/{model:path}", {"GET": self.show_model}, Access.MODELS, mirrored=True),
            Route("/v1/key", {"GET": self.show_key}, Access.MODELS, mirrored=True),
        ]

    async def complete(self, request: Request) -> None:
        """Answer a chat completion."""
        context = self._context(request)
        try:
            _read_wishes(request, context)
            keepalive = _switch(request, "x-freeroute-keepalive")
            call = await decoded(await request.body(self._bounds))
        except ApiError as error:
            self._gateway.refuse(context, "", error)
            raise
        await self._serve(request, call, context, commented=keepalive and call.stream)

    async def _serve(
        self, request: Request, call: ChatCall, context: CallContext, *, commented: bool
    ) -> None:
        served: Served | None = None
        last = _LAST_EVENT
        watch = CallerWatch(request)
        try:
            async with watch, _Comments(request) if commented else _NO_COMMENTS as comments:
                served = await self._gateway.chat(call, context)
                if served.body is None:
                    await _stream(request, served, comments)
        except Exception as error:
            said = served.fail() if served is not None else None
            if not request.started:
                raise
            last = _told_inside(error, request.id, said or _identity(call, context)) + _LAST_EVENT
        finally:
            # Before the last byte: a caller that asks again at once finds its slot free and its use counted.
            if served is not None:
                await _finish(served, watch, request)
        if watch.left:
            return
        if request.started:
            await request.end(last)
        elif served is not None and served.body is not None:
            await request.reply(200, served.body, served.headers)

    def refused(self, request: Request, error: ApiError) -> None:
        """Record a request that the guard turned away."""
        self._gateway.turn_away(self._context(request), error)

    def _context(self, request: Request) -> CallContext:
        caller = request.caller
        return CallContext(
            request_id=request.id,
            received=self._clock.now(),
            surface="openai",
            client=caller.client,
            queue=caller.queue,
            trace=trace_of(request.header(b"traceparent")),
            dice=self._dice(),
            hop=caller.hop,
        )

    async def list_models(self, request: Request) -> None:
        """List every enabled model."""
        models = self._gateway.models(request.caller.client)
        await request.reply_json({"object": "list", "data": models})

    async def show_model(self, request: Request) -> None:
        """Show one model; its id may hold slashes."""
        model_id = request.params["model"]
        await request.reply_json(self._gateway.model(model_id, request.caller.client))

    async def show_key(self, request: Request) -> None:
        """Show a client its own limits and use."""
        await request.reply_json(self._gateway.key(request.caller.client))


async def decoded(body: bytes) -> ChatCall:
    """Return the call *body* asks for, other streams not kept waiting meanwhile; raises InvalidRequest."""
    if len(body) <= _AT_ONCE:
        return decode_chat(body)
    return await asyncio.to_thread(decode_chat, body)


class _Turn:
    """One at a time writes to the caller, and *last* is when somebody did."""

    def __init__(self) -> None:
        """Begin now."""
        self.last = asyncio.get_running_loop().time()
        self._lock = asyncio.Lock()

    async def __aenter__(self) -> None:
        """Wait for whoever writes."""
        await self._lock.acquire()

    async def __aexit__(self, *_: object) -> None:
        """Let others write."""
        self.last = asyncio.get_running_loop().time()
        self._lock.release()


class _Comments:
    """Sends a comment whenever the caller has heard nothing for long: before the first event, which begins
    the reply, and between any two.

    A comment that comes first takes the head with it: what would have stood in it cannot be told any more.
    """

    def __init__(self, request: Request) -> None:
        """Send on behalf of *request*, whose events take turns with the comments."""
        self._turn = _Turn()
        self._request = request
        self._over = asyncio.Event()

    async def __aenter__(self) -> "_Comments":
        """Begin to count the silence."""
        self._task = asyncio.create_task(self._send())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop between two comments: one that is being written is not cut."""
        self._over.set()
        await self._task

    async def begin(self, headers: Mapping[str, str]) -> None:
        """Begin the reply, unless a comment did."""
        async with self._turn:
            if not self._request.started:
                await self._request.begin(200, _EVENT_STREAM, headers)

    async def write(self, events: bytes) -> None:
        """Send *events* between the comments."""
        async with self._turn:
            await self._request.more(events)

    async def _send(self) -> None:
        while not await self._is_over((last := self._turn.last) + _KEEPALIVE):
            if self._turn.last == last:
                async with self._turn:
                    await self._comment(last)

    async def _comment(self, last: float) -> None:
        """Send a comment, unless somebody wrote while this waited for its turn."""
        if self._turn.last != last:
            return
        if not self._request.started:
            await self._request.begin(200, _EVENT_STREAM, _STREAM_HEADERS)
        await self._request.more(_COMMENT)

    async def _is_over(self, due: float) -> bool:
        try:
            async with asyncio.timeout_at(due):
                return await self._over.wait()
        except TimeoutError:
            return False


async def _stream(request: Request, served: Served, comments: _Comments | None) -> None:
    head = {**_STREAM_HEADERS, **served.headers}
    if comments is None:
        await request.begin(200, _EVENT_STREAM, head)
    else:
        await comments.begin(head)
    write = request.more if comments is None else comments.write
    # What is ready together leaves in one write.
    while events := await served.next():
        await write(b"".join([frame(event) for event in events]))


async def _finish(served: Served, watch: CallerWatch, request: Request) -> None:
    await to_the_end(lambda: served.finish(caller_left=watch.left, stalled=request.stalled))


def _identity(call: ChatCall, context: CallContext) -> Piece:
    """Return the identity of a stream that no provider gave one."""
    return Piece(id=f"chatcmpl-{context.request_id}", created=int(context.received.wall), model=call.model)


def _told_inside(error: Exception, request_id: str, like: Piece) -> bytes:
    """Return the events that tell *error* in a reply whose head is out; a fault of ours is logged."""
    if not isinstance(error, ApiError):
        log_fault(error, request_id)
        error = Internal("The gateway failed in the middle of this answer; its log has the details.")
    told = error_events(error.message, code=error.code, kind=error.kind, metadata=error.metadata, like=like)
    return b"".join([frame(event) for event in told])


def _read_wishes(request: Request, context: CallContext) -> None:
    """Take over what the caller's headers ask of the gateway; raises InvalidRequest."""
    context.max_wait = _max_wait(request.header(b"x-freeroute-max-wait"))
    context.strict = _switch(request, "x-freeroute-strict")
    if request.header(b"x-freeroute-continue") is not None:
        context.continues = _switch(request, "x-freeroute-continue")
    if request.header(b"x-freeroute-store") is not None:
        context.store = _switch(request, "x-freeroute-store")
    session = request.header(b"x-session-id") or None
    if session is not None and len(session) > _LONGEST_SESSION:
        raise InvalidRequest(
            f"x-session-id is longer than {_LONGEST_SESSION} characters.", param="x-session-id"
        )
    context.session = session


def _max_wait(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= 0):
        raise InvalidRequest(
            "x-freeroute-max-wait must be a number of seconds, 0 or more.", param="x-freeroute-max-wait"
        )
    return seconds


def _switch(request: Request, name: str) -> bool:
    text = request.header(name.encode("ascii"))
    if text is None:
        return False
    wanted = _SWITCH.get(text.strip().lower())
    if wanted is None:
        raise InvalidRequest(f"{name} must be true or false.", param=name)
    return wanted
