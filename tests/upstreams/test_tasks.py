"""What is asked beside chat, over one exchange: where it goes, and what of its answers is passed on."""

from typing import Any

import msgspec
import pytest

from freeroute.domain.outcome import Kind
from freeroute.domain.tasks import Task
from freeroute.domain.usage import Usage
from freeroute.engine.ports import Terms
from freeroute.upstreams.ollama import OllamaUpstream
from freeroute.upstreams.openai import OpenAiUpstream
from freeroute.upstreams.transport import Refused, TransportError, Truncated
from freeroute.wire.asking import asked_for, call_of, completion_of, embeddings_of
from tests.support.asking import IMPATIENT, SECRET, TERMS, candidate, rest
from tests.support.clocks import ManualClock
from tests.support.transports import HANG, PlayedTransport, Reply, json_reply, sse_reply

VECTORS = b'{"data":[{"index":0,"embedding":[1.0]}],"usage":{"prompt_tokens":3,"total_tokens":3}}'


def embed(**fields: Any):
    body = {"model": "free", "input": "Hello!", **fields}
    return embeddings_of(asked_for(Task.EMBEDDINGS, msgspec.json.encode(body), wanted="model and input"))


def completion():
    return completion_of({"model": msgspec.Raw(b'"free"'), "prompt": msgspec.Raw(b'"def f("')})


def ranked():
    return call_of(Task.RERANK, {"model": msgspec.Raw(b'"free"')}, inputs=2)


def spoken():
    call = call_of(Task.SPEECH, {"model": msgspec.Raw(b'"free"'), "input": msgspec.Raw(b'"Hi"')})
    call.stream = True
    return call


async def ask(
    call, *replies: Reply | TransportError, terms: Terms = TERMS, upstream=OpenAiUpstream, **facts: Any
):
    transport = PlayedTransport(*replies)
    sent = await upstream(transport, ManualClock()).send(call, candidate(**facts), terms)
    return sent, transport.sent


async def test_vectors_are_served_with_their_usage():
    sent, [sending] = await ask(embed(encoding_format="base64"), json_reply(VECTORS))
    assert sent.outcome.kind is Kind.SERVED
    assert (sent.answer.body, sent.answer.usage) == (VECTORS, Usage(3))
    assert sending.url == "https://api.example/openai/v1/embeddings"
    assert sending.headers["accept"] == "application/json"
    body = {"model": "vendor/big", "input": "Hello!", "encoding_format": "base64"}
    assert msgspec.json.decode(sending.body) == body


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("/embed", "https://api.example/openai/v1/embed"),
        ("https://other.example/e", "https://other.example/e"),
    ],
)
async def test_a_task_may_be_elsewhere(path, url):
    _, [sending] = await ask(embed(), json_reply(VECTORS), paths={Task.EMBEDDINGS: path})
    assert sending.url == url


async def test_of_ollama_it_is_asked_as_of_others():
    _, [sending] = await ask(embed(), json_reply(VECTORS), upstream=OllamaUpstream)
    assert sending.url.endswith("/embeddings")


async def test_fields_that_it_refused_are_left_out_and_told():
    terms = Terms(3, 20, 30, 300, without=frozenset({"encoding_format", "stream_options"}))
    sent, [sending] = await ask(embed(encoding_format="float"), json_reply(VECTORS), terms=terms)
    assert sent.dropped == ("encoding_format",)
    assert b"encoding_format" not in sending.body


async def test_a_key_that_cannot_stand_in_a_header_is_invalid():
    sent, sending = await ask(embed(), secret="a\r\nb")
    assert (sent.outcome.kind, sending) == (Kind.KEY_INVALID, [])


async def test_what_fails_below_http_is_an_outcome():
    sent, _ = await ask(embed(), Refused("x"))
    assert sent.outcome.kind is Kind.UNREACHABLE


async def test_what_does_not_come_in_time_is_given_up():
    sent, _ = await ask(embed(), Reply([HANG]), terms=IMPATIENT)
    assert (sent.outcome.kind, sent.outcome.counted) == (Kind.TIMED_OUT, True)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply([b"<html>"], content_type="text/html"), Kind.GARBAGE),
        (json_reply(b'{"error":{"message":"busy","code":503}}'), Kind.FAULT),
        (json_reply(b'{"message":"wrong","code":400}'), Kind.REJECTED),
        (json_reply(b'{"type":"note","message":"wrong"}'), Kind.GARBAGE),
        (json_reply(b'{"data":1}'), Kind.GARBAGE),
        (json_reply(b'{"data":[1]}'), Kind.GARBAGE),
        (Reply([b"{" * 2**20] * 33), Kind.GARBAGE),
        (json_reply(b"no", 500), Kind.FAULT),
        (Reply([Truncated("x")]), Kind.TRUNCATED),
    ],
)
async def test_what_is_no_answer_is_an_outcome(reply, kind):
    sent, _ = await ask(embed(), reply)
    assert (sent.outcome.kind, sent.answer) == (kind, None)
    assert SECRET not in str(sent.outcome)


@pytest.mark.parametrize("places", [['"0"', "1"], ["0", "0"], ["0", "2"], ["-1", "0"], ["0.5", "1"]])
async def test_vectors_in_places_that_no_text_has_are_garbage(places):
    body = '{"data":[' + ",".join(f'{{"embedding":[1],"index":{place}}}' for place in places) + "]}"
    sent, _ = await ask(embed(input=["a", "b"]), json_reply(body.encode()))
    assert (sent.outcome.kind, sent.answer) == (Kind.GARBAGE, None)


