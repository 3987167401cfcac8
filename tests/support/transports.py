"""A transport that plays prepared answers and remembers what it was sent."""

import asyncio
import math
from collections.abc import Sequence

from msgspec import Struct

from freeroute.engine.ports import Dispatch
from freeroute.upstreams.heads import telling_of
from freeroute.upstreams.transport import Deadlines, Disconnected, Passing, Phase, TimedOut, TransportError

HANG = "hang"
Step = bytes | str | float | BaseException


class Reply(Struct):
    """An answer: its head, and body pieces; an exception among them is raised, HANG never comes, and a number
    is seconds that pass.
    """

    steps: Sequence[Step] = ()
    status: int = 200
    content_type: str = "application/json"
    headers: Sequence[tuple[bytes, bytes]] = ()


def json_reply(body: bytes, status: int = 200, **headers: str) -> Reply:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Reply([body], status, headers=pairs)


def sse_reply(*steps: Step) -> Reply:
    return Reply(steps, content_type="text/event-stream; charset=utf-8")


class Sending(Struct):
    """A request as it was sent."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes
    deadlines: Deadlines


async def passed(seconds: float, answer_by: float) -> None:
    """Let *seconds* pass, or what is left of the time for the answer; raises TimedOut."""
    left = answer_by - asyncio.get_running_loop().time()
    if left == seconds == math.inf:
        await asyncio.Event().wait()
    await asyncio.sleep(min(left, seconds))
    if left <= seconds:
        raise TimedOut(Phase.ANSWER, left)


class PlayedExchange:
    """Plays one reply."""

    sent_in = 0.25

    def __init__(self, reply: Reply, answer_by: float) -> None:
        self.answer_by = answer_by
        self.status = reply.status
        self.headers: Sequence[tuple[bytes, bytes]] = [
            (b"Content-Type", reply.content_type.encode()),
            *reply.headers,
        ]
        self.telling = telling_of(self.headers)
        self.aborted = 0
        self.onward: Passing | None = None
        self.ended = False
        self._steps = list(reply.steps)

    def rest(self) -> bytes | None:
        """Return a body that came in one piece; what has several is waited for."""
        if len(self._steps) > 1 or not all(isinstance(step, bytes) for step in self._steps):
            return None
        self.ended = True
        left, self._steps = self._steps, []
        return b"".join(step for step in left if isinstance(step, bytes))

    async def next(self) -> bytes:
        if not self._steps:
            self.ended = True
            return b""
        step = self._steps.pop(0)
        if isinstance(step, float):
            await passed(step, self.answer_by)
            return await self.next()
        if isinstance(step, BaseException):
            raise step
        if isinstance(step, str):
            await passed(math.inf, self.answer_by)
            raise AssertionError("unreachable")
        if self.onward is not None and self.onward(step, asyncio.get_running_loop().time()):
            return await self.next()
        return step

    def abort(self) -> None:
        self.aborted += 1


class PlayedTransport:
    """Answers each request with the next of *replies*; an exception or HANG stands for a failed head."""

    def __init__(self, *replies: Reply | TransportError | str) -> None:
        self.sent: list[Sending] = []
        self.exchanges: list[PlayedExchange] = []
        self.asked = asyncio.Event()
        self.replies = list(replies)
        self.unsent = False

    async def open(
        self,
        method: str,
        url: str,
        headers: Sequence[tuple[bytes, bytes]],
        body: bytes,
        deadlines: Deadlines,
        *,
        verify_tls: bool = True,
        proxy: str | None = None,
        dispatch: Dispatch | None = None,
    ) -> PlayedExchange:
        names = {name.decode(): value.decode() for name, value in headers}
        self.sent.append(Sending(method, url, names, body, deadlines))
        self.asked.set()
        if dispatch is not None:
            dispatch.unsent = self.unsent
        if not self.replies:
            raise Disconnected("no reply was prepared")
        reply = self.replies.pop(0)
        answer_by = asyncio.get_running_loop().time() + deadlines.answer
        if isinstance(reply, BaseException):
            raise reply
        if isinstance(reply, str):
            await passed(math.inf, answer_by)
            raise AssertionError("unreachable")
        exchange = PlayedExchange(reply, answer_by)
        self.exchanges.append(exchange)
        return exchange

    async def close(self) -> None:
        self.replies.clear()
