"""Traces for OpenTelemetry, sent by OTLP over HTTP from a thread. Loaded only where they are wanted.

The extra ``otel`` brings the libraries: ``pip install freeroute-gateway[otel]``.
"""

import asyncio
import contextlib
import logging
import math
import secrets
import threading

import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from freeroute.domain.receipt import Receipt
from freeroute.domain.traces import Trace
from freeroute.observe.spans import Span, spans

LAST = 3.0
"""Seconds that the end waits for the last spans to be taken. Own design: little is lost without them."""

TOLD_EVERY = 60.0
"""Seconds for which the log is spared another line about a receiver that is gone. Own design."""

_KINDS = {"server": SpanKind.SERVER, "client": SpanKind.CLIENT, "internal": SpanKind.INTERNAL}
_FINE, _FAILED = Status(StatusCode.UNSET), Status(StatusCode.ERROR)


class Traces:
    """An observer that sends the spans of recorded traces; what the receiver does not take is dropped."""

    def __init__(self, endpoint: str | None, version: str) -> None:
        """Send to *endpoint*, without its path; None leaves it to the variables of OpenTelemetry."""
        url = f"{endpoint.rstrip('/')}/v1/traces" if endpoint is not None else None
        named = {"service.name": "freeroute", "service.version": version}
        self._resource = Resource.create({**named, **OTELResourceDetector().detect().attributes})
        self._scope = InstrumentationScope("freeroute", version)
        # Bounded: 2,048 spans wait unless OTEL_BSP_MAX_QUEUE_SIZE says otherwise.
        self._sender = BatchSpanProcessor(OTLPSpanExporter(endpoint=url))
        self._log = structlog.get_logger("freeroute.traces")
        logging.getLogger(OTLPSpanExporter.__module__).addFilter(_Seldom())

    def saw(self, receipt: Receipt) -> None:
        """Take note of a finished request."""
        trace = receipt.trace
        if trace is not None and trace.sampled:
            for span in spans(receipt, trace, _new_id):
                self._sender.on_end(self._finished(span, trace))

    def _finished(self, span: Span, trace: Trace) -> ReadableSpan:
        # Spans that a tracer would start and end would cost more than twice as much, and get other ids.
        return ReadableSpan(
            span.name,
            context=_context(trace, span.id),
            parent=_context(trace, span.parent) if span.parent is not None else None,
            resource=self._resource,
            attributes=span.attributes,
            kind=_KINDS[span.kind],
            status=_FAILED if span.failed else _FINE,
            start_time=round(span.began * 1e9),
            end_time=round(span.ended * 1e9),
            instrumentation_scope=self._scope,
        )

    async def close(self) -> None:
        """Send what is left, for `LAST` seconds at most."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def shut_down() -> None:
            self._sender.shutdown()
            with contextlib.suppress(RuntimeError):  # nobody waits any more
                loop.call_soon_threadsafe(done.set)

        # A thread that the process need not wait for, as those of the loop's own pool would be.
        threading.Thread(target=shut_down, name="last-spans", daemon=True).start()
        try:
            async with asyncio.timeout(LAST):
                await done.wait()
        except TimeoutError:
            self._log.warning("the last traces were not sent: their receiver does not take them in time")


class _Seldom(logging.Filter):
    """Lets one line a minute through: each batch and each retry would have one."""

    def __init__(self) -> None:
        super().__init__()
        self._told = -math.inf

    def filter(self, record: logging.LogRecord) -> bool:
        if record.created - self._told < TOLD_EVERY:
            return False
        self._told = record.created
        return True


def _new_id() -> str:
    return secrets.token_hex(8)


def _context(trace: Trace, span: str) -> SpanContext:
    remote = span == trace.parent
    return SpanContext(int(trace.id, 16), int(span, 16), remote, TraceFlags(trace.flags))
