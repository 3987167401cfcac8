"""An answer on its way: streams end honestly, and everything is settled once."""

import msgspec
import pytest

from freeroute.domain.catalogue import Limit, Unit
from freeroute.domain.outcome import Kind, Outcome
from freeroute.domain.usage import Demand, Usage
from freeroute.engine.ports import Answer, Sent
from freeroute.engine.served import Served
from tests.support.world import ScriptedStream, World, call, model, provider, read, streamed

TOKENS = Limit(Unit.TOKENS, 1000, 60.0, span="minute")


async def test_events_are_relayed_in_order():
    world = World(provider("a"))
    served: Served = await world.gateway.chat(call(stream=True), world.context())
    assert await read(served) == [b"one", b"two", b"three"]
    await served.finish()
    assert world.receipts.last.like.status == 200
    assert world.receipts.last.finish == "stop"


@pytest.mark.parametrize("ending", [Kind.STALLED, Kind.TRUNCATED, Kind.FAULT])
async def test_a_stream_that_dies_says_so_in_band_and_counts_as_a_failure(ending):
    world = World(provider("a"), a=[streamed([b"one"], ending=ending)])
    served = await world.gateway.chat(call(stream=True), world.context())
    first, chunk, alone = await read(served)
    await served.finish()
    assert first == b"one"
    assert b'"finish_reason":"error"' in chunk
    assert alone.startswith(b'{"error":{')
    assert world.is_suspect("a/m#k1")
    assert world.receipts.last.like.code == ending.value


@pytest.mark.parametrize("told", [True, False])
async def test_a_stream_that_dies_tells_the_usage_that_it_still_owes(told):
    said = b'{"id":"c7","created":5,"model":"m","choices":[]}'
    sent = streamed([said], ending=Kind.STALLED, usage=Usage(10, 20))
    assert isinstance(sent.stream, ScriptedStream)
    sent.stream.owes_usage = not told
    world = World(provider("a"), a=[sent])
    served = await world.gateway.chat(call(stream=True), world.context())
    _, *counted, _, _ = [msgspec.json.decode(payload) for payload in await read(served)]
    await served.finish()
    usage = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}
    assert [(chunk["id"], chunk["choices"], chunk["usage"]) for chunk in counted] == (
        [] if told else [("c7", [], usage)]
    )


async def test_an_error_in_a_stream_has_the_stream_s_identity():
    said = b'{"id":"c7","created":5,"model":"m","choices":[]}'
    world = World(provider("a"), a=[streamed([said, b'{"id":"other"}'], ending=Kind.STALLED)])
    served = await world.gateway.chat(call(stream=True), world.context())
    *_, error, _ = [msgspec.json.decode(payload) for payload in await read(served)]
    await served.finish()
    assert (error["id"], error["created"], error["model"]) == ("c7", 5, "m")


async def test_a_stream_that_turns_out_not_to_fit_its_schema_says_why_and_is_no_failure():
    unfit = Outcome(Kind.NONCONFORMING, 200, "the answer does not fit the schema: type")
    world = World(provider("a"), a=[streamed([b"one"], ending=unfit)])
    served = await world.gateway.chat(call(stream=True), world.context())
    _, chunk, _ = await read(served)
    await served.finish()
    assert b'"message":"the answer does not fit the schema: type"' in chunk
    assert world.receipts.last.like.code == "nonconforming"
    assert not world.is_suspect("a/m#k1")


async def test_a_caller_that_leaves_midway_aborts_the_stream_and_blames_nobody():
    world = World(provider("a", limits=(TOKENS,)))
    sent = streamed()
    world.upstream.scripts["a"] = [sent]
    served = await world.gateway.chat(call(stream=True), world.context())
    await served.next()
    await served.finish(caller_left=True)
    assert isinstance(sent.stream, ScriptedStream)
    assert sent.stream.aborted
    assert world.counters.in_flight() == 0
    told = world.receipts.last
    assert (told.like.status, told.like.code, told.like.caller_left) == (499, "caller_left", True)
    assert world.used("a") == [30]
    assert not world.is_suspect("a/m#k1")


