"""The OpenAI-shaped upstream: what goes up, what comes back, and what every failure becomes."""

import asyncio
from typing import Any

import msgspec
import pytest

from freeroute.domain.catalogue import ErrorRule, Quirks
from freeroute.domain.headers import Auth
from freeroute.domain.outcome import Blame, Kind, Next, blamed, judge
from freeroute.domain.usage import Usage
from freeroute.engine.ports import Terms
from freeroute.upstreams.transport import (
    Disconnected,
    NameNotFound,
    NoFileLeft,
    Phase,
    ProtocolError,
    Refused,
    TimedOut,
    TlsFailed,
    TransportError,
    Truncated,
)
from tests.support.asking import DONE, IMPATIENT, ROLE, SECRET, STOP, WHOLE, ask, candidate, event, streamed
from tests.support.clocks import ManualClock
from tests.support.transports import HANG, PlayedTransport, Reply, json_reply, sse_reply


@pytest.mark.parametrize("unsent", [False, True])
async def test_what_runs_out_of_time_counts_unless_nothing_went_out(unsent):
    transport = PlayedTransport(HANG)
    transport.unsent = unsent
    sent = await ask(transport, Terms(connect=1, first_event=0.01, between_events=1, total=1))
    assert (sent.outcome.kind, sent.outcome.counted) == (Kind.TIMED_OUT, not unsent)


async def test_only_the_gateways_own_headers_go_up():
    transport = PlayedTransport(json_reply(WHOLE))
    await ask(transport)
    sending = transport.sent[0]
    assert (sending.method, sending.url) == ("POST", "https://api.example/openai/v1/chat/completions")
    assert sending.headers.pop("user-agent").startswith("freeroute/")
    assert sending.headers == {
        "content-type": "application/json",
        "accept": "application/json",
        "accept-encoding": "identity",
        "x-freeroute-hop": "1",
        "authorization": f"Bearer {SECRET}",
    }


async def test_a_keyless_provider_gets_no_authorization_and_others_their_own_header():
    transport = PlayedTransport(json_reply(WHOLE), json_reply(WHOLE))
    await ask(transport, asked=candidate(secret=""))
    own = candidate(auth=Auth(header="X-Api-Key", scheme=""), headers={"X-Title": "freeroute"})
    await ask(transport, Terms(1, 1, 1, 1, traceparent="00-a-b-01"), own)
    assert "authorization" not in transport.sent[0].headers
    assert transport.sent[1].headers["x-api-key"] == SECRET
    assert transport.sent[1].headers["x-title"] == "freeroute"
    assert transport.sent[1].headers["traceparent"] == "00-a-b-01"


async def test_a_key_that_cannot_stand_in_a_header_is_invalid_and_nothing_is_sent():
    transport = PlayedTransport()
    sent = await ask(transport, asked=candidate(secret="a\r\nx: y"))
    assert (sent.outcome.kind, sent.outcome.counted) == (Kind.KEY_INVALID, False)
    assert transport.sent == []


async def test_a_whole_answer_is_served_with_its_bytes_usage_and_finish():
    transport = PlayedTransport(json_reply(WHOLE))
    sent = await ask(transport)
    assert sent.outcome.kind is Kind.SERVED
    assert sent.answer is not None
    assert sent.answer.body == WHOLE
    assert sent.answer.usage == Usage(3, 2)
    assert sent.answer.finish == "stop"
    assert sent.head_at == ManualClock().now()
    assert sent.sent_at == ManualClock().now().later(0.25)


async def test_missing_usage_is_estimated_and_added():
    body = b'{"choices":[{"message":{"content":"Hello there"},"finish_reason":"stop"}]}'
    sent = await ask(PlayedTransport(json_reply(body)))
    assert sent.answer is not None
    assert sent.answer.usage is not None
    assert sent.answer.usage.estimated
    assert (
        msgspec.json.decode(sent.answer.body)["usage"]["completion_tokens"]
        == sent.answer.usage.completion
        > 0
    )


async def test_dropped_fields_are_reported():
    sent = await ask(
        PlayedTransport(json_reply(WHOLE)), asked=candidate(quirks=Quirks(drops=("user",))), user="me"
    )
    assert sent.dropped == ("user",)


