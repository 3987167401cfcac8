"""A provider played by hand: each call gets the reply a test says, byte by byte.

A reply is a coroutine function of the connection and the request on it. What follows the last byte (an end,
a cut, a reset, silence) is a reply too, so that they can be put together.
"""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from tests.support.asking import COUNTED, DONE, HI, ROLE, STOP, WHOLE
from tests.support.servers import Peer, Request, happens

Reply = Callable[[Peer, Request], Awaitable[None]]

SSE = b"text/event-stream"
JSON = b"application/json"


class PlayedProvider:
    """The script of a server: answers its calls in turn with *replies*, the last one for all that follow.

    *calls* are the requests that came, *busy* says how many of them are not over.
    """

    def __init__(self, *replies: Reply) -> None:
        self.calls: list[Request] = []
        self.busy = 0
        self._waiting = list(replies)

    def answer(self, *replies: Reply) -> None:
        """Answer the calls from now on with *replies*."""
        self._waiting = list(replies)

    async def __call__(self, peer: Peer) -> None:
        while True:
            request = await peer.request()
            reply = self._waiting.pop(0) if len(self._waiting) > 1 else self._waiting[0]
            self.calls.append(request)
            self.busy += 1
            try:
                await reply(peer, request)
            finally:
                self.busy -= 1


# --- how a connection goes on ------------------------------------------------------------------------------


async def ended(peer: Peer, request: Request) -> None:
    """End a chunked body as it should be."""
    await peer.send(b"0\r\n\r\n")


async def closed(peer: Peer, request: Request) -> None:
    """Close in peace, whatever was announced."""
    peer.close()


async def reset(peer: Peer, request: Request) -> None:
    """Break the connection."""
    for _ in range(50):  # what was sent before is to arrive: a reset takes back what nobody read
        await asyncio.sleep(0)
    peer.reset()


async def silent(peer: Peer, request: Request) -> None:
    """Say nothing until the caller hangs up."""
    await peer.gone()


def later(seconds: float, reply: Reply) -> Reply:
    """Let *reply* come only after *seconds*, or never if the caller hangs up before."""

    async def wait(peer: Peer, request: Request) -> None:
        await asyncio.sleep(seconds)
        await reply(peer, request)

    return wait


def held(gate: asyncio.Event, reply: Reply) -> Reply:
    """Let *reply* come once *gate* is open."""

    async def wait(peer: Peer, request: Request) -> None:
        await happens(gate)
        await reply(peer, request)

    return wait


# --- what is answered --------------------------------------------------------------------------------------


def raw(*pieces: bytes, then: Reply = closed) -> Reply:
    """Send *pieces* as they are, one after the other."""

    async def send(peer: Peer, request: Request) -> None:
        for piece in pieces:
            await peer.send(piece)
            await asyncio.sleep(0)
        await then(peer, request)

    return send


def whole(
    body: bytes = WHOLE, *headers: bytes, status: bytes = b"200 OK", kind: bytes | None = JSON
) -> Reply:
    """Answer with all of *body* at once."""
    typed = () if kind is None else (b"content-type: " + kind,)

    async def answer(peer: Peer, request: Request) -> None:
        await peer.answer(body, *typed, *headers, status=status)

    return answer


def sse(*events: bytes, then: Reply = ended, kind: bytes = SSE, headers: tuple[bytes, ...] = ()) -> Reply:
    """Answer with a stream of *events*, each in a chunk of its own."""
    lines = (b"HTTP/1.1 200 OK", b"content-type: " + kind, b"transfer-encoding: chunked", *headers)
    head = b"\r\n".join((*lines, b"", b""))
    return raw(head, *(b"%x\r\n%b\r\n" % (len(event), event) for event in events), then=then)


def either(json: Reply, stream: Reply) -> Reply:
    """Answer as the call asks: *json* or *stream*."""

    async def choose(peer: Peer, request: Request) -> None:
        await (stream if b'"stream":true' in request.body else json)(peer, request)

    return choose


def refusing(status: bytes, body: bytes, *headers: bytes) -> Reply:
    """Refuse with *status* ("429 Too Many Requests") and the error *body*."""
    return whole(body, *headers, status=status)


def error(message: str, code: str | None = None, **more: object) -> bytes:
    """Return an error as most providers tell it."""
    return msgspec.json.encode({"error": {"message": message, "code": code, "type": "error", **more}})


# An answer of three tokens and two, and what callers get of it.
ANSWERS = either(whole(), sse(ROLE, HI, STOP, COUNTED, DONE))
ANSWERED = {False: WHOLE, True: ROLE + HI + STOP + DONE}
