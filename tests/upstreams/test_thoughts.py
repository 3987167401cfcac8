"""Thoughts in tags at the beginning of a text, however it is cut into pieces."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.domain.catalogue import Quirks
from freeroute.domain.outcome import Kind
from freeroute.engine.ports import Sent
from freeroute.upstreams.openai import OpenAiUpstream
from freeroute.upstreams.templates import KNOWN, Templates
from freeroute.upstreams.thoughts import Thoughts, closes_unopened
from freeroute.upstreams.writing import LEARNED_FROM
from freeroute.wire.decode import decode_chat
from tests.support.asking import DONE, IMPATIENT, STOP, TERMS, ask, candidate, event, rest, stream_of
from tests.support.clocks import ManualClock
from tests.support.transports import HANG, PlayedTransport, Reply, json_reply, sse_reply

THINKER = candidate(quirks=Quirks(think_tags=("vendor/*",)))


def split(*pieces: str) -> tuple[str, str]:
    thoughts = Thoughts()
    found = [thoughts.feed(piece) for piece in pieces] + [thoughts.rest()]
    return "".join(t for t, _ in found), "".join(a for _, a in found)


@pytest.mark.parametrize(
    ("text", "thoughts", "answer"),
    [
        ("<think>\nhm</think>\n\nHi", "hm", "Hi"),
        ("\n <think>hm</think>Hi </think>", "hm", "Hi </think>"),
        ("<think>\n\n</think>\n\nHi", "", "Hi"),
        ("<think>hm </thin", "hm </thin", ""),
        ("<think>hm", "hm", ""),
        ("<think>a < b </think> b", "a < b ", "b"),
        ("Hi <think>hm</think>", "", "Hi <think>hm</think>"),
        ("<thinking>hm", "", "<thinking>hm"),
        ("<thin", "", "<thin"),
        (" \n", "", " \n"),
        ("", "", ""),
    ],
)
def test_only_thoughts_at_the_beginning_are_taken_out(text, thoughts, answer):
    assert split(text) == (thoughts, answer)
    assert split(*text) == (thoughts, answer)


@pytest.mark.parametrize(
    ("text", "thoughts", "answer"),
    [
        ("\nhm</think>\n\nHi", "hm", "Hi"),
        ("hm < b </think>Hi </think>", "hm < b ", "Hi </think>"),
        ("<think>hm</think>Hi", "hm", "Hi"),
        ("</think>Hi", "", "Hi"),
        ("hm", "hm", ""),
        ("<thin", "", "<thin"),
        (" ", "", " "),
    ],
)
def test_where_the_template_opens_them_a_text_begins_with_thoughts(text, thoughts, answer):
    for pieces in ([text], text):
        found = Thoughts(opened=True)
        told = [found.feed(piece) for piece in pieces] + [found.rest()]
        assert ("".join(t for t, _ in told), "".join(a for _, a in told)) == (thoughts, answer)


@pytest.mark.parametrize(
    ("text", "closes"),
    [
        ("I should think.\n</think>\n\nSeven", True),
        ("I should think.</think>\nSeven", True),
        ("I should think.</think>", True),
        (" </think>Seven", True),
        ("I should think.</think>Seven", False),
        ("The tag </think> closes what <think> opens.", False),
        ("The tag `</think>` closes.\n</think>\n", False),
        ("<think>hm\n</think>\nSeven", False),
        ("Write\n<think>\nhm\n</think>\n", False),
        ("Seven", False),
    ],
)
def test_a_closing_tag_alone_is_told_from_one_that_is_spoken_of(text, closes):
    assert closes_unopened(text) is closes


@given(st.lists(st.sampled_from(["<think>", "</think>", "<", "think", ">", "/", " ", "\n", "a"])), st.data())
def test_any_cut_gives_the_same(parts, data):
    text = "".join(parts)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)))))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert split(*pieces) == split(text)


async def said(*steps: bytes) -> list[dict[str, Any]]:
    sent = await ask(PlayedTransport(sse_reply(*steps)), asked=THINKER, stream=True)
    chunks = [msgspec.json.decode(payload) for payload in await rest(stream_of(sent))]
    return [chunk["choices"][0]["delta"] for chunk in chunks]


async def test_a_stream_tells_thoughts_as_they_come_and_the_answer_with_its_bytes():
    pieces = ["<th", "ink>Let me", " see.</thi", "nk>\n\n", "Seven", "."]
    assert await said(*[event({"content": piece}) for piece in pieces], STOP, DONE) == [
        {"content": ""},
        {"content": "", "reasoning_content": "Let me"},
        {"content": "", "reasoning_content": " see."},
        {"content": ""},
        {"content": "Seven"},
        {"content": "."},
        {},
    ]


@pytest.mark.parametrize(
    ("pieces", "kind"),
    [
        (["<think>\n"], Kind.TRUNCATED),
        (["<thi"], Kind.TRUNCATED),
        (["<think>", "\n\n</think>\n\n", STOP, DONE], Kind.EMPTY),
        (["<think>\n", HANG], Kind.TIMED_OUT),
    ],
)
async def test_a_tag_alone_is_no_answer_yet(pieces, kind):
    steps = [event({"content": step}) if isinstance(step, str) and step != HANG else step for step in pieces]
    sent = await ask(PlayedTransport(sse_reply(*steps)), IMPATIENT, THINKER, stream=True)
    assert sent.outcome.kind is kind


@pytest.mark.parametrize("stream", [True, False])
async def test_a_whole_answer_of_empty_thoughts_is_empty(stream):
    message = {"role": "assistant", "content": "<think>\n\n</think>\n\n"}
    body = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    sent = await ask(PlayedTransport(json_reply(msgspec.json.encode(body))), asked=THINKER, stream=stream)
    assert sent.outcome.kind is Kind.EMPTY


async def test_an_answer_without_thoughts_keeps_its_bytes():
    identity = b'"id":"c","object":"chat.completion.chunk","created":1,"model":"m"'
    choice = b'{"index":0,"delta":{"content":"Seven"},"finish_reason":null}'
    payload = b"{" + identity + b', "choices" : [ ' + choice + b' ], "extra":1.0}'
    steps = (b"data: " + payload + b"\n\n", STOP)
    sent = await ask(PlayedTransport(sse_reply(*steps)), asked=THINKER, stream=True)
    assert (await rest(stream_of(sent)))[0] == payload


@pytest.mark.parametrize("end", [[STOP, DONE], [DONE], []])
async def test_what_was_held_back_is_told_at_any_end(end):
    told = await said(event({"content": "<think>hm </thi"}), *end)
    assert "".join(delta.get("reasoning_content", "") for delta in told) == "hm </thi"


async def test_what_only_began_like_a_tag_is_told_with_the_finish():
    told = await said(event({"content": "<thi"}), STOP, DONE)
    assert "".join(delta.get("content", "") for delta in told) == "<thi"


async def test_each_choice_has_thoughts_of_its_own():
    def choice(index: int, content: str) -> bytes:
        chunk = {"choices": [{"index": index, "delta": {"content": content}}]}
        return b"data: " + msgspec.json.encode(chunk) + b"\n\n"

    steps = [choice(0, "<think>a"), choice(1, "b"), choice(0, "</think>c")]
    sent = await ask(PlayedTransport(sse_reply(*steps, DONE)), asked=THINKER, stream=True)
    told = [msgspec.json.decode(payload)["choices"][0] for payload in await rest(stream_of(sent))]
    assert [(c["index"], c["delta"]) for c in told] == [
        (0, {"content": "", "reasoning_content": "a"}),
        (1, {"content": "b"}),
        (0, {"content": "c"}),
    ]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_whole_answer_has_its_thoughts_apart(stream):
    said = {"content": "<think>hm</think>Hi", "reasoning_content": "So: "}
    body = msgspec.json.encode({"choices": [{"index": 0, "message": said, "finish_reason": "stop"}]})
    sent = await ask(PlayedTransport(json_reply(body)), asked=THINKER, stream=stream)
    raw = (await rest(stream_of(sent)))[0] if stream else sent.answer and sent.answer.body
    choice = msgspec.json.decode(raw or b"")["choices"][0]
    said = choice["delta" if stream else "message"]
    assert (said["content"], said["reasoning_content"]) == ("Hi", "So: hm")


async def test_models_without_the_habit_keep_their_tags():
    choice = {"index": 0, "message": {"content": "<think>hm</think>Hi"}, "finish_reason": "stop"}
    body = msgspec.json.encode({"choices": [choice], "usage": {"prompt_tokens": 1}})
    other = candidate(quirks=Quirks(think_tags=("other*",)))
    sent = await ask(PlayedTransport(json_reply(body)), asked=other)
    assert sent.answer is not None
    [choice] = msgspec.json.decode(sent.answer.body)["choices"]
    assert choice["message"]["content"] == "<think>hm</think>Hi"


# --- templates that open the thoughts themselves -----------------------------------------------------------

UNOPENED = "I see.\n</think>\n\nSeven."


class Asked:
    """One upstream that is asked again and again, and remembers."""

    def __init__(self, **facts: Any) -> None:
        self.candidate = candidate(quirks=Quirks(think_tags=("vendor/*",), **facts))
        self.calls: list[Any] = []
        self._transport = PlayedTransport()
        self._upstream = OpenAiUpstream(self._transport, ManualClock())

    async def _send(self, reply: Reply, **fields: Any) -> Sent:
        self._transport.replies.append(reply)
        body = {"model": "free", "messages": [{"role": "user", "content": "Hello!"}], **fields}
        return await self._upstream.send(decode_chat(msgspec.json.encode(body)), self.candidate, TERMS)

    async def whole(self, text: str, **fields: Any) -> tuple[str, str]:
        """Return the thoughts and the answer of a whole answer of *text*."""
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        sent = await self._send(json_reply(msgspec.json.encode({"choices": [choice]})), **fields)
        assert sent.answer is not None
        message = msgspec.json.decode(sent.answer.body)["choices"][0]["message"]
        return message.get("reasoning_content") or "", message["content"] or ""

    async def stream(self, *said: str | bytes, finish: str = "stop", **fields: Any) -> tuple[str, str]:
        """Return the thoughts and the answer of a stream of *said*, in pieces or in events."""
        steps = [event({"content": one}) if isinstance(one, str) else one for one in said]
        sent = await self._send(sse_reply(*steps, event(finish=finish), DONE), stream=True, **fields)
        chunks = [msgspec.json.decode(payload) for payload in await rest(stream_of(sent))]
        deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
        self.calls = [call for delta in deltas for call in delta.get("tool_calls", ())]
        told = [[delta.get(name) or "" for delta in deltas] for name in ("reasoning_content", "content")]
        return "".join(told[0]), "".join(told[1])


async def test_a_whole_answer_that_closes_what_it_did_not_open_has_its_thoughts_apart():
    assert await Asked().whole(UNOPENED) == ("I see.\n", "Seven.")


@pytest.mark.parametrize("first", ["whole", "stream"])
async def test_the_first_answer_teaches_that_a_model_s_template_opens_the_thoughts(first):
    asked = Asked()
    if first == "whole":
        await asked.whole(UNOPENED)
    else:
        assert await asked.stream("I see.", "\n</think>\n\nSeven.") == ("", UNOPENED)  # it was told by then
    for _ in range(2):
        assert await asked.stream("I see.", "\n</thi", "nk>\n\nSeven.") == ("I see.\n", "Seven.")


async def test_an_answer_without_thoughts_is_told_all_the_same_and_unlearns_it():
    asked = Asked()
    await asked.whole(UNOPENED)
    assert await asked.stream("Se", "ven.") == ("Seven.", "Seven.")
    assert await asked.stream("Se", "ven.") == ("", "Seven.")


async def test_such_an_answer_is_told_once_although_its_provider_finishes_twice():
    asked = Asked()
    await asked.whole(UNOPENED)
    assert await asked.stream("Seven.", STOP) == ("Seven.", "Seven.")


@pytest.mark.parametrize("finish", ["length", "tool_calls", "MAX_TOKENS"])
async def test_thoughts_that_were_cut_are_no_answer_and_unlearn_nothing(finish):
    asked = Asked()
    await asked.whole(UNOPENED)
    for _ in range(2):
        assert await asked.stream("I s", "ee", finish=finish) == ("I see", "")


async def test_a_model_that_opens_its_thoughts_itself_is_read_as_ever():
    asked = Asked()
    await asked.whole(UNOPENED)
    assert await asked.stream("<think>I see.</think>", "Seven.") == ("I see.", "Seven.")
    assert await asked.stream("Seven.") == ("", "Seven.")


async def test_where_the_server_tells_thoughts_beside_the_text_there_are_none_in_it():
    asked = Asked()
    await asked.whole(UNOPENED)
    assert await asked.stream(event({"reasoning_content": "I see."}), "Se", "ven.") == ("I see.", "Seven.")


async def test_what_is_learned_counts_for_the_same_way_to_ask_alone():
    asked = Asked()
    await asked.whole(UNOPENED)
    off: dict[str, Any] = {"chat_template_kwargs": {"enable_thinking": False}}
    assert await asked.stream("Seven.", **off) == ("", "Seven.")
    assert await asked.stream("I see.", "</think>", "Seven.") == ("I see.", "Seven.")


async def test_a_tool_call_that_was_taken_for_a_thought_is_made():
    asked = Asked(text_tools={"*": "hermes"})
    await asked.whole(UNOPENED)
    tools = [{"type": "function", "function": {"name": "look"}}]
    call = '<tool_call>{"name":"look"}</tool_call>'
    assert await asked.stream(call, tools=tools) == (call, "")
    assert [made["function"]["name"] for made in asked.calls] == ["look"]


async def test_a_text_that_is_too_long_teaches_nothing():
    asked = Asked()
    long = "x" * LEARNED_FROM
    await asked.stream(long, UNOPENED)
    assert await asked.stream("Seven.") == ("", "Seven.")
    await asked.whole(UNOPENED)
    assert await asked.stream(long, "Seven.") == (long + "Seven.", "")


def test_a_thousand_templates_are_remembered_the_latest_ones():
    templates = Templates()
    for place in range(KNOWN + 1):
        templates.note(("a/m", place), opens=True)
    assert not templates.opens(("a/m", 0))
    assert templates.opens(("a/m", 1))
