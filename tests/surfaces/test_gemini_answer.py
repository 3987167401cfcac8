"""What a provider says, as Gemini's clients hear it: its events to the byte, whole answers, and errors."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.errors import ApiError, CapacityExhausted
from freeroute.surfaces.gemini_answer import GeminiItems, GeminiTelling, in_geminis_shape
from tests.support.gateways import chunk
from tests.surfaces.gemini import PNG, STOP, USAGE

CALLING = [
    b'{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c1","function":{"name":"f","arguments":""}}]}}]}',
    b'{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\\"a\\":"}}]}}]}',
    b'{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]}}]}',
]
THOUGHT = b'{"choices":[{"delta":{"reasoning_content":"Hm."}}]}'


def data_of(told: bytes) -> list[Any]:
    return [json.loads(event.removeprefix(b"data: ")) for event in told.split(b"\n\n") if event]


def test_a_stream_is_events_and_the_last_tells_why_and_how_much():
    told = GeminiTelling(thoughts=False)
    assert told.events([chunk("Hello")]) == (
        b'data: {"candidates":[{"content":{"parts":[{"text":"Hello"}],"role":"model"},"index":0}],'
        b'"modelVersion":"m","responseId":"c1"}\n\n'
    )
    assert told.events([STOP]) == b""
    assert told.events([USAGE]) == (
        b'data: {"candidates":[{"content":{"parts":[{"text":""}],"role":"model"},"finishReason":"STOP",'
        b'"index":0}],"modelVersion":"m","responseId":"c1","usageMetadata":{"promptTokenCount":3,'
        b'"candidatesTokenCount":3,"totalTokenCount":8,"thoughtsTokenCount":2,"cachedContentTokenCount":1}}\n\n'
    )
    assert told.events([chunk("late")]) == told.end() == b""


def test_thoughts_are_told_to_those_who_ask_for_them():
    [event] = data_of(GeminiTelling(thoughts=True).events([THOUGHT]))
    assert event["candidates"][0]["content"]["parts"] == [{"text": "Hm.", "thought": True}]
    assert GeminiTelling(thoughts=False).events([THOUGHT]) == b""


def test_a_call_is_told_as_soon_as_its_arguments_are_complete():
    told = GeminiTelling(thoughts=False)
    assert told.events(CALLING[:2]) == b""
    [event] = data_of(told.events(CALLING[2:]))
    call = {"functionCall": {"id": "c1", "name": "f", "args": {"a": 1}}}
    assert event["candidates"][0]["content"]["parts"] == [call]


CHUNKS = [chunk("One"), THOUGHT, chunk(" two"), *CALLING, STOP, USAGE]


@given(st.lists(st.integers(0, len(CHUNKS)), max_size=8), st.booleans())
def test_however_the_chunks_come_together_what_is_told_is_the_same(cuts, as_items):
    kind = GeminiItems if as_items else GeminiTelling
    told, expected = kind(thoughts=True), kind(thoughts=True)
    ends = sorted({*cuts, len(CHUNKS)})
    batches = [CHUNKS[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    pieces = b"".join(told.events(batch) for batch in batches) + told.end()
    assert pieces == expected.events(CHUNKS) + expected.end()


def test_without_sse_a_stream_is_one_array():
    told = GeminiItems(thoughts=False)
    first = told.events([chunk("Hello")])
    assert first.startswith(b'[{"candidates"')
    items = json.loads(
        told.comment + first + told.comment + told.events([chunk("!"), STOP, USAGE]) + told.end()
    )
    assert [item["candidates"][0]["content"]["parts"][0]["text"] for item in items] == ["Hello", "!", ""]


def test_an_array_of_which_nothing_was_told_is_one_all_the_same():
    told = GeminiItems(thoughts=False)
    [item] = json.loads(told.end())
    assert item["candidates"][0]["finishReason"] == "STOP"


@pytest.mark.parametrize("kind", [GeminiTelling, GeminiItems])
def test_an_error_is_the_last_that_is_told(kind):
    error = b'{"error":{"message":"gone"},"choices":[{"delta":{},"finish_reason":"error"}]}'
    inside, ours = kind(thoughts=False), kind(thoughts=False)
    told = inside.events([error, error, USAGE]) + inside.end()
    ended = ours.fault(CapacityExhausted("spent", retry_after=40.2), None) + ours.end()
    [gone] = json.loads(told) if kind is GeminiItems else data_of(told)
    [spent] = json.loads(ended) if kind is GeminiItems else data_of(ended)
    assert gone == {"error": {"code": 502, "message": "gone", "status": "UNAVAILABLE"}}
    assert spent["error"]["status"] == "RESOURCE_EXHAUSTED"


def test_an_error_has_googles_form():
    body = json.loads(in_geminis_shape(CapacityExhausted("spent", retry_after=40.2), "req_1"))
    assert body == {
        "error": {
            "code": 429,
            "message": "spent",
            "status": "RESOURCE_EXHAUSTED",
            "details": [
                {
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": "CAPACITY_EXHAUSTED",
                    "domain": "freeroute",
                },
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "41s"},
            ],
        }
    }


def test_every_status_that_errors_have_is_one_of_googles():
    def leaves(kind: type[ApiError]) -> list[type[ApiError]]:
        return [kind, *(leaf for below in kind.__subclasses__() for leaf in leaves(below))]

    for kind in leaves(ApiError):
        error = json.loads(in_geminis_shape(kind("told"), ""))["error"]
        assert error["status"].isupper()
        assert error["code"] == kind.status


def test_images_of_an_answer_are_bytes_or_where_they_are():
    urls = [f"data:image/png;base64,{PNG}", "https://example.com/a.png"]
    message = {"content": None, "images": [{"image_url": {"url": url}} for url in urls]}
    body = json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode()
    answer = json.loads(GeminiTelling(thoughts=False).whole(body))
    assert answer["candidates"][0]["content"]["parts"] == [
        {"inlineData": {"mimeType": "image/png", "data": PNG}},
        {"fileData": {"fileUri": "https://example.com/a.png"}},
    ]
