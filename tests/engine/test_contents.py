"""What requests ask and are told, taken down where somebody wants it."""

import asyncio
import json

import msgspec
import pytest

from freeroute.domain.outcome import Kind, Outcome
from freeroute.engine.ports import Answer, KeptResponse, Sent
from freeroute.engine.relay import Overheard
from freeroute.errors import NotFound, UpstreamFailed
from freeroute.wire.transcript import Transcript
from tests.support.world import World, call, provider, streamed


class Kept:
    """Keeps all but what *refuses* says."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.seen: list[tuple[str, int, str]] = []
        self.refuses = refuses
        self.broken = False

    def begin(self, call, context):
        return None if self.refuses else Transcript(call, 1000)

    def keep(self, receipt, transcript):
        if self.broken:
            raise ValueError(transcript.prompt)
        self.seen.append((receipt.request_id, receipt.like.status, transcript.answer))


def said(text: str) -> bytes:
    return msgspec.json.encode({"choices": [{"index": 0, "delta": {"content": text}}]})


def whole(text: str) -> Sent:
    body = msgspec.json.encode({"choices": [{"index": 0, "message": {"content": text}}]})
    return Sent(Outcome(Kind.SERVED), answer=Answer(body))


def world(keeper, **scripts) -> World:
    made = World(provider("a"), provider("b"), **scripts)
    made.gateway.keep_contents(keeper)
    return made


async def test_a_whole_answer_and_a_stream_are_taken_down_as_they_are_told():
    keeper = Kept()
    there = world(keeper, a=[whole("Because."), streamed([said("Be"), said("cau")], [said("se.")])])
    await there.ask("a/m")
    await there.ask("a/m", stream=True)
    assert keeper.seen == [("r1", 200, "Because."), ("r2", 200, "Because.")]


async def test_nothing_goes_past_whoever_takes_it_down():
    keeper = Kept()
    there = world(keeper, a=[streamed([said("Be")], [said("cause.")])])
    served = await there.gateway.chat(call("a/m", stream=True), there.context())
    served.onward = lambda _: True
    while await served.next():
        assert served.onward is None
    await served.finish()
    assert keeper.seen == [("r1", 200, "Because.")]


async def test_of_a_stream_that_dies_or_is_left_what_was_told_is_taken_down():
    keeper = Kept()
    there = world(
        keeper,
        a=[streamed([said("Be")], ending=Outcome(Kind.TRUNCATED)), streamed([said("Be")], [said("cause")])],
    )
    await there.ask("a/m", stream=True)
    served = await there.gateway.chat(call("a/m", stream=True), there.context())
    await served.next()
    await served.finish(caller_left=True)
    assert keeper.seen == [("r1", 200, "Be"), ("r2", 499, "Be")]


async def test_what_nobody_answered_is_taken_down_too():
    keeper = Kept()
    there = world(keeper, a=[Kind.FAULT, asyncio.CancelledError()])
    await there.fails(UpstreamFailed, "a/m")
    with pytest.raises(asyncio.CancelledError):
        await there.ask("a/m")
    await there.fails(NotFound, "nothing")
    assert keeper.seen == [("r1", 502, ""), ("r2", 499, ""), ("r3", 404, "")]


async def test_what_is_not_to_be_kept_is_not_listened_to():
    for keeper in (None, Kept(refuses=True)):
        there = world(keeper)
        assert not isinstance(await there.ask(), Overheard)
        assert keeper is None or keeper.seen == []


async def test_one_that_cannot_keep_costs_no_answer_and_tells_no_prompt(capsys):
    keeper = Kept()
    keeper.broken = True
    there = world(keeper, a=[whole("Because.")])
    await there.ask("a/m", fields=["secret"])
    assert "ValueError" in (told := "".join(capsys.readouterr()))
    assert json.dumps([]) not in told


def test_a_response_that_is_kept_is_as_large_as_its_texts():
    assert KeptResponse("resp_1", "alice", 0.0, b"12345", b"[]").size == 7
