"""Thoughts in tags at the beginning of a text, however it is cut into pieces."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.domain.catalogue import Quirks
from freeroute.domain.outcome import Kind
from freeroute.upstreams.thoughts import Thoughts
from tests.support.asking import DONE, IMPATIENT, STOP, ask, candidate, event, rest, stream_of
from tests.support.transports import HANG, PlayedTransport, json_reply, sse_reply

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
