"""Faults of time: nothing comes, or late, and clocks that are set."""

import asyncio

import pytest

from tests.faults.scene import PROMPT, ROOMY, SERVED, VAST, spent, suspect
from tests.support.live import PATIENT, until
from tests.support.patience import PATIENCE
from tests.support.provider import ANSWERS, closed, held, later, raw, refusing, silent
from tests.support.servers import Peer, Request, serve

HASTY = {"timeouts": {**PATIENT, "first_event": "150ms"}}
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ntransfer-encoding: chunked\r\n\r\n"
HOUR = 3600.0


# --- before the first event --------------------------------------------------------------------------------


async def test_silence_before_the_head_moves_on(play, stream):
    scene = await play(raw(then=silent), alpha=HASTY)
    assert await scene.moves_on(stream, "timed_out") == suspect(1, PROMPT)


async def test_a_head_and_then_silence_moves_on(play, stream):
    kind = b"text/event-stream" if stream else b"application/json"
    scene = await play(raw(HEAD % kind, then=silent), alpha=HASTY)
    assert await scene.moves_on(stream, "timed_out:200") == suspect(1, PROMPT)


async def test_a_first_token_that_is_too_slow_moves_on_and_is_not_waited_for(play, stream):
    scene = await play(later(0.5, ANSWERS), alpha=HASTY)
    assert await scene.moves_on(stream, "timed_out") == suspect(1, PROMPT)


async def test_a_first_token_that_is_slow_but_in_time_is_served(play, stream):
    scene = await play(later(0.2, ANSWERS))
    await scene.serves(stream)
    assert await scene.stands() == SERVED


async def test_an_error_whose_body_never_ends_is_told_by_its_status(play, stream):
    head = b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 20\r\ncontent-length: 999\r\n\r\n{"
    scene = await play(raw(head, then=silent), alpha=HASTY)
    assert await scene.moves_on(stream, "rate_limited:429") == spent(20.0)


async def test_an_error_whose_body_breaks_off_is_told_by_its_status(play, stream):
    head = b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 20\r\ncontent-length: 999\r\n\r\n{"
    scene = await play(raw(head, then=closed))
    assert await scene.moves_on(stream, "rate_limited:429") == spent(20.0)


async def test_when_all_are_silent_the_caller_learns_it_in_bounded_time(play, stream):
    kind = b"text/event-stream" if stream else b"application/json"
    scene = await play(raw(then=silent), beta=raw(HEAD % kind, then=silent), every=HASTY)
    async with asyncio.timeout(PATIENCE):
        reply = await scene.ask(stream)
    assert (reply.status, reply.error["code"]) == (504, "upstream_timeout")
    assert reply.trail == "alpha/large=timed_out; beta/large=timed_out:200"
    assert [await scene.stands(name) for name in ("alpha", "beta")] == [suspect(1, PROMPT)] * 2


async def test_a_silent_route_is_not_asked_again_by_the_same_request(play, stream):
    """One attempt for each model: neither another key of it nor a second round over the same silence."""
    scene = await play(raw(then=silent), beta=refusing(b"500 Oops", b"{}"), alpha=HASTY, keys=2)
    async with asyncio.timeout(PATIENCE):
        reply = await scene.ask(stream)
    assert (reply.status, reply.error["code"]) == (502, "upstream_failed")
    assert reply.trail == "alpha/large=timed_out; beta/large=fault:500"
    assert (len(scene.alpha.calls), len(scene.beta.calls)) == (1, 1)


async def test_a_route_that_was_silent_is_asked_last_by_those_who_come_next(play, stream):
    scene = await play(raw(then=silent), alpha=HASTY)
    await scene.moves_on(stream, "timed_out")
    for _ in range(3):
        assert (await scene.ask(stream, provider={})).by == "beta"
    assert len(scene.alpha.calls) == 1


async def test_a_head_that_trickles_is_silence(play, stream):
    async def trickle(peer: Peer, request: Request) -> None:
        await peer.send(b"HTTP/1.1 200 OK\r\n")
        for number in range(1000):
            await peer.send(b"x-%d: y\r\n" % number)
            await asyncio.sleep(0.02)

    scene = await play(trickle, alpha=HASTY)
    assert await scene.moves_on(stream, "timed_out") == suspect(1, PROMPT)


async def test_interim_answers_without_end_are_silence(play, stream):
    async def patience(peer: Peer, request: Request) -> None:
        while True:
            await peer.send(b"HTTP/1.1 102 Processing\r\n\r\n")
            await asyncio.sleep(0.02)

    scene = await play(patience, alpha=HASTY)
    assert await scene.moves_on(stream, "timed_out") == suspect(1, PROMPT)


async def test_a_provider_that_does_not_read_the_question_is_not_waited_for(play):
    async def deaf(peer: Peer) -> None:
        await asyncio.Event().wait()

    async with serve(deaf) as server:
        scene = await play(alpha=HASTY | {"base_url": server.url("/v1")}, every=ROOMY)
        stand = await scene.moves_on(False, "timed_out", messages=VAST)
    assert (stand.state, stand.used[0]) == ("suspect", 1)


# --- clocks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jump", [-30 * HOUR, -90.0, 90.0, 30 * HOUR])
async def test_a_wall_clock_that_is_set_neither_lifts_a_hold_nor_keeps_it(play, jump):
    scene = await play(refusing(b"429 Too Many Requests", b"{}", b"retry-after: 20"), ANSWERS)
    await scene.moves_on(False, "rate_limited:429")
    scene.clock.set_wall(jump)
    assert await scene.stands() == spent(20.0)
    assert (await scene.ask()).by == "beta"
    scene.clock.advance(20)
    assert (await scene.ask()).by == "alpha"


@pytest.mark.parametrize("jump", [-30 * HOUR, 30 * HOUR])
async def test_a_wall_clock_that_is_set_changes_no_window_that_slides(play, jump):
    minute = [
        {"unit": "requests", "amount": 2, "per": "minute"},
        {"unit": "tokens", "amount": 900, "per": "minute"},
    ]
    scene = await play(alpha={"limits": minute})
    assert [(await scene.ask()).by for _ in range(2)] == ["alpha", "alpha"]
    scene.clock.set_wall(jump)
    assert (await scene.ask()).by == "beta"
    scene.clock.advance(61)
    assert (await scene.ask()).by == "alpha"


async def test_a_day_that_comes_twice_has_its_quota_once(play):
    day = {"unit": "requests", "amount": 1, "per": "day", "window": "calendar"}
    scene = await play(alpha={"limits": [day]})
    assert (await scene.ask()).by == "alpha"
    scene.clock.set_wall(24 * HOUR)  # a new day by the wall
    assert (await scene.ask()).by == "alpha"
    scene.clock.set_wall(-24 * HOUR)  # corrected: the day before, whose quota is spent
    assert (await scene.ask()).by == "beta"
    scene.clock.advance(48 * HOUR)
    assert (await scene.ask()).by == "alpha"


async def test_a_clock_that_is_set_while_a_stream_is_on_its_way_does_not_end_it(play):
    gate = asyncio.Event()
    scene = await play(held(gate, ANSWERS))
    asked = asyncio.create_task(scene.ask(True))
    await until(lambda: scene.alpha.busy == 1)
    scene.clock.set_wall(-30 * HOUR)
    gate.set()
    assert (await asked).by == "alpha"
    assert await scene.stands() == SERVED
