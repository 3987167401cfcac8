"""Faults of callers: they leave at any moment, read slowly, or come all at once."""

import asyncio

import msgspec
import pytest

from freeroute.surfaces.bounds import Bounds
from tests.faults.scene import (
    ANSWER,
    PROMPT,
    PROMPT_TEXT,
    ROOMY,
    SERVED,
    UNTOUCHED,
    Scene,
    Stand,
    calling,
    spent,
)
from tests.support.asking import COUNTED, DONE, HI, ROLE, STOP, event
from tests.support.live import question, until
from tests.support.patience import PATIENCE
from tests.support.provider import ANSWERED, ANSWERS, held, raw, refusing, silent, sse
from tests.support.serving import RawCaller, post

MIB = 1024 * 1024
FAULT = refusing(b"500 Oops", b'{"error":{"message":"broken"}}')
LEFT = Stand((1, PROMPT))


@pytest.fixture(params=["goodbye", "reset"])
def leave(request):
    """Leave with an orderly end of the connection, or without."""

    def leave(caller: RawCaller) -> None:
        if request.param == "reset":
            caller.leave()
        else:
            caller.writer.close()

    return leave


async def left(scene: Scene, stream: bool) -> None:
    """Wait until the call is over everywhere, within the second that is promised, and see what is kept."""
    async with asyncio.timeout(1):
        await until(lambda: not scene.alpha.busy and not scene.beta.busy)
        await until(lambda: scene.gateway.app.gateway.in_flight == 0)
    last = await scene.gateway.last_request()
    assert (last["status"], last["code"], last["stream"]) == (499, "caller_left", stream)
    assert last["tokens"]["prompt"] == PROMPT
    assert "freeroute_requests_in_flight 0" in (await scene.gateway.metrics())
    assert await scene.stands("beta") == UNTOUCHED


# --- leaving -----------------------------------------------------------------------------------------------


async def test_a_caller_that_leaves_before_the_head_ends_the_call(play, stream, leave):
    scene = await play(raw(then=silent))
    async with calling(scene, stream) as caller:
        await until(lambda: scene.alpha.busy == 1)
        leave(caller)
        await left(scene, stream)
    assert await scene.stands() == LEFT  # it may have been counted in full


async def test_a_caller_that_leaves_between_head_and_first_event_ends_the_call(play, leave):
    scene = await play(sse(ROLE, then=silent))
    async with calling(scene, True) as caller:
        await until(lambda: scene.alpha.busy == 1)
        await asyncio.sleep(0.05)
        leave(caller)
        await left(scene, True)
    assert await scene.stands() == LEFT


