"""Ollama as it is asked by its own API, and as it answers."""

from typing import Any

import msgspec

from freeroute.domain.catalogue import Candidate, Key, Model, Provider
from freeroute.domain.outcome import Kind
from freeroute.engine.ports import Sent, Terms
from freeroute.upstreams.ollama import OllamaUpstream
from freeroute.wire.decode import decode_chat
from tests.support.asking import TERMS, rest, stream_of
from tests.support.clocks import ManualClock
from tests.support.transports import PlayedTransport, Reply, json_reply


def candidate(**facts: Any) -> Candidate:
    provider = Provider("ollama", "Ollama", "http://127.0.0.1:11434/v1", kind="ollama", **facts.pop("of", {}))
    model = Model("llama3.2:3b", "llama3.2", **{"context": 32_768, **facts})
    return Candidate(provider, model, Key("", "anonymous"), "c", ())


def line(said: dict[str, Any] | None = None, **more: Any) -> bytes:
    value = {"model": "llama3.2:3b", "created_at": "2026-11-01T00:00:00Z", "done": False, **more}
    if said is not None:
        value["message"] = {"role": "assistant", "content": "", **said}
    return msgspec.json.encode(value) + b"\n"


COUNTS = {"prompt_eval_count": 26, "eval_count": 9}
END = line({}, done=True, done_reason="stop", **COUNTS)
WHOLE = line({"content": "Hi"}, done=True, done_reason="stop", **COUNTS)


def ndjson(*steps: Any) -> Reply:
    return Reply(steps, content_type="application/x-ndjson")


class Talk:
    """One Ollama upstream over prepared answers."""

    def __init__(self, *replies: Reply) -> None:
        self.transport = PlayedTransport(*replies)
        self.clock = ManualClock()
        self.upstream = OllamaUpstream(self.transport, self.clock)

    async def ask(self, asked: Candidate | None = None, terms: Terms = TERMS, **fields: Any) -> Sent:
        body = {"model": "free", "messages": [{"role": "user", "content": "Hello!"}], **fields}
        return await self.upstream.send(decode_chat(msgspec.json.encode(body)), asked or candidate(), terms)

    @property
    def sent(self) -> Any:
        return msgspec.json.decode(self.transport.sent[-1].body)


async def sent(asked: Candidate | None = None, answer: bytes = WHOLE, **fields: Any) -> Any:
    """Return the body that went up."""
    talk = Talk(json_reply(answer))
    assert (await talk.ask(asked, **fields)).outcome.kind is Kind.SERVED
    return talk.sent


async def chunks(*steps: Any, **fields: Any) -> list[Any]:
    stream = stream_of(await Talk(ndjson(*steps)).ask(stream=True, **fields))
    return [msgspec.json.decode(payload) for payload in await rest(stream)]


def refusal(text: str) -> bytes:
    return msgspec.json.encode({"error": text})


def overflow(context: int) -> bytes:
    """The runner's error as newer versions pass it on: JSON in a text."""
    error = {"code": 400, "message": "the request exceeds the available context size",
             "type": "exceed_context_size_error", "n_prompt_tokens": 99_000, "n_ctx": context}  # fmt: skip
    return refusal(msgspec.json.encode({"error": error}).decode())
