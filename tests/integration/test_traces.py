"""A trace over real sockets: from the caller through the gateway to providers, and to who collects it."""

import pytest

pytest.importorskip("opentelemetry.sdk", reason="the extra `otel` is not installed")

from freeroute.lifecycle import application
from freeroute.upstreams.transport import Transport
from tests.support.live import until
from tests.support.otlp import receiving

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Overheard:
    """A transport that notes the ``traceparent`` of each request that goes out."""

    def __init__(self, transport: Transport) -> None:
        self.heard: list[str | None] = []
        self.close = transport.close
        self._transport = transport

    async def open(self, method, url, headers, body, deadlines, **given):
        told = dict(headers).get(b"traceparent")
        self.heard.append(None if told is None else told.decode())
        return await self._transport.open(method, url, headers, body, deadlines, **given)


@pytest.fixture
async def heard(run):
    """Start a gateway that is traced, and give it with what goes out and what is collected."""
    made: list[Overheard] = []

    def wrapped(transport):
        made.append(Overheard(transport))
        return made[-1]

    with receiving() as receiver:
        gateway = await run(traces={"endpoint": receiver.url}, wrapped=wrapped)
        yield gateway, made[0].heard, receiver


async def test_the_callers_trace_holds_all_that_its_request_led_to(heard):
    gateway, sent, receiver = heard
    await gateway.script("groq", 503)
    reply = await gateway.ask("my secret words", stream=True, headers={"traceparent": CALLER})
    assert (reply.status, reply.by) == (200, "beta")
    await gateway.app.traces.close()
    _, trace, parent, _ = CALLER.split("-")
    await until(lambda: bool(receiver.requests))
    assert {span.trace_id.hex() for span in receiver.spans} == {trace}
    by_kind = {kind: [s for s in receiver.spans if s.kind == kind] for kind in (1, 2, 3)}
    (request,), (relay,), attempts = by_kind[2], by_kind[1], by_kind[3]
    assert request.parent_span_id.hex() == parent
    assert {span.parent_span_id for span in (*attempts, relay)} == {request.span_id}
    assert [span.status.code for span in attempts] == [2, 0]
    # Each provider was told the span of its own attempt.
    assert sent == [f"00-{trace}-{span.span_id.hex()}-01" for span in attempts]
    assert request.start_time_unix_nano <= attempts[0].start_time_unix_nano
    assert attempts[1].end_time_unix_nano <= request.end_time_unix_nano
    assert "secret words" not in str(receiver.requests)
    assert reply.text not in str(receiver.requests)


async def test_a_trace_that_its_caller_does_not_record_is_sent_on_and_not_collected(heard):
    gateway, sent, receiver = heard
    await gateway.ask(headers={"traceparent": CALLER[:-2] + "00"})
    await gateway.app.traces.close()
    assert receiver.requests == []
    assert [told[:36] for told in sent] == [CALLER[:36]]


async def test_what_was_not_collected_yet_is_when_the_gateway_stops(run):
    with receiving() as receiver:
        gateway = await run(traces={"endpoint": receiver.url})
        await gateway.ask()
        litestar = application(gateway.app, "boss", lambda on: None)
        async with litestar.lifespan():
            pass
        await until(lambda: bool(receiver.requests))
        assert {span.name for span in receiver.spans} >= {"chat free"}
