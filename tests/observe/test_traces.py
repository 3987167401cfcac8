"""Traces as a receiver of OpenTelemetry gets them: by OTLP over HTTP, on a socket of loopback."""

import asyncio
import time

import pytest

pytest.importorskip("opentelemetry.sdk", reason="the extra `otel` is not installed")

from freeroute.domain.outcome import Kind
from freeroute.domain.traces import Trace
from freeroute.observe.traces import LAST, Traces
from tests.support.live import until
from tests.support.otlp import Receiver, receiving
from tests.support.receipts import receipt
from tests.support.world import World, provider

TRACE = Trace("a" * 32, "b" * 16, "c" * 16, 1)


@pytest.fixture
def receiver():
    with receiving() as server:
        yield server


async def sent(traces: Traces, receiver: Receiver) -> None:
    """Send what there is; a machine that stands still may outlast what `Traces.close` waits for."""
    await traces.close()
    await until(lambda: bool(receiver.requests))


async def test_a_receiver_gets_the_tree_of_a_request(receiver):
    world = World(provider("groq"), provider("cerebras"), groq=[Kind.FAULT], seconds=0.5)
    traces = Traces(receiver.url, "1.2.3")
    world.gateway.observe(traces)
    await world.ask("free", context=world.context(trace=TRACE))
    await sent(traces, receiver)
    assert receiver.paths == ["/v1/traces"]
    by_name = {span.name: span for span in receiver.spans}
    assert {span.trace_id.hex() for span in receiver.spans} == {TRACE.id}
    request = by_name.pop("chat free")
    assert (request.span_id.hex(), request.parent_span_id.hex()) == (TRACE.span, TRACE.parent)
    assert {span.parent_span_id.hex() for span in by_name.values()} == {TRACE.span}
    attempts = [span for span in receiver.spans if span.kind == span.SPAN_KIND_CLIENT]
    assert [span.span_id.hex() for span in attempts] == [n.span for n in world.receipts.last.attempts]
    assert [span.status.code for span in attempts] == [2, 0]
    assert attempts[0].end_time_unix_nano - attempts[0].start_time_unix_nano == 500_000_000
    told = {entry.key: entry.value for entry in receiver.requests[0].resource_spans[0].resource.attributes}
    assert told["service.name"].string_value == "freeroute"
    assert told["service.version"].string_value == "1.2.3"


async def test_a_trace_that_begins_here_has_no_span_above(receiver):
    world = World(provider("groq"))
    traces = Traces(receiver.url, "1")
    world.gateway.traced = 1.0
    world.gateway.observe(traces)
    await world.ask("free", stream=True)
    await sent(traces, receiver)
    begun = world.receipts.last.trace
    assert begun is not None
    assert {span.trace_id.hex() for span in receiver.spans} == {begun.id}
    assert [span.name for span in receiver.spans if not span.parent_span_id] == ["chat free"]
    assert "relay" in {span.name for span in receiver.spans}


async def test_what_the_caller_does_not_record_is_not_sent(receiver):
    traces = Traces(receiver.url, "1")
    traces.saw(receipt(trace=Trace("a" * 32, "b" * 16, "c" * 16, 0)))
    traces.saw(receipt(trace=None))
    await traces.close()
    assert receiver.spans == []


async def test_headers_for_the_receiver_are_those_of_opentelemetrys_variables(receiver, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20abc")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "ours")
    traces = Traces(None, "1")
    traces.saw(receipt(trace=TRACE))
    await sent(traces, receiver)
    assert receiver.paths == ["/v1/traces"]
    assert receiver.headers[0]["authorization"] == "Bearer abc"
    (resource,) = receiver.requests[0].resource_spans
    assert ("service.name", "ours") in {(a.key, a.value.string_value) for a in resource.resource.attributes}


async def test_a_receiver_that_is_gone_costs_requests_nothing_and_the_end_little(receiver, caplog):
    receiver.shutdown()
    receiver.server_close()
    traces = Traces(receiver.url, "1")
    began = time.process_time()
    for _ in range(3000):
        traces.saw(receipt(trace=TRACE))
    spent = time.process_time() - began
    await asyncio.wait_for(traces.close(), 3 * LAST)
    assert len([record for record in caplog.records if "exporter" in record.name]) <= 1
    assert spent < 3.0  # a tenth of a millisecond each, on a busy machine
