"""Thought signatures: kept by the id of the tool call, put back where a conversation returns without."""

from typing import Any

import msgspec
import pytest
from msgspec import structs

from freeroute.domain.catalogue import Candidate, Quirks
from freeroute.upstreams import signatures
from freeroute.upstreams.openai import OpenAiUpstream
from freeroute.upstreams.signatures import DUMMY_SIGNATURE, Signatures
from freeroute.wire.decode import decode_chat
from tests.support.asking import DONE, STOP, TERMS, WHOLE, candidate, event, rest, stream_of
from tests.support.clocks import ManualClock
from tests.support.transports import PlayedTransport, Reply, json_reply, sse_reply

GEMINI = Quirks(echo_signature=True, tool_call_index=False, tool_finish=False)
ASKED = candidate(quirks=GEMINI)


def call(name: str, signature: str | None = None, **more: Any) -> dict[str, Any]:
    made = {"id": name, "type": "function", "function": {"name": "f", "arguments": "{}"}, **more}
    return (
        made if signature is None else {**made, "extra_content": {"google": {"thought_signature": signature}}}
    )


class Conversation:
    """One gateway's upstream, which is asked turn after turn."""

    def __init__(self, *replies: Reply) -> None:
        self.transport = PlayedTransport(*replies)
        self.upstream = OpenAiUpstream(self.transport, ManualClock())

    async def ask(
        self, asked: Candidate, calls: list[Any] | None = None, stream: bool = False, client: str = ""
    ) -> Any:
        messages: list[Any] = [{"role": "user", "content": "Hello!"}]
        if calls is not None:
            messages.append({"role": "assistant", "content": None, "tool_calls": calls})
            messages += [{"role": "tool", "tool_call_id": c["id"], "content": "1"} for c in calls]
        body = {"model": "free", "messages": messages, "stream": stream}
        terms = structs.replace(TERMS, client=client)
        sent = await self.upstream.send(decode_chat(msgspec.json.encode(body)), asked, terms)
        return [msgspec.json.decode(p) for p in await rest(stream_of(sent))] if stream else sent.answer

    def signed(self) -> list[str | None]:
        """Return the signatures that went up with the last request."""
        messages = msgspec.json.decode(self.transport.sent[-1].body)["messages"]
        return [signatures.signature_of(c) for message in messages for c in message.get("tool_calls", ())]


def answered(*calls: Any) -> Reply:
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    return json_reply(msgspec.json.encode({"choices": [{"message": message, "finish_reason": "stop"}]}))


async def test_a_signature_returns_with_the_call_it_came_with():
    talk = Conversation(answered(call("a", "sig-a"), call("b")), json_reply(WHOLE))
    await talk.ask(ASKED)
    await talk.ask(ASKED, [call("a"), call("b")])
    assert talk.signed() == ["sig-a", None]


async def test_signatures_of_a_stream_are_kept_by_the_ids_the_caller_was_told():
    steps = [
        event({"tool_calls": [call("a", "sig-a")]}),
        event({"tool_calls": [{"function": {"name": "g", "arguments": "{}"}}]}),
        event({"tool_calls": [{"extra_content": {"google": {"thought_signature": "sig-b"}}}]}),
    ]
    talk = Conversation(sse_reply(*steps, STOP, DONE), json_reply(WHOLE))
    chunks = await talk.ask(ASKED, stream=True)
    told = [
        c["id"] for chunk in chunks for c in chunk["choices"][0]["delta"].get("tool_calls", ()) if "id" in c
    ]
    await talk.ask(ASKED, [call(name) for name in told])
    assert talk.signed() == ["sig-a", "sig-b"]


async def test_another_models_calls_get_the_dummy():
    other = structs.replace(ASKED, model=structs.replace(ASKED.model, id="vendor/other"))
    talk = Conversation(answered(call("a", "sig-a")), json_reply(WHOLE), json_reply(WHOLE))
    await talk.ask(other)
    await talk.ask(ASKED, [call("a"), call("b")])
    assert talk.signed() == [DUMMY_SIGNATURE, None]


async def test_another_client_s_calls_get_the_dummy():
    talk = Conversation(answered(call("a", "sig-a")), json_reply(WHOLE), json_reply(WHOLE))
    await talk.ask(ASKED, client="alice")
    await talk.ask(ASKED, [call("a")], client="bob")
    assert talk.signed() == [DUMMY_SIGNATURE]
    await talk.ask(ASKED, [call("a")], client="alice")
    assert talk.signed() == ["sig-a"]


async def test_what_the_caller_kept_goes_up_as_it_is():
    talk = Conversation(answered(call("a", "sig-a")), json_reply(WHOLE))
    await talk.ask(ASKED)
    await talk.ask(ASKED, [call("a", "theirs"), call("b")])
    assert talk.signed() == ["theirs", None]


async def test_other_providers_get_no_signatures():
    plain = candidate(quirks=Quirks())
    talk = Conversation(answered(call("a", "sig-a")), json_reply(WHOLE), json_reply(WHOLE))
    await talk.ask(plain)
    await talk.ask(plain, [call("a")])
    assert talk.signed() == [None]
    await talk.ask(ASKED, [call("a")])
    assert talk.signed() == [DUMMY_SIGNATURE]


@pytest.mark.parametrize(
    "calls", [b"[]", b"[1]", b"null", b'[{"extra_content":{"google":{"thought_signature":"s"}}}]']
)
def test_a_turn_without_calls_to_sign_is_left_alone(calls):
    message = {"tool_calls": msgspec.Raw(calls)}
    assert not Signatures().sign(message, "p/m")
    assert bytes(message["tool_calls"]) == calls


def test_the_oldest_are_forgotten_first():
    known, third = Signatures(), "s" * (signatures.KEPT // 3 - 1000)
    for name in ("a", "b", "a", "c"):
        known.note("p/m", name, third)
    assert known.of("p/m", "b")
    known.note("p/m", "d", third)
    assert [name for name in "abcd" if known.of("p/m", name)] == ["b", "c", "d"]
    known.note("p/m", "e", third * 4)
    assert [name for name in "abcde" if known.of("p/m", name)] == ["b", "c", "d"]