async def test_a_caller_that_leaves_in_the_middle_of_a_whole_answer_ends_the_call(play, leave):
    begun = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{"choices":['
    scene = await play(raw(begun, then=silent))
    async with calling(scene, False) as caller:
        await until(lambda: scene.alpha.busy == 1)
        await asyncio.sleep(0.05)
        leave(caller)
        await left(scene, False)
    assert await scene.stands() == LEFT


async def test_a_caller_that_leaves_a_stream_ends_it_and_pays_for_what_came(play, leave):
    scene = await play(sse(ROLE, HI, then=silent))
    async with calling(scene, True) as caller:
        await caller.reader.readuntil(HI)
        leave(caller)
        await left(scene, True)
    assert await scene.stands() == Stand((1, PROMPT + 1))


async def test_a_caller_that_leaves_after_the_finish_pays_and_blames_nobody(play, leave):
    scene = await play(sse(ROLE, HI, STOP, then=silent))
    async with calling(scene, True) as caller:
        await caller.reader.readuntil(STOP)
        leave(caller)
        async with asyncio.timeout(1):
            await until(lambda: not scene.alpha.busy and scene.gateway.app.gateway.in_flight == 0)
    assert await scene.stands() == Stand((1, PROMPT + 1))


async def test_a_caller_that_leaves_once_all_is_said_was_served(play, stream, leave):
    scene = await play()
    async with calling(scene, stream) as caller:
        await caller.head()
        await caller.reader.readuntil(DONE if stream else b'"total_tokens":5}}')
        leave(caller)
    assert (await scene.gateway.last_request())["status"] == 200
    assert await scene.stands() == SERVED


async def test_a_caller_that_leaves_between_two_attempts_ends_the_second(play, stream, leave):
    scene = await play(FAULT, beta=raw(then=silent))
    async with calling(scene, stream) as caller:
        await until(lambda: scene.beta.busy == 1)
        leave(caller)
        async with asyncio.timeout(1):
            await until(lambda: not scene.beta.busy and scene.gateway.app.gateway.in_flight == 0)
    assert [note["kind"] for note in (await scene.gateway.last_request())["attempts"]] == [
        "fault",
        "caller_left",
    ]
    assert await scene.stands() == Stand((1, PROMPT), "suspect")
    assert await scene.stands("beta") == LEFT


async def test_a_caller_that_leaves_the_waiting_room_is_gone_at_once(play, stream, leave):
    limited = refusing(b"429 Too Many Requests", b"{}", b"retry-after: 15")
    scene = await play(limited, beta=limited, routing={"max_wait": "20s", "probes": 0})
    async with calling(scene, stream) as caller:
        await until(lambda: len(scene.gateway.app.gateway.loop.room) == 1)
        leave(caller)
        async with asyncio.timeout(1):
            await until(lambda: len(scene.gateway.app.gateway.loop.room) == 0)
            await until(lambda: scene.gateway.app.gateway.in_flight == 0)
    assert (await scene.gateway.last_request())["status"] == 499
    assert await scene.stands() == spent(15.0)


async def test_a_caller_that_leaves_while_connecting_ends_the_connecting(play, stream, leave):
    """The peer takes the connection, and the TLS greeting never comes."""
    timeouts = {"connect": "5s"}
    scene = await play(alpha={"base_url": "https://127.0.0.1:PORT/v1", "timeouts": timeouts})
    async with calling(scene, stream) as caller:
        await until(lambda: scene.servers["alpha"].connections == 1)
        leave(caller)
        async with asyncio.timeout(1):
            await until(lambda: scene.gateway.app.gateway.in_flight == 0)
            await until(lambda: not scene.servers["alpha"].running)
    assert await scene.stands() == UNTOUCHED  # nothing of it went out


async def test_a_caller_that_leaves_before_its_body_is_whole_costs_nothing(play, leave):
    scene = await play()
    async with RawCaller.to(scene.gateway.url) as caller:
        await caller.send(post(msgspec.json.encode(question(PROMPT_TEXT)))[:-10])
        await asyncio.sleep(0.05)
        leave(caller)
        await asyncio.sleep(0.05)
    assert [await scene.stands(name) for name in ("alpha", "beta")] == [UNTOUCHED] * 2


async def test_a_caller_that_leaves_ends_no_other_call(play):
    gate = asyncio.Event()
    scene = await play(sse(ROLE, HI, then=held(gate, sse_end())))
    async with calling(scene, True) as leaving:
        await leaving.reader.readuntil(HI)
        staying = asyncio.create_task(scene.ask(True))
        await until(lambda: scene.alpha.busy == 2)
        leaving.leave()
        await until(lambda: scene.gateway.app.gateway.in_flight == 1)
        gate.set()
        reply = await staying
    assert (reply.by, reply.raw) == ("alpha", ANSWERED[True])
    assert (await scene.stands()).state == "healthy"


def sse_end():
    """Return what ends a stream that has begun."""
    tail = STOP + COUNTED + DONE
    return raw(b"%x\r\n%b\r\n0\r\n\r\n" % (len(tail), tail), then=_on)


async def _on(peer, request) -> None:
    """Leave the connection open."""


# --- reading slowly ----------------------------------------------------------------------------------------


async def test_a_slow_reader_holds_its_own_stream_back_and_nobody_else(play):
    sent = 0

    async def flood(peer, request) -> None:
        nonlocal sent
        word = event({"content": "x" * 65_000})
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n", ROLE)
        while True:
            await peer.send(word)
            sent += len(word)

    scene = await play(flood, ANSWERS)
    async with calling(scene, True, max_tokens=4_000_000) as caller:
        await caller.head()
        caller.stop_reading()
        await _stands_still(lambda: sent)
        # What lies in buffers of the system on both ways, and a little of ours; it was to be endless.
        assert sent < 24 * MIB
        for _ in range(3):
            async with asyncio.timeout(PATIENCE):
                assert (await scene.ask(True)).raw == ANSWERED[True]
        caller.leave()
        async with asyncio.timeout(1):
            await until(lambda: scene.gateway.app.gateway.in_flight == 0)
    stand = await scene.stands()
    assert (stand.breaker, stand.why) == ("closed", "out of quota")  # by what came, and nobody is to blame
    assert stand.used[1] > sent / 100


async def test_time_in_which_a_caller_does_not_read_is_not_its_provider_s(play):
    word = event({"content": "x" * 65_000})

    async def flood(peer, request) -> None:
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n", ROLE)
        for _ in range(500):
            await peer.send(word)
        await peer.send(STOP + COUNTED + DONE)

    timeouts = {"first_event": "5s", "between_events": "5s", "total": "5s"}
    scene = await play(flood, alpha={"timeouts": timeouts, **ROOMY})
    async with calling(scene, True, max_tokens=4_000_000) as caller:
        await caller.head()
        caller.stop_reading()
        await asyncio.sleep(5.5)
        caller.read_on()
        read = bytearray()
        async with asyncio.timeout(PATIENCE):
            while DONE not in read[-100:]:
                read += await caller.reader.read(1 * MIB)
    assert read.count(b"x" * 65_000) == 500
    assert (await scene.gateway.last_request())["code"] is None
    assert (await scene.stands()).state == "healthy"


async def test_a_caller_that_reads_nothing_any_more_is_given_up_and_told(play, log):
    async def flood(peer, request) -> None:
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n", ROLE)
        while True:
            await peer.send(event({"content": "x" * 65_000}))

    scene = await play(flood, bounds=Bounds(write_seconds=0.1))
    async with calling(scene, True, max_tokens=4_000_000) as caller:
        caller.stop_reading()
        await until(lambda: scene.alpha.busy == 1)
        await until(lambda: not scene.alpha.busy and scene.gateway.app.gateway.in_flight == 0)
    last = await scene.gateway.last_request()
    assert (last["status"], last["code"]) == (499, "caller_stalled")
    assert [(note["kind"], note["detail"]) for note in last["attempts"]] == [
        ("caller_stalled", "the caller read nothing any more")
    ]
    assert '"code":"caller_stalled"' in log()
    assert (await scene.stands()).breaker == "closed"


async def _stands_still(count) -> None:
    async with asyncio.timeout(PATIENCE):
        before = -1
        while count() != before:
            before = count()
            await asyncio.sleep(0.2)


# --- all at once -------------------------------------------------------------------------------------------


async def test_half_open_lets_one_of_many_try_and_the_others_are_served_elsewhere(play, stream):
    gate = asyncio.Event()
    scene = await play(FAULT, FAULT, FAULT, held(gate, ANSWERS), ANSWERS)
    for _ in range(3):
        await scene.ask(stream, provider={"only": ["alpha"]})
    scene.clock.advance(15)
    assert (await scene.stands()).state == "half-open"
    asking = asyncio.gather(*(scene.ask(stream) for _ in range(12)))
    await until(lambda: len(scene.beta.calls) == 11)
    gate.set()
    replies = await asking
    assert {(reply.status, reply.raw) for reply in replies} == {(200, ANSWERED[stream])}
    assert [reply.by for reply in replies].count("alpha") == 1
    assert len(scene.alpha.calls) == 4  # the trial is one call
    assert (await scene.stands())[1:] == SERVED[1:]


async def test_a_trial_whose_caller_leaves_is_given_back(play, stream):
    scene = await play(FAULT, FAULT, FAULT, raw(then=silent), ANSWERS)
    for _ in range(3):
        await scene.ask(stream, provider={"only": ["alpha"]})
    scene.clock.advance(15)
    async with calling(scene, stream) as caller:
        await until(lambda: scene.alpha.busy == 1)
        caller.leave()
        await left(scene, stream)
    assert (await scene.stands()).state == "half-open"
    assert (await scene.ask(stream)).by == "alpha"
    assert (await scene.stands()).state == "healthy"


async def test_many_at_once_at_a_dead_provider_are_all_served_elsewhere(play, stream, closed_port):
    scene = await play(alpha={"base_url": f"http://127.0.0.1:{closed_port}/v1"})
    replies = await asyncio.gather(*(scene.ask(stream) for _ in range(20)))
    assert {(reply.status, reply.by, reply.raw) for reply in replies} == {(200, "beta", ANSWERED[stream])}
    assert (await scene.stands()).used == (0, 0)
    assert (await scene.stands("beta")).used == (20, 20 * ANSWER)
