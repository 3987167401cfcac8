"""A whole answer leaves in one write, or not at all: then the server has to send it."""

import asyncio
import logging
from types import SimpleNamespace
from typing import cast

import pytest
from structlog.testing import capture_logs
from uvicorn._types import HTTPScope
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from freeroute.surfaces.cycles import Cycle, Flow
from tests.support.patience import PATIENCE
from tests.support.serving import RawCaller, serving
from tests.support.virtual import run

LINES = b"content-type: application/json\r\ncontent-length: 2\r\n"


class Wire(asyncio.Transport):
    """Remembers what was written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data):
        self.written.append(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def wire():
    return Wire()


@pytest.fixture
def answered():
    return []


@pytest.fixture
def cycle(wire, answered):
    class Connection:
        """As much of a connection as a request needs."""

        transport = wire
        flow = FlowControl(wire)
        logger = logging.getLogger("test")
        server_state = SimpleNamespace(default_headers=[(b"date", b"today")])
        tasks: set[asyncio.Task[None]] = set()
        app = loop = None

        def on_response_complete(self) -> None:
            answered.append(True)

    scope = cast("HTTPScope", {"type": "http", "method": "POST", "http_version": "1.1"})
    return Cycle(scope, cast("HttpToolsProtocol", Connection()))


def test_head_and_body_leave_together_and_the_connection_stays(cycle, wire, answered):
    assert cycle.answer(200, LINES + b"x-freeroute-model: m\r\n", b"{}")
    head = b"date: today\r\ncontent-type: application/json\r\ncontent-length: 2\r\nx-freeroute-model: m\r\n"
    assert wire.written == [b"HTTP/1.1 200 OK\r\n" + head + b"\r\n{}"]
    assert cycle.response_complete
    assert answered == [True]
    assert not wire.closed


def test_a_caller_that_wants_no_more_is_told_that_the_connection_ends(cycle, wire, answered):
    cycle.keep_alive = False
    assert cycle.answer(404, LINES, b"{}")
    assert wire.written[0].startswith(b"HTTP/1.1 404 Not Found\r\n")
    assert b"\r\nconnection: close\r\n\r\n{}" in wire.written[0]
    assert wire.closed
    assert answered == [True]


def test_an_answer_without_a_body_has_none(cycle, wire):
    assert cycle.answer(204, b"", b"")
    assert wire.written == [b"HTTP/1.1 204 No Content\r\ndate: today\r\n\r\n"]


def test_the_head_of_a_stream_leaves_before_its_pieces(cycle, wire):
    assert cycle.begin(200, b"content-type: text/event-stream\r\n")
    head = b"date: today\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"
    assert wire.written == [b"HTTP/1.1 200 OK\r\n" + head + b"\r\n"]
    assert cycle.write(b"data: 1\n\n")
    assert wire.written[1:] == [b"9\r\ndata: 1\n\n\r\n"]
    assert not cycle.begin(200, b"")
    assert not cycle.answer(200, LINES, b"{}")


async def test_the_server_ends_a_stream_that_an_outlet_began(cycle, wire, answered):
    assert cycle.begin(200, b"")
    await cycle.send({"type": "http.response.body", "body": b"a", "more_body": True})
    await cycle.send({"type": "http.response.body", "body": b"", "more_body": False})
    assert wire.written[1:] == [b"1\r\na\r\n", b"0\r\n\r\n"]
    assert answered == [True]


def test_nothing_is_written_to_a_caller_that_reads_nothing_or_has_left(cycle, wire):
    cycle.flow.pause_writing()
    assert not cycle.answer(200, LINES, b"{}")
    assert not cycle.begin(200, LINES)
    cycle.flow.resume_writing()
    wire.closed = True
    assert not cycle.answer(200, LINES, b"{}")
    assert wire.written == []
    assert not cycle.response_started


def test_nothing_is_written_behind_a_refusal_that_ended_the_connection(cycle, wire):
    cycle.disconnected = True  # half closed, for the caller to read the refusal
    assert not cycle.is_free
    assert not cycle.answer(200, LINES, b"{}")
    assert wire.written == []
    assert not cycle.response_started


@pytest.mark.parametrize("behind", [b"GARBAGE\r\n\r\n", b"GET /livez HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n"])
async def test_a_request_before_one_that_is_refused_goes_unanswered_and_is_no_fault(build, behind):
    with capture_logs() as logs:
        async with serving(build()) as url, RawCaller.to(url) as caller:
            await caller.send(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n" + behind)
            assert (await caller.answer()).status == 400
            assert await caller.closed()
    assert logs == []


def test_a_second_answer_is_not_written(cycle, wire):
    assert cycle.answer(200, LINES, b"{}")
    assert not cycle.answer(200, LINES, b"{}")
    assert len(wire.written) == 1


def test_a_body_is_given_whole_once_all_of_it_has_come(cycle):
    assert cycle.whole() is None
    cycle.come(b"a")
    cycle.come(b"b")
    assert cycle.whole() is None
    cycle.came()
    assert cycle.whole() == b"ab"
    assert cycle.whole() is None


def test_a_caller_that_waits_to_be_told_to_go_on_or_has_left_gives_no_body(cycle):
    cycle.came()
    cycle.waiting_for_100_continue = True
    assert cycle.whole() is None
    cycle.waiting_for_100_continue = False
    cycle.hang_up()
    assert cycle.whole() is None


async def test_a_body_comes_in_pieces_to_who_asks_for_them_and_then_what_ends_it(cycle):
    first = asyncio.create_task(cycle.receive())
    await asyncio.sleep(0)
    cycle.come(b"a")
    assert await first == {"type": "http.request", "body": b"a", "more_body": True}
    cycle.come(b"b")
    cycle.came()
    assert await cycle.receive() == {"type": "http.request", "body": b"b", "more_body": False}
    last = asyncio.create_task(cycle.receive())
    await asyncio.sleep(0)
    assert not last.done()
    cycle.hang_up()
    assert await last == {"type": "http.disconnect"}
    assert await cycle.receive() == {"type": "http.disconnect"}


def test_a_body_is_waited_for_until_it_is_late(cycle):
    async def session():
        loop = asyncio.get_running_loop()
        loop.call_later(5, cycle.come, b"a")
        assert await cycle.receive_by(loop.time() + 10) == {
            "type": "http.request",
            "body": b"a",
            "more_body": True,
        }
        with pytest.raises(TimeoutError):
            await cycle.receive_by(loop.time() + 10)
        cycle.come(b"b")
        cycle.came()
        assert await cycle.receive_by(0) == {"type": "http.request", "body": b"b", "more_body": False}
        loop.call_later(5, cycle.hang_up)
        assert await cycle.receive_by(loop.time() + 10) == {"type": "http.disconnect"}
        assert await cycle.receive_by(0) == {"type": "http.disconnect"}
        assert loop.time() == 1020

    run(session())


async def test_whoever_is_cancelled_as_it_waits_for_a_body_leaves_it_to_the_next(cycle):
    waiting = asyncio.create_task(cycle.receive_by(asyncio.get_running_loop().time() + PATIENCE))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    cycle.come(b"a")
    assert (await cycle.receive())["body"] == b"a"


async def test_whoever_writes_waits_for_a_caller_that_does_not_read_and_for_no_other(wire):
    flow = Flow(wire, (), 1)
    await flow.drain()
    flow.pause_writing()
    waiting = [asyncio.create_task(flow.drain()) for _ in range(2)]
    await asyncio.sleep(0)
    assert flow.write_paused
    assert not any(task.done() for task in waiting)
    flow.resume_writing()
    await asyncio.gather(*waiting)
    await flow.drain()
    flow.pause_writing()
    again = asyncio.create_task(flow.drain())
    await asyncio.sleep(0)
    assert not again.done()
    flow.resume_writing()
    await again
