"""Streams after their first event: how they may die, and how differently they may be written."""

import pytest

from tests.faults.scene import ALPHA_FIRST, PROMPT, SERVED, Stand, suspect
from tests.support.asking import COUNTED, DONE, HI, ROLE, STOP, WHOLE, event
from tests.support.provider import closed, ended, raw, reset, silent, sse, whole

HASTY = {"timeouts": {"between_events": "150ms"}}
CALLED = event(
    {"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "look", "arguments": '{"at":'}}]}
)
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
WRITTEN = '<tool_call>{"name": "look", "arguments": {}}</tool_call>'
BY_TEXT = {
    "quirks": {"text_tools": {"*": "hermes"}},
    "models": [{"id": "large", "capabilities": ["tools"]}],
}
# Two bytes of text are one token.
HI_ALONE = suspect(1, PROMPT + 1)


# --- deaths ------------------------------------------------------------------------------------------------


async def test_a_stall_is_ended_and_told(play):
    scene = await play(sse(ROLE, HI, then=silent), alpha=HASTY)
    assert await scene.breaks_off("stalled", ROLE + HI) == HI_ALONE


async def test_comments_do_not_make_a_stall_an_answer_for_ever(play):
    """They are bytes, and each ends a silence; the total ends them all."""
    comments = [b": still here\n\n"] * 20_000
    scene = await play(sse(ROLE, HI, *comments, then=silent), alpha={"timeouts": {"total": "500ms"}})
    assert await scene.breaks_off("stalled", ROLE + HI) == HI_ALONE


async def test_a_clean_end_without_a_finish_is_a_cut(play):
    scene = await play(sse(ROLE, HI))
    assert await scene.breaks_off("truncated", ROLE + HI) == HI_ALONE


@pytest.mark.parametrize(
    "last",
    [
        b"",
        b"data: Internal Server Error\n\n",
        b"<html>502 Bad Gateway</html>\n\n",
        b'data: [{"error":{"code":500,"message":"gone","status":"INTERNAL"}}]\n\n',
    ],
    ids=["nothing", "bare words", "a page", "an array"],
)
async def test_an_end_that_says_done_but_never_finished_is_a_cut(play, last):
    scene = await play(sse(ROLE, HI, last, DONE))
    reply = await scene.ask(True)
    assert (reply.error["code"], reply.ended) == ("upstream_failed", True)
    assert await scene.stands() == HI_ALONE


async def test_a_connection_that_closes_in_the_middle_is_a_cut(play):
    scene = await play(sse(ROLE, HI, then=closed))
    assert await scene.breaks_off("truncated", ROLE + HI) == HI_ALONE


async def test_a_connection_that_is_reset_in_the_middle_is_a_cut(play):
    scene = await play(sse(ROLE, HI, then=reset))
    assert await scene.breaks_off("truncated", ROLE + HI) == HI_ALONE


async def test_an_answer_of_http_1_0_that_is_reset_is_a_cut(play):
    head = b"HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
    scene = await play(raw(head + ROLE + HI, then=reset))
    assert await scene.breaks_off("truncated", ROLE + HI) == HI_ALONE


@pytest.mark.parametrize("then", [closed, None], ids=["broken", "ended"])
async def test_a_cut_inside_a_letter_leaves_no_half_of_it(play, then):
    half = event({"content": "naïve"}).split(b"\xaf")[0]
    scene = await play(sse(ROLE, HI, half, then=then) if then else sse(ROLE, HI, half))
    assert await scene.breaks_off("truncated", ROLE + HI) == HI_ALONE


@pytest.mark.parametrize(
    ("then", "kind"), [(reset, "truncated"), (silent, "timed_out"), (ended, "truncated")]
)
@pytest.mark.parametrize("begun", ["<tool_call>", '<tool_call>{"name": "look", "arg'])
async def test_a_tool_call_in_the_text_that_only_began_is_no_answer_yet(play, begun, then, kind):
    hasty = {"timeouts": {"first_event": "200ms", "between_events": "150ms"}}
    scene = await play(sse(event({"content": begun}), then=then), every=BY_TEXT, alpha=hasty)
    reply = await scene.ask(True, tools=[TOOL])
    assert (reply.status, reply.by, reply.trail) == (200, "beta", f"alpha/large={kind}:200")
    assert (await scene.stands()).state == "suspect"


async def test_an_example_of_a_tool_call_stays_text(play):
    example = event({"content": f"So:\n```\n{WRITTEN}\n```\nThat is it."})
    scene = await play(sse(ROLE, example, STOP, COUNTED, DONE), every=BY_TEXT)
    await scene.serves(True, ROLE + example + STOP + DONE, tools=[TOOL])


@pytest.mark.parametrize("last", [(), (DONE,)], ids=["ended", "done"])
async def test_a_cut_inside_a_tool_call_does_not_pass_for_a_call(play, last):
    scene = await play(
        sse(ROLE, CALLED, *last), alpha={"models": [{"id": "large", "capabilities": ["tools"]}]}
    )
    stand = await scene.breaks_off("truncated", ROLE + CALLED, tools=[TOOL])
    assert (stand.state, stand.used[0]) == ("suspect", 1)


async def test_an_error_in_the_middle_is_told_in_our_words_not_in_theirs(play):
    error = b'data: {"error":{"message":"worker alpha-secret-key-1 died","code":500}}\n\n'
    scene = await play(sse(ROLE, HI, error, DONE))
    assert await scene.breaks_off("fault", ROLE + HI) == HI_ALONE


async def test_a_quota_refused_in_the_middle_rests_the_candidate_and_is_no_failure(play):
    error = b'data: {"error":{"message":"Rate limit exceeded","code":429}}\n\n'
    scene = await play(sse(ROLE, HI, error))
    stand = Stand((1, PROMPT + 1), "resting", "out of quota, says the provider", 5.0)
    assert await scene.breaks_off("rate_limited", ROLE + HI) == stand


@pytest.mark.parametrize("told", ["timeout", "cancelled", "ERROR_INTERNAL", "OTHER"])
async def test_a_stream_that_its_provider_gave_up_has_not_ended(play, told):
    scene = await play(sse(ROLE, HI, event({"content": "!"}, told), DONE))
    assert await scene.breaks_off("fault", ROLE + HI) == HI_ALONE


async def test_chunks_that_are_no_chunks_in_the_middle_are_a_cut(play):
    scene = await play(sse(ROLE, HI, then=raw(b"zz\r\nno\r\n")))
    assert await scene.breaks_off("truncated", ROLE + HI) == HI_ALONE


async def test_an_event_over_the_bound_ends_the_stream(play):
    scene = await play(sse(ROLE, HI, b"data: " + b"x" * (5 * 1024 * 1024), then=silent))
    assert await scene.breaks_off("garbage", ROLE + HI) == HI_ALONE


async def test_a_stream_far_longer_than_asked_for_is_ended(play):
    word = event({"content": "word " * 2000})
    scene = await play(sse(ROLE, *[word] * 100, then=silent))
    reply = await scene.ask(True, max_tokens=8)
    assert (reply.error["code"], reply.ended) == ("upstream_failed", True)
    assert len(reply.text) < 70_000
    stand = await scene.stands()
    assert (stand.state, stand.used[0]) == ("suspect", 1)
    assert stand.used[1] > 15_000  # what came is charged, wanted or not


@pytest.mark.parametrize("whole_answer", [False, True], ids=["sse", "json"])
async def test_whoever_goes_on_may_have_nothing_to_add(play, whole_answer):
    nothing = whole(WHOLE.replace(b'"Hi"', b'""')) if whole_answer else sse(ROLE, STOP, COUNTED, DONE)
    scene = await play(
        sse(ROLE, HI, then=closed), beta=nothing, every={"quirks": {"prefill": "trailing_assistant"}}
    )
    wish = {"x-freeroute-continue": "true"}
    reply = await scene.ask(True, headers=wish, stream_options={"include_usage": True})
    assert (reply.status, reply.by, reply.error, reply.text) == (200, "alpha", None, "Hi")
    [mark] = [event for event in reply.events if "freeroute" in event]
    assert mark["choices"][0]["finish_reason"] == "stop"
    assert [by["provider"] for by in mark["freeroute"]["continued"]] == ["beta"]
    [usage] = [event["usage"] for event in reply.events if event.get("usage")]
    assert usage["total_tokens"] == PROMPT + 1 + 5
    assert (await scene.stands(), await scene.stands("beta")) == (HI_ALONE, SERVED)


async def test_whoever_begins_anew_and_says_nothing_has_not_gone_on(play):
    scene = await play(sse(ROLE, HI, then=closed), beta=sse(ROLE, STOP, COUNTED, DONE))
    reply = await scene.ask(True, headers={"x-freeroute-continue": "true"})
    assert (reply.text, reply.error["code"]) == ("Hi", "upstream_failed")
    assert [note["kind"] for note in (await scene.gateway.last_request())["attempts"]] == [
        "truncated",
        "empty",
    ]


async def test_three_streams_that_die_open_the_breaker(play):
    scene = await play(sse(ROLE, HI))
    for _ in range(3):
        assert (await scene.ask(True)).error["code"] == "upstream_failed"
        scene.clock.advance(120)  # above suspicion again, and so asked first
    assert (await scene.stands()).state == "half-open"


# --- spellings ---------------------------------------------------------------------------------------------

SPOKEN = ROLE + HI + STOP + COUNTED + DONE
HEARD = ROLE + HI + STOP + DONE


def spread(written: bytes) -> bytes:
    """Return an event with its payload on several lines; to JSON a line break is a blank."""
    return written.replace(b",", b",\ndata: ")


@pytest.mark.parametrize(
    "written",
    [
        SPOKEN.replace(b"\n", b"\r\n"),
        SPOKEN.replace(b"\n", b"\r"),
        b"\xef\xbb\xbf" + SPOKEN,
        b": OPENROUTER PROCESSING\n\n" + SPOKEN.replace(b"data: ", b": ping\ndata: "),
        b"retry: 3000\n\n" + SPOKEN.replace(b"data: ", b"id: 7\nevent: message\ndata: "),
        b"id: 1\n\n" + SPOKEN,
        SPOKEN.replace(b"data: ", b"data:"),
        SPOKEN.removesuffix(b"\n"),
        SPOKEN.removesuffix(b"\n\n"),
        SPOKEN.removesuffix(DONE),
        SPOKEN.removesuffix(b"\n\n" + DONE),
        SPOKEN + event({"content": "after the end"}),
    ],
    ids=[
        "crlf",
        "cr",
        "bom",
        "comments",
        "id_retry_event",
        "blank_after_id",
        "no_space",
        "no_blank_line",
        "no_last_newline",
        "no_done",
        "no_done_no_newline",
        "after_done",
    ],
)
async def test_every_legal_spelling_reaches_the_caller_as_one(play, written):
    scene = await play(sse(written))
    await scene.serves(True, HEARD)
    assert await scene.stands() == SERVED


async def test_lines_of_data_are_one_event(play):
    written = ROLE + spread(HI) + STOP + COUNTED + DONE
    scene = await play(sse(written))
    await scene.serves(True, ROLE + spread(HI) + STOP + DONE)
    assert await scene.stands() == SERVED


async def test_bytes_that_come_one_by_one_are_the_same_stream(play):
    greeting = event({"content": "Grüße 👋"})
    written = ROLE + greeting + STOP + COUNTED + DONE
    scene = await play(sse(*[written[at : at + 1] for at in range(len(written))]))
    await scene.serves(True, ROLE + greeting + STOP + DONE)
    assert await scene.stands() == SERVED


async def test_an_event_of_a_mebibyte_passes_whole(play):
    large = event({"content": "x" * 1024 * 1024})
    counted = event(choices=[], usage={"prompt_tokens": 3, "completion_tokens": 9000, "total_tokens": 9003})
    scene = await play(sse(ROLE, large, STOP, counted, DONE))
    await scene.serves(True, ROLE + large + STOP + DONE, max_tokens=40_000)
    assert await scene.stands() == Stand((1, 9003))


async def test_signs_of_life_among_the_events_are_left_out_and_the_rest_passes(play, log):
    scene = await play(
        sse(b"data: ping\n\n", ROLE, b"data: [KEEP-ALIVE]\n\n", HI, b"data: 17\n\n", STOP, COUNTED, DONE)
    )
    await scene.serves(True, HEARD)
    assert await scene.stands() == SERVED
    assert '"skipped":3' in log()


CUT = ROLE.replace(b'""', b'"The answer is not ')[:120] + b"\n\n"
HEADLESS = HI.replace(b"data: {", b"data: ")
WRAPPED = b"data: [" + HI.removeprefix(b"data: ").removesuffix(b"\n\n") + b"]\n\n"
FIELDLESS = HI.replace(b"data: ", b"ata: ")
LOST = {
    "cut": CUT,
    "headless": HEADLESS,
    "fieldless": FIELDLESS,
    "wrapped": WRAPPED,
    "words": b"data: Internal Server Error\n\n",
}


@pytest.mark.parametrize("lost", LOST.values(), ids=LOST.keys())
async def test_an_event_that_is_lost_before_anything_was_told_moves_on(play, lost):
    scene = await play(sse(lost, event({"content": "42."}), STOP, DONE))
    assert await scene.moves_on(True, "garbage:200") == suspect(1, PROMPT)


@pytest.mark.parametrize("lost", LOST.values(), ids=LOST.keys())
async def test_an_event_that_is_lost_in_the_middle_ends_the_stream(play, lost):
    scene = await play(sse(ROLE, HI, lost, event({"content": "!"}), STOP, DONE))
    assert await scene.breaks_off("truncated", ROLE + HI) == HI_ALONE


async def test_an_event_that_is_lost_after_the_finish_is_not_missed(play):
    scene = await play(sse(ROLE, HI, STOP, b"data: {oops\n\n", COUNTED, DONE))
    await scene.serves(True, HEARD)
    assert await scene.stands() == SERVED


async def test_empty_pieces_do_not_make_a_stall_an_answer(play):
    empty = [event({"content": ""})] * 20_000
    scene = await play(sse(ROLE, HI, *empty, then=silent), alpha=HASTY)
    reply = await scene.ask(True)
    assert (reply.text, reply.error["code"]) == ("Hi", "upstream_failed")
    assert (await scene.gateway.last_request())["code"] == "stalled"
    assert (await scene.stands()).state == "suspect"


async def test_nothing_but_events_that_cannot_be_read_is_no_answer(play):
    scene = await play(sse(*[b"data: {oops\n\n"] * 3, DONE))
    assert await scene.moves_on(True, "garbage:200") == suspect(1, PROMPT)


async def test_a_stream_that_does_not_end_after_its_finish_is_not_waited_for(play):
    scene = await play(sse(ROLE, HI, STOP, DONE, then=silent))
    await scene.serves(True, HEARD)
    assert await scene.stands() == Stand((1, PROMPT + 1))


@pytest.mark.parametrize("then", [closed, reset, silent], ids=["closed", "reset", "silent"])
async def test_a_stream_that_breaks_after_its_finish_was_served(play, then):
    scene = await play(sse(ROLE, HI, STOP, then=then), alpha=HASTY)
    await scene.serves(True, HEARD)
    assert await scene.stands() == Stand((1, PROMPT + 1))
    assert (await scene.gateway.last_request())["code"] is None


async def test_usage_that_nobody_tells_is_estimated_for_a_caller_that_asks(play):
    scene = await play(sse(ROLE, HI, STOP, DONE))
    reply = await scene.ask(True, stream_options={"include_usage": True})
    assert reply.raw.startswith(ROLE + HI + STOP)
    *_, last = reply.events
    counted = {"prompt_tokens": PROMPT, "completion_tokens": 1, "total_tokens": PROMPT + 1, "estimated": True}
    assert (last["choices"], last["usage"]) == ([], counted)
    assert await scene.stands() == Stand((1, PROMPT + 1))


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": -5, "completion_tokens": -7},
        {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
        {"prompt_tokens": "3"},
        {"prompt_tokens": 1e18, "completion_tokens": 1e300},
        {"total_tokens": None},
        [],
        7,
    ],
)
async def test_usage_that_cannot_be_is_estimated(play, usage):
    scene = await play(sse(ROLE, HI, STOP, event(usage=usage), DONE))
    await scene.serves(True, ROLE + HI + STOP + DONE)
    assert await scene.stands() == Stand((1, PROMPT + 1))


