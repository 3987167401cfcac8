"""Answers in Anthropic's words, to the byte."""

import itertools
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.errors import ApiError, CapacityExhausted, ContextTooLong, NoProvider, TooLarge, UpstreamFailed
from freeroute.surfaces.anthropic_answer import Message, in_anthropics_shape
from tests.contract.anthropic import Anthropic
from tests.contract.speaking import server_sent

HEADERS = {"content-type": "text/event-stream", "request-id": "r", "x-request-id": "r"}
HEAD = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
USAGE = {
    "prompt_tokens": 30,
    "completion_tokens": 7,
    "prompt_tokens_details": {"cached_tokens": 10},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
TOLD_USAGE = {
    "input_tokens": 20,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 10,
    "output_tokens": 7,
    "output_tokens_details": {"thinking_tokens": 2},
}


def teller(*stop: str) -> Message:
    return Message("req_1", "free", 12, frozenset(stop))


def chunk(delta: Any = None, finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    return msgspec.json.encode({**HEAD, "choices": [{**choice, **more}]})


def counted(usage: Any = USAGE) -> bytes:
    return msgspec.json.encode({**HEAD, "choices": [], "usage": usage})


def piece(index: int, arguments: str = "", **more: Any) -> dict[str, Any]:
    named = {"name": more.pop("name")} if "name" in more else {}
    return {"index": index, **more, "function": {**named, "arguments": arguments}}


def calls(*pieces: dict[str, Any]) -> bytes:
    return chunk({"tool_calls": list(pieces)})


def streamed(*chunks: bytes, stop: tuple[str, ...] = ()) -> list[Any]:
    message = teller(*stop)
    body = b"".join(message.events([one]) for one in chunks) + message.end()
    return [json.loads(data) for _, data in server_sent(body)]


def kinds(events: list[Any]) -> list[str]:
    return [event.get("delta", {}).get("type", event["type"]) for event in events]


def whole(finish: str = "stop", stop: tuple[str, ...] = (), more: Any = None, **said: Any) -> Any:
    choice = {"index": 0, "message": {"role": "assistant", **said}, "finish_reason": finish, **(more or {})}
    return json.loads(teller(*stop).whole(msgspec.json.encode({**HEAD, "choices": [choice], "usage": USAGE})))


def test_a_whole_answer_to_the_byte():
    body = msgspec.json.encode(
        {
            **HEAD,
            "choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 2},
        }
    )
    assert teller().whole(body) == (
        b'{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"Hi"}],'
        b'"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"cache_creation_input_tokens":0,'
        b'"cache_read_input_tokens":0,"output_tokens":2}}'
    )


def test_a_stream_to_the_byte():
    message = teller()
    events = message.events([chunk({"content": "H"}), chunk({"content": "i"})])
    assert events == (
        b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","type":"message",'
        b'"role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,'
        b'"usage":{"input_tokens":12,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,'
        b'"output_tokens":0}}}\n\n'
        b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
        b'"content_block":{"type":"text","text":""}}\n\n'
        b'event: ping\ndata: {"type":"ping"}\n\n'
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
        b'"delta":{"type":"text_delta","text":"H"}}\n\n'
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
        b'"delta":{"type":"text_delta","text":"i"}}\n\n'
    )
    assert message.events([chunk(finish="stop"), counted()]) == b""
    assert message.end() == (
        b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
        b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn",'
        b'"stop_sequence":null},"usage":{"input_tokens":20,"cache_creation_input_tokens":0,'
        b'"cache_read_input_tokens":10,"output_tokens":7,"output_tokens_details":{"thinking_tokens":2}}}\n\n'
        b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    )


def test_thoughts_text_and_a_call_are_blocks_in_turn():
    events = streamed(
        chunk({"role": "assistant", "content": ""}),
        chunk({"reasoning_content": "Hm."}),
        chunk({"content": "Let me see."}),
        calls(piece(0, id="call_1", name="weather")),
        calls(piece(0, '{"city":')),
        calls(piece(0, '"Ulm"}')),
        chunk(finish="tool_calls"),
        counted(),
    )
    assert kinds(events) == [
        *("message_start", "content_block_start", "ping", "thinking_delta", "signature_delta"),
        *("content_block_stop", "content_block_start", "text_delta", "content_block_stop"),
        *("content_block_start", "input_json_delta", "input_json_delta", "content_block_stop"),
        *("message_delta", "message_stop"),
    ]
    call = {"type": "tool_use", "id": "call_1", "name": "weather", "input": {}}
    assert events[9]["content_block"] == call
    assert events[-2]["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}
    assert events[-2]["usage"] == TOLD_USAGE


def test_pieces_of_a_call_leave_as_they_come():
    message = teller()
    message.events([calls(piece(0, id="c", name="weather"))])
    assert b'"partial_json":"{\\"ci"' in message.events([calls(piece(0, '{"ci'))])


def test_a_name_in_two_pieces_is_told_whole():
    events = streamed(
        calls(piece(0, id="c", name="wea")), calls(piece(0, name="ther")), calls(piece(0, "{}"))
    )
    assert events[1]["content_block"]["name"] == "weather"


def test_a_call_without_arguments_is_told_at_its_end():
    events = streamed(calls(piece(0, id="c", name="now")), chunk(finish="tool_calls"))
    assert kinds(events)[1:4] == ["content_block_start", "ping", "content_block_stop"]
    assert events[1]["content_block"]["input"] == {}


def test_calls_that_are_told_at_once_are_told_one_after_the_other():
    events = streamed(
        calls(piece(0, id="a", name="f")),
        calls(piece(1, id="b", name="g")),
        calls(piece(0, '{"x":')),
        calls(piece(1, '{"y":')),
        chunk({"content": "Done."}),
        calls(piece(0, "1}")),
        calls(piece(1, "2}")),
        calls(piece(2, "{}", id="c", name="h")),
        chunk(finish="stop"),
    )
    told = [
        (event["index"], event["delta"].get("partial_json"))
        for event in events
        if event["type"] == "content_block_delta"
    ]
    assert told == [(0, '{"x":'), (0, "1}"), (1, '{"y":'), (1, "2}"), (2, None), (3, "{}")]
    assert [event["content_block"]["type"] for event in events if "content_block" in event] == [
        *("tool_use", "tool_use", "text", "tool_use")
    ]
    assert events[-2]["delta"]["stop_reason"] == "tool_use"


def test_what_waited_for_a_call_that_never_becomes_whole_is_told_at_the_end():
    events = streamed(calls(piece(0, '{"x":', id="a", name="f"), piece(1, "{}", id="b", name="g")))
    assert [event["content_block"]["name"] for event in events if "content_block" in event] == ["f", "g"]
    assert kinds(events)[-4:] == ["input_json_delta", "content_block_stop", "message_delta", "message_stop"]


def test_what_comes_for_a_call_that_is_over_is_left_out():
    events = streamed(calls(piece(0, "{}", id="a", name="f")), chunk({"content": "Hi"}), calls(piece(0, " ")))
    assert [event["index"] for event in events if event["type"] == "content_block_start"] == [0, 1]


@pytest.mark.parametrize(
    ("finish", "said", "told"),
    [
        ("stop", {"content": "Hi"}, "end_turn"),
        ("length", {"content": "Hi"}, "max_tokens"),
        ("content_filter", {"content": "Hi"}, "refusal"),
        ("stop", {"content": None, "refusal": "No."}, "refusal"),
        ("tool_calls", {"tool_calls": [piece(0, "{}", id="c", name="f")]}, "tool_use"),
        ("stop", {"tool_calls": [piece(0, "{}", id="c", name="f")]}, "tool_use"),
        ("length", {"tool_calls": [piece(0, "{", id="c", name="f")]}, "max_tokens"),
    ],
)
def test_why_an_answer_ended_is_told_in_anthropics_words(finish, said, told):
    assert whole(finish, **said)["stop_reason"] == told
    assert streamed(chunk(said), chunk(finish=finish))[-2]["delta"]["stop_reason"] == told


def test_the_sequence_that_an_answer_stopped_at_is_told_if_it_is_known():
    more = {"stop_reason": "END"}
    told = whole(stop=("END",), more=more, content="Hi")
    assert (told["stop_reason"], told["stop_sequence"]) == ("stop_sequence", "END")
    last = streamed(chunk({"content": "Hi"}), chunk(finish="stop", **more), stop=("END",))[-2]
    assert last["delta"] == {"stop_reason": "stop_sequence", "stop_sequence": "END"}
    assert whole(more=more, content="Hi")["stop_reason"] == "end_turn"


def test_a_whole_answer_has_its_thoughts_first():
    told = whole(content="Hi", reasoning_content="Hm.", tool_calls=[piece(0, '{"a":1}', id="c", name="f")])
    assert told["content"] == [
        {"type": "thinking", "thinking": "Hm.", "signature": "freeroute"},
        {"type": "text", "text": "Hi"},
        {"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1}},
    ]
    assert told["usage"] == TOLD_USAGE


@pytest.mark.parametrize(
    ("arguments", "told"),
    [("", {}), (" ", {}), ("[1]", {"arguments": "[1]"}), ("{x", {"arguments": "{x"})],
)
def test_arguments_that_are_no_object_are_told_as_they_are(arguments, told):
    [block] = whole(tool_calls=[piece(0, arguments, id="c", name="f")])["content"]
    assert block["input"] == told


def test_a_stream_without_anything_is_a_message_without_blocks():
    assert kinds(streamed(chunk(finish="length"))) == ["message_start", "message_delta", "message_stop"]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            {"message": "broke", "code": "upstream_failed"},
            {"type": "api_error", "message": "broke", "details": {"error_code": "upstream_failed"}},
        ),
        ({"code": 5}, {"type": "api_error", "message": "the answer broke off"}),
    ],
)
def test_an_error_in_a_stream_is_told_once_and_is_the_end(error, told):
    failing = msgspec.json.encode({**HEAD, "error": error, "choices": []})
    message = teller()
    message.events([chunk({"content": "H"})])
    [(name, data)] = server_sent(message.events([failing, failing, chunk({"content": "i"})]))
    assert (name, json.loads(data)) == ("error", {"type": "error", "error": told})
    assert message.end() == b""


def test_a_fault_is_told_even_before_the_message_begins():
    message = teller()
    [(name, data)] = server_sent(message.fault(UpstreamFailed("nobody answers"), None))
    assert (name, json.loads(data)["error"]["message"]) == ("error", "nobody answers")
    assert message.end() == b""


TOO_LONG = {"prompt_tokens": 150, "max_tokens": 10, "context_length": 100}


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (CapacityExhausted("later", metadata={"attempts": []}), "rate_limit_error", "later"),
        (TooLarge("too large"), "request_too_large", "too large"),
        (NoProvider("none"), "overloaded_error", "none"),
        (UpstreamFailed("failed"), "api_error", "failed"),
        (ContextTooLong("no room"), "invalid_request_error", "prompt is too long. no room"),
        (
            ContextTooLong("no room", metadata=TOO_LONG),
            "invalid_request_error",
            "prompt is too long: 150 tokens > 100 maximum. no room",
        ),
        (
            ContextTooLong("no room", metadata=TOO_LONG | {"prompt_tokens": 95}),
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: 95 + 10 > 100. no room",
        ),
        (
            ContextTooLong("no room", metadata=TOO_LONG | {"prompt_tokens": 95, "max_tokens": None}),
            "invalid_request_error",
            "prompt is too long: 95 tokens > 100 maximum. no room",
        ),
    ],
)
def test_an_error_has_anthropics_type_and_the_code_beside_it(error: ApiError, kind, told):
    body = json.loads(in_anthropics_shape(error, "req_1"))
    assert (body["type"], body["request_id"]) == ("error", "req_1")
    assert (body["error"]["type"], body["error"]["message"]) == (kind, told)
    assert body["error"]["details"] == {"error_code": error.code, **(error.metadata or {})}


