"""Ollama's own API: how it fails, and which context a model is loaded with."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.domain.catalogue import Candidate, ErrorRule, Key, Model
from freeroute.domain.outcome import Kind
from freeroute.upstreams.ollama import KEPT, SMALLEST, Contexts, wanted_context
from freeroute.upstreams.transport import Truncated
from tests.support.asking import rest, stream_of
from tests.support.clocks import ManualClock
from tests.support.ollamas import (
    END,
    WHOLE,
    Talk,
    candidate,
    line,
    ndjson,
    overflow,
    refusal,
    sent,
)
from tests.support.transports import json_reply

BUSY = (
    ErrorRule(status=503, contains="loading model", kind="loading"),
    ErrorRule(status=503, kind="no_capacity"),
)


@pytest.mark.parametrize(
    ("status", "body", "kind", "param"),
    [
        (404, refusal("model 'x' not found"), Kind.MODEL_GONE, None),
        (400, refusal("ollama.ai/library/x does not support tools"), Kind.BAD_PARAMETER, "tools"),
        (400, refusal("the input length exceeds the context length"), Kind.CONTEXT_TOO_LONG, None),
        (400, overflow(8192), Kind.CONTEXT_TOO_LONG, None),
        (400, refusal("illegal base64 data at input byte 0"), Kind.REJECTED, None),
        (500, refusal("model requires more system memory (9.1 GiB) than is available"), Kind.FAULT, None),
        (503, refusal("server busy.  maximum pending requests exceeded"), Kind.NO_CAPACITY, None),
        (503, refusal("llm server loading model"), Kind.LOADING, None),
        (200, refusal("an error was encountered while running the model"), Kind.FAULT, None),
        (200, b"{}", Kind.GARBAGE, None),
        (200, b"nonsense", Kind.GARBAGE, None),
        (200, line({}, done=True, done_reason="load"), Kind.EMPTY, None),
        (200, line({"content": "Hi"}), Kind.TRUNCATED, None),
    ],
)  # fmt: skip
async def test_each_refusal_is_understood(status: int, body: bytes, kind: Kind, param: str | None):
    asked = candidate(of={"errors": BUSY})
    outcome = (await Talk(json_reply(body, status)).ask(asked)).outcome
    assert (outcome.kind, outcome.param) == (kind, param)


@pytest.mark.parametrize(
    ("steps", "kind"),
    [
        ((), Kind.EMPTY),
        ((refusal("out of memory") + b"\n",), Kind.FAULT),
        ((b"<<garbage>>\n", b"\x80\n"), Kind.GARBAGE),
        ((b"x" * 1_100_000,), Kind.GARBAGE),
        ((line({}),), Kind.EMPTY),
        ((END,), Kind.EMPTY),
    ],
)
async def test_a_stream_without_a_first_event_is_a_failed_attempt(steps: tuple[bytes, ...], kind: Kind):
    talk = Talk(ndjson(*steps))
    assert (await talk.ask(stream=True)).outcome.kind is kind
    assert talk.transport.exchanges[0].aborted


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        (b"", Kind.TRUNCATED),
        (Truncated("x"), Kind.TRUNCATED),
        (refusal("llama runner process has terminated") + b"\n", Kind.FAULT),
        (b"x" * 1_100_000, Kind.GARBAGE),
    ],
)
async def test_a_stream_that_dies_is_told_from_one_that_ended(step: Any, kind: Kind):
    stream = stream_of(await Talk(ndjson(line({"content": "Hi"}), step)).ask(stream=True))
    assert len(await rest(stream)) == 1
    assert stream.outcome is not None
    assert stream.outcome.kind is kind


@given(st.lists(st.binary(max_size=40) | st.just(END) | st.just(line({"content": "x"})), max_size=6))
async def test_no_bytes_at_all_break_a_stream(steps: list[bytes]):
    answer = await Talk(ndjson(*(step for step in steps if step))).ask(stream=True)
    if answer.stream is not None:
        await rest(answer.stream)
        assert answer.stream.usage is not None


@given(
    prompt=st.integers(1, 400_000),
    bound=st.none() | st.integers(1, 50_000),
    held=st.none() | st.integers(512, 300_000),
    ceiling=st.none() | st.integers(512, 300_000),
)
def test_a_loaded_context_stays_if_it_suffices_and_never_shrinks_or_passes_the_ceiling(
    prompt: int, bound: int | None, held: int | None, ceiling: int | None
):
    asked = wanted_context(prompt, bound, held, ceiling)
    need = prompt + (bound or 1)
    if asked is None:
        assert held is None
        assert need <= SMALLEST
    elif asked != held:
        assert held is None or asked > held
        assert need <= asked or asked == ceiling
        assert asked == ceiling or asked % SMALLEST == 0
        assert ceiling is None or asked <= ceiling


async def test_a_conversation_that_grows_loads_the_model_a_few_times_and_then_stays():
    talk = Talk(*[json_reply(WHOLE)] * 6)
    asked: list[int | None] = []
    for size in (10, 20_000, 15_000, 40_000, 10, 10):
        if len(asked) == 5:
            talk.clock.advance(KEPT)  # and nobody needed it, so it is unloaded
        await talk.ask(messages=[{"role": "user", "content": "x" * size}])
        asked.append(talk.sent["options"].get("num_ctx"))
    assert asked == [None, 8192, 8192, 16384, 16384, None]


async def test_a_context_that_could_not_be_loaded_is_not_kept():
    talk = Talk(json_reply(refusal("not enough memory"), 500), json_reply(WHOLE))
    await talk.ask(messages=[{"role": "user", "content": "x" * 20_000}])
    await talk.ask()
    assert "num_ctx" not in talk.sent["options"]


async def test_what_the_server_has_loaded_is_asked_for_again():
    body = await sent(candidate(default_context=16_384))
    assert body["options"] == {"num_ctx": 16_384}


async def test_an_overflow_of_what_was_loaded_teaches_nothing_of_the_model():
    learned = [
        (await Talk(json_reply(overflow(size), 400)).ask(candidate(context=context))).outcome.context
        for size, context in ((4096, 32_768), (32_768, 32_768), (4096, None))
    ]
    assert learned == [None, 32_768, None]


def test_no_more_contexts_are_remembered_than_there_are_models():
    contexts, now = Contexts(), ManualClock().now()
    models = [Candidate(candidate().provider, Model(str(n), "f"), Key("", "k"), "c", ()) for n in range(301)]
    for one in models:
        contexts.used(one, 8192, now)
    assert [contexts.held(one, now) for one in (models[0], models[1])] == [None, 8192]