async def test_a_stream_that_breaks_tells_what_it_used_to_a_caller_that_asks(play):
    scene = await play(sse(ROLE, HI, then=reset))
    reply = await scene.ask(True, stream_options={"include_usage": True})
    *_, counts, last, alone = reply.events
    counted = {"prompt_tokens": PROMPT, "completion_tokens": 1, "total_tokens": PROMPT + 1, "estimated": True}
    assert (counts["choices"], counts["usage"]) == ([], counted)
    assert last["error"] == alone["error"]
    assert await scene.stands() == HI_ALONE


async def test_a_stream_with_fewer_choices_than_asked_for_says_so_at_its_end(play, log):
    scene = await play(sse(ROLE, HI, STOP, COUNTED, DONE))
    reply = await scene.ask(True, n=2)
    assert "x-freeroute-dropped" not in reply.headers  # nobody knew when its head left
    assert [chunk.get("freeroute") for chunk in reply.events] == [None, None, {"dropped": ["n"]}]
    assert '"dropped":"n"' in log()
    assert await scene.stands() == SERVED


@pytest.mark.parametrize("asked", [{"n": 2}, {"logprobs": True}])
async def test_who_insists_on_what_a_stream_passes_over_is_served_elsewhere(play, asked):
    logprobs = {"content": [{"token": "Hi", "logprob": -0.1, "bytes": None, "top_logprobs": []}]}
    pieces = [
        event(choices=[{"index": at, "delta": delta, "finish_reason": finish, "logprobs": measured}])
        for delta, finish, measured in (({"content": "Hi"}, None, logprobs), ({}, "stop", None))
        for at in (0, 1)
    ]
    scene = await play(sse(ROLE, HI, STOP, COUNTED, DONE), beta=sse(*pieces, COUNTED, DONE))
    insisting = {**ALPHA_FIRST["provider"], "require_parameters": True}
    reply = await scene.ask(True, **asked, provider=insisting)
    assert (reply.status, reply.by, reply.trail) == (200, "beta", "alpha/large=bad_parameter:200")
    assert len(reply.events) == len(pieces)
    assert (await scene.stands()).state == "healthy"


async def test_a_stream_without_the_logprobs_asked_for_says_so_from_the_beginning(play):
    scene = await play(sse(ROLE, HI, STOP, COUNTED, DONE))
    reply = await scene.ask(True, logprobs=True)
    assert reply.headers["x-freeroute-dropped"] == "logprobs"
    assert reply.events[-1]["freeroute"] == {"dropped": ["logprobs"]}
    assert await scene.stands() == SERVED


async def test_usage_comes_once_for_a_caller_that_asks(play):
    scene = await play(sse(ROLE, HI, STOP, COUNTED, DONE))
    reply = await scene.ask(True, stream_options={"include_usage": True})
    assert reply.raw == ROLE + HI + STOP + COUNTED + DONE
    assert await scene.stands() == SERVED