def test_an_error_about_a_field_names_it():
    told = json.loads(in_anthropics_shape(ContextTooLong("no room", param="messages"), "req_1"))
    assert told["error"]["details"]["param"] == "messages"


def test_line_ends_before_thoughts_are_told_with_the_text_as_in_the_whole():
    events = streamed(
        *(chunk({"content": "\n"}), chunk({"reasoning_content": "Hm."}), chunk({"content": "Hi"})),
        *(chunk(finish="stop"), counted()),
    )
    begun = [event["content_block"]["type"] for event in events if event["type"] == "content_block_start"]
    content = whole(content="\nHi", reasoning_content="Hm.")["content"]
    assert begun == [block["type"] for block in content] == ["thinking", "text"]


def cut(text: str, places: list[int]) -> list[str]:
    bounds = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[a:b] for a, b in itertools.pairwise(bounds) if a < b]


PLACES = st.lists(st.integers(0, 50), max_size=6)


@given(
    thought=st.text(max_size=20),
    text=st.text(max_size=20),
    arguments=st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3), max_size=3),
    places=PLACES,
    order=st.randoms(use_true_random=False),
)
def test_any_split_and_order_of_chunks_gives_the_same_answer(thought, text, arguments, places, order):
    texts = [json.dumps(given) for given in arguments]
    queues = [
        [
            calls(piece(index, id=f"c{index}", name=f"f{index}")),
            *(calls(piece(index, part)) for part in cut(told, places)),
        ]
        for index, told in enumerate(texts)
    ]
    chunks = [chunk({"reasoning_content": part}) for part in cut(thought, places)]
    chunks += [chunk({"content": part}) for part in cut(text, places)]
    while queues := [queue for queue in queues if queue]:
        chunks.append(order.choice(queues).pop(0))
    message = teller()
    body = message.events([*chunks, chunk(finish="stop"), counted()]) + message.end()
    heard = Anthropic().hear(200, HEADERS, body, stream=True)
    assert (heard.reasoning, heard.text, heard.ended) == (thought, text, True)
    assert sorted((call.id, call.arguments) for call in heard.calls) == [
        (f"c{index}", given) for index, given in enumerate(arguments)
    ]