async def test_a_caller_that_reads_nothing_any_more_is_taken_to_have_left_and_told_apart():
    world = World(provider("a"))
    served = await world.gateway.chat(call(stream=True), world.context())
    await served.next()
    await served.finish(caller_left=True, stalled=True)
    told = world.receipts.last
    assert (told.like.status, told.like.code, told.like.caller_left) == (499, "caller_stalled", True)
    assert [note.kind for note in told.attempts] == [Kind.CALLER_STALLED]
    assert not world.is_suspect("a/m#k1")
    assert world.gateway.tally.providers["a"].failed == 0


async def test_a_stream_that_nobody_read_for_long_is_nobody_s_fault():
    told = "nobody read the answer for 60 s, and its provider gave up"
    world = World(provider("a"), a=[streamed(ending=Outcome(Kind.CALLER_STALLED, detail=told))])
    served = await world.gateway.chat(call(stream=True), world.context())
    assert told.encode() in b"".join(await read(served))
    await served.finish()
    assert (world.receipts.last.like.status, world.receipts.last.like.code) == (200, "caller_stalled")
    assert not world.is_suspect("a/m#k1")


class Passing(ScriptedStream):
    """A stream that offers each of its payloads to go past its reader, and notes whether it may."""

    def __init__(self, *payloads: bytes) -> None:
        super().__init__([[payload] for payload in payloads], Outcome(Kind.SERVED), None)
        self.free: list[bool] = []

    async def next(self):
        self.free.append(self.onward is not None)
        ready = await super().next()
        if self.onward is not None and ready and self.onward(ready[0]):
            return await self.next()
        return ready


@pytest.mark.parametrize("continues", [False, True])
async def test_all_but_the_first_payload_may_go_past_its_reader_unless_it_is_to_be_gone_on_with(
    continues,
):
    stream = Passing(b'{"id":"c7"}', b"{}", b"{}")
    world = World(provider("a"), a=[Sent(Outcome(Kind.SERVED), stream=stream)])
    served = await world.gateway.chat(call(stream=True), world.context(continues=continues))
    past: list[bytes] = []
    served.onward = lambda payload: not past.append(payload)  # type: ignore[func-returns-value]
    assert await read(served) == [b'{"id":"c7"}', *([b"{}"] * 2 if continues else [])]
    await served.finish()
    assert past == ([] if continues else [b"{}"] * 2)
    assert stream.free[:2] == [False, not continues]


class Broken(ScriptedStream):
    """A stream that our own code fails to read after its first events."""

    async def next(self):
        if not self._batches:
            raise KeyError("ours")
        return await super().next()


async def test_a_fault_of_the_gateway_s_own_in_the_middle_is_recorded_as_such_and_blames_nobody():
    said = b'{"id":"c7","created":5,"model":"m","choices":[]}'
    stream = Broken([[said]], Outcome(Kind.SERVED), None)
    world = World(provider("a"), a=[Sent(Outcome(Kind.SERVED), stream=stream)])
    served = await world.gateway.chat(call(stream=True), world.context())
    assert await served.next() == [said]
    with pytest.raises(KeyError):
        await served.next()
    like = served.fail()
    await served.finish()
    assert like is not None
    assert like.id == "c7"
    receipt = world.receipts.last
    assert (receipt.like.status, receipt.like.code, receipt.like.caller_left) == (
        200,
        "internal_error",
        False,
    )
    assert receipt.attempts[-1].kind is Kind.INTERNAL
    assert stream.aborted
    assert world.counters.in_flight() == 0
    assert not world.is_suspect("a/m#k1")
    assert world.gateway.tally.providers["a"].failed == 0


async def test_a_fault_of_ours_after_the_provider_s_end_leaves_what_the_provider_did():
    world = World(provider("a"), a=[streamed([b"one"])])
    served = await world.gateway.chat(call(stream=True), world.context())
    await read(served)
    served.fail()
    await served.finish()
    assert world.receipts.last.like.code == "internal_error"
    assert world.receipts.last.attempts[-1].kind is Kind.SERVED


