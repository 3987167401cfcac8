"""OpenAI's older completions: who gets a text as it is, who is asked by chat, and how it is told."""

import json
from typing import Any

import msgspec
import pytest

from freeroute.domain.tasks import Task
from freeroute.errors import UpstreamFailed
from freeroute.wire.answers import error_events
from tests.support.gateways import FakeServed

PATH = "/v1/completions"
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
HEAD = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m"}


def answer(*texts: str, **more: Any) -> bytes:
    choices = [
        {"index": at, "message": {"role": "assistant", "content": text}, "finish_reason": "stop", **more}
        for at, text in enumerate(texts)
    ]
    return json.dumps({**HEAD, "choices": choices, "usage": USAGE}).encode()


def chunk(text: str | None, finish: str | None = None, index: int = 0) -> bytes:
    choice = {"index": index, "delta": {} if text is None else {"content": text}, "finish_reason": finish}
    return json.dumps({**HEAD, "object": "chat.completion.chunk", "choices": [choice]}).encode()


@pytest.fixture
def complete(ask, gateway):
    async def complete(served=None, **fields):
        gateway.answer = served or FakeServed(answer("!"))
        async with ask() as client:
            return await client.post(PATH, json={"model": "free", "prompt": "Hi", **fields})

    return complete


def events(reply) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in reply.text.split("\n\n") if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


async def test_a_text_is_asked_by_chat_as_what_the_user_says(complete, gateway):
    reply = await complete(prompt=["Hi"], n=2, max_tokens=3, best_of=1)
    [(call, context)] = gateway.calls
    assert (call.task, call.choices, context.surface) == (Task.CHAT, 2, "completions")
    assert msgspec.json.decode(call.fields["messages"]) == [{"role": "user", "content": "Hi"}]
    assert not {"prompt", "best_of"} & call.fields.keys()
    assert reply.json() == {
        "id": "c1",
        "object": "text_completion",
        "created": 1,
        "model": "m",
        "choices": [{"text": "!", "index": 0, "logprobs": None, "finish_reason": "stop"}],
        "usage": USAGE,
    }


async def test_whoever_goes_on_with_texts_gets_it_as_it_is(complete, gateway):
    logprobs = {"tokens": ["!"], "token_logprobs": [-0.1], "top_logprobs": None, "text_offset": [0]}
    reply = await complete(FakeServed(answer("!", logprobs=logprobs)), model="code", logprobs=1, echo=True)
    [(call, _)] = gateway.calls
    assert call.task is Task.COMPLETIONS
    assert {name: msgspec.json.decode(call.fields[name]) for name in ("prompt", "logprobs", "echo")} == {
        "prompt": "Hi",
        "logprobs": 1,
        "echo": True,
    }
    [choice] = reply.json()["choices"]
    assert (choice["text"], choice["logprobs"]) == ("!", logprobs)


async def test_a_stream_tells_the_log_probabilities_of_its_pieces(complete):
    logprobs = {"tokens": ["a"], "token_logprobs": [-0.1], "top_logprobs": None, "text_offset": [0]}
    first = json.loads(chunk("a"))
    first["choices"][0]["logprobs"] = logprobs
    batches = [[json.dumps(first).encode(), chunk(None, "stop")]]
    told = events(await complete(FakeServed(batches=batches), model="code", logprobs=1, stream=True))
    assert [one["choices"][0]["logprobs"] for one in told] == [logprobs, None]


async def test_the_middle_is_filled_in_by_whoever_can(complete, gateway):
    await complete(suffix="end")
    [(call, _)] = gateway.calls
    assert call.task is Task.COMPLETIONS
    assert msgspec.json.decode(call.fields["suffix"]) == "end"


async def test_an_echo_comes_before_each_choice(complete):
    assert [
        one["text"] for one in (await complete(FakeServed(answer("a", "b")), echo=True)).json()["choices"]
    ] == [
        "Hia",
        "Hib",
    ]
    batches = [[chunk("a"), chunk("b", index=1)], [chunk("c"), chunk(None, "stop")]]
    told = events(await complete(FakeServed(batches=batches), echo=True, stream=True))
    texts = [(one["choices"][0]["index"], one["choices"][0]["text"]) for one in told]
    assert texts == [(0, "Hia"), (1, "Hib"), (0, "c"), (0, "")]


async def test_a_stream_tells_pieces_of_text_its_end_and_its_usage(complete):
    counted = json.dumps({**HEAD, "choices": [], "usage": USAGE}).encode()
    batches = [[chunk(None), chunk("a")], [chunk("b"), chunk(None, "length"), counted]]
    first, second, last, usage = events(await complete(FakeServed(batches=batches), stream=True))
    assert first["object"] == "text_completion"
    assert first["choices"] == [{"text": "a", "index": 0, "logprobs": None, "finish_reason": None}]
    assert second["choices"][0]["text"] == "b"
    assert last["choices"][0]["finish_reason"] == "length"
    assert (usage["choices"], usage["usage"]) == ([], USAGE)


async def test_a_refusal_is_told_as_text(complete):
    refused = json.loads(answer("x"))
    refused["choices"][0]["message"] = {"role": "assistant", "content": None, "refusal": "No."}
    reply = await complete(FakeServed(json.dumps(refused).encode()))
    assert reply.json()["choices"][0]["text"] == "No."
    piece = json.loads(chunk(None))
    piece["choices"][0]["delta"] = {"refusal": "No."}
    told = events(
        await complete(FakeServed(batches=[[json.dumps(piece).encode(), chunk(None, "stop")]]), stream=True)
    )
    assert [one["choices"][0]["text"] for one in told] == ["No.", ""]


async def test_parts_of_text_are_told_as_text(complete):
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
        {"type": "text", "text": "!"},
    ]
    whole = json.loads(answer("x"))
    whole["choices"][0]["message"]["content"] = parts
    reply = await complete(FakeServed(json.dumps(whole).encode()))
    assert reply.json()["choices"][0]["text"] == "!"


@pytest.mark.parametrize("broken", [error_events("It broke.", code="x"), UpstreamFailed("It broke.")])
async def test_an_error_in_the_middle_is_told_once(complete, broken):
    batch = broken if isinstance(broken, Exception) else [*broken]
    told = events(await complete(FakeServed(batches=[[chunk("a")], batch]), stream=True))
    assert [one.get("error", {}).get("message") for one in told] == [None, "It broke."]


@pytest.mark.parametrize(
    ("fields", "param", "reason"),
    [
        ({"prompt": None}, "prompt", "prompt is missing"),
        ({"prompt": ["a", "b"]}, "prompt", "one text in each request"),
        ({"prompt": [1, 2]}, "prompt", "one text in each request"),
        ({"prompt": [1]}, "prompt[0]", "Expected `str`, got `int`"),
        ({"prompt": 5}, "prompt", "got `int`"),
        ({"suffix": 5}, "suffix", "Expected `str`"),
        ({"best_of": 2}, "best_of", "capability `completions`"),
        ({"logprobs": 0}, "logprobs", "capability `completions`"),
        ({"temperature": 9}, "temperature", "between 0 and 2"),
        ({"model": None}, "model", "model is missing"),
        ({"models": ["a"]}, "models", "one model at a time"),
    ],
)
async def test_what_cannot_be_asked_is_refused(complete, gateway, fields, param, reason):
    reply = await complete(**fields)
    error = reply.json()["error"]
    assert (reply.status_code, error["param"]) == (400, param)
    assert reason in error["message"]
    assert not gateway.calls
