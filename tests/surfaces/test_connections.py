"""What a connection costs while nothing is wrong with it: when it ends, and what it leaves behind."""

import asyncio
import gc

import pytest

from freeroute.errors import UpstreamFailed
from freeroute.surfaces.bounds import Bounds
from freeroute.surfaces.cycles import Cycle
from freeroute.surfaces.http import BodyBounds, Request
from freeroute.surfaces.protocol import BoundedProtocol
from tests.support.gateways import ANSWER, FakeServed, chunk
from tests.support.serving import HEAD, HI, STREAM, RawCaller, post, serving
from tests.support.virtual import run
from tests.support.wires import Wire, connected

CHUNKED = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"


def paths(scope, receive, send):
    request = Request(scope, receive, send)
    told = f"{scope['path']} {scope['raw_path'].decode()} {scope['query_string'].decode()}"
    return request.reply(200, told.encode())


def test_a_connection_ends_once_nothing_came_for_as_long_as_it_is_kept():
    async def session():
        wire = Wire()
        protocol, state = await connected(paths, wire)
        for _ in range(5):
            protocol.data_received(HEAD + b"\r\n")
            await asyncio.sleep(50)
            assert not wire.is_closing()
        assert len(wire.written) == state.total_requests == 5
        await asyncio.sleep(24)
        assert not wire.is_closing()
        await asyncio.sleep(2)
        assert wire.is_closing()
        assert not state.tasks

    run(session())


def test_a_connection_is_kept_while_an_answer_takes_its_time():
    async def session():
        wire, ended = Wire(), asyncio.Event()

        async def slow(scope, receive, send):
            if scope["path"] == "/slow":
                await ended.wait()
            await paths(scope, receive, send)

        protocol, _ = await connected(slow, wire)
        protocol.data_received(HEAD + b"\r\n")
        await asyncio.sleep(1)
        protocol.data_received(HEAD.replace(b"/livez", b"/slow") + b"\r\n")
        await asyncio.sleep(500)
        assert not wire.is_closing()
        ended.set()
        await asyncio.sleep(74)
        assert not wire.is_closing()
        await asyncio.sleep(2)
        assert wire.is_closing()

    run(session())


def test_a_connection_that_is_lost_leaves_no_timer():
    async def session():
        wire = Wire()
        protocol, _ = await connected(paths, wire)
        protocol.data_received(HEAD + b"\r\n")
        await asyncio.sleep(1)
        protocol.connection_lost(ConnectionResetError())
        await asyncio.sleep(500)
        assert not wire.is_closing()

    run(session())


def test_each_request_of_a_connection_is_for_what_it_names():
    async def session():
        wire = Wire()
        protocol, _ = await connected(paths, wire)
        for url in (b"/a", b"/a", b"/a?key=1", b"/b%20c?d#e", b"http://localhost/f?g"):
            protocol.data_received(b"GET %b HTTP/1.1\r\nhost: localhost\r\n\r\n" % url)
            await asyncio.sleep(0.1)
        return [answer.rpartition(b"\r\n\r\n")[2] for answer in wire.written]

    assert run(session()) == [b"/a /a ", b"/a /a ", b"/a /a key=1", b"/b c /b%20c d", b"/f /f g"]


@pytest.mark.parametrize("endless", [b"a" * 30_000, b"x-a: 1\r\n" * 4_000])
async def test_what_comes_behind_a_body_is_bounded_too(build, gateway, endless):
    async with serving(build(), Bounds(head_bytes=20_000)) as url, RawCaller.to(url) as caller:
        await caller.send(CHUNKED + b"%x\r\n%b\r\n0\r\nx-b: " % (len(HI), HI))
        for _ in range(40):
            await caller.send(endless)
        assert (await caller.answer()).status == 431
    assert gateway.calls == []


def test_of_a_caller_that_sends_ahead_no_more_is_read_while_enough_of_its_requests_wait():
    wire, ended, read = Wire(), asyncio.Event(), []

    async def slow(scope, receive, send):
        await ended.wait()
        await Request(scope, receive, send).body(BodyBounds())
        read.append(wire.reading)
        await paths(scope, receive, send)

    async def session():
        protocol, _ = await connected(slow, wire)
        protocol.data_received((HEAD + b"\r\n") * Bounds().behind)
        of_few = wire.reading  # so that it is noticed if it leaves
        protocol.data_received((HEAD + b"\r\n") * 5)
        assert (of_few, wire.reading) == (True, False)
        ended.set()
        await asyncio.sleep(1)
        assert len(wire.written) == len(read)

    run(session())
    assert read == [False] * 5 + [True] * Bounds().behind


@pytest.mark.parametrize("sent", [(HEAD + b"\r\n") * 4, CHUNKED.replace(b"1.1", b"1.0")])
def test_requests_that_nobody_answers_leave_nothing_for_the_garbage_collector(sent):
    async def until_left(scope, receive, send):
        while (await receive())["type"] != "http.disconnect":
            pass

    async def session():
        wire = Wire()
        protocol, _ = await connected(until_left, wire)
        protocol.data_received(sent)
        await asyncio.sleep(1)
        protocol.connection_lost(None)
        await asyncio.sleep(1)

    gc.collect()
    gc.disable()
    try:
        run(session())
        assert not [one for one in gc.get_objects() if isinstance(one, Cycle | BoundedProtocol)]
    finally:
        gc.enable()


async def test_requests_leave_nothing_for_the_garbage_collector(build, gateway):
    gateway.answer = FakeServed(ANSWER)
    async with serving(build()) as url, RawCaller.to(url) as caller:
        gc.collect()
        gc.disable()
        try:
            for _ in range(5):
                await caller.send(post(HI))
                assert (await caller.answer()).status == 200
            [_] = [one for one in gc.get_objects() if isinstance(one, Cycle)]  # the last one
        finally:
            gc.enable()


async def test_streams_that_break_off_leave_nothing_for_the_garbage_collector(build, gateway):
    async with serving(build()) as url, RawCaller.to(url) as caller:
        gc.collect()
        gc.disable()
        try:
            for _ in range(5):
                gateway.answer = FakeServed(batches=[[chunk("a")], UpstreamFailed("It broke.")])
                await caller.send(post(STREAM))
                assert b"It broke." in await caller.reader.readuntil(b"\r\n0\r\n\r\n")
            [_] = [one for one in gc.get_objects() if isinstance(one, Cycle)]  # the last one
        finally:
            gc.enable()
