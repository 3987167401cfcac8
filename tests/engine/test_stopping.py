"""A gateway that stops: who is told so, and whose doing it is not."""

import asyncio

import pytest

from freeroute.domain.outcome import Kind
from freeroute.engine.view import Recording
from tests.support.world import World, call, provider, streamed

SAID = b'{"id":"i","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"one"}}]}'


def test_readiness_ends_with_draining():
    world = World(provider("a"))
    assert world.gateway.ready() == (True, {"status": "ready", "providers": 1})
    world.gateway.unsaved = True
    assert world.gateway.ready() == (True, {"status": "ready", "providers": 1, "state": "not saved"})
    world.gateway.unsaved = False
    world.gateway.recording = Recording()
    assert world.gateway.ready() == (True, {"status": "ready", "providers": 1})
    world.gateway.recording.failing = True
    assert world.gateway.ready() == (True, {"status": "ready", "providers": 1, "records": "not written"})
    world.gateway.draining = True
    assert world.gateway.ready() == (False, {"status": "draining"})


async def test_what_a_stop_cuts_short_is_not_its_caller_s_doing_and_charged():
    world = World(provider("a"), a=[asyncio.CancelledError()])
    world.gateway.cut_short()
    with pytest.raises(asyncio.CancelledError):
        await world.gateway.chat(call(), world.context())
    told = world.receipts.last
    assert (told.like.status, told.like.code, told.like.caller_left) == (503, "shutting_down", False)
    assert [note.kind for note in told.attempts] == [Kind.SHUTTING_DOWN]
    assert told.usage == told.attempts[0].usage is not None
    assert not world.is_suspect("a/m#k1")


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_that_a_stop_cuts_short_says_so(stream):
    world = World(provider("a"), a=[streamed([SAID], [SAID])] if stream else [])
    served = await world.gateway.chat(call(stream=stream), world.context())
    await served.next()
    served.fail(stopped=True)
    await served.finish()
    told = world.receipts.last
    assert (told.like.status, told.like.code, told.like.caller_left) == (200, "shutting_down", False)
    assert not world.is_suspect("a/m#k1")
