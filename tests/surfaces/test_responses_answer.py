"""How answers are told as responses, event by event."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.errors import UpstreamFailed
from freeroute.surfaces.responses.answer import ResponseTelling
from freeroute.surfaces.responses.tools import FreeText, Source, free_text
from freeroute.wire.answers import error_events, inspect
from tests.contract.responses import streamed, whole
from tests.contract.speaking import server_sent

HEAD = {
    "created_at": 1,
    "model": "free",
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "store": False,
}
SOURCES = {
    "apply_patch": Source("apply_patch", custom=True),
    "agents__close": Source("close", "agents"),
}
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def telling(*, summary: bool = False, kept: list[Any] | None = None) -> ResponseTelling:
    def keep(response: dict[str, Any]) -> bool:
        if kept is not None:
            kept.append(response)
        return kept is not None

    return ResponseTelling("resp_1", HEAD, SOURCES, summary=summary, keep=keep)


def chunk(finish: str | None = None, **delta: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return json.dumps({"id": "c1", "model": "m", "choices": [choice]}).encode()


def called(index: int, arguments: str, name: str | None = None) -> bytes:
    call: dict[str, Any] = {"index": index, "function": {"arguments": arguments}}
    if name is not None:
        call |= {"id": f"call_{index}"}
        call["function"]["name"] = name
    return chunk(tool_calls=[call])


COUNTED = json.dumps({"id": "c1", "model": "m", "choices": [], "usage": USAGE}).encode()


def told(*chunks: bytes, summary: bool = False) -> tuple[list[str], list[Any]]:
    """Return the kinds of the events that tell *chunks*, without their common prefix, and the events."""
    one = telling(summary=summary)
    events = server_sent(one.events(chunks) + one.end())
    streamed(events)  # holds them to OpenAI's types
    return [(name or "").removeprefix("response.") for name, _ in events], [json.loads(e) for _, e in events]


BEGIN = ["created", "in_progress"]
TEXT = ["output_item.added", "content_part.added", "output_text.delta"]
TEXT_DONE = ["output_text.done", "content_part.done", "output_item.done"]


def test_a_text_is_told_by_these_events_and_no_others():
    kinds, events = told(
        chunk(role="assistant"), chunk(content="Hi"), chunk(content="!"), chunk("stop"), COUNTED
    )
    assert kinds == [*BEGIN, *TEXT, "output_text.delta", *TEXT_DONE, "completed"]
    assert events[0]["response"]["status"] == "in_progress"
    assert (events[0]["response"]["model"], events[0]["response"]["output"]) == ("m", [])
    part = {"type": "output_text", "text": "Hi!", "annotations": [], "logprobs": []}
    item = {"id": "msg_1_0", "type": "message", "status": "completed", "role": "assistant", "content": [part]}
    assert events[-2]["item"] == item
    response = events[-1]["response"]
    assert response["output"] == [item]
    assert response["usage"] == {
        "input_tokens": 3,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 5,
    }


@pytest.mark.parametrize(("summary", "name"), [(True, "reasoning_summary"), (False, "reasoning")])
def test_thoughts_are_told_as_a_summary_to_whoever_wants_one_and_else_as_they_are(summary, name):
    chunks = (chunk(reasoning_content="H"), chunk(reasoning_content="m."), chunk(content="Hi"), chunk("stop"))
    kinds, events = told(*chunks, summary=summary)
    part = "reasoning_summary_part" if summary else "content_part"
    delta = f"{name}_text.delta"
    thoughts = ["output_item.added", f"{part}.added", delta, delta]
    thoughts += [f"{name}_text.done", f"{part}.done", "output_item.done"]
    assert kinds == [*BEGIN, *thoughts, *TEXT, *TEXT_DONE, "completed"]
    item = events[-1]["response"]["output"][0]
    said = {"type": "summary_text" if summary else "reasoning_text", "text": "Hm."}
    assert item["summary"] == ([said] if summary else [])
    assert item.get("content") == (None if summary else [said])


def test_a_refusal_is_told_as_one():
    kinds, events = told(chunk(content="So"), chunk(refusal="No"), chunk(refusal="."), chunk("stop"))
    refusal = ["content_part.added", "refusal.delta", "refusal.delta", "refusal.done", "content_part.done"]
    assert kinds == [*BEGIN, *TEXT, *TEXT_DONE[:2], *refusal, "output_item.done", "completed"]
    assert events[-1]["response"]["output"][0]["content"][1] == {"type": "refusal", "refusal": "No."}


def test_calls_are_told_as_they_come_even_in_turns():
    kinds, events = told(
        chunk(content="Hm"),
        called(0, "", "weather"),
        called(0, '{"ci'),
        called(1, "{}", "agents__close"),
        called(0, 'ty":1}'),
        chunk("tool_calls"),
    )
    delta, done = "function_call_arguments.delta", ["function_call_arguments.done", "output_item.done"]
    assert kinds == [
        *[*BEGIN, *TEXT, *TEXT_DONE],
        *["output_item.added", delta, "output_item.added", delta, delta],
        *[*done, *done, "completed"],
    ]
    _, weather, close = events[-1]["response"]["output"]
    assert (weather["name"], weather["arguments"], weather["call_id"]) == ("weather", '{"city":1}', "call_0")
    assert (close["name"], close["namespace"], close["arguments"]) == ("close", "agents", "{}")


def test_a_tool_of_free_text_is_called_with_its_text():
    kinds, events = told(called(0, '{"inp', "apply_patch"), called(0, 'ut": "a\\nb'), called(0, '"}'))
    assert kinds == [
        *[*BEGIN, "output_item.added", "custom_tool_call_input.delta"],
        *["custom_tool_call_input.done", "output_item.done", "completed"],
    ]
    assert events[-1]["response"]["output"] == [
        {
            "id": "ctc_1_0",
            "type": "custom_tool_call",
            "status": "completed",
            "call_id": "call_0",
            "name": "apply_patch",
            "input": "a\nb",
        }
    ]


def test_a_call_is_told_once_its_name_is_whole():
    _, events = told(called(0, "", "apply_"), called(0, "", "patch"), called(0, '{"input": "a"}'))
    [item] = events[-1]["response"]["output"]
    assert (item["type"], item["call_id"]) == ("custom_tool_call", "call_0")
    assert (item["name"], item["input"]) == ("apply_patch", "a")


def test_a_call_whose_arguments_never_came_has_none_and_keeps_its_place():
    _, events = told(called(0, "", "weather"), chunk(content="Hi"), called(1, "", "weather"))
    output = events[-1]["response"]["output"]
    assert [item.get("arguments") for item in output] == ["{}", None, "{}"]
    assert [item["type"] for item in output] == ["function_call", "message", "function_call"]


def test_a_call_without_arguments_is_told_with_an_empty_object():
    kinds, events = told(called(0, "", "weather"), chunk("tool_calls"))
    assert kinds[3:5] == ["function_call_arguments.delta", "function_call_arguments.done"]
    assert (events[3]["delta"], events[4]["arguments"]) == ("{}", "{}")
    assert events[5]["item"]["arguments"] == "{}"


def test_a_call_that_was_cut_off_before_its_arguments_has_no_made_up_ones():
    one = telling()
    response = json.loads(
        server_sent(one.events([called(0, "", "weather"), chunk("length")]) + one.end())[-1][1]
    )
    assert response["response"]["output"][0]["arguments"] == ""


def test_text_after_a_call_is_a_message_of_its_own():
    _, events = told(chunk(content="A"), called(0, "{}", "weather"), chunk(content="B"), chunk("stop"))
    kinds = [item["type"] for item in events[-1]["response"]["output"]]
    assert kinds == ["message", "function_call", "message"]


def test_an_image_that_the_model_made_is_told_and_an_address_is_not():
    urls = ["data:image/png;base64,aGk=", "https://example.org/a.png"]
    _, events = told(chunk(images=[{"image_url": {"url": url}} for url in urls]), chunk("stop"))
    [image] = events[-1]["response"]["output"]
    assert (image["type"], image["result"], image["status"]) == ("image_generation_call", "aGk=", "completed")


@pytest.mark.parametrize(
    ("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")]
)
def test_an_answer_that_is_not_whole_says_why(finish, reason):
    kinds, events = told(chunk(content="Hi"), chunk(finish))
    assert kinds[-1] == "incomplete"
    response = events[-1]["response"]
    assert response["incomplete_details"] == {"reason": reason}
    assert response["output"][0]["status"] == "incomplete"


def test_usage_that_nobody_told_is_marked():
    _, events = told(chunk(content="Hi"), chunk("stop"))
    assert events[-1]["response"]["usage"]["estimated"] is True


def test_an_error_is_told_once_and_ends_the_response():
    one = telling()
    broken = error_events("It broke.", code="upstream_failed")
    body = (
        one.events([chunk(content="Hi"), called(0, "{", "weather"), *broken, chunk(content="more")])
        + one.end()
    )
    events = server_sent(body)
    heard = streamed(events)
    assert (heard.text, heard.error, heard.kind, heard.ended) == ("Hi", "It broke.", "upstream_failed", True)
    assert [name for name, _ in events[-2:]] == ["error", "response.failed"]
    failed = json.loads(events[-1][1])["response"]
    assert failed["error"] == {"code": "server_error", "message": "It broke."}
    assert failed["usage"] is None
    assert [item["type"] for item in failed["output"]] == ["message"]  # no call that lacks its end


def test_a_fault_before_the_first_event_is_a_whole_stream():
    one = telling()
    heard = streamed(server_sent(one.fault(UpstreamFailed("All failed."), None) + one.end()))
    assert (heard.text, heard.error, heard.ended) == ("", "All failed.", True)


def test_a_fault_after_an_error_adds_nothing():
    one = telling()
    one.events([chunk(content="Hi"), *error_events("It broke.", code="x")])
    assert one.fault(UpstreamFailed("All failed."), inspect(chunk())) == b""


def test_a_stream_without_a_word_is_still_a_response():
    kinds, events = told()
    assert kinds == [*BEGIN, "completed"]
    assert events[-1]["response"]["model"] == "free"


def test_what_is_kept_is_what_was_told():
    kept: list[Any] = []
    one = telling(kept=kept)
    one.events([chunk(content="Hi"), chunk("stop")])
    last = json.loads(server_sent(one.end())[-1][1])["response"]
    assert last["store"] is True
    assert kept == [last]


TEXTS = st.text(min_size=1, max_size=5)
PIECES = st.lists(
    st.one_of(
        TEXTS.map(lambda text: {"content": text}),
        TEXTS.map(lambda text: {"reasoning_content": text}),
        TEXTS.map(lambda text: {"refusal": text}),
        st.tuples(st.integers(0, 2), TEXTS).map(
            lambda of: {"tool_calls": [{"index": of[0], "function": {"arguments": of[1]}}]}
        ),
    ),
    max_size=12,
)


@given(pieces=PIECES, cuts=st.lists(st.integers(0, 12)))
def test_any_split_of_a_stream_gives_the_same_response(pieces, cuts):
    chunks = [called(at, "", "weather") for at in range(3)] + [chunk(**piece) for piece in pieces] + [COUNTED]
    at_once, split = telling(), telling()
    expected = at_once.events(chunks) + at_once.end()
    ends = sorted({*cuts, len(chunks)})
    found = b"".join(split.events(chunks[begin:end]) for begin, end in zip([0, *ends], ends, strict=False))
    assert found + split.end() == expected
    assert json.loads(server_sent(expected)[-1][1])["type"] == "response.completed"


@given(text=st.text(max_size=30), cuts=st.lists(st.integers(0, 200), max_size=8), spaced=st.booleans())
def test_free_text_is_the_same_however_its_arguments_come(text, cuts, spaced):
    arguments = json.dumps({"input": text}) if spaced else free_text(text)
    input_, places = FreeText(), [0, *sorted(min(cut, len(arguments)) for cut in cuts), len(arguments)]
    said = [input_.feed(arguments[begin:end]) for begin, end in pairwise(places)]
    assert "".join([*said, input_.end()]) == input_.text == text


@pytest.mark.parametrize("arguments", ["*** Begin Patch", '{"patch": "x"}', "", "{"])
def test_arguments_that_hold_no_free_text_are_the_text(arguments):
    input_ = FreeText()
    assert input_.feed(arguments) + input_.end() == arguments


def test_half_a_character_ends_the_free_text_before_it():
    input_ = FreeText()
    assert input_.feed('{"input":"a\\ud800b"}') + input_.end() == "a"


def test_a_whole_answer_says_the_same_as_its_stream():
    message = {"role": "assistant", "content": "Hi", "reasoning_content": "Hm."}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = json.dumps({"id": "c1", "model": "m", "choices": [choice], "usage": USAGE}).encode()
    response = json.loads(telling().whole(body))
    heard = whole(response)
    assert (heard.text, heard.reasoning, heard.finish) == ("Hi", "Hm.", "stop")
    _, events = told(chunk(reasoning_content="Hm."), chunk(content="Hi"), chunk("stop"), COUNTED)
    assert events[-1]["response"] == response


def test_line_ends_before_thoughts_are_told_with_the_text_as_in_the_whole():
    message = {"role": "assistant", "content": "\nHi", "reasoning_content": "Hm."}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = json.dumps({"id": "c1", "model": "m", "choices": [choice], "usage": USAGE}).encode()
    parts = (chunk(content="\n"), chunk(reasoning_content="Hm."), chunk(content="Hi"), chunk("stop"), COUNTED)
    assert told(*parts)[1][-1]["response"] == json.loads(telling().whole(body))
