"""Tool calls in a text: found in each form, however the text is cut, and never where there are none."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.domain.catalogue import Quirks
from freeroute.domain.outcome import Kind
from freeroute.engine.ports import Terms
from freeroute.upstreams.code_marks import LINE_LIMIT
from freeroute.upstreams.text_tools import FORMS, HELD_LIMIT, Call, TextTools
from tests.support import virtual
from tests.support.asking import DONE, IMPATIENT, STOP, ask, candidate, event, rest, stream_of
from tests.support.transports import HANG, PlayedTransport, Step, json_reply, sse_reply

TOOLS = frozenset({"look", "add"})
WRITTEN = '<tool_call>{"name":"look","arguments":{"city":"Rome"}}</tool_call>'
LOOK, ADD = Call("look", '{"city":"Rome"}'), Call("add", '{"a":1}')


def read(form: str, *pieces: str) -> tuple[str, list[Call]]:
    tools = TextTools(form, TOOLS)
    found = [*map(tools.feed, pieces), tools.feed("", ends=True)]
    return "".join(told for told, _ in found), [call for _, calls in found for call in calls]


@pytest.mark.parametrize(
    ("form", "text", "told", "calls"),
    [
        ("hermes", '<tool_call>\n{"name":"look","arguments":{"city":"Rome"}}\n</tool_call>', "", [LOOK]),
        ("hermes", 'Well.\n<tool_call>{"name":"add","arguments":{"a":1}}', "Well.\n", [ADD]),
        (
            "hermes",
            f'{WRITTEN}\n<tool_call>{{"name":"add","arguments":"{{\\"a\\":1}}"}}</tool_call>\nDone.',
            "Done.",
            [LOOK, ADD],
        ),
        ("llama", '{"name": "look", "parameters": {"city": "Rome"}}', "", [LOOK]),
        ("llama", '\n<|python_tag|>{"name": "look", "parameters": {"city": "Rome"}}', "", [LOOK]),
        ("llama", 'So: <|python_tag|>{"name": "add", "arguments": {"a": 1}}', "So: ", [ADD]),
        (
            "llama",
            '{"name":"look","parameters":{"city":"Rome"}}; {"name":"add","parameters":{"a":1}}',
            "",
            [LOOK, ADD],
        ),
        (
            "mistral",
            '[TOOL_CALLS][{"name":"look","arguments":{"city":"Rome"}},{"name":"add","arguments":{"a":1}}]',
            "",
            [LOOK, ADD],
        ),
        ("mistral", 'Ok [TOOL_CALLS] {"name":"add","arguments":{"a":1}}', "Ok ", [ADD]),
        ("mistral", '[TOOL_CALLS]look{"city":"Rome"}[TOOL_CALLS]add[ARGS]{"a":1}', "", [LOOK, ADD]),
        ("mistral", '[TOOL_CALLS]add[CALL_ID]xyz[ARGS]{"a":1}', "", [ADD]),
        ("mistral", "[TOOL_CALLS]look{}", "", [Call("look", "{}")]),
        ("hermes", '<tool_call>{"name":"look"}</tool_call>', "", [Call("look", "{}")]),
        (
            "hermes",
            '<tool_call>{"name":"look","arguments":{"city":"</tool_call><tool_call>"}} </tool_call> Done.',
            "Done.",
            [Call("look", '{"city":"</tool_call><tool_call>"}')],
        ),
    ],
)
def test_calls_are_found_in_each_form(form, text, told, calls):
    assert read(form, text) == (told, calls)
    assert read(form, *text) == (told, calls)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("hermes", '<tool_call>{"name":"other","arguments":{}}</tool_call>'),
        ("hermes", "<tool_call>look(city=Rome)</tool_call>"),
        ("hermes", '<tool_call>{"name":"look","arguments":{}} and more</tool_call>'),
        ("hermes", '<tool_call>{"name":"look","arguments":{"city":'),
        ("hermes", '<tool_call>{"name":"look","arguments":[1]}</tool_call>'),
        ("hermes", "a <tool_call is an element"),
        ("hermes", '{"name":"look","arguments":{}}'),
        ("hermes", "<tool_call>" + "[" * 100_000),
        ("hermes", '<tool_call>{"arguments":' + '{"a":' * 100_000),
        ("hermes", '<tool_call>{"name":"look","arguments":{"city":"\\x"}}</tool_call>'),
        ("hermes", '<tool_call>{"arguments":{},"name":"other"}</tool_call>'),
        ("hermes", '<tool_call>{"arguments":{}}</tool_call>'),
        ("llama", '{"city": "Rome"}'),
        ("llama", '{"name":"look","parameters":{}} and so on'),
        ("llama", 'For example {"name":"look","parameters":{}}'),
        ("llama", "{ hello }"),
        ("llama", "<|python_tag|>print(1)"),
        ("mistral", "[TOOL_CALLS]"),
        ("mistral", "[TOOL_CALLS] none"),
        ("mistral", "[TOOL_CALLS][1]"),
        ("mistral", "[TOOL"),
        ("mistral", " \n"),
        ("mistral", "\n Hello!\n"),
    ],
)
def test_what_is_no_call_of_an_offered_tool_stays_text(form, text):
    assert read(form, text) == (text, [])


def test_text_flows_until_a_call_may_begin():
    tools = TextTools("hermes", TOOLS)
    assert [tools.feed(piece)[0] for piece in ("Let", " me <b>", "look.<tool", '_call>{"name', '":')] == [
        "Let",
        " me <b>",
        "look.",
        "",
        "",
    ]


@pytest.mark.parametrize(
    ("form", "begun", "end"),
    [
        ("hermes", "Write <tool_call> ", "to"),
        ("hermes", '<tool_call>{"na', "p"),
        ("hermes", '<tool_call>{"name": "lo', "t"),
        ("hermes", '<tool_call>{"name": "look", "arguments": {"city": Ro', "me}"),
        ("hermes", '<tool_call>{"name": "look", "arguments": []', "}"),
        ("hermes", '<tool_call>{"name": "look"} ', "is"),
        ("llama", '{"', "title"),
        ("llama", '{"name": "', "Bob"),
        ("llama", '{"type": "func', "y"),
        ("llama", '{"name": "look", "parameters": {}}', " is"),
        ("mistral", "[TOOL_CALLS] ", "is"),
        ("mistral", "[TOOL_CALLS]look", " at"),
        ("mistral", "[TOOL_CALLS][", "1"),
    ],
)
def test_text_flows_again_as_soon_as_it_cannot_become_a_call(form, begun, end):
    tools = TextTools(form, TOOLS)
    told, _ = tools.feed(begun)
    assert tools.begun
    assert told + tools.feed(end)[0] == begun + end
    assert not tools.begun
    assert tools.feed(" and so on") == (" and so on", [])


@pytest.mark.parametrize(
    ("form", "text", "rest"),
    [
        ("hermes", WRITTEN, "Done."),
        ("mistral", '[TOOL_CALLS]look{"city":"Rome"}', "Done."),
        ("mistral", '[TOOL_CALLS][{"name":"look","arguments":{"city":"Rome"}}', "]Done."),
        ("llama", '{"name":"look","parameters":{"city":"Rome"}};{', "}"),
    ],
)
def test_a_call_is_told_as_soon_as_it_is_finished(form, text, rest):
    tools = TextTools(form, TOOLS)
    assert [call for piece in text for call in tools.feed(piece)[1]] == [LOOK]
    told, calls = tools.feed(rest, ends=True)
    assert (told, calls) == (rest.strip("]") if form != "llama" else "{}", [])


@pytest.mark.parametrize(
    "text",
    [
        f"Example:\n```\n{WRITTEN}\n```\nThat is the format.",
        f"Example:\n~~~~xml\n~~~\n{WRITTEN}\n~~~~\nThat is the format.",
        f"- so:\n  ```xml\n  {WRITTEN}",
        f"Write `{WRITTEN}` or ``a ` {WRITTEN}``.",
        f"> ```\n> {WRITTEN}",
        f"Write ```{WRITTEN}``` alone.",
        f"`{WRITTEN}`",
        f"`{WRITTEN} and {WRITTEN}` are two.",
    ],
)
def test_a_call_in_code_is_an_example(text):
    assert read("hermes", text) == (text, [])
    assert read("hermes", *text) == (text, [])


@pytest.mark.parametrize(
    "before", ["```\nls\n```\n", "Use `ls`. ", "A lone ` in a line.\n", "~~~\n```\n~~~\n", "``` ls ```: "]
)
def test_a_call_behind_code_is_one(before):
    assert read("hermes", before + WRITTEN) == (before, [LOOK])
    assert read("hermes", *before, *WRITTEN) == (before, [LOOK])


@pytest.mark.parametrize(
    "before", ["Don`t worry: ", "The ` is odd. ", "Use ``` for code. ", "A ` and `code`: ", "A `` and `: "]
)
@pytest.mark.parametrize("after", ["", "\n", " Done.\nUse `ls`.", " ```` \n", " ````"])
def test_a_backtick_that_nothing_closes_in_its_line_makes_no_code(before, after):
    text = before + WRITTEN + after
    told = before + after.lstrip()
    assert read("hermes", text) == (told, [LOOK])
    assert read("hermes", *text) == (told, [LOOK])


def test_behind_an_open_backtick_a_call_waits_for_the_end_of_its_line_but_not_for_long():
    tools = TextTools("hermes", TOOLS)
    assert tools.feed(f"Don`t: {WRITTEN} so") == ("Don`t: ", [])
    assert tools.feed("\n") == ("so\n", [LOOK])
    assert tools.feed(f"Don`t: {WRITTEN}") == ("Don`t: ", [])
    assert tools.feed("x" * LINE_LIMIT) == ("x" * LINE_LIMIT, [LOOK])


def test_behind_a_mark_that_is_none_there_may_be_a_call():
    text = f"A <tool_call> begins so: {WRITTEN}"
    assert read("hermes", *text) == ("A <tool_call> begins so: ", [LOOK])


def test_a_call_that_is_too_long_flows_as_text():
    tools = TextTools("hermes", TOOLS)
    begun = '<tool_call>{"name":"look","arguments":{"city":"'
    assert tools.feed(begun) == ("", [])
    assert len(tools.feed("x" * HELD_LIMIT)[0]) == HELD_LIMIT + len(begun)
    assert tools.feed(WRITTEN) == ("", [LOOK])


TAGS = [form.mark for form in FORMS.values()]
FRAGMENTS = [*TAGS, "</tool_call>", '{"name":"look","arguments":{}}', "[ARGS]", "look", ";", '"look"']
FRAGMENTS += [WRITTEN, "<", "[", "{", "}", " ", "\n", "a", "`", "```"]


@given(st.sampled_from(sorted(FORMS)), st.lists(st.sampled_from(FRAGMENTS), max_size=12), st.data())
def test_any_cut_gives_the_same_and_text_without_calls_is_whole(form, parts, data):
    text = "".join(parts)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)))))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert read(form, *pieces) == read(form, text)
    told, calls = read(form, text)
    assert calls or told == text


# --- through the adapter ---------------------------------------------------------------------------------

OFFERED = [{"type": "function", "function": {"name": name}} for name in sorted(TOOLS)]
QWEN = candidate(quirks=Quirks(think_tags=("*",), text_tools={"other": "llama", "Vendor/*": "hermes"}))


async def said(*contents: str, end: tuple[bytes, ...] = (STOP, DONE), **fields: Any) -> list[dict[str, Any]]:
    steps = [event({"content": content}) for content in contents]
    fields = {"tools": OFFERED, **fields}
    sent = await ask(PlayedTransport(sse_reply(*steps, *end)), asked=QWEN, stream=True, **fields)
    stream = stream_of(sent)
    chunks = [msgspec.json.decode(payload) for payload in await rest(stream)]
    choices = [chunk["choices"][0] for chunk in chunks]
    assert stream.finish == choices[-1]["finish_reason"]
    return choices


def rescued(choices: list[dict[str, Any]]) -> list[tuple[int, str, str]]:
    calls = [call for choice in choices for call in choice["delta"].get("tool_calls", ())]
    assert all(call["id"].startswith("call_") and call["type"] == "function" for call in calls)
    return [(call["index"], call["function"]["name"], call["function"]["arguments"]) for call in calls]


async def test_a_stream_ends_with_the_calls_in_its_text():
    choices = await said("<think>hm</think>Let me look. ", WRITTEN[:20], WRITTEN[20:] + WRITTEN)
    assert "".join(choice["delta"].get("content") or "" for choice in choices) == "Let me look. "
    assert rescued(choices) == [(0, "look", '{"city":"Rome"}'), (1, "look", '{"city":"Rome"}')]
    assert choices[-1]["finish_reason"] == "tool_calls"


async def test_calls_are_told_even_where_a_stream_ends_without_a_finish():
    assert rescued(await said(WRITTEN, end=(DONE,))) == [(0, "look", '{"city":"Rome"}')]


@pytest.mark.parametrize("begun", ["<tool_", '<tool_call>{"name": "look", "argu'])
async def test_a_stream_that_dies_where_a_call_may_have_begun_says_so(begun):
    steps = [event({"content": "Let me look. "}), event({"content": begun})]
    sent = await ask(PlayedTransport(sse_reply(*steps)), asked=QWEN, stream=True, tools=OFFERED)
    stream = stream_of(sent)
    assert msgspec.json.decode((await rest(stream))[-1])["choices"][0]["delta"]["content"] == begun
    assert stream.held
    assert stream.outcome is not None


@pytest.mark.parametrize("begun", ["<tool_call>", '<tool_call>{"name": "look", "argu'])
@pytest.mark.parametrize(("end", "kind"), [([], Kind.TRUNCATED), ([HANG], Kind.TIMED_OUT)])
async def test_a_call_that_only_began_is_no_answer_yet(begun, end, kind):
    steps = [event({"content": begun}), *end]
    sent = await ask(PlayedTransport(sse_reply(*steps)), IMPATIENT, QWEN, stream=True, tools=OFFERED)
    assert sent.outcome.kind is kind


@pytest.mark.parametrize(("pause", "kind"), [(0.9, Kind.SERVED), (1.1, Kind.TIMED_OUT)])
def test_whoever_writes_a_call_has_the_time_between_events_for_each_piece_of_it(pause, kind):
    texts = [WRITTEN[at : at + 12] for at in range(0, len(WRITTEN), 12)]
    steps = [step for text in texts for step in (event({"content": text}), pause)]
    terms = Terms(connect=1, first_event=1, between_events=1, total=300)
    played = PlayedTransport(sse_reply(*steps, STOP, DONE))
    assert virtual.run(ask(played, terms, QWEN, stream=True, tools=OFFERED)).outcome.kind is kind


def test_silence_is_no_work_on_a_call():
    terms = Terms(connect=1, first_event=1, between_events=5, total=300)
    steps: list[Step] = [event({"content": "<tool_call>"}), 4.0, b": hm\n\n", 4.0]
    played = PlayedTransport(sse_reply(*steps, event({"content": WRITTEN}), STOP, DONE))
    sent = virtual.run(ask(played, terms, QWEN, stream=True, tools=OFFERED))
    assert sent.outcome.kind is Kind.TIMED_OUT


async def test_a_call_is_told_before_the_text_behind_it():
    choices = await said(WRITTEN, " So ", "it goes.")
    assert rescued(choices[:1]) == [(0, "look", '{"city":"Rome"}')]
    assert "".join(choice["delta"].get("content") or "" for choice in choices) == "So it goes."
    assert choices[-1]["finish_reason"] == "tool_calls"


async def test_calls_in_the_text_follow_those_beside_it():
    beside = event({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "add", "arguments": ""}}]})
    choices = await said(WRITTEN, end=(beside, STOP, DONE))
    assert [call["index"] for c in choices for call in c["delta"].get("tool_calls", ())] == [0, 1]


@pytest.mark.parametrize("fields", [{"tools": []}, {"tool_choice": "none"}])
async def test_without_tools_to_call_everything_is_text(fields):
    choices = await said(WRITTEN, **fields)
    assert choices[0]["delta"]["content"] == WRITTEN
    assert choices[-1]["finish_reason"] == "stop"


async def test_a_finish_for_another_reason_stays():
    choices = await said(WRITTEN, end=(event(finish="length"), DONE))
    assert rescued(choices)
    assert choices[-1]["finish_reason"] == "length"


async def test_the_calls_of_a_whole_answer_are_rescued_too():
    message = {"role": "assistant", "content": f"<think>hm</think>{WRITTEN}"}
    body = msgspec.json.encode({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
    sent = await ask(PlayedTransport(json_reply(body)), asked=QWEN, tools=OFFERED)
    assert sent.answer is not None
    assert sent.answer.finish == "tool_calls"
    choice = msgspec.json.decode(sent.answer.body)["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert choice["message"]["reasoning_content"] == "hm"
    [call] = choice["message"]["tool_calls"]
    assert call.keys() == {"id", "type", "function"}
    assert call["function"] == {"name": "look", "arguments": '{"city":"Rome"}'}
