"""Quirks undone on the way back."""

from typing import Any

import msgspec

from freeroute.domain.catalogue import Quirks
from freeroute.upstreams.repairs import Repairs
from freeroute.wire.answers import inspect


def repaired(quirks: Quirks, *chunks: object) -> list[Any]:
    repairs = Repairs(quirks)
    out = []
    for chunk in chunks:
        payload = msgspec.json.encode(chunk)
        piece = inspect(payload)
        assert piece is not None
        out.append(msgspec.json.decode(repairs.chunk(payload, piece)))
    return out


def delta(finish: str | None = None, **said: object) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": said, "finish_reason": finish}]}


def test_a_chunk_in_openais_form_keeps_its_bytes():
    payload = b'{"choices" : [{"index":0,"delta":{"content":"x","reasoning":null}}] }'
    piece = inspect(payload)
    assert piece is not None
    assert Repairs(Quirks(tool_finish=False, tool_call_index=False)).chunk(payload, piece) is payload


def test_stop_after_a_tool_call_becomes_tool_calls():
    call = {"index": 0, "id": "a"}
    quirks = Quirks(tool_finish=False)
    assert (
        repaired(quirks, delta(tool_calls=[call]), delta("stop"))[1]["choices"][0]["finish_reason"]
        == "tool_calls"
    )
    assert repaired(quirks, delta(content="x"), delta("stop"))[1]["choices"][0]["finish_reason"] == "stop"
    assert (
        repaired(Quirks(), delta(tool_calls=[call]), delta("stop"))[1]["choices"][0]["finish_reason"]
        == "stop"
    )


def test_a_stop_in_another_word_becomes_tool_calls_too_and_the_word_stays():
    told = repaired(Quirks(tool_finish=False), delta(tool_calls=[{"index": 0, "id": "a"}]), delta("STOP"))
    choice = told[1]["choices"][0]
    assert (choice["finish_reason"], choice["native_finish_reason"]) == ("tool_calls", "STOP")


def test_usage_in_every_chunk_is_taken_out():
    chunk = {**delta(content="x"), "usage": {"prompt_tokens": 1}}
    assert "usage" not in repaired(Quirks(usage_every_chunk=True), chunk)[0]
    assert "usage" in repaired(Quirks(), chunk)[0]


def test_reasoning_goes_by_one_name():
    for told in ({"reasoning": "hm"}, {"reasoning": "hm", "reasoning_content": "hm"}):
        said = repaired(Quirks(), delta(**told))[0]["choices"][0]["delta"]
        assert said == {"reasoning_content": "hm"}


def test_content_lists_become_text_and_thinking():
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "Hello"},
    ]
    said = repaired(Quirks(), delta(content=parts))[0]["choices"][0]["delta"]
    assert said == {"content": "Hello", "reasoning_content": "hm"}


def test_a_whole_answer_is_repaired_too():
    body = {
        "choices": [
            {
                "message": {"content": None, "reasoning": "hm", "tool_calls": [{"function": {"name": "f"}}]},
                "finish_reason": "stop",
            }
        ]
    }
    payload = msgspec.json.encode(body)
    piece = inspect(payload)
    assert piece is not None
    choice = msgspec.json.decode(Repairs(Quirks(tool_finish=False)).whole(payload, piece))["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["reasoning_content"] == "hm"
    assert choice["message"]["tool_calls"][0]["id"].startswith("call_")
