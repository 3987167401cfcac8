import asyncio

import msgspec
import pytest

from freeroute.domain.clients import Client, hash_key
from freeroute.errors import CapacityExhausted
from freeroute.surfaces.access import Policy
from tests.support.gateways import ANSWER, FakeServed, chunk
from tests.support.patience import PATIENCE
from tests.support.serving import RawCaller, post, serving

CHAT = "/v1/chat/completions"
HI = {"model": "free-fast", "messages": [{"role": "user", "content": "Hello!"}]}
STREAM = {**HI, "stream": True}
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def raw(value) -> bytes:
    return msgspec.json.encode(value)


async def soon(event: asyncio.Event) -> None:
    async with asyncio.timeout(PATIENCE):
        await event.wait()


async def test_a_call_without_a_content_type_is_answered_whole(ask, gateway):
    async with ask() as client:
        reply = await client.post(CHAT, content=raw(HI), headers={"x-request-id": "mine"})
    assert reply.status_code == 200
    assert reply.content == ANSWER
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-request-id"] == "mine"
    assert reply.headers["x-freeroute-provider"] == "groq"
    assert gateway.answer.finished == [False]
    [(call, context)] = gateway.calls
    assert call.model == "free-fast"
    assert context.request_id == "mine"


async def test_a_whole_answer_is_on_its_way_before_it_is_accounted_for(build, gateway):
    accounted = asyncio.Event()

    class Slow(FakeServed):
        async def finish(self, *, caller_left=False, stalled=False):
            await accounted.wait()
            await super().finish(caller_left=caller_left, stalled=stalled)

    gateway.answer = answer = Slow(ANSWER)
    async with serving(build()) as url, RawCaller.to(url) as caller:
        await caller.send(post(raw(HI)))
        assert (await caller.answer()).status == 200
        assert answer.finished == []
        accounted.set()
        await soon(answer.ended)
    assert answer.finished == [False]


async def test_a_stream_leaves_in_the_batches_it_came_in_and_ends_with_done(build, gateway):
    gateway.answer = FakeServed(batches=[[chunk("a"), chunk("b")], [chunk("c")]])
    async with serving(build()) as url, RawCaller.to(url) as caller:
        await caller.send(post(raw(STREAM)))
        status, headers = await caller.head()
        body = await caller.reader.readuntil(b"0\r\n\r\n")
    assert status == 200
    assert headers["content-type"].startswith("text/event-stream")
    assert headers["cache-control"] == "no-cache"
    assert headers["x-accel-buffering"] == "no"
    assert headers["x-freeroute-provider"] == "groq"
    pieces = body.split(b"\r\n")[1::2]
    assert pieces[:3] == [
        b"data: " + chunk("a") + b"\n\ndata: " + chunk("b") + b"\n\n",
        b"data: " + chunk("c") + b"\n\n",
        b"data: [DONE]\n\n",
    ]
    assert gateway.answer.finished == [False]


async def test_use_is_settled_before_the_last_byte_so_that_the_next_call_finds_room(ask, gateway):
    async with ask() as client:
        for answer in (FakeServed(ANSWER), FakeServed(batches=[[chunk("a")]])):
            gateway.answer = answer
            await client.post(CHAT, content=raw(STREAM))
            assert answer.finished == [False]


async def test_headers_tell_the_gateway_what_the_caller_wants(ask, gateway):
    wishes = {
        "x-freeroute-max-wait": "2.5",
        "x-freeroute-strict": "True",
        "x-freeroute-store": "false",
        "x-session-id": "conversation-1",
        "traceparent": TRACE,
        "x-freeroute-hop": "1",
        "authorization": "Bearer anything",
    }
    async with ask() as client:
        await client.post(CHAT, content=raw(HI), headers=wishes)
        await client.post(CHAT, content=raw(HI), headers={"traceparent": "garbage"})
    [(_, first), (_, second)] = gateway.calls
    assert (first.max_wait, first.strict, first.session, first.hop) == (2.5, True, "conversation-1", 1)
    assert (first.store, second.store) == (False, True)
    assert first.trace.header(first.trace.parent) == TRACE
    assert first.queue.startswith("key:")
    assert 0 <= first.dice < 1
    assert (second.max_wait, second.strict, second.session, second.trace) == (None, False, None, None)
    assert second.queue.startswith("peer:")


@pytest.mark.parametrize(
    ("header", "value"),
    [
        *(("x-freeroute-max-wait", value) for value in ("-1", "soon", "nan", "inf", "", "1e999")),
        ("x-freeroute-strict", "maybe"),
        ("x-freeroute-store", "never"),
        ("x-freeroute-keepalive", "sometimes"),
        ("x-session-id", "x" * 257),
    ],
)
async def test_a_header_that_makes_no_sense_is_named(ask, gateway, header, value):
    async with ask() as client:
        reply = await client.post(CHAT, content=raw(HI), headers={header: value})
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == header
    assert gateway.calls == []


def with_(**fields) -> bytes:
    return raw({**HI, **fields})