@pytest.mark.parametrize(
    ("error", "kind", "counted"),
    [
        (Refused("x"), Kind.UNREACHABLE, False),
        (NameNotFound("x"), Kind.UNREACHABLE, False),
        (TlsFailed("x"), Kind.UNREACHABLE, False),
        (TimedOut(Phase.CONNECT, 3), Kind.UNREACHABLE, False),
        (TimedOut(Phase.POOL, 5), Kind.CROWDED, False),
        (NoFileLeft("x"), Kind.CROWDED, False),
        (TimedOut(Phase.FIRST_BYTE, 20), Kind.TIMED_OUT, True),
        (TimedOut(Phase.TOTAL, 300), Kind.TIMED_OUT, True),
        (Disconnected("x", reused=True, received=0), Kind.STALE, False),
        (Disconnected("x", reused=True, received=9), Kind.DISCONNECTED, True),
        (Disconnected("x", reused=False), Kind.DISCONNECTED, True),
        (ProtocolError("x"), Kind.GARBAGE, True),
    ],
)
async def test_each_way_to_fail_below_http_has_its_kind(error: TransportError, kind: Kind, counted: bool):
    outcome = (await ask(PlayedTransport(error))).outcome
    assert (outcome.kind, outcome.counted) == (kind, counted)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (Truncated("x"), Kind.TRUNCATED),
        (TimedOut(Phase.IDLE, 30), Kind.TIMED_OUT),
        (Disconnected("x"), Kind.DISCONNECTED),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_a_body_that_breaks_before_anything_was_said_is_a_failed_attempt(
    error: TransportError, kind: Kind, stream: bool
):
    first = ROLE if stream else WHOLE[:20]
    reply = sse_reply(first, error) if stream else Reply([first, error])
    transport = PlayedTransport(reply)
    assert (await ask(transport, stream=stream)).outcome.kind is kind
    assert transport.exchanges[0].aborted


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "reply", [HANG, Reply([HANG]), Reply([ROLE, HANG], content_type="text/event-stream")]
)
async def test_nothing_to_read_in_time_is_a_timeout(reply: Reply | str, stream: bool):
    transport = PlayedTransport(reply)
    assert (await ask(transport, IMPATIENT, stream=stream)).outcome.kind is Kind.TIMED_OUT
    assert all(exchange.aborted for exchange in transport.exchanges)


async def test_an_error_status_is_judged_with_the_catalogues_rules():
    rules = (ErrorRule(kind="no_capacity", status=503),)
    reply = json_reply(b'{"error":{"message":"busy"}}', 503, retry_after="9")
    transport = PlayedTransport(reply)
    outcome = (await ask(transport, asked=candidate(errors=rules))).outcome
    assert (outcome.kind, outcome.retry_after) == (Kind.NO_CAPACITY, 9.0)
    assert transport.exchanges[0].aborted


async def test_an_error_whose_body_never_ends_is_judged_by_its_status():
    endless = Reply([b'{"error":', HANG], 429, headers=[(b"retry-after", b"20")])
    outcome = (await ask(PlayedTransport(endless), IMPATIENT)).outcome
    assert (outcome.kind, outcome.status, outcome.retry_after) == (Kind.RATE_LIMITED, 429, 20)


async def test_an_error_whose_body_breaks_off_is_judged_by_its_status():
    reply = Reply([b'{"error":', Truncated("x")], status=429)
    assert (await ask(PlayedTransport(reply))).outcome.kind is Kind.RATE_LIMITED


async def test_a_key_that_a_provider_repeats_is_redacted():
    reply = json_reply(msgspec.json.encode({"error": {"message": f"bad request for {SECRET}"}}), 400)
    outcome = (await ask(PlayedTransport(reply))).outcome
    assert outcome.request_error is not None
    assert SECRET not in outcome.request_error


async def test_refused_penalties_are_put_on_one_the_caller_sent():
    body = msgspec.json.encode([{"error": {"code": 400, "message": "Penalty is not enabled for this model"}}])
    outcome = (await ask(PlayedTransport(json_reply(body, 400)), presence_penalty=1)).outcome
    assert (outcome.kind, outcome.param) == (Kind.BAD_PARAMETER, "presence_penalty")


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply([b"<html>"], content_type="text/html"), Kind.GARBAGE),
        (json_reply(b"\x00\x01"), Kind.GARBAGE),
        (json_reply(b""), Kind.GARBAGE),
        (json_reply(b'{"hello":1}'), Kind.GARBAGE),
        (json_reply(b'{"choices":[]}'), Kind.EMPTY),
        (json_reply(b'{"choices":[{"message":{"content":" "},"finish_reason":"stop"}]}'), Kind.EMPTY),
        (json_reply(b'{"error":{"code":429,"message":"slow down"}}'), Kind.RATE_LIMITED),
        (json_reply(b'[{"error":{"code":429,"message":"slow down"}}]'), Kind.RATE_LIMITED),
        (json_reply(b' [{"error":{"code":503,"message":"x"}},{"error":{"code":1}}]'), Kind.FAULT),
        (json_reply(b"[]"), Kind.GARBAGE),
        (json_reply(b'[{"error":{"code":429}},7]'), Kind.GARBAGE),
        (json_reply(b'{"choices":[{"error":{"code":502,"message":"x"}}]}'), Kind.FAULT),
        (json_reply(b'{"object":"error","message":"gone","code":500}'), Kind.FAULT),
        (json_reply(b'{"detail":"Not authenticated"}'), Kind.KEY_INVALID),
        (json_reply(b"", 302), Kind.REDIRECTED),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_a_200_that_is_no_answer_is_a_failed_attempt(reply: Reply, kind: Kind, stream: bool):
    assert (await ask(PlayedTransport(reply), stream=stream)).outcome.kind is kind


