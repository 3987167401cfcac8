import asyncio
import gc
import weakref
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from freeroute.errors import (
    CapacityExhausted,
    InvalidRequest,
    LoopDetected,
    NoProvider,
    RequestTimeout,
    ShuttingDown,
    TooLarge,
    UpstreamFailed,
)
from freeroute.surfaces.departure import DEPARTURE, CallerWatch, Departure
from freeroute.surfaces.http import (
    BodyBounds,
    CallerLeft,
    Request,
    encode_headers,
    error_headers,
    head_lines,
    log_fault,
    trace_of,
)
from freeroute.surfaces.lasting import to_the_end

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
BOUNDS = BodyBounds(limit=10, timeout=5)


class Sent(list[Any]):
    async def __call__(self, message):
        self.append(message)


def request(*messages, headers=(), method="POST", query=b"", send=None):
    scope: Any = {
        "type": "http",
        "method": method,
        "path": "/",
        "query_string": query,
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
    }
    waiting = list(messages)

    async def receive():
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop(0)

    return Request(scope, receive, Sent() if send is None else send)


def part(body, *, more=False):
    return {"type": "http.request", "body": body, "more_body": more}


GONE = {"type": "http.disconnect"}


async def test_a_body_may_come_in_pieces():
    assert await request(part(b"abc", more=True), part(b"", more=True), part(b"de")).body(BOUNDS) == b"abcde"


async def test_a_body_of_exactly_the_limit_is_taken():
    assert await request(part(b"x" * 10), headers=[("content-length", "10")]).body(BOUNDS) == b"x" * 10


async def test_a_length_may_begin_with_zeros():
    assert await request(part(b"ab"), headers=[("content-length", "0" * 5000 + "2")]).body(BOUNDS) == b"ab"


@pytest.mark.parametrize("declared", ["11", "9" * 18, "9" * 5000])
async def test_a_body_declared_too_large_is_refused_unread(declared):
    with pytest.raises(TooLarge):
        await request(headers=[("content-length", declared)]).body(BOUNDS)


async def test_a_chunked_body_is_counted_as_it_comes():
    with pytest.raises(TooLarge):
        await request(part(b"123456", more=True), part(b"123456", more=True)).body(BOUNDS)


async def test_a_body_that_does_not_arrive_is_given_up():
    with pytest.raises(RequestTimeout):
        await request(part(b"a", more=True)).body(BodyBounds(limit=10, timeout=0.01))


async def test_a_caller_that_leaves_while_sending_is_told_nothing():
    with pytest.raises(CallerLeft):
        await request(part(b"a", more=True), GONE).body(BOUNDS)


@pytest.mark.parametrize("given", ["abc", "a.b-c_9", "x" * 128])
def test_a_sound_request_id_is_kept(given):
    assert request(headers=[("x-request-id", given)]).id == given


@pytest.mark.parametrize("given", ["", "x" * 129, "a b", "a\nb", "\xe9", "a;b"])
def test_any_other_request_id_is_replaced(given):
    ours = request(headers=[("x-request-id", given)])
    assert ours.id.startswith("req_")
    assert ours.id != request().id


def test_a_trace_goes_on_under_a_span_of_our_own():
    trace = trace_of(TRACE)
    assert trace is not None
    assert trace.header(trace.parent) == TRACE
    assert trace.header() != TRACE
    assert trace.sampled
    unrecorded = trace_of(TRACE[:-2] + "00")
    assert unrecorded is not None
    assert not unrecorded.sampled
    assert trace_of(TRACE.replace("00-", "cc-", 1) + "-later") is not None


@pytest.mark.parametrize(
    "given",
    [
        *(None, "", "x", TRACE + "-more", TRACE.upper(), TRACE.replace("00-", "ff-", 1), TRACE[:-1]),
        *("00-" + "0" * 32 + TRACE[35:], TRACE[:36] + "0" * 16 + "-01", TRACE + "\n"),
    ],
)
def test_a_malformed_trace_is_ignored(given):
    assert trace_of(given) is None


@given(st.text(max_size=2000))
def test_no_value_breaks_a_head(value):
    [(_, encoded)] = encode_headers({"x-freeroute-trail": value})
    assert encoded.isascii()
    assert len(encoded) <= 1024
    assert all(32 <= byte < 127 for byte in encoded)