# What comes in wrong, and the field the answer names.
BAD = {
    "empty body": (b"", None),
    "malformed": (b'{"model": "free", ', None),
    "not an object": (b"[1]", None),
    "not json": (b"model=free", None),
    "invalid utf-8": (b'{"model": "free", "messages": [{"role": "user", "content": "\xff\xfe"}]}', None),
    "deep nesting": (b"[" * 100_000, None),
    "deep nesting in a field": (b'{"model": "free", "messages": ' + b"[" * 100_000, None),
    "deep nesting, closed": (with_(x=1)[:-1] + b',"y":' + b"[" * 50_000 + b"]" * 50_000 + b"}", None),
    "no model": (raw({"messages": HI["messages"]}), "model"),
    "model not text": (with_(model=7), "model"),
    "model empty": (with_(model=""), "model"),
    "cr lf in the model": (with_(model="free\r\nx-evil: 1"), "model"),
    "model too long": (with_(model="m" * 5000), "model"),
    "no messages": (raw({"model": "free"}), "messages"),
    "empty messages": (with_(messages=[]), "messages"),
    "messages not a list": (with_(messages="Hello!"), "messages"),
    "message not an object": (with_(messages=["Hello!"]), "messages"),
    "unknown role": (with_(messages=[{"role": "wizard", "content": "x"}]), "messages"),
    "unknown content part": (
        with_(messages=[{"role": "user", "content": [{"type": "hologram", "hologram": "x"}]}]),
        "messages",
    ),
    "content a number": (with_(messages=[{"role": "user", "content": 5}]), "messages"),
    "negative max_tokens": (with_(max_tokens=-1), "max_tokens"),
    "huge max_tokens": (with_(max_tokens=10**30), "max_tokens"),
    "max_tokens not a number": (with_(max_tokens="many"), "max_tokens"),
    "negative temperature": (with_(temperature=-1), "temperature"),
    "huge temperature": (with_(temperature=1e300), "temperature"),
    "not a number": (with_()[:-1] + b',"temperature":NaN}', None),
    "stream not a boolean": (with_(stream="yes"), "stream"),
    "tools not a list": (with_(tools={"type": "function"}), "tools"),
    "models not a list": (with_(models="free"), "models"),
    "provider not an object": (with_(provider="groq"), "provider"),
}


@pytest.mark.parametrize("name", BAD)
async def test_bad_input_is_a_400_that_names_the_field_and_reaches_nobody(ask, gateway, name):
    body, param = BAD[name]
    async with ask() as client:
        reply = await client.post(CHAT, content=body)
    assert reply.status_code == 400, reply.text
    error = reply.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["code"] == "invalid_request"
    if param is not None:
        assert error["param"].startswith(param)
    assert gateway.calls == []
    [(context, _, refused)] = gateway.refusals
    assert context.request_id == reply.headers["x-request-id"]
    assert refused.status == 400


async def test_a_call_the_guard_turns_away_is_recorded_too(ask, gateway):
    async with ask(Policy(clients=(Client(name="a", key_hash=hash_key("k")),))) as client:
        reply = await client.post(CHAT, content=raw(HI))
    assert reply.status_code == 401
    assert gateway.calls == []
    assert [error.code for _, _, error in gateway.refusals] == ["invalid_api_key"]


async def test_a_client_is_told_to_the_gateway(ask, gateway):
    alice = Client(name="alice", key_hash=hash_key("sk-alice"))
    async with ask(Policy(clients=(alice,))) as client:
        await client.post(CHAT, content=raw(HI), headers={"x-api-key": "sk-alice"})
    [(_, context)] = gateway.calls
    assert context.client == alice
    assert context.queue == "alice"


async def test_a_refusal_of_the_gateway_keeps_its_headers_and_is_not_recorded_twice(ask, gateway):
    gateway.answer = CapacityExhausted(
        "all candidates are out of quota", retry_after=12.2, headers={"x-freeroute-attempts": "0"}
    )
    async with ask() as client:
        reply = await client.post(CHAT, content=raw(STREAM))
    assert reply.status_code == 429
    assert reply.headers["retry-after"] == "13"
    assert reply.headers["x-freeroute-attempts"] == "0"
    assert reply.headers["x-request-id"]
    assert reply.json()["error"]["code"] == "capacity_exhausted"
    assert gateway.refusals == []


async def test_values_from_outside_cannot_break_the_head(build, gateway):
    gateway.answer = FakeServed(ANSWER, headers={"x-freeroute-trail": "bad\r\nx-evil: 1\x00é"})
    async with serving(build()) as url, RawCaller.to(url) as caller:
        await caller.send(post(raw(HI)))
        reply = await caller.answer()
    assert reply.status == 200
    assert "x-evil" not in reply.headers
    assert reply.headers["x-freeroute-trail"] == "bad??x-evil: 1??"


async def test_a_content_type_cannot_break_the_head_of_an_answer(ask, gateway):
    gateway.answer = FakeServed(b"sound", content_type="audio/mpeg\r\nx-evil: 1")
    async with ask() as client:
        reply = await client.post("/v1/chat/completions", json=HI)
    assert reply.headers["content-type"] == "audio/mpeg??x-evil: 1"
    assert "x-evil" not in reply.headers