def unfinished(told: object, **more: object) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": told}
    return msgspec.json.encode({"choices": [choice], **more})


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("told", [None, ""])
async def test_a_whole_answer_that_does_not_say_why_it_ended_was_cut(told: object, stream: bool):
    sent = await ask(PlayedTransport(json_reply(unfinished(told))), stream=stream)
    assert (sent.outcome.kind, blamed(sent.outcome)) == (Kind.TRUNCATED, Blame.PROVIDER)


@pytest.mark.parametrize(
    ("usage", "bound", "finish"),
    [(None, 5, "stop"), ((3, 5), None, "stop"), ((3, 4), 5, "stop"), ((3, 5), 5, "length")],
)
async def test_where_whole_answers_never_say_why_they_ended_only_the_bound_can_have_cut_them(
    usage, bound, finish
):
    counts = dict(zip(("prompt_tokens", "completion_tokens"), usage, strict=True)) if usage else None
    played = PlayedTransport(json_reply(unfinished(None, usage=counts)))
    asked = candidate(quirks=Quirks(whole_finish=False))
    sent = await ask(played, asked=asked, max_tokens=bound)
    assert sent.answer is not None
    assert sent.answer.finish == finish
    assert msgspec.json.decode(sent.answer.body)["choices"][0]["finish_reason"] == finish


@pytest.mark.parametrize("finish", ["length", "content_filter"])
@pytest.mark.parametrize("stream", [True, False])
async def test_an_empty_answer_with_a_good_reason_is_served(finish: str, stream: bool):
    whole = {"choices": [{"message": {"content": ""}, "finish_reason": finish}]}
    reply = sse_reply(event(finish=finish), DONE) if stream else json_reply(msgspec.json.encode(whole))
    assert (await ask(PlayedTransport(reply), stream=stream)).outcome.kind is Kind.SERVED


@pytest.mark.parametrize("reply", [HANG, sse_reply(ROLE, HANG)])
async def test_cancelling_a_call_closes_its_connection(reply: Reply | str):
    transport = PlayedTransport(reply)
    task = asyncio.create_task(ask(transport, stream=True))
    await transport.asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert all(exchange.aborted for exchange in transport.exchanges)


async def test_a_probe_takes_any_well_formed_answer():
    terms = Terms(1, 1, 1, 1, probe=True, max_output=16)
    empty = b'{"choices":[{"message":{"content":""},"finish_reason":"stop"}]}'
    assert (await ask(PlayedTransport(json_reply(empty)), terms)).outcome.kind is Kind.SERVED
    assert (await streamed(ROLE, STOP, DONE, terms=terms)).outcome.kind is Kind.SERVED
    assert (await ask(PlayedTransport(json_reply(b"<")))).outcome.kind is Kind.GARBAGE


LOOK = {"id": "a", "function": {"name": "look"}}
LOGPROBS = {"content": [{"token": "Hi", "logprob": -0.1, "bytes": None, "top_logprobs": []}]}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("asked", "choices", "lost"),
    [
        ({"n": 3}, [{}], ("n",)),
        ({"n": 2}, [{}, {}], ()),
        ({"n": 1}, [{}], ()),
        ({"logprobs": True}, [{}], ("logprobs",)),
        ({"logprobs": True}, [{"logprobs": LOGPROBS}], ()),
        ({"logprobs": True}, [{"message": {"content": None, "tool_calls": [LOOK]}}], ()),
        ({"logprobs": False}, [{}], ()),
        ({"n": 2, "logprobs": True}, [{"logprobs": None}], ("logprobs", "n")),
    ],
)
async def test_what_a_whole_answer_does_not_honour_is_told(asked, choices, lost, stream: bool):
    told = [
        {"index": at, "message": {"content": "Hi"}, "finish_reason": "stop", **one}
        for at, one in enumerate(choices)
    ]
    played = PlayedTransport(json_reply(msgspec.json.encode({"choices": told})))
    sent = await ask(played, stream=stream, **asked)
    assert (sent.outcome.kind, sent.dropped) == (Kind.SERVED, lost)


async def test_logprobs_in_another_form_are_none():
    choice = {"message": {"content": "Hi"}, "finish_reason": "stop", "logprobs": {"tokens": ["Hi"]}}
    played = PlayedTransport(json_reply(msgspec.json.encode({"choices": [choice]})))
    assert (await ask(played, logprobs=True)).dropped == ("logprobs",)


