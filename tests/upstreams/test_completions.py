"""Completions of a text: what goes up, and that what comes back is told as a chat."""

from typing import Any

import msgspec
import pytest

from freeroute.domain.catalogue import Quirks
from freeroute.domain.outcome import Kind
from freeroute.domain.tasks import Task
from freeroute.errors import InvalidRequest
from freeroute.upstreams.openai import OpenAiUpstream
from freeroute.wire.asking import asked_for, completion_of
from tests.support.asking import DONE, SECRET, TERMS, candidate, rest
from tests.support.clocks import ManualClock
from tests.support.transports import PlayedTransport, json_reply, sse_reply

CHOICE = {"index": 0, "text": "return a + b", "finish_reason": "stop", "logprobs": None}
HEAD = {"id": "c", "object": "text_completion", "created": 1, "model": "m"}
USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


def call(**fields: Any):
    body = {"model": "coder", "prompt": "def add(a, b):\n    ", "suffix": "\n\nprint(add(1, 2))", **fields}
    return completion_of(asked_for(Task.COMPLETIONS, msgspec.json.encode(body), wanted="model and prompt"))


async def ask(transport: PlayedTransport, asked=None, **fields: Any):
    return await OpenAiUpstream(transport, ManualClock()).send(call(**fields), asked or candidate(), TERMS)


async def test_a_text_and_its_end_go_up_and_the_middle_comes_back():
    transport = PlayedTransport(
        json_reply(msgspec.json.encode({**HEAD, "choices": [CHOICE], "usage": USAGE}))
    )
    sent = await ask(transport, max_tokens=9)
    assert sent.outcome.kind is Kind.SERVED
    told = msgspec.json.decode(sent.answer.body)
    assert told["object"] == "chat.completion"
    assert told["choices"][0]["message"] == {"role": "assistant", "content": "return a + b"}
    assert sent.answer.usage.completion == 4
    assert transport.sent[0].url == "https://api.example/openai/v1/completions"
    assert transport.sent[0].headers["authorization"] == f"Bearer {SECRET}"
    assert msgspec.json.decode(transport.sent[0].body) == {
        "model": "vendor/big",
        "prompt": "def add(a, b):\n    ",
        "suffix": "\n\nprint(add(1, 2))",
        "max_tokens": 9,
    }


async def test_a_provider_that_takes_few_fields_takes_these_and_may_have_them_elsewhere():
    quirks = Quirks(accepts=("temperature",), renames={"seed": "random_seed"}, stream_usage=False)
    asked = candidate(quirks=quirks, paths={Task.COMPLETIONS: "/fim/completions"})
    message = {"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}
    transport = PlayedTransport(json_reply(msgspec.json.encode({**HEAD, "choices": [message]})))
    sent = await ask(transport, asked, temperature=0, user="me")
    assert sent.dropped == ("user",)
    assert transport.sent[0].url.endswith("/openai/v1/fim/completions")
    assert set(msgspec.json.decode(transport.sent[0].body)) == {"model", "prompt", "suffix", "temperature"}


async def test_a_stream_is_told_in_chunks_of_a_chat():
    texts = [{**CHOICE, "text": text, "finish_reason": None} for text in ("return", " a + b")]
    last = {**CHOICE, "text": ""}
    events = [{**HEAD, "choices": [choice]} for choice in (*texts, last)]
    steps = [b"data: " + msgspec.json.encode(event) + b"\n\n" for event in events]
    sent = await ask(PlayedTransport(sse_reply(*steps, DONE)), stream=True)
    assert sent.stream is not None
    chunks = [msgspec.json.decode(payload) for payload in await rest(sent.stream)]
    said = [chunk["choices"][0]["delta"].get("content") for chunk in chunks if chunk["choices"]]
    assert "".join(filter(None, said)) == "return a + b"
    assert sent.stream.finish == "stop"


@pytest.mark.parametrize("form", ["right", "wrong"])
async def test_log_probabilities_are_told_in_the_form_of_completions(form):
    right = {"tokens": ["x"], "token_logprobs": [None], "top_logprobs": [{"x": -0.1}], "text_offset": [0]}
    given, told = (right, right) if form == "right" else ({"tokens": "x"}, None)
    body = msgspec.json.encode({**HEAD, "choices": [{**CHOICE, "logprobs": given}], "usage": USAGE})
    whole = await ask(PlayedTransport(json_reply(body)))
    assert msgspec.json.decode(whole.answer.body)["choices"][0]["logprobs"] == told
    sent = await ask(PlayedTransport(sse_reply(b"data: " + body + b"\n\n", DONE)), stream=True)
    chunks = [msgspec.json.decode(payload) for payload in await rest(sent.stream)]
    found = [choice["logprobs"] for one in chunks for choice in one["choices"] if "logprobs" in choice]
    assert found[:1] == [told]


async def test_nothing_may_belong_between():
    body = msgspec.json.encode({**HEAD, "choices": [{**CHOICE, "text": ""}], "usage": USAGE})
    assert (await ask(PlayedTransport(json_reply(body)))).outcome.kind is Kind.SERVED


@pytest.mark.parametrize("body", [b"{}", b'{"choices":[1]}', b"[]", b"nothing", b'{"choices":[{"index":0}]}'])
async def test_what_is_no_completion_is_none(body):
    assert (await ask(PlayedTransport(json_reply(body)))).outcome.kind in {Kind.GARBAGE, Kind.EMPTY}


def test_what_a_completion_asks_for_is_read():
    asked = call(stream=True, stream_options={"include_usage": True}, n=2, max_tokens=5)
    assert (asked.task, asked.stream, asked.include_usage, asked.choices) == (Task.COMPLETIONS, True, True, 2)
    assert asked.demand.max_output == 5


@pytest.mark.parametrize(
    ("fields", "param"), [({"prompt": None}, "prompt"), ({"n": 0}, "n"), ({"suffix": 1}, "suffix")]
)
def test_what_is_wrong_about_a_completion_is_named(fields, param):
    with pytest.raises(InvalidRequest) as caught:
        call(**fields)
    assert caught.value.param == param