async def test_finishing_twice_settles_once():
    world = World(provider("a", limits=(TOKENS,)))
    served = await world.ask(stream=True)
    await served.finish()
    assert len(world.receipts.seen) == 1
    assert world.used("a") == [30]


async def test_events_that_could_not_be_read_are_counted_in_the_receipt():
    sent = streamed()
    assert isinstance(sent.stream, ScriptedStream)
    sent.stream.skipped = 3
    world = World(provider("a"), a=[sent])
    await world.ask(stream=True)
    assert world.receipts.last.skipped == 3
    await world.ask()
    assert world.receipts.last.skipped == 0


async def test_a_stream_of_unknown_usage_stays_as_it_was_charged():
    world = World(provider("a", limits=(TOKENS,)), a=[streamed([b"x"], usage=None)])
    await world.ask(stream=True, prompt=70)
    assert world.used("a") == [70]


async def test_real_usage_replaces_the_estimate():
    world = World(provider("a", limits=(TOKENS,)))
    await world.ask(prompt=700)
    assert world.used("a") == [30]


async def test_speed_is_learned_from_answers():
    quick = model("m", first_token=5.0, tokens_per_second=10)
    usage = Usage(10, 100)
    world = World(provider("a", quick), a=[streamed([b"x"], [b"y"], usage=usage)] * 12)
    for _ in range(12):
        served = await world.gateway.chat(call(stream=True), world.context())
        world.clock.advance(1)
        await read(served)
        await served.finish()
    speed = world.gateway.standing.speed(world.candidate("a/m#k1"))
    assert speed.first_token < 1
    assert 80 < speed.rate <= 100


async def test_time_in_which_nobody_read_says_nothing_of_a_candidate_s_rate():
    world = World(provider("a", model(first_token=1.0, tokens_per_second=20)))
    sent = streamed([b"one"], usage=Usage(10, 100))
    world.upstream.scripts["a"] = [sent]
    served = await world.gateway.chat(call(stream=True), world.context())
    world.clock.advance(61)
    assert isinstance(sent.stream, ScriptedStream)
    sent.stream.unread = 60.0
    await read(served)
    await served.finish()
    # 100 tokens in one second move an expectation of 20 a fifth of the way; 100 in 61 s would lower it.
    assert world.gateway.standing.speed(world.candidate("a/m#k1")).rate == pytest.approx(36.0)


@pytest.mark.parametrize(("rate", "seconds"), [(50, 4.0), (1000, 40.0), (2, 0.5)])
async def test_a_json_answer_teaches_how_soon_it_begins_and_how_fast_it_comes(rate, seconds):
    world = World(provider("a", model(first_token=1.0, tokens_per_second=rate)), seconds=seconds)
    for _ in range(30):
        await world.ask()
    speed = world.gateway.standing.speed(world.candidate("a/m#k1"))
    assert speed.first_token + 20 / speed.rate == pytest.approx(seconds, rel=0.25)
    assert (speed.rate < rate) == (speed.first_token > 1.0) == (seconds > 1.0 + 20 / rate)


async def test_a_json_answer_of_no_tokens_teaches_nothing_of_the_rate():
    world = World(provider("a", model(first_token=1.0, tokens_per_second=50)), seconds=4)
    world.upstream.scripts["a"] = [Sent(Outcome(Kind.SERVED), answer=Answer(b"{}", Usage(10, 0), "stop"))]
    await world.ask()
    speed = world.gateway.standing.speed(world.candidate("a/m#k1"))
    assert (speed.rate, speed.first_token > 1.0) == (50, True)


@pytest.mark.parametrize("guessed", [True, False])
async def test_only_what_a_provider_counted_teaches_how_large_prompts_are(guessed):
    told = Usage(500, 20, estimated=guessed)
    world = World(provider("a"), a=[streamed([b"one"], usage=told) for _ in range(20)])
    [candidate] = world.gateway.catalogue.candidates
    before = world.gateway.standing.sized(candidate, Demand(1000)).prompt
    for _ in range(20):
        served = await world.gateway.chat(call(prompt=1000, stream=True), world.context())
        await read(served)
        await served.finish()
    after = world.gateway.standing.sized(candidate, Demand(1000)).prompt
    assert (after == before) is guessed
