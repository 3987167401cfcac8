"""More calls at a time than connections go to a provider, or than files may be open for."""

import asyncio
import re

from freeroute.engine.ports import SOON
from freeroute.upstreams.http_transport import HttpTransport
from freeroute.upstreams.transport import Deadlines, Transport
from tests.faults.scene import UNTOUCHED, calling
from tests.support.asking import HI, ROLE
from tests.support.exchanges import turns
from tests.support.files import no_file_left
from tests.support.live import PATIENT, Cold, until
from tests.support.patience import PATIENCE
from tests.support.provider import ANSWERED, ANSWERS, raw, silent, sse


def one_at_a_time(usual: Transport) -> Transport:
    """Return a transport for one exchange with each provider at a time."""
    return Cold(HttpTransport(per_origin=1))


def none_kept(usual: Transport) -> Transport:
    """Return a transport that closes each connection once it was used."""
    return Cold(HttpTransport(keepalive=0.0))


async def test_files_that_run_out_here_are_nobody_s_fault(play, stream):
    scene = await play(wrapped=none_kept)
    only = {"model": "alpha/large"}
    await scene.ask(stream, model="beta/large")  # on the connection to the gateway that the next one takes
    await scene.servers["beta"].finished()
    await turns()
    with no_file_left():
        reply = await scene.ask(stream, **only)
    assert (reply.status, reply.headers["retry-after"], reply.trail) == (503, "1", "alpha/large=crowded")
    assert b"or may open files for" in reply.raw
    assert await scene.stands() == UNTOUCHED
    assert not scene.alpha.calls
    reply = await scene.ask(stream, **only)
    assert (reply.status, reply.raw) == (200, ANSWERED[stream])


async def test_who_finds_no_connection_free_goes_elsewhere_and_the_provider_is_not_blamed(play, stream):
    """However little time an answer of its may take: it was not asked."""
    hasty = {"timeouts": {**PATIENT, "first_event": "100ms"}}
    transport = HttpTransport(per_origin=1)
    holds = raw(b"HTTP/1.1 200 OK\r\n\r\n", then=silent)
    scene = await play(holds, alpha=hasty, wrapped=lambda usual: Cold(transport))
    # Not by the gateway: whoever holds the connection for as long as this takes is in no haste.
    holder = await transport.open("GET", scene.servers["alpha"].url(), [], b"", Deadlines())
    before = await scene.stands()
    for _ in range(2):
        reply = await scene.ask(stream)
        assert (reply.status, reply.by, reply.raw) == (200, "beta", ANSWERED[stream])
        assert reply.trail == "alpha/large=crowded"
    assert await scene.stands() == before
    assert len(scene.alpha.calls) == 1
    metrics = await scene.gateway.metrics()
    holder.abort()
    assert re.search(r'attempts_total\{provider="alpha".*kind="crowded".*fault="gateway".*\} 2', metrics)


async def test_who_can_go_nowhere_else_waits_in_line_and_is_answered(play, stream):
    scene = await play(
        sse(ROLE, HI, then=silent), ANSWERS, wrapped=one_at_a_time, routing={"max_wait": PATIENCE}
    )
    only = {"model": "alpha/large"}
    async with calling(scene, True, **only) as caller:
        await caller.reader.readuntil(HI)
        waiting = asyncio.ensure_future(scene.ask(stream, **only))
        await until(lambda: scene.gateway.app.gateway.in_flight == 2)
        await asyncio.wait([waiting], timeout=SOON * 1.2)
        assert not waiting.done()
        caller.leave()
        reply = await waiting
    assert (reply.status, reply.by, reply.trail) == (200, "alpha", "alpha/large=crowded")
    assert reply.raw == ANSWERED[stream]


async def test_who_may_not_wait_is_told_whose_bound_it_is(play, stream):
    scene = await play(sse(ROLE, HI, then=silent), wrapped=one_at_a_time)
    only = {"model": "alpha/large"}
    async with calling(scene, True, **only) as caller:
        await caller.reader.readuntil(HI)
        reply = await scene.ask(stream, **only)
    assert (reply.status, reply.headers["retry-after"]) == (503, "1")
    assert b"as many calls to alpha are under way as freeroute makes at a time" in reply.raw
    metrics = await scene.gateway.metrics()
    assert re.search(r'requests_total\{.*code="unavailable".*fault="gateway".*\} 1', metrics)
