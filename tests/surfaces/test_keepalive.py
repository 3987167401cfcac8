"""Comments while a stream waits: when they come, what they commit to, and that nobody waits for nobody."""

import asyncio
from typing import Any

import msgspec
import pytest

from freeroute.errors import CapacityExhausted
from freeroute.surfaces import anthropic
from freeroute.surfaces.conversing import Conversations, Understand
from freeroute.surfaces.http import BodyBounds, Request
from freeroute.surfaces.openai import understand
from tests.support.gateways import ANSWER, FakeGateway, FakeServed, chunk
from tests.support.virtual import LoopClock, run

STREAM = {"model": "free", "messages": [{"role": "user", "content": "Hello!"}], "stream": True}
COMMENT = b": waiting\n\n"
END = b"data: [DONE]\n\n"


class Slow(FakeGateway):
    """Needs *seconds* before it answers."""

    def __init__(self, answer: FakeServed | Exception, seconds: float) -> None:
        super().__init__(answer)
        self._seconds = seconds
        self.left_at: float | None = None

    async def chat(self, call, context) -> FakeServed:
        try:
            await asyncio.sleep(self._seconds)
        except asyncio.CancelledError:
            self.left_at = asyncio.get_running_loop().time()
            raise
        return await super().chat(call, context)


class Pausing(FakeServed):
    """A stream with so many seconds before each of its events."""

    def __init__(self, pauses: list[float]) -> None:
        super().__init__(batches=[[chunk("Hi")]] * len(pauses))
        self._pauses = pauses

    async def next(self):
        if self._pauses:
            await asyncio.sleep(self._pauses.pop(0))
        return await super().next()


class Exchange:
    """One request in virtual time, and what was sent back with the second of each piece."""

    def __init__(
        self,
        gateway: Slow,
        body: Any,
        keepalive: str,
        leaves_after: float,
        reads_for: float,
        understand: Understand,
    ) -> None:
        self._understand = understand
        self._reads_for = reads_for
        self.gateway = gateway
        self.headers: dict[bytes, bytes] = {}
        self.status = 0
        self.pieces: list[tuple[float, bytes]] = []
        self._asked = [msgspec.json.encode(body)]
        self._leaves_after = leaves_after
        self._scope: Any = {
            "type": "http",
            "method": "POST",
            "headers": [(b"x-freeroute-keepalive", keepalive.encode())],
            "query_string": b"",
        }

    async def go(self) -> None:
        self.begun = asyncio.get_running_loop().time()
        conversations = Conversations(self.gateway, LoopClock(), BodyBounds())
        complete = conversations.answering("openai", self._understand)
        await complete(Request(self._scope, self._receive, self._send))

    async def _receive(self) -> Any:
        if self._asked:
            return {"type": "http.request", "body": self._asked.pop(), "more_body": False}
        await asyncio.sleep(self._leaves_after)
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])
        else:
            await asyncio.sleep(self._reads_for)
            self.pieces.append((asyncio.get_running_loop().time() - self.begun, message["body"]))


def exchange(
    answer: FakeServed | Exception,
    seconds: float,
    *,
    body: Any = STREAM,
    keepalive="true",
    leaves=1e6,
    reads_for=0.0,
    understand: Understand = understand,
) -> Exchange:
    made: list[Exchange] = []

    async def go() -> None:
        made.append(Exchange(Slow(answer, seconds), body, keepalive, leaves, reads_for, understand))
        await made[0].go()

    run(go())
    return made[0]


def hello() -> FakeServed:
    return FakeServed(batches=[[chunk("Hi")]])


def test_a_stream_that_begins_soon_is_as_any_other():
    seen = exchange(hello(), 4.9)
    assert seen.headers[b"x-freeroute-provider"] == b"groq"
    assert [piece for _, piece in seen.pieces] == [b"data: " + chunk("Hi") + b"\n\n", END]


def test_a_stream_that_waits_is_kept_alive_by_comments_until_its_first_event():
    served = hello()
    seen = exchange(served, 12)
    assert seen.status == 200
    assert seen.headers[b"content-type"].startswith(b"text/event-stream")
    assert b"x-freeroute-provider" not in seen.headers
    assert b"x-request-id" in seen.headers
    assert [(round(at), piece) for at, piece in seen.pieces] == [
        (5, COMMENT),
        (10, COMMENT),
        (12, b"data: " + chunk("Hi") + b"\n\n"),
        (12, END),
    ]
    assert served.finished == [False]


