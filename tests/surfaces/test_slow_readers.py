"""Callers that read slowly, not at all or no longer, and what goes past those who wait."""

import asyncio
import socket

from freeroute.app import ServeOptions
from freeroute.app import build as build_gateway
from freeroute.config.load import Overrides
from freeroute.lifecycle import application
from freeroute.surfaces.bounds import Bounds
from freeroute.upstreams.simulated.faults import Fault, Speed
from freeroute.upstreams.simulated.shapes import Model
from freeroute.upstreams.simulated.simulation import Simulation
from freeroute.wire.sse import frame
from tests.support.gateways import FakeServed, chunk
from tests.support.patience import PATIENCE, TURNS, Unhurried
from tests.support.serving import HEAD, STREAM, RawCaller, post, serving


async def test_a_caller_that_stops_reading_is_dropped(build, gateway):
    served = gateway.answer = FakeServed(batches=[[chunk("x" * 100_000)]] * 500)
    async with serving(build(), Bounds(write_seconds=0.05)) as url, RawCaller.to(url) as caller:
        caller.stop_reading()
        await caller.send(post(STREAM))
        async with asyncio.timeout(PATIENCE):
            await served.ended.wait()
    assert (served.finished, served.stalled) == ([True], True)


class ByHand(Unhurried):
    """A loop whose clock only the test moves: no machine is so slow that time passes unread."""

    now = 0.0

    def time(self) -> float:
        return self.now


def test_a_caller_that_only_reads_slowly_is_not(build, gateway):
    served = gateway.answer = FakeServed(batches=[[chunk("x" * 100_000)]] * 200)
    loop = ByHand()

    async def session():
        async with serving(build(), Bounds(write_seconds=1.0)) as url:
            with socket.socket() as slow:
                slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
                slow.setblocking(False)
                await loop.sock_connect(slow, ("127.0.0.1", int(url.rpartition(":")[2])))
                await loop.sock_sendall(slow, post(STREAM))
                while loop.now < 10:
                    assert await loop.sock_recv(slow, 20_000)
                    loop.now += 0.04  # half a megabyte a second
                    for _ in range(2 * TURNS):
                        await asyncio.sleep(0)
                assert not served.ended.is_set()
                while not served.ended.is_set():
                    await loop.sock_recv(slow, 1_000_000)

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(session())
    assert (served.finished, served.stalled) == ([False], False)


async def test_a_request_behind_it_does_not_hide_that_its_caller_stopped_reading(build, gateway):
    served = gateway.answer = FakeServed(batches=[[chunk("x" * 100_000)]] * 500)
    ask = post(STREAM)
    async with serving(build(), Bounds(write_seconds=0.05)) as url, RawCaller.to(url) as caller:
        caller.stop_reading()
        await caller.send(ask + HEAD + b"\r\n")
        async with asyncio.timeout(PATIENCE):
            await served.ended.wait()
    assert served.finished == [True]


async def test_a_caller_that_hangs_up_on_two_requests_ends_the_first_as_well(build, gateway):
    served = gateway.answer = FakeServed(batches=[[chunk("a")], None])
    async with serving(build()) as url, RawCaller.to(url) as caller:
        await caller.send(post(STREAM) + HEAD + b"\r\n")
        await caller.head()
        caller.leave()
        async with asyncio.timeout(PATIENCE):
            await served.ended.wait()
    assert served.finished == [True]


async def test_a_caller_that_stops_reading_gives_its_place_back_at_gateway_and_provider(tmp_path):
    app = build_gateway(ServeOptions(overrides=Overrides(), demo=True), {}, tmp_path)
    assert isinstance(app.transport, Simulation)
    ollama = app.transport.providers["ollama"]
    ollama.models["llama3.2:3b"] = Model("llama3.2:3b", max_output=60_000)
    ollama.speed, ollama.answer_tokens = Speed(0.0, 0.0), (60_000, 60_000)
    ollama.script([Fault("stall", after=50_000)])  # more is to come, so nothing but the caller ends it
    ask = b'{"model": "ollama/llama3.2:3b", "stream": true, "messages": [{"role": "user", "content": "Hi"}]}'
    async with serving(application(app, "admin", print), Bounds(write_seconds=0.05)) as url:
        with socket.socket() as small:
            # Little room on the way, so that far less than the whole answer fills it.
            small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            small.connect(("127.0.0.1", int(url.rpartition(":")[2])))
            small.sendall(post(ask))
            async with asyncio.timeout(PATIENCE):
                while not app.gateway.status()["requests"]:  # noqa: ASYNC110 - a receipt has no event
                    await asyncio.sleep(0)
    assert ollama.calls[0].aborted
    assert (len(ollama.open), app.gateway.in_flight) == (0, 0)
    [told] = app.gateway.status()["requests"]
    assert told["status"] == 499


class Passed(FakeServed):
    """A stream whose payloads go past its reader, as far as that lets them; *refused* says which did not."""

    def __init__(self, payloads: list[bytes]) -> None:
        super().__init__()
        self.payloads = payloads
        self.refused: list[int] = []
        self.offered = False
        self.held_up = asyncio.Event()

    async def next(self):
        while self.payloads:
            await asyncio.sleep(0)
            payload = self.payloads.pop(0)
            self.offered = self.onward is not None
            if self.onward is None or not self.onward(frame(payload)):
                self.refused.append(len(self.payloads))
                self.held_up.set()
                return [payload]
        return ()


async def test_what_goes_past_a_reader_arrives_in_order_with_what_does_not(build, gateway):
    payloads = [b'{"n":%d}' % number for number in range(5)]
    gateway.answer = served = Passed(list(payloads))
    async with serving(build()) as url, RawCaller.to(url) as caller:
        await caller.send(post(STREAM))
        await caller.head()
        async with asyncio.timeout(PATIENCE):
            body = await caller.reader.readuntil(b"\r\n0\r\n\r\n")
    assert (served.offered, served.refused) == (True, [])
    assert [line[6:] for line in body.split(b"\n") if line.startswith(b"data: {")] == payloads


async def test_nothing_goes_past_on_to_a_caller_that_reads_too_slowly(build, gateway):
    payloads = [b'{"n":"%b"}' % (b"x" * 32768)] * 400
    gateway.answer = served = Passed(list(payloads))
    async with serving(build()) as url, RawCaller.to(url) as caller:
        caller.stop_reading()
        await caller.send(post(STREAM))
        async with asyncio.timeout(PATIENCE):
            await served.held_up.wait()
        left = len(served.payloads)
        await asyncio.sleep(0.05)
        assert len(served.payloads) == left > 0
        caller.read_on()
        await caller.head()
        async with asyncio.timeout(PATIENCE):
            read = 0
            while read < 400:
                read += (await caller.reader.readuntil(b"\n\n")).count(b"data: {")


async def test_what_goes_past_a_reader_arrives_without_chunks_at_a_caller_of_http_1_0(build, gateway):
    payloads = [b'{"n":%d}' % number for number in range(5)]
    gateway.answer = served = Passed(list(payloads))
    async with serving(build()) as url, RawCaller.to(url) as caller:
        await caller.send(post(STREAM).replace(b"HTTP/1.1", b"HTTP/1.0"))
        await caller.head()
        async with asyncio.timeout(PATIENCE):
            body = await caller.reader.read()
    assert (served.offered, served.refused) == (True, [])
    assert body == b"".join(map(frame, [*payloads, b"[DONE]"]))
