"""Answers that have to fit a schema: how models are asked for them, and what becomes of those that do not."""

from typing import Any

import msgspec
import pytest
from msgspec import structs

from freeroute.domain.catalogue import Candidate, Quirks
from freeroute.domain.outcome import Kind
from freeroute.upstreams.structured import CHECKED
from tests.support import asking
from tests.support.asking import DONE, STOP, ask, event, rest, stream_of, texts
from tests.support.transports import PlayedTransport, json_reply, sse_reply

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
FORM = {"type": "json_schema", "json_schema": {"name": "count", "schema": SCHEMA}}


def candidate(*capabilities: str, **facts: Any) -> Candidate:
    made = asking.candidate(**facts)
    return structs.replace(made, model=structs.replace(made.model, capabilities=frozenset(capabilities)))


NATIVE = candidate("json_object", "json_schema")
PLAIN = candidate("json_object")


def answer(content: Any, finish: str = "stop", **said: Any) -> bytes:
    message = {"role": "assistant", "content": content, **said}
    return msgspec.json.encode(
        {"id": "c", "choices": [{"index": 0, "message": message, "finish_reason": finish}]}
    )


async def sent_up(asked: Candidate, **fields: Any) -> dict[str, Any]:
    transport = PlayedTransport(json_reply(answer('{"n":1}')))
    await ask(transport, asked=asked, response_format=FORM, **fields)
    body: dict[str, Any] = msgspec.json.decode(transport.sent[0].body)
    return body


async def test_a_model_that_knows_schemas_gets_the_callers_own():
    body = await sent_up(NATIVE)
    assert body["response_format"] == FORM
    assert len(body["messages"]) == 1


async def test_a_model_that_only_writes_json_is_told_the_schema():
    body = await sent_up(PLAIN)
    assert body["response_format"] == {"type": "json_object"}
    told, question = body["messages"]
    assert told["role"] == "system"
    assert msgspec.json.encode(SCHEMA).decode() in told["content"]
    assert "JSON" in told["content"]
    assert question == {"role": "user", "content": "Hello!"}


@pytest.mark.parametrize("role", ["system", "developer"])
@pytest.mark.parametrize("content", ["Be brief.", [{"type": "text", "text": "Be brief."}]])
async def test_the_schema_is_told_after_what_the_system_says(role, content):
    messages = [{"role": role, "content": content}, {"role": "user", "content": "Hello!"}]
    told = (await sent_up(PLAIN, messages=messages))["messages"]
    assert [message["role"] for message in told] == ["system", "user"]
    text = told[0]["content"] if isinstance(content, str) else "".join(p["text"] for p in told[0]["content"])
    assert text.startswith("Be brief.")
    assert "JSON Schema" in text


async def test_the_schema_goes_where_the_quirks_of_messages_apply():
    told = await sent_up(candidate("json_object", quirks=Quirks(flatten_content=True)))
    assert told["messages"][0]["role"] == "system"


@pytest.mark.parametrize("asked", [NATIVE, PLAIN])
@pytest.mark.parametrize("content", ['{"n":1}', '```json\n{"n":1}\n```', 'Sure: {"n":1}'])
async def test_an_answer_that_fits_or_is_only_wrapped_is_served(asked, content):
    sent = await ask(PlayedTransport(json_reply(answer(content))), asked=asked, response_format=FORM)
    assert sent.outcome.kind is Kind.SERVED
    assert sent.answer is not None
    assert msgspec.json.decode(sent.answer.body)["choices"][0]["message"]["content"] == '{"n":1}'


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("content", ["one", '{"n":"one"}', None, [{"type": "thinking", "thinking": "hm"}]])
async def test_an_answer_that_does_not_fit_is_none(stream, content):
    played = PlayedTransport(json_reply(answer(content, reasoning_content="hm")))
    sent = await ask(played, asked=PLAIN, response_format=FORM, stream=stream)
    assert (sent.outcome.kind, sent.outcome.status) == (Kind.NONCONFORMING, 200)
    assert "one" not in sent.outcome.detail
    assert (sent.answer, sent.stream) == (None, None)


@pytest.mark.parametrize(
    "body",
    [
        answer(None, "tool_calls", tool_calls=[{"id": "a", "function": {"name": "f", "arguments": "{}"}}]),
        answer(None, refusal="No."),
        answer('{"n":', "length"),
        answer('{"n":', "MAX_TOKENS"),
        answer("", "content_filter"),
        answer("", "SAFETY"),
    ],
)
async def test_an_answer_that_does_not_claim_to_fit_is_passed_on(body):
    sent = await ask(PlayedTransport(json_reply(body)), asked=NATIVE, response_format=FORM)
    assert sent.outcome.kind is Kind.SERVED