async def test_a_stream_that_breaks_inside_the_gateway_ends_with_an_error_in_band(ask, gateway):
    gateway.answer = FakeServed(batches=[[chunk("a")], KeyError("the prompt")])
    async with ask() as client:
        reply = await client.post(CHAT, content=raw(STREAM))
    events = reply.text.strip().split("\n\n")
    assert events[0] == "data: " + chunk("a").decode()
    assert all('"internal_error"' in event for event in events[1:3])
    assert events[3:] == ["data: [DONE]"]
    assert "prompt" not in reply.text
    assert '"id":"c1"' in events[1]
    assert gateway.answer.failed
    assert gateway.answer.finished == [False]


@pytest.mark.parametrize("body", [HI, STREAM])
async def test_a_caller_that_leaves_before_the_answer_stops_the_work(build, gateway, body):
    gateway.answer = None
    async with serving(build()) as url, RawCaller.to(url) as caller:
        await caller.send(post(raw(body)))
        await soon(gateway.began)
        caller.leave()
        await soon(gateway.settled)


async def test_a_caller_that_half_closes_has_left_too(build, gateway):
    gateway.answer = None
    async with serving(build()) as url, RawCaller.to(url) as caller:
        await caller.send(post(raw(HI)))
        await soon(gateway.began)
        caller.writer.write_eof()
        await soon(gateway.settled)


async def test_a_caller_that_leaves_in_the_middle_of_a_stream_stops_it(build, gateway):
    served = gateway.answer = FakeServed(batches=[[chunk("a")], None])
    async with serving(build()) as url, RawCaller.to(url) as caller:
        await caller.send(post(raw(STREAM)))
        await caller.head()
        caller.leave()
        await soon(served.ended)
    assert served.interrupted
    assert served.finished == [True]


async def test_a_stream_nobody_reads_waits_rather_than_grows(build, gateway):
    big = chunk("x" * 100_000)
    served = gateway.answer = FakeServed(batches=[[big]] * 500)
    async with serving(build()) as url, RawCaller.to(url) as caller:
        caller.stop_reading()
        await caller.send(post(raw(STREAM)))
        await soon(gateway.began)
        for _ in range(100):
            await asyncio.sleep(0)
        assert not served.ended.is_set()
        caller.leave()
        await soon(served.ended)
    assert served.finished == [True]


async def test_a_connection_serves_one_call_after_the_other(build, gateway):
    async with serving(build()) as url, RawCaller.to(url) as caller:
        for body in (raw(HI), b"{", raw(HI)):
            await caller.send(post(body))
            assert (await caller.answer()).status == (400 if body == b"{" else 200)
    assert len(gateway.calls) == 2


async def test_pipelined_calls_are_answered_in_order(build, gateway):
    async with serving(build()) as url, RawCaller.to(url) as caller:
        await caller.send(post(raw(HI)) + post(b"{") + post(raw(HI)))
        assert [(await caller.answer()).status for _ in range(3)] == [200, 400, 200]


async def test_a_client_is_shown_its_own_key_at_openrouter_s_path_too(ask):
    policy = Policy(clients=(Client(name="alice", key_hash=hash_key("sk-alice")),))
    async with ask(policy) as client:
        for path in ("/v1/key", "/api/v1/key"):
            reply = await client.get(path, headers={"authorization": "Bearer sk-alice"})
            assert reply.json() == {"data": {"label": "alice"}}
            assert (await client.get(path)).status_code == 401


async def test_a_model_is_shown_by_its_id_with_slashes_either_way(ask, gateway):
    async with ask() as client:
        listed = (await client.get("/v1/models")).json()
        assert [model["id"] for model in listed["data"]] == ["free", "groq/openai/gpt-oss-120b"]
        for path in ("groq/openai/gpt-oss-120b", "groq%2Fopenai%2Fgpt-oss-120b", "free"):
            assert (await client.get(f"/api/v1/models/{path}")).status_code == 200
        missing = await client.get("/v1/models/nothing")
    assert missing.status_code == 404
    assert missing.json()["error"]["code"] == "model_not_found"
    assert gateway.asked[1] == gateway.asked[2] == ("model", "groq/openai/gpt-oss-120b")


async def test_events_that_are_ready_together_leave_in_one_write(build, gateway):
    gateway.answer = FakeServed(batches=[[chunk("a"), chunk("b"), chunk("c")], [chunk("d")]])
    async with serving(build()) as url, RawCaller.to(url) as caller:
        await caller.send(post(raw(STREAM)))
        await caller.head()
        body = await caller.reader.readuntil(b"\r\n0\r\n\r\n")
    # Each write is a chunk of the transfer's: its size in a line of its own, then so many bytes.
    writes = 0
    while int(body[: body.index(b"\r\n")], 16):
        start = body.index(b"\r\n") + 2
        body = body[start + int(body[: start - 2], 16) + 2 :]
        writes += 1
    assert writes == 3  # three events, one, and the end
