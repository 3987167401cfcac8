"""Receipts and rows for tests."""

from typing import Any

from msgspec import structs

from freeroute.clock import Now
from freeroute.domain.outcome import Kind
from freeroute.domain.receipt import AttemptNote, Likeness, Receipt
from freeroute.domain.tasks import Task
from freeroute.domain.usage import Usage
from freeroute.stores.records.gathering import Gathering
from freeroute.stores.records.rows import COLUMNS, Body, Row
from tests.support.clocks import EPOCH

SERVED = AttemptNote("groq", "openai/gpt-oss-120b", "k1", Kind.SERVED, 0.5, 200)
REFUSED = AttemptNote("gemini", "gemini-3.5-flash", "k2", Kind.RATE_LIMITED, 0.1, 429, "slow\x00 down")
_LIKE = Likeness(
    surface="openai",
    task=Task.CHAT,
    client="alice",
    created=None,
    asked="free-fast",
    asked_known=True,
    stream=False,
    status=200,
    code=None,
    provider="groq",
    model="openai/gpt-oss-120b",
    key="k1",
    caller_left=False,
)
_RECEIPT = Receipt(
    like=_LIKE,
    request_id="req_1",
    at=Now(0.0, EPOCH),
    attempts=(SERVED,),
    usage=Usage(10, 20),
    finish="stop",
    queued=0.0,
    overhead=0.0004,
    first_event=0.25,
    total=0.5,
)


def receipt(**changes: Any) -> Receipt:
    """Return a receipt of an ordinary request with *changes*, of it or of what it is like."""
    return changed(_RECEIPT, **changes)


def changed(receipt: Receipt, **changes: Any) -> Receipt:
    """Return *receipt* with *changes*, of it or of what it is like."""
    alike = {name: changes.pop(name) for name in Likeness.__struct_fields__ if name in changes}
    return structs.replace(receipt, like=structs.replace(receipt.like, **alike), **changes)


def row_of(receipt: Receipt) -> Row:
    """Return what is stored of *receipt*."""
    gathering = Gathering()
    gathering.add(receipt)
    [(shared, [own])] = gathering.alike()
    values: dict[str, Any] = dict(zip(COLUMNS, (*shared, *own), strict=True))
    return Row(**values)


def row(**changes: Any) -> Row:
    """Return what is stored of an ordinary request, with *changes*."""
    return structs.replace(row_of(_RECEIPT), **changes)


def body(**changes: Any) -> Body:
    """Return what is stored of what an ordinary request asked and was told, with *changes*."""
    plain = Body(
        EPOCH, "req_1", "alice", '[{"role":"user","content":"Why?"}]', "Because.", "", cut=False, size=42
    )
    return structs.replace(plain, **changes)