async def test_each_choice_has_to_fit():
    told = [
        {"index": at, "message": {"content": said}, "finish_reason": "stop"}
        for at, said in enumerate(['{"n":1}', "no"])
    ]
    body = msgspec.json.encode({"choices": told})
    sent = await ask(PlayedTransport(json_reply(body)), asked=NATIVE, response_format=FORM, n=2)
    assert sent.outcome.kind is Kind.NONCONFORMING


async def test_thinking_among_the_content_is_no_part_of_what_has_to_fit():
    parts = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": '{"n":1}'}]
    sent = await ask(PlayedTransport(json_reply(answer(parts))), asked=NATIVE, response_format=FORM)
    assert sent.outcome.kind is Kind.SERVED


async def test_a_stream_of_a_model_that_knows_schemas_flows_as_it_comes():
    steps = [event({"content": '{"n"'}), event({"content": ":1}"}), STOP, DONE]
    transport = PlayedTransport(sse_reply(*steps))
    sent = await ask(transport, asked=NATIVE, response_format=FORM, stream=True)
    assert await texts(stream_of(sent)) == ['{"n"', ":1}", ""]


def said(text: str, finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    choice = {"index": index, "delta": {"content": text, **more}, "finish_reason": finish}
    return event(choices=[choice])


async def streamed(*steps: bytes, **fields: Any) -> tuple[list[str], str | None, Any]:
    """Return the texts of a native model's stream, its finish and its outcome."""
    played = PlayedTransport(sse_reply(*steps, STOP, DONE))
    stream = stream_of(await ask(played, asked=NATIVE, response_format=FORM, stream=True, **fields))
    return await texts(stream), stream.finish, stream.outcome


@pytest.mark.parametrize("content", ["{}", '{"n":"one"}', "one", '```json\n{"n":1}\n```', 'Sure: {"n":1}'])
async def test_a_stream_that_does_not_fit_has_no_finish(content):
    told, finish, outcome = await streamed(*map(said, content))
    assert ("".join(told), finish) == (content, None)
    assert (outcome.kind, outcome.status) == (Kind.NONCONFORMING, 200)
    assert "one" not in outcome.detail


async def test_a_stream_that_does_not_fit_and_comes_at_once_is_none():
    played = PlayedTransport(sse_reply(said("{") + said("}") + STOP + DONE))
    sent = await ask(played, asked=NATIVE, response_format=FORM, stream=True)
    assert (sent.outcome.kind, sent.stream) == (Kind.NONCONFORMING, None)


@pytest.mark.parametrize(
    ("steps", "ending"),
    [
        ([said('{"n":'), said("1} \n")], "stop"),
        ([said('{"n":'), said("1}", "stop")], "stop"),  # and once more by the end
        ([said('{"n":'), said("", "length")], "length"),
        (
            [said("", tool_calls=[{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}])],
            "stop",
        ),
        ([said("", refusal="No.")], "stop"),
    ],
)
async def test_a_stream_that_fits_or_makes_no_claim_to_ends_as_it_does(steps, ending):
    _, finish, outcome = await streamed(*steps)
    assert (finish, outcome) == (ending, None)


async def test_each_choice_of_a_stream_has_to_fit():
    steps = [said('{"n":1}'), said('{"n":', index=1), said("", "stop"), said("2}", index=1)]
    *_, outcome = await streamed(*steps, said("", "stop", index=1), n=2)
    assert outcome is None
    *_, outcome = await streamed(*steps, said(",", "stop", index=1), n=2)
    assert outcome.kind is Kind.NONCONFORMING


async def test_a_stream_is_checked_up_to_a_bound():
    *_, outcome = await streamed(said('"'), *[said("x" * (CHECKED // 2))] * 2, said('"'))
    assert outcome.kind is Kind.NONCONFORMING
    assert str(CHECKED) in outcome.detail


async def test_a_stream_of_a_model_that_is_told_the_schema_comes_as_a_whole():
    transport = PlayedTransport(json_reply(answer('```json\n{"n":1}\n```')))
    sent = await ask(
        transport, asked=PLAIN, response_format=FORM, stream=True, stream_options={"include_usage": True}
    )
    body = msgspec.json.decode(transport.sent[0].body)
    assert "stream" not in body
    assert "stream_options" not in body
    assert transport.sent[0].headers["accept"] == "application/json"
    first, usage = [msgspec.json.decode(payload) for payload in await rest(stream_of(sent))]
    assert first["object"] == "chat.completion.chunk"
    assert first["choices"][0]["delta"]["content"] == '{"n":1}'
    assert usage["usage"]["completion_tokens"] > 0