async def test_an_answer_that_does_not_honour_what_the_caller_insists_on_is_none():
    insisting: dict[str, Any] = {"n": 3, "provider": {"require_parameters": True}}
    outcome = (await ask(PlayedTransport(json_reply(WHOLE)), **insisting)).outcome
    assert (outcome.kind, outcome.param, outcome.status) == (Kind.BAD_PARAMETER, "n", 200)
    assert outcome.counted
    assert judge(outcome) is Next.CANDIDATE


async def test_silence_is_bounded_by_the_stream_and_not_cut_short_by_the_transport():
    transport = PlayedTransport(json_reply(WHOLE))
    await ask(transport, Terms(connect=1, first_event=300, between_events=30, total=600))
    deadlines = transport.sent[0].deadlines
    assert (deadlines.connect, deadlines.first_byte, deadlines.idle, deadlines.total) == (1, 300, 300, 600)


async def test_nothing_goes_up_without_a_parameter_that_the_caller_insists_on():
    transport = PlayedTransport(json_reply(WHOLE))
    dropping = candidate(quirks=Quirks(drops=("user",)))
    sent = await ask(transport, asked=dropping, user="me", provider={"require_parameters": True})
    assert (sent.outcome.kind, sent.outcome.param) == (Kind.BAD_PARAMETER, "user")
    assert not sent.outcome.counted
    assert transport.sent == []


@pytest.mark.parametrize(
    ("quirks", "fields", "param", "told"),
    [
        (Quirks(clamps={"temperature": (0, 1)}), {"temperature": 2}, "temperature", "temperature"),
        (Quirks(message_name=False), {}, "messages", "messages[].name"),
    ],
)
async def test_nothing_that_is_changed_goes_up_for_a_caller_that_insists(quirks, fields, param, told):
    transport = PlayedTransport(json_reply(WHOLE))
    named = {"messages": [{"role": "user", "content": "Hi", "name": "a"}], **fields}
    insisting: dict[str, Any] = {"provider": {"require_parameters": True}}
    outcome = (await ask(transport, asked=candidate(quirks=quirks), **named, **insisting)).outcome
    assert (outcome.kind, outcome.param, outcome.counted) == (Kind.BAD_PARAMETER, param, False)
    assert outcome.detail == f"{candidate().provider.name} does not take {told}"
    assert transport.sent == []


async def test_a_provider_that_does_not_take_what_the_caller_relies_on_is_not_asked():
    transport = PlayedTransport()
    asked = candidate(quirks=Quirks(accepts=("tools",)))
    outcome = (await ask(transport, asked=asked, functions=[{"name": "f"}])).outcome
    assert (outcome.kind, outcome.param, outcome.counted) == (Kind.BAD_PARAMETER, "functions", False)
    assert judge(outcome) is Next.CANDIDATE
    assert transport.sent == []


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (Refused("10.1.2.3:443: ECONNREFUSED"), "connection refused"),
        (Refused("10.1.2.3:443: ENETUNREACH"), "cannot be reached"),
        (NameNotFound("10.1.2.3 does not resolve"), "name does not resolve"),
        (TlsFailed("10.1.2.3: certificate: bad"), "TLS handshake or certificate failed"),
        (TimedOut(Phase.POOL, 5), "as many calls as we make there at a time were under way for 5 s"),
        (NoFileLeft("10.1.2.3"), "as many files were open as freeroute may open"),
        (TimedOut(Phase.FIRST_BYTE, 5), "first byte timeout"),
        (Disconnected("10.1.2.3 left"), "connection closed before an answer"),
        (ProtocolError("10.1.2.3: what"), "not an answer in HTTP as we know it"),
        (TransportError("10.1.2.3"), "the exchange failed"),
    ],
)
async def test_a_failed_exchange_is_told_by_its_kind_and_without_an_address(
    failure: TransportError, told: str
):
    assert (await ask(PlayedTransport(failure))).outcome.detail == told


@pytest.mark.parametrize(
    ("content", "text"),
    [(b"42", "42"), (b"4.20", "4.20"), (b'{"type":"text","text":"Hi"}', "Hi"), (b"true", None)],
)
async def test_the_text_of_a_whole_answer_is_read_where_it_is_plain_what_it_says(
    content: bytes, text: str | None
):
    sent = await ask(PlayedTransport(json_reply(WHOLE.replace(b'"Hi"', content))))
    if text is None:
        assert sent.outcome.kind is Kind.GARBAGE
        return
    assert sent.answer is not None
    assert msgspec.json.decode(sent.answer.body)["choices"][0]["message"]["content"] == text
