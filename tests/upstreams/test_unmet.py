"""What a stream does not honour of what was asked: told at its end, or another candidate's matter."""

from typing import Any

import msgspec
import pytest

from freeroute.domain.outcome import Kind
from freeroute.engine.ports import Sent
from freeroute.upstreams.bodies import ANSWER_LIMIT
from freeroute.upstreams.transport import Truncated
from tests.support.asking import COUNTED, DONE, HI, STOP, TERMS, event, rest, stream_of, streamed
from tests.support.transports import HANG, Step
from tests.support.virtual import run

MEASURED = {"content": [{"token": "Hi", "logprob": -0.1, "bytes": None, "top_logprobs": []}]}


def part(
    index: int = 0, text: str | None = None, finish: str | None = None, logprobs: object = None
) -> bytes:
    delta = {} if text is None else {"content": text}
    choice = {"index": index, "delta": delta, "finish_reason": finish, "logprobs": logprobs}
    return event(choices=[choice])


@pytest.mark.parametrize(
    ("asked", "steps", "at_once", "at_last"),
    [
        ({"n": 2}, [part(0, "a"), part(0, finish="stop")], (), ["n"]),
        ({"n": 2}, [part(0, "a"), part(1, "b"), part(1, finish="stop"), part(0, finish="stop")], (), None),
        ({"n": 2}, [part(0, "a"), part(0, finish="stop"), part(1, "b"), part(1, finish="stop")], (), None),
        ({"n": 2}, [part(0, "a", "stop")], (), ["n"]),
        ({"n": 1}, [part(0, "a"), part(0, finish="stop")], (), None),
        ({"logprobs": True}, [part(0, "a"), part(0, finish="stop")], ("logprobs",), ["logprobs"]),
        ({"logprobs": True}, [part(0, "a", logprobs=MEASURED), part(0, finish="stop")], (), None),
        ({"logprobs": True, "n": 3}, [part(0, "a"), part(0, "", "stop")], ("logprobs",), ["logprobs", "n"]),
    ],
)
@pytest.mark.parametrize("counted", [False, True])
async def test_what_a_stream_does_not_honour_is_told_by_its_last_chunk(
    asked, steps, at_once, at_last, counted
):
    options: dict[str, Any] = {"stream_options": {"include_usage": counted}}
    sent = await streamed(*steps, COUNTED, DONE, **asked, **options)
    assert sent.dropped == at_once
    stream = stream_of(sent)
    told = await rest(stream)
    *others, last = [msgspec.json.decode(payload) for payload in told]
    assert len(told) == len(steps) + counted
    assert not any("freeroute" in chunk for chunk in others)
    assert last.get("freeroute") == (None if at_last is None else {"dropped": at_last})
    assert stream.lost == tuple(at_last or ())


async def test_no_chunk_waits_for_the_next_while_a_choice_goes_on():
    sent = await streamed(part(0, "a"), part(1, "b"), part(0, finish="stop"), HANG, n=2)
    stream = stream_of(sent)
    told = [payload for _ in range(3) for payload in await stream.next()]
    assert len(told) == 3
    stream.abort()
    assert stream.lost == ()


async def test_a_stream_that_shows_at_once_that_it_does_not_honour_what_the_caller_insists_on_is_none():
    insisting: dict[str, Any] = {"logprobs": True, "provider": {"require_parameters": True}}
    outcome = (await streamed(HI, STOP, DONE, **insisting)).outcome
    assert (outcome.kind, outcome.param, outcome.status) == (Kind.BAD_PARAMETER, "logprobs", 200)


# --- what its caller insists on ----------------------------------------------------------------------------

THOUGHT = event({"reasoning_content": "Hm."})
CALLED = event({"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "f"}}]})


async def insisted(*steps: Step, **fields: Any) -> Sent:
    return await streamed(*steps, **fields, provider={"require_parameters": True})


@pytest.mark.parametrize(
    ("asked", "steps", "lost"),
    [
        ({"n": 2}, [part(0, "a"), part(0, finish="stop"), DONE], "n"),
        ({"n": 3}, [part(0, "a"), part(1, "b"), part(0, finish="stop"), part(1, finish="stop")], "n"),
        ({"logprobs": True}, [part(0, "a"), HANG], "logprobs"),
        ({"logprobs": True}, [THOUGHT, THOUGHT, part(0, "a"), HANG], "logprobs"),
        ({"n": 2, "logprobs": True}, [part(0, "a", logprobs=MEASURED), part(1, "b"), HANG], "logprobs"),
    ],
)
async def test_another_candidate_is_asked_before_anything_shows(asked, steps, lost):
    outcome = (await insisted(*steps, **asked)).outcome
    assert (outcome.kind, outcome.param, outcome.status) == (Kind.BAD_PARAMETER, lost, 200)
    assert outcome.counted


@pytest.mark.parametrize(
    ("asked", "steps", "held"),
    [
        ({"n": 2}, [part(0, "a"), part(0, "b"), part(1, "c"), HANG], 3),
        ({"logprobs": True}, [part(0, "a", logprobs=MEASURED), HANG], 1),
        ({"logprobs": True}, [THOUGHT, part(0, "a", logprobs=MEASURED), HANG], 2),
        ({"logprobs": True}, [THOUGHT, CALLED, HANG], 2),
        ({"logprobs": True}, [event({"refusal": "No."}), HANG], 1),
        ({"n": 1, "logprobs": False}, [THOUGHT, HANG], 1),
    ],
)
async def test_a_stream_flows_as_soon_as_it_has_shown_what_is_insisted_on(asked, steps, held):
    stream = stream_of(await insisted(*steps, **asked))
    assert len(await stream.next()) == held
    stream.abort()


def test_what_it_shows_may_take_longer_than_a_first_event():
    async def scene():
        terms = msgspec.structs.replace(TERMS, first_event=1.5, between_events=1.0)
        steps = (part(0, "a"), 0.9, part(0, "b"), 0.9, part(1, "c"), part(0, finish="stop"))
        options: dict[str, Any] = {"n": 2, "provider": {"require_parameters": True}, "terms": terms}
        sent = await streamed(*steps, part(1, finish="stop"), DONE, **options)
        assert len(await rest(stream_of(sent))) == 5
        silent = await streamed(part(0, "a"), HANG, **options)
        assert silent.outcome.kind is Kind.STALLED

    run(scene())


@pytest.mark.parametrize(
    ("steps", "kind"),
    [
        ([part(0, "a"), Truncated("x")], Kind.TRUNCATED),
        ([part(0, "a")], Kind.TRUNCATED),
        ([part(0, "a"), b'data: {"error":{"code":429,"message":"x"}}\n\n'], Kind.RATE_LIMITED),
        ([part(0, "x" * 2**20)] * (ANSWER_LIMIT // 2**20 + 1), Kind.GARBAGE),
    ],
)
async def test_what_breaks_before_it_has_shown_that_was_never_begun(steps, kind):
    assert (await insisted(*steps, n=2)).outcome.kind is kind