def test_a_stream_that_falls_silent_in_its_middle_is_kept_alive_too():
    """Its provider may be slow, or broken and somebody else sought to go on with it."""
    events = b"data: " + chunk("Hi") + b"\n\n"
    seen = exchange(Pausing([0, 4, 11]), 2)
    assert seen.headers[b"x-freeroute-provider"] == b"groq"
    assert [(round(at), piece) for at, piece in seen.pieces] == [
        (2, events),
        (6, events),
        (11, COMMENT),
        (16, COMMENT),
        (17, events),
        (17, END),
    ]


def test_without_the_wish_a_silent_stream_stays_silent():
    seen = exchange(Pausing([0, 11]), 2, keepalive="false")
    assert [round(at) for at, _ in seen.pieces] == [2, 13, 13]


def test_anthropics_clients_are_sent_pings():
    seen = exchange(hello(), 6, understand=anthropic.understand)
    (at, ping), (_, begun), *_ = seen.pieces
    assert (round(at), ping) == (5, b'event: ping\ndata: {"type":"ping"}\n\n')
    assert begun.startswith(b"event: message_start\n")
    failed = exchange(CapacityExhausted("nothing is left"), 6, understand=anthropic.understand)
    (_, ping), (_, error) = failed.pieces
    assert ping.startswith(b"event: ping\n")
    assert error.startswith(b"event: error\n")
    assert error.count(b"event: ") == 1


def test_no_comment_comes_into_an_event_that_is_being_written():
    seen = exchange(hello(), 1, reads_for=12)
    assert [piece for _, piece in seen.pieces] == [b"data: " + chunk("Hi") + b"\n\n", END]


def test_what_fails_after_a_comment_is_told_inside_the_stream():
    seen = exchange(CapacityExhausted("all are out of quota", metadata={"attempts": []}), 7)
    assert seen.status == 200
    (_, comment), (_, last) = seen.pieces
    event, alone, done, _ = last.split(b"\n\n")
    told = msgspec.json.decode(event.removeprefix(b"data: "))
    assert (comment, done) == (COMMENT, END.strip())
    assert told["error"]["code"] == "capacity_exhausted"
    assert told["error"]["type"] == "rate_limit_error"
    assert told["error"]["metadata"] == {"attempts": []}
    assert told["choices"][0]["finish_reason"] == "error"
    assert msgspec.json.decode(alone.removeprefix(b"data: ")) == {"error": told["error"]}


def test_an_error_before_any_event_has_the_request_s_own_identity():
    seen = exchange(CapacityExhausted("all are out of quota"), 7)
    told = msgspec.json.decode(seen.pieces[-1][1].split(b"\n\n")[0].removeprefix(b"data: "))
    assert told["id"] == f"chatcmpl-{seen.headers[b'x-request-id'].decode()}"
    assert (told["model"], told["created"]) == ("free", int(seen.gateway.calls[0][1].received.wall))


def test_a_fault_of_ours_after_a_comment_is_told_without_details():
    last = exchange(KeyError("the prompt"), 7).pieces[-1][1]
    assert b"internal_error" in last
    assert last.endswith(END)
    assert b"prompt" not in last


def test_what_fails_before_the_first_comment_keeps_its_status():
    with pytest.raises(CapacityExhausted):
        exchange(CapacityExhausted("all are out of quota"), 3)


@pytest.mark.parametrize("leaves", [3, 7, 10])
def test_a_caller_that_leaves_while_comments_are_sent_stops_the_work_at_once(leaves):
    seen = exchange(hello(), 60, leaves=leaves)
    assert seen.gateway.left_at == pytest.approx(seen.begun + leaves)
    assert [piece for _, piece in seen.pieces] in ([COMMENT] * (leaves // 5), [COMMENT])
    assert seen.gateway.calls == []


@pytest.mark.parametrize(("body", "keepalive"), [(STREAM, "false"), ({**STREAM, "stream": False}, "true")])
def test_without_the_wish_or_without_a_stream_nothing_is_sent_ahead(body, keepalive):
    answer = hello() if body["stream"] else FakeServed(ANSWER)
    seen = exchange(answer, 60, body=body, keepalive=keepalive)
    assert seen.headers[b"x-freeroute-provider"] == b"groq"
    assert all(at >= 60 for at, _ in seen.pieces)
