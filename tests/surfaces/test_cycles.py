"""A request ends with its application, however that ends."""

import asyncio

import pytest

from freeroute.surfaces.departure import CallerWatch
from freeroute.surfaces.http import Request
from freeroute.surfaces.outlet import OUTLET
from tests.support.wires import Wire, connected

ASKED = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"
HEAD = {"type": "http.response.start", "status": 200, "headers": []}


async def answers(scope, receive, send):
    assert scope[OUTLET].answer(200, b"content-length: 2\r\n", b"ok")


async def fails(scope, receive, send):
    raise ValueError("of no use")


async def fails_late(scope, receive, send):
    await answers(scope, receive, send)
    raise ValueError("of no use")


async def says_nothing(scope, receive, send):
    pass


async def stops_midway(scope, receive, send):
    await send(HEAD)


async def returns_something(scope, receive, send):
    await answers(scope, receive, send)
    return 1


@pytest.mark.parametrize(
    ("app", "begins", "closed", "logged"),
    [
        (answers, b"HTTP/1.1 200", False, ""),
        (fails, b"HTTP/1.1 500", True, "Exception in ASGI application"),
        (fails_late, b"HTTP/1.1 200", True, "Exception in ASGI application"),
        (says_nothing, b"HTTP/1.1 500", True, "without starting"),
        (stops_midway, b"HTTP/1.1 200", True, "without completing"),
        (returns_something, b"HTTP/1.1 200", True, "should return None"),
    ],
)
async def test_the_server_knows_of_a_request_until_its_application_ends(app, begins, closed, logged, caplog):
    wire = Wire()
    protocol, state = await connected(app, wire)
    protocol.data_received(ASKED)
    assert len(state.tasks) == 1
    (task,) = state.tasks
    await asyncio.wait([task])
    assert not state.tasks
    assert task.exception() is None
    assert wire.written[0].startswith(begins)
    assert wire.closed is closed
    assert logged in caplog.text
    assert bool(logged) is bool(caplog.text)
    protocol.connection_lost(None)


async def test_a_task_that_is_cancelled_is_no_longer_known():
    wire = Wire()

    async def waits(scope, receive, send):
        await asyncio.Event().wait()

    protocol, state = await connected(waits, wire)
    protocol.data_received(ASKED)
    await asyncio.sleep(0)
    (task,) = state.tasks
    task.cancel()
    await asyncio.wait([task])
    assert not state.tasks
    assert wire.written[0].startswith(b"HTTP/1.1 500")
    protocol.connection_lost(None)


async def watching(wire, left):
    """Return a connection, its server's state, and the task of a request that waits for its caller to go."""

    async def watches(scope, receive, send):
        with CallerWatch(Request(scope, receive, send)) as watch:
            await asyncio.Event().wait()
        left.append(watch.left)

    protocol, state = await connected(watches, wire)
    protocol.data_received(ASKED)
    await asyncio.sleep(0)
    (task,) = state.tasks
    return protocol, state, task


async def test_who_watches_a_caller_is_cancelled_in_the_task_of_its_request():
    wire = Wire()
    left: list[bool] = []
    protocol, state, task = await watching(wire, left)
    protocol.connection_lost(None)
    await asyncio.wait([task])
    assert left == [True]
    assert not state.tasks


async def test_a_caller_that_sends_rubbish_behind_its_request_has_left_once(caplog):
    wire = Wire()
    left: list[bool] = []
    protocol, _, task = await watching(wire, left)
    protocol.data_received(b"rubbish\r\n\r\n")
    await asyncio.wait([task])
    assert left == [True]
    assert wire.written[0].startswith(b"HTTP/1.1 400")
    assert len(wire.written) == 1
    assert not caplog.text
    protocol.connection_lost(None)