@given(st.dictionaries(st.sampled_from(["x-a", "x-b", "x-c"]), st.text(max_size=1100)))
def test_headers_leave_as_the_same_lines_whoever_writes_them(headers):
    lines = head_lines(headers)
    assert lines == b"".join([b"%b: %b\r\n" % header for header in encode_headers(headers)])
    assert lines.count(b"\n") == lines.count(b"\r") == len(headers)


def test_sdks_are_told_not_to_retry_where_that_is_pointless():
    assert error_headers(NoProvider("x"))["x-should-retry"] == "false"
    assert error_headers(LoopDetected("x"))["x-should-retry"] == "false"
    assert error_headers(CapacityExhausted("x", retry_after=3600)) == {
        "retry-after": "3600",
        "x-should-retry": "false",
    }
    assert "x-should-retry" not in error_headers(CapacityExhausted("x", retry_after=5))
    assert "x-should-retry" not in error_headers(UpstreamFailed("x"))


def test_a_query_is_read_and_bounded():
    assert request(query=b"model=a%2Fb&model=c").query("model") == "c"
    assert request(query=b"model=").query("model") == ""
    assert request(query=b"x=1").query("model") is None
    with pytest.raises(InvalidRequest):
        request(query=b"&".join([b"a=1"] * 60)).query("model")


async def test_a_head_request_gets_the_length_and_no_body():
    sent = Sent()
    await request(method="HEAD", send=sent).reply(200, b"12345")
    assert (b"content-length", b"5") in sent[0]["headers"]
    assert sent[1]["body"] == b""


async def test_a_watch_that_ended_leaves_nothing_for_the_garbage_collector():
    gc.collect()
    gc.disable()
    try:
        watch = CallerWatch(request())
        with watch:
            await asyncio.sleep(0)
        gone = weakref.ref(watch)
        del watch
        for _ in range(3):  # the watching task hears of its end, and is forgotten
            await asyncio.sleep(0)
        assert gone() is None
    finally:
        gc.enable()


async def test_work_goes_on_while_the_caller_stays():
    with CallerWatch(request()) as watch:
        await asyncio.sleep(0)
    assert not watch.left


async def test_work_is_cancelled_when_the_caller_hangs_up():
    cleaned = []
    with CallerWatch(request(part(b""), GONE)) as watch:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)
    assert watch.left
    assert cleaned == [True]
    await asyncio.sleep(0)  # our cancel was taken back: later waits are not hit by it


@pytest.mark.parametrize("before", [True, False], ids=["before", "meanwhile"])
async def test_work_is_cancelled_when_the_server_tells_that_the_caller_left(before):
    departure = Departure()
    asked = request()
    asked.scope[DEPARTURE] = departure
    if before:
        departure.tell()
    else:
        asyncio.get_running_loop().call_soon(departure.tell)
    with CallerWatch(asked) as watch:
        await asyncio.Event().wait()
    assert watch.left
    departure.tell()  # nobody listens any more
    await asyncio.sleep(0)


async def test_work_that_a_stop_ends_is_told_as_such():
    departure, asked = Departure(), request()
    asked.scope[DEPARTURE] = departure
    asyncio.get_running_loop().call_soon(departure.stop)
    with pytest.raises(ShuttingDown), CallerWatch(asked) as watch:
        await asyncio.Event().wait()
    assert not watch.left
    departure.tell()  # nobody listens any more
    await asyncio.sleep(0)


async def test_a_cancel_from_elsewhere_is_not_swallowed():
    async def work():
        with CallerWatch(request()):
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_work_that_must_end_ends_before_a_cancel_goes_on():
    gate, done = asyncio.Event(), []

    async def settle():
        await gate.wait()
        done.append(True)

    async def finish():
        await to_the_end(settle())

    task = asyncio.create_task(finish())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == [True]


def test_a_fault_is_logged_without_what_its_message_quotes():
    try:
        raise KeyError("the prompt")
    except KeyError as error:
        with capture_logs() as logs:
            log_fault(error, "req_1")
    assert logs[0]["error"] == "KeyError"
    assert logs[0]["request_id"] == "req_1"
    assert "test_http.py" in logs[0]["where"][-1]
    assert "prompt" not in str(logs)
