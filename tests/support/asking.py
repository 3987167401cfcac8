"""Asking an OpenAI-shaped upstream over prepared answers."""

from typing import Any

import msgspec

from freeroute.domain.catalogue import Candidate, Key, Model, Provider
from freeroute.domain.outcome import Kind
from freeroute.engine.ports import EventStream, Sent, Terms
from freeroute.upstreams.openai import OpenAiUpstream
from freeroute.wire.decode import decode_chat
from tests.support.clocks import ManualClock
from tests.support.transports import PlayedTransport, Step, sse_reply

TERMS = Terms(connect=3, first_event=20, between_events=30, total=300)
IMPATIENT = Terms(connect=1, first_event=0.05, between_events=0.02, total=1)
SECRET = "gsk_abcdefgh12345678"


def provider(**facts: Any) -> Provider:
    return Provider("groq", "Groq", "https://api.example/openai/v1/", **facts)


def candidate(*, secret: str = SECRET, **facts: Any) -> Candidate:
    return Candidate(provider(**facts), Model("vendor/big", "big"), Key(secret, "key-1"), "c", ())


async def ask(
    transport: PlayedTransport, terms: Terms = TERMS, asked: Candidate | None = None, **fields: object
) -> Sent:
    body = {"model": "free", "messages": [{"role": "user", "content": "Hello!"}], **fields}
    call = decode_chat(msgspec.json.encode(body))
    return await OpenAiUpstream(transport, ManualClock()).send(call, asked or candidate(), terms)


async def streamed(*steps: Step, terms: Terms = TERMS, **fields: Any) -> Sent:
    return await ask(PlayedTransport(sse_reply(*steps)), terms, stream=True, **fields)


def event(said: object = None, finish: str | None = None, **more: object) -> bytes:
    body = {
        "id": "c1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": said or {}, "finish_reason": finish}],
        **more,
    }
    return b"data: " + msgspec.json.encode(body) + b"\n\n"


ROLE = event({"role": "assistant", "content": ""})
HI = event({"content": "Hi"})
STOP = event(finish="stop")
DONE = b"data: [DONE]\n\n"
COUNTED = b'data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[],\
"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}\n\n'
WHOLE = b'{"id":"c","object":"chat.completion","created":1, "model":"m","choices":[{"index":0,"message":\
{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],\
"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}'


async def rest(stream: EventStream) -> list[bytes]:
    payloads: list[bytes] = []
    while ready := await stream.next():
        payloads.extend(ready)
    return payloads


async def texts(stream: EventStream) -> list[str]:
    chunks = [msgspec.json.decode(payload) for payload in await rest(stream)]
    return [c["choices"][0]["delta"].get("content", "") if c["choices"] else "usage" for c in chunks]


def stream_of(sent: Sent) -> EventStream:
    assert sent.outcome.kind is Kind.SERVED, sent.outcome
    assert sent.stream is not None
    return sent.stream
