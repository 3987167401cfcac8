"""A stream whose provider dies in the middle is gone on with by another candidate, if that is wanted."""

import msgspec
import pytest

from freeroute.domain.catalogue import Limit, Quirks, Unit
from freeroute.domain.outcome import PREFILL, Kind, Outcome
from freeroute.domain.usage import Usage
from freeroute.engine.attempts import Routing
from tests.support.world import PER_MINUTE, World, call, model, provider, read, streamed

TOKENS = Limit(Unit.TOKENS, 1000, 60.0, span="minute")
PREFILLED = Quirks(prefill="trailing_assistant")
BEGUN = "The quick brown fox"


def chunk(text, *, by="a", finish=None, **delta) -> bytes:
    delta |= {} if text is None else {"content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return msgspec.json.encode({"id": f"id-{by}", "created": 1, "model": by, "choices": [choice]})


def says(*texts, by="b", ending=Kind.SERVED, **given):
    """Return a stream of *texts* that finishes, or ends in *ending*."""
    chunks = [[chunk(text, by=by)] for text in texts]
    if ending is Kind.SERVED:
        chunks.append([chunk(None, by=by, finish="stop")])
    return streamed(*chunks, ending=ending, **given)


def dies(*texts, ending=Kind.STALLED, **given):
    return says(*(texts or (BEGUN,)), by="a", ending=ending, **given)


def several(*, given=True, limits=(PER_MINUTE, TOKENS), routing=None, **scripts) -> World:
    """Return a world of three providers, asked in the order of their names."""
    quirks = PREFILLED if given else Quirks()
    names = {"a": 90, "b": 70, "c": 50}
    places = [
        provider(name, model(quality=quality), limits=limits, quirks=quirks)
        for name, quality in names.items()
    ]
    return World(*places, routing=routing, **scripts)


def asking(**given):
    return call("free-smart", stream=True, **given)


class Heard:
    """What a caller got of a stream."""

    def __init__(self, payloads) -> None:
        self.chunks = [msgspec.json.decode(payload) for payload in payloads]

    @property
    def text(self) -> str:
        return "".join(
            choice["delta"].get("content") or "" for c in self.chunks for choice in c.get("choices", ())
        )

    @property
    def error(self):
        return self.chunks[-1].get("error")

    @property
    def mark(self):
        return self.chunks[-1].get("freeroute")

    @property
    def identities(self):
        return {(c["id"], c["created"], c["model"]) for c in self.chunks}


async def hear(world: World, *, continues=True, context=None, **given) -> Heard:
    served = await world.gateway.chat(asking(**given), context or world.context(continues=continues))
    payloads = await read(served)
    await served.finish()
    assert world.counters.in_flight() == 0
    return Heard(payloads)


CURABLE = [Kind.STALLED, Kind.TRUNCATED, Kind.FAULT, Kind.RATE_LIMITED, Kind.CALLER_STALLED]


@pytest.mark.parametrize("ending", CURABLE)
async def test_another_candidate_goes_on_with_the_text_so_far(ending):
    world = several(a=[dies("The quick", " brown", ending=ending)], b=[says(" fox", " jumps")])
    heard = await hear(world)
    assert heard.text == "The quick brown fox jumps"
    assert (heard.error, heard.identities) == (None, {("id-a", 1, "a")})
    assert heard.mark == {"continued": [{"provider": "b", "model": "m", "from": 15}]}
    assert world.upstream.calls[1].begun == "The quick brown"


async def test_both_calls_are_charged_judged_and_told_of():
    world = several(a=[dies(usage=Usage(10, 5))], b=[says(" jumps", usage=Usage(14, 2))])
    await hear(world)
    assert (world.used("a"), world.used("b"), world.used("c")) == ([1, 15], [1, 16], [0, 0])
    assert world.is_suspect("a/m#k1")
    assert not world.is_suspect("b/m#k1")
    receipt = world.receipts.last
    assert world.trail == [("a", Kind.STALLED), ("b", Kind.SERVED)]
    assert (receipt.like.status, receipt.like.code, receipt.like.provider, receipt.finish) == (
        200,
        None,
        "b",
        "stop",
    )
    assert (receipt.usage, receipt.continued) == (Usage(24, 7), 1)


async def test_a_replay_is_spliced_on_once_it_said_the_same():
    world = several(given=False, a=[dies()], b=[says("The quick ", "brown fox jump", "s over")])
    heard = await hear(world)
    assert heard.text == "The quick brown fox jumps over"
    assert [c["choices"][0]["delta"].get("content") for c in heard.chunks] == [BEGUN, " jump", "s over", None]
    assert world.trail == [("a", Kind.STALLED), ("b", Kind.SERVED)]


async def test_a_replay_that_says_something_else_is_nobody_s_fault_and_the_next_is_asked():
    another, same = says("The quick dog", " barks"), says(BEGUN, " jumps")
    world = several(given=False, a=[dies()], b=[another], c=[same])
    heard = await hear(world)
    assert heard.text == "The quick brown fox jumps"
    assert another.stream.aborted
    assert world.trail == [("a", Kind.STALLED), ("b", Kind.DIVERGED), ("c", Kind.SERVED)]
    assert [world.is_suspect(f"{name}/m#k1") for name in "abc"] == [True, False, False]
    assert world.used("b") == [1, 30]
    assert world.receipts.last.usage == Usage(30, 60)


async def test_the_beginning_of_a_tool_call_in_the_text_is_not_gone_on_with():
    broken = dies("Let me look. ", '<tool_call>{"na')
    broken.stream.held = True
    world = several(a=[broken], b=[says(" jumps")])
    heard = await hear(world)
    assert heard.error["code"] == "upstream_failed"
    assert world.trail == [("a", Kind.STALLED)]


async def test_when_nobody_says_the_same_the_stream_ends_honestly():
    world = several(given=False, a=[dies()], b=[says("A dog")], c=[says("A cat")])
    heard = await hear(world)
    assert heard.text == BEGUN
    assert heard.error["message"] == "the provider stopped in the middle of its answer: stalled"
    assert heard.mark is None
    receipt = world.receipts.last
    assert (receipt.like.code, receipt.like.provider, receipt.continued) == ("stalled", "a", 2)


async def test_who_can_be_given_the_beginning_is_asked_first():
    places = [
        provider("a", model(quality=90), quirks=PREFILLED),
        provider("b", model(quality=70)),
        provider("c", model(quality=50), quirks=PREFILLED),
    ]
    world = World(*places, a=[dies()], c=[says(" jumps")])
    assert (await hear(world)).text == "The quick brown fox jumps"
    assert world.upstream.providers_asked == ["a", "c"]


async def test_a_model_that_thinks_first_is_not_given_the_beginning():
    thinks = model(quality=90, capabilities={"reasoning"})
    places = [provider("a", thinks, quirks=PREFILLED), provider("b", thinks, quirks=PREFILLED)]
    world = World(*places, a=[dies()], b=[says(BEGUN, " jumps")])
    assert (await hear(world)).text == "The quick brown fox jumps"


async def test_who_refused_to_go_on_is_spared_it_from_then_on():
    refusal = Outcome(Kind.BAD_PARAMETER, 400, param=PREFILL)
    world = several(a=[dies(), dies()], b=[refusal], c=[says(" jumps"), says(" sleeps")])
    assert (await hear(world)).text == "The quick brown fox jumps"
    world.clock.advance(120)
    assert (await hear(world)).text == "The quick brown fox sleeps"
    assert world.upstream.providers_asked == ["a", "b", "c", "a", "c"]


async def test_the_beginning_counts_as_prompt():
    world = several(a=[dies("x" * 36)], b=[says(" jumps", usage=None)])
    await hear(world, prompt=100)
    assert world.upstream.calls[1].demand.prompt == 110
    assert world.used("b") == [1, 110]


async def test_an_answer_is_gone_on_with_more_than_once():
    world = several(a=[dies("one")], b=[dies(" two", ending=Kind.TRUNCATED)], c=[says(" three")])
    heard = await hear(world)
    assert heard.text == "one two three"
    assert [by["provider"] for by in heard.mark["continued"]] == ["b", "c"]
    assert [by["from"] for by in heard.mark["continued"]] == [3, 7]


async def test_but_three_times_at_most():
    names = "abcdef"
    places = [provider(name, quirks=PREFILLED) for name in names]
    world = World(*places, **{name: [dies(name)] for name in names})
    heard = await hear(world)
    assert (heard.text, len(world.upstream.asked)) == ("abcd", 4)
    assert heard.error["code"] == "upstream_failed"
    assert world.receipts.last.continued == 3


async def test_attempts_are_bounded_over_all_of_the_answer():
    world = several(routing=Routing(max_attempts=2), a=[dies()], b=[Kind.FAULT])
    assert (await hear(world)).error["code"] == "upstream_failed"
    assert world.trail == [("a", Kind.STALLED), ("b", Kind.FAULT)]
    assert world.receipts.last.like.provider == "a"


async def test_what_fails_before_it_goes_on_is_passed_over():
    world = several(a=[dies()], b=[Kind.FAULT], c=[says(" jumps")])
    assert (await hear(world)).text == "The quick brown fox jumps"
    assert world.trail == [("a", Kind.STALLED), ("b", Kind.FAULT), ("c", Kind.SERVED)]


async def test_nothing_starts_after_the_deadline():
    world = several(routing=Routing(deadline=10), a=[dies()])
    served = await world.gateway.chat(asking(), world.context(continues=True))
    await served.next()
    world.clock.advance(11)
    assert Heard(await served.next()).error["code"] == "upstream_failed"
    await served.finish()
    assert world.upstream.providers_asked == ["a"]


async def test_the_same_model_is_not_asked_again_with_another_key():
    world = World(provider("a", keys=("k1", "k2"), quirks=PREFILLED), a=[dies()])
    assert (await hear(world)).error["code"] == "upstream_failed"
    assert len(world.upstream.asked) == 1


async def test_a_death_among_thoughts_lets_the_next_begin_anew():
    thought = chunk(None, by="a", reasoning_content="hm")
    thinks = [[chunk(None, by="b", reasoning_content="so")], [chunk("one", by="b", finish="stop")]]
    world = several(given=False, a=[streamed([thought], ending=Kind.STALLED)], b=[streamed(*thinks)])
    heard = await hear(world)
    thoughts = [c["choices"][0]["delta"].get("reasoning_content") for c in heard.chunks]
    assert (thoughts, heard.text) == (["hm", "so", None], "one")
    assert world.upstream.calls[1].begun == ""


@pytest.mark.parametrize(
    "first",
    [
        dies(ending=Kind.FILTERED),
        dies(ending=Kind.GARBAGE),
        streamed([chunk(None, tool_calls=[{"index": 0, "id": "c"}])], ending=Kind.STALLED),
    ],
    ids=["filtered", "without end", "tool call"],
)
async def test_some_streams_are_not_gone_on_with(first):
    world = several(a=[first])
    assert (await hear(world)).error["code"] == "upstream_failed"
    assert world.upstream.providers_asked == ["a"]


@pytest.mark.parametrize(
    ("setting", "wish", "strict", "goes_on"),
    [
        (False, None, False, False),
        (False, True, False, True),
        (True, None, False, True),
        (True, False, False, False),
        (True, True, True, False),
    ],
)
async def test_only_who_wants_it_gets_it(setting, wish, strict, goes_on):
    world = several(routing=Routing(continue_streams=setting), a=[dies()], b=[says(" jumps")])
    await hear(world, context=world.context(continues=wish, strict=strict))
    assert (len(world.upstream.asked) > 1) is goes_on


async def test_json_answers_and_structured_streams_are_left_alone():
    for given in ({"needs": ["json_object"]}, {"features": frozenset({"n"})}):
        able = model(capabilities={"json_object"})
        world = World(provider("a", able), provider("b", able), a=[dies()])
        assert (await hear(world, **given)).error["code"] == "upstream_failed"
    world = several()
    await world.ask(context=world.context(continues=True))
    assert world.receipts.last.like.status == 200


async def test_a_conversation_stays_with_who_went_on():
    world = several(a=[dies()], b=[says(" jumps")])
    context = world.context(continues=True, session="s")
    await hear(world, context=context)
    key = world.gateway.affinity.key(context.queue, "s", 0)
    assert world.gateway.affinity.preferred(key, 60, world.clock.now()) == "b/m#k1"


async def test_a_caller_that_leaves_while_another_is_verified_blames_nobody():
    world = several(given=False, a=[dies()], b=[says("The quick"), says("x")])
    served = await world.gateway.chat(asking(), world.context(continues=True))
    await served.next()
    second = world.upstream.scripts["b"][0].stream

    async def gone():
        raise ConnectionResetError

    second.next = gone
    with pytest.raises(ConnectionResetError):
        await served.next()
    await served.finish(caller_left=True)
    assert (second.aborted, world.counters.in_flight()) == (True, 0)
    assert world.trail == [("a", Kind.STALLED), ("b", Kind.CALLER_LEFT)]
    assert not world.is_suspect("b/m#k1")


async def test_the_rest_of_the_world_sees_an_outcome_of_its_own():
    outcome = Outcome(Kind.STALLED, 200, "silent for 30 s")
    world = several(a=[streamed([chunk(BEGUN)], ending=outcome)], b=[says(" jumps")])
    await hear(world)
    assert world.receipts.last.attempts[0].detail == "silent for 30 s"