@pytest.mark.parametrize(
    "vectors",
    [['"abc"'], ['"AAA="'], ['["a","b"]'], ["[1e300]"], ["[-1e300]"], ["[1]", "[1,2]"], ['"AACAfw=="']],
)
async def test_vectors_that_are_none_are_garbage(vectors):
    body = '{"data":[' + ",".join(f'{{"embedding":{one}}}' for one in vectors) + "]}"
    sent, _ = await ask(embed(input=["a"] * len(vectors)), json_reply(body.encode()))
    assert (sent.outcome.kind, sent.answer) == (Kind.GARBAGE, None)


@pytest.mark.parametrize(
    "results",
    [
        '{"index":2,"relevance_score":0.5}',
        '{"index":-1,"relevance_score":0.5}',
        '{"index":"0","relevance_score":0.5}',
        '{"index":0.5,"relevance_score":0.5}',
        '{"index":true,"relevance_score":0.5}',
        '{"relevance_score":0.5}',
        '{"index":0}',
        '{"index":0,"relevance_score":"much"}',
        '{"index":0,"relevance_score":1e999}',
        '{"index":0,"relevance_score":0.5},{"index":0,"relevance_score":0.4}',
        '{"index":0,"relevance_score":0.5},1',
    ],
)
async def test_an_order_that_is_none_is_garbage(results):
    sent, _ = await ask(ranked(), json_reply(f'{{"results":[{results}]}}'.encode()))
    assert (sent.outcome.kind, sent.answer) == (Kind.GARBAGE, None)


@pytest.mark.parametrize("score", ['"score":1', '"relevance_score":1', '"relevance_score":null,"score":-2'])
async def test_an_order_may_tell_its_scores_in_either_way_and_leave_documents_out(score):
    sent, _ = await ask(ranked(), json_reply(f'{{"results":[{{"index":1,{score}}}]}}'.encode()))
    assert sent.outcome.kind is Kind.SERVED


@pytest.mark.parametrize(
    "reply", [json_reply(b'{"detail":"Not Found"}', 404), Reply([b"moved"], status=302)], ids=["404", "302"]
)
@pytest.mark.parametrize("call", [embed(), completion()], ids=["embeddings", "completions"])
async def test_a_wrong_path_of_a_task_is_blamed_on_the_model_alone(call, reply):
    sent, _ = await ask(call, reply)
    assert (sent.outcome.kind, sent.outcome.scope) == (Kind.REDIRECTED, "model")


async def test_sound_is_a_stream_of_bytes():
    sent, _ = await ask(spoken(), Reply([b"RI", b"FF"], content_type="audio/mpeg"))
    assert (sent.outcome.kind, sent.content_type) == (Kind.SERVED, "audio/mpeg")
    assert sent.stream is not None
    assert await rest(sent.stream) == [b"RI", b"FF"]
    assert sent.stream.outcome is None
    assert sent.stream.usage is not None
    assert sent.stream.usage.estimated
    assert sent.stream.unread >= 0
    sent.stream.abort()
    assert await sent.stream.next() == ()


@pytest.mark.parametrize(
    ("steps", "kind"),
    [([b"RIFF", Truncated("x")], Kind.TRUNCATED), ([b"RIFF", HANG], Kind.STALLED)],
)
async def test_sound_that_breaks_off_says_how(steps, kind):
    sent, _ = await ask(spoken(), Reply(steps, content_type="audio/mpeg"), terms=IMPATIENT)
    assert sent.stream is not None
    assert await rest(sent.stream) == [b"RIFF"]
    assert sent.stream.outcome is not None
    assert sent.stream.outcome.kind is kind


async def test_no_sound_is_none():
    sent, _ = await ask(spoken(), Reply([], content_type="audio/mpeg"))
    assert sent.outcome.kind is Kind.EMPTY


async def test_a_stream_of_events_is_looked_into_at_its_beginning_alone():
    call = call_of(Task.IMAGE, {"model": msgspec.Raw(b'"free"'), "stream": msgspec.Raw(b"true")})
    steps = [b": wait\n\nda", b'ta: {"type":"part","b64_json":"AA=="}\n\n', b"data: more\n\n"]
    sent, _ = await ask(call, sse_reply(*steps))
    assert sent.stream is not None
    assert b"".join(await rest(sent.stream)) == b"".join(steps)


@pytest.mark.parametrize(
    ("steps", "kind"),
    [
        ([b'data: {"error":{"message":"busy","code":503}}\n\n'], Kind.FAULT),
        ([b'data: {"type":"error","message":"busy","code":503}\n\n'], Kind.FAULT),
        ([b'{"error":{"message":"busy","code":503}}\n'], Kind.FAULT),
        ([], Kind.EMPTY),
        ([Truncated("x")], Kind.TRUNCATED),
    ],
)
async def test_a_stream_of_events_that_begins_with_an_error_is_none(steps, kind):
    call = call_of(Task.IMAGE, {"model": msgspec.Raw(b'"free"'), "stream": msgspec.Raw(b"true")})
    sent, _ = await ask(call, sse_reply(*steps))
    assert (sent.outcome.kind, sent.stream) == (kind, None)


async def test_an_event_longer_than_any_is_passed_on():
    call = call_of(Task.IMAGE, {"model": msgspec.Raw(b'"free"'), "stream": msgspec.Raw(b"true")})
    steps = [b"data: " + b"x" * 2**20, *[b"x" * 2**20] * 32]
    sent, _ = await ask(call, sse_reply(*steps))
    assert sent.stream is not None
    assert len(b"".join(await rest(sent.stream))) == sum(map(len, steps))
