"""What is HTTP to the gateway and what is not, and how patient it is."""

import asyncio
import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from freeroute.surfaces.bounds import Bounds
from tests.support.gateways import FakeServed, chunk
from tests.support.patience import PATIENCE, STANDARD
from tests.support.serving import HEAD, HI, STREAM, RawCaller, post, serving


async def exchange(app, *parts: bytes, bounds: Bounds | None = None):
    """Return the answer to *parts*, sent one after the other, after which the connection must be closed."""
    async with serving(app, bounds) as url, RawCaller.to(url) as caller:
        for part in parts:
            await caller.send(part)
        answer = await caller.answer()
        assert await caller.closed()
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["connection"] == "close"
    assert answer.headers["x-request-id"].startswith("req_")
    assert set(answer.error) == {"message", "type", "param", "code"}
    return answer


async def test_ten_thousand_headers_are_refused(build, gateway):
    headers = b"".join(b"x-%d: 1\r\n" % number for number in range(10_000))
    answer = await exchange(build(), HEAD + headers + b"\r\n")
    assert answer.status == 431
    assert answer.error["code"] == "headers_too_large"
    assert gateway.calls == []


async def test_a_hundred_headers_pass_and_one_more_does_not(build):
    headers = b"".join(b"x-%d: 1\r\n" % number for number in range(99))
    async with serving(build()) as url, RawCaller.to(url) as caller:
        await caller.send(HEAD + headers + b"\r\n")
        assert (await caller.answer()).status == 200
    assert (await exchange(build(), HEAD + headers + b"x: 1\r\n\r\n")).status == 431


async def test_one_huge_header_is_refused_however_it_comes(build):
    assert (await exchange(build(), HEAD + b"x: " + b"a" * 70_000 + b"\r\n\r\n")).status == 431
    endless = [HEAD + b"x: "] + [b"a" * 10_000] * 40
    assert (await exchange(build(), *endless)).status == 431


async def test_many_small_headers_over_the_size_are_refused(build):
    bounds = Bounds(head_bytes=1000)
    headers = b"".join(b"x-%d: %s\r\n" % (number, b"a" * 40) for number in range(50))
    assert (await exchange(build(), HEAD + headers + b"\r\n", bounds=bounds)).status == 431


async def test_a_huge_request_line_is_refused(build):
    answer = await exchange(build(), b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n")
    assert answer.status == 431
    assert "request line" in answer.error["message"]


@pytest.mark.parametrize(
    "data",
    [
        *(b"hello\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /\xff HTTP/1.1\r\nhost: localhost\r\n\r\n"),
        *(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET / HTTP/1.1\r\nho st: x\r\n\r\n"),
        *(b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n", b"POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n"),
        b"POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\nx: a\x00b\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_a_400_in_the_same_shape(build, data):
    answer = await exchange(build(), data)
    assert answer.status == 400
    assert answer.error["code"] == "invalid_request"


async def test_a_chunk_that_makes_no_sense_is_a_400_and_reaches_nobody(build, gateway):
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"
    assert (await exchange(build(), head + b"zz\r\n")).status == 400
    assert gateway.calls == []


async def test_a_head_that_does_not_come_to_an_end_is_given_up(build):
    answer = await exchange(build(), HEAD, bounds=Bounds(head_seconds=0.05))
    assert answer.status == 408
    assert answer.error["code"] == "request_timeout"


@pytest.mark.parametrize("data", [b"", b"\r\n\r\n"])
async def test_a_caller_that_says_nothing_is_dropped(build, data):
    async with serving(build(), Bounds(head_seconds=0.05)) as url, RawCaller.to(url) as caller:
        await caller.send(data)
        assert await caller.closed()


async def test_empty_lines_after_an_answer_do_not_keep_a_connection(build):
    async with serving(build(), Bounds(head_seconds=0.05)) as url, RawCaller.to(url) as caller:
        await caller.send(HEAD + b"\r\n")
        await caller.answer()
        await caller.send(b"\r\n")
        assert await caller.closed()


async def test_an_idle_connection_outlives_the_patience_for_a_head(build):
    async with serving(build(), Bounds(head_seconds=0.02)) as url, RawCaller.to(url) as caller:
        await caller.send(HEAD + b"\r\n")
        assert (await caller.answer()).status == 200
        async with RawCaller.to(url) as silent:
            assert await silent.closed()  # the patience ran out on this one
        await caller.send(HEAD + b"\r\n")
        assert (await caller.answer()).status == 200


async def test_a_large_body_nobody_reads_does_not_cost_the_caller_its_answer(build):
    async with serving(build()) as url, RawCaller.to(url) as caller:
        await caller.send(post(b"x" * 3_000_000, "/v1/models"))
        assert (await caller.answer()).status == 405
        await caller.send(HEAD + b"\r\n")
        assert (await caller.answer()).status == 200


async def test_a_body_nobody_reads_is_not_waited_for_long(build):
    async with serving(build(), Bounds(linger_seconds=0.05)) as url, RawCaller.to(url) as caller:
        await caller.send(
            post(b"x" * 10, "/v1/models").replace(b"content-length: 10", b"content-length: 999")
        )
        assert (await caller.answer()).status == 405
        assert await caller.closed()


async def test_a_body_nobody_reads_is_not_taken_without_end(build):
    async with serving(build(), Bounds(linger_bytes=200_000)) as url, RawCaller.to(url) as caller:
        await caller.send(post(b"", "/v1/models").replace(b"content-length: 0", b"content-length: 99999999"))
        assert (await caller.answer()).status == 405
        for _ in range(200):
            await caller.send(b"x" * 10_000)
        assert await caller.closed()


async def test_trailers_add_no_headers(build, gateway):
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"
    body = b"%x\r\n%s\r\n0\r\nx-freeroute-strict: true\r\n\r\n" % (len(HI), HI)
    async with serving(build()) as url, RawCaller.to(url) as caller:
        await caller.send(head + body)
        assert (await caller.answer()).status == 200
    [(_, context)] = gateway.calls
    assert not context.strict


async def test_a_caller_waiting_to_be_told_to_go_on_is_told(build, gateway):
    async with serving(build()) as url, RawCaller.to(url) as caller:
        request = post(HI, more="expect: 100-continue\r\n")
        await caller.send(request.removesuffix(HI))
        assert (await caller.head())[0] == 100
        await caller.send(HI)
        assert (await caller.answer()).status == 200


async def test_an_offer_to_switch_protocols_is_passed_over(build, gateway):
    more = "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n"
    async with serving(build()) as url, RawCaller.to(url) as caller:
        await caller.send(post(HI, more=more))
        assert (await caller.answer()).status == 200
        await caller.send(HEAD + b"connection: upgrade\r\nupgrade: websocket\r\n\r\n")
        assert (await caller.answer()).status == 200
    assert len(gateway.calls) == 1


async def test_an_offer_with_a_body_in_later_reads_is_passed_over_too(build, gateway):
    request = post(HI, more="connection: upgrade\r\nupgrade: h2c\r\n")
    async with serving(build()) as url, RawCaller.to(url) as caller:
        for byte in request:
            await caller.send(bytes([byte]))
        assert (await caller.answer()).status == 200
    assert len(gateway.calls) == 1


async def test_offers_without_end_are_refused(build, gateway):
    offer = HEAD + b"connection: upgrade\r\nupgrade: h2c\r\n\r\n"
    assert (await exchange(build(), offer * 500)).status == 400


async def test_an_offer_keeps_its_wish_to_close(build):
    async with serving(build()) as url, RawCaller.to(url) as caller:
        await caller.send(HEAD + b"connection: upgrade, close\r\nupgrade: h2c\r\n\r\n")
        assert (await caller.answer()).status == 200
        assert await caller.closed()


async def test_what_is_not_http_never_lands_inside_an_answer(build, gateway):
    served = gateway.answer = FakeServed(batches=[[chunk("a")], None])
    async with serving(build()) as url, RawCaller.to(url) as caller:
        await caller.send(post(STREAM))
        await caller.head()
        await caller.send(b"nonsense\r\n\r\n")
        async with asyncio.timeout(PATIENCE):
            rest = await caller.reader.read()
    assert b"HTTP/1.1" not in rest
    assert served.finished == [True]


async def test_a_slow_head_behind_an_answer_does_not_cut_it(build, gateway):
    gate = asyncio.Event()

    class Gated(FakeServed):
        async def next(self):
            await gate.wait()
            return await super().next()

    gateway.answer = Gated(batches=[[chunk("a")]])
    async with serving(build(), Bounds(head_seconds=0.02)) as url, RawCaller.to(url) as caller:
        await caller.send(post(STREAM) + b"GET /li")
        await caller.head()
        async with RawCaller.to(url) as silent:
            assert await silent.closed()  # the patience ran out meanwhile
        gate.set()
        async with asyncio.timeout(PATIENCE):
            rest = await caller.reader.read()
    assert rest.index(b"[DONE]") < rest.index(b"HTTP/1.1 408")


async def test_this_is_no_proxy(build):
    answer = await exchange(build(), b"CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\n\r\n")
    assert answer.status == 400


@pytest.mark.parametrize("more", ["", "connection: upgrade\r\nupgrade: h2c\r\n"])
async def test_a_caller_of_http_1_0_gets_its_stream_without_chunks_up_to_the_end(build, gateway, more):
    gateway.answer = FakeServed(batches=[[chunk("a")], [chunk("b")]])
    request = post(STREAM, more=more).replace(b"HTTP/1.1", b"HTTP/1.0")
    async with serving(build()) as url, RawCaller.to(url) as caller:
        await caller.send(request)
        _, headers = await caller.head()
        async with asyncio.timeout(PATIENCE):
            body = await caller.reader.read()
    assert "transfer-encoding" not in headers
    assert headers["connection"] == "close"
    events = [chunk("a"), chunk("b"), b"[DONE]"]
    assert body == b"".join(b"data: " + event + b"\n\n" for event in events)


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
async def test_a_caller_of_http_1_0_gets_a_whole_answer_with_its_length(build, method):
    async with serving(build()) as url, RawCaller.to(url) as caller:
        await caller.send(method + b" /livez HTTP/1.0\r\nhost: localhost\r\n\r\n")
        status, headers = await caller.head()
        async with asyncio.timeout(PATIENCE):
            body = await caller.reader.read()
    assert status == 200
    assert len(body) == (int(headers["content-length"]) if method == b"GET" else 0)


@pytest.mark.parametrize("name", ["Host", "Authorization", "x-api-key", "api-key"])
async def test_a_header_that_says_who_calls_or_whom_may_come_once(build, gateway, name):
    lines = b"".join(f"{spelled}: localhost\r\n".encode() for spelled in (name, name.upper()))
    answer = await exchange(build(), b"GET /v1/models HTTP/1.1\r\n" + lines + b"\r\n")
    assert (answer.status, answer.error["param"]) == (400, name.lower())
    assert answer.error["message"] == f"The request has more than one {name} header."
    assert gateway.asked == []


@pytest.mark.parametrize(
    "key", [b"fr-a\x00b", b"fr-a\rx-api-key: fr-b", b"fr-a\n\x01: fr-b", b"fr-a\x7f", b"fr-a\r\n fr-b"]
)
async def test_a_key_that_would_break_the_head_is_no_request(build, gateway, key):
    head = b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer " + key + b"\r\n\r\n"
    answer = await exchange(build(), head)
    assert (answer.status, answer.error["code"]) == (400, "invalid_request")
    assert b"fr-" not in answer.body
    assert gateway.asked == []


@pytest.mark.parametrize(
    ("target", "host", "status"),
    [
        (b"http://evil.example/v1/models", b"localhost", 421),
        (b"http://evil.example:3000/v1/models", b"localhost", 421),
        (b"http://localhost@evil.example/v1/models", b"localhost", 421),
        (b"http:///v1/models", b"localhost", 421),
        (b"http://localhost:3000/v1/models", b"evil.example", 200),
        (b"HTTP://LOCALHOST/v1/models?x=1", b"localhost", 200),
        (b"http://localhost?x=1", b"localhost", 200),
    ],
)
async def test_the_host_in_the_request_line_is_judged_whatever_the_header_says(build, target, host, status):
    async with serving(build()) as url, RawCaller.to(url) as caller:
        await caller.send(b"GET " + target + b" HTTP/1.1\r\nhost: " + host + b"\r\n\r\n")
        assert (await caller.answer()).status == status


@pytest.mark.parametrize(
    "coding",
    [b"gzip, chunked", b"identity", b"chunked, chunked", b"chunked\r\ntransfer-encoding: chunked"],
)
async def test_a_transfer_encoding_other_than_chunks_is_refused(build, gateway, coding):
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: "
    answer = await exchange(build(), head + coding + b"\r\n\r\n0\r\n\r\n")
    assert answer.status == 400
    assert gateway.calls == []


async def test_chunks_are_refused_from_http_1_0(build):
    head = b"POST /v1/chat/completions HTTP/1.0\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"
    assert (await exchange(build(), head + b"0\r\n\r\n")).status == 400


async def test_an_expectation_nobody_knows_is_passed_over(build):
    async with serving(build()) as url, RawCaller.to(url) as caller:
        await caller.send(post(HI, more="expect: a-miracle\r\n"))
        assert (await caller.answer()).status == 200


@pytest.mark.parametrize(("coding", "status"), [("gzip", 400), ("br, gzip", 400), ("identity", 200)])
async def test_a_packed_body_is_refused_by_the_name_of_its_packing(build, coding, status):
    async with serving(build()) as url, RawCaller.to(url) as caller:
        await caller.send(post(HI, more=f"content-encoding: {coding}\r\n"))
        answer = await caller.answer()
    assert answer.status == status
    if status == 400:
        assert coding in answer.error["message"]
        assert answer.error["param"] == "content-encoding"


NOISE = st.tuples(st.integers(0, len(HEAD)), st.binary(min_size=1, max_size=300))


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(noises=st.lists(NOISE, min_size=5, max_size=15))
def test_noise_never_gets_a_500(build, noises):
    async def main() -> None:
        async with serving(build(), Bounds(head_seconds=0.02, linger_seconds=0.02)) as url:
            for cut, noise in noises:
                async with RawCaller.to(url) as caller:
                    await caller.send(HEAD[:cut] + noise + b"\r\n\r\n")
                    caller.writer.write_eof()
                    with contextlib.suppress(
                        ConnectionResetError
                    ):  # what it would not read was still to come
                        reply = await asyncio.wait_for(caller.reader.read(), PATIENCE)
                        assert not reply.startswith(b"HTTP/1.1 5")

    with asyncio.Runner(loop_factory=STANDARD) as runner:
        runner.run(main())
