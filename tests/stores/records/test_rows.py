import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from freeroute.domain.outcome import Kind
from freeroute.domain.receipt import AttemptNote
from freeroute.domain.usage import Usage
from freeroute.stores.records.gathering import MOST_TOKENS, Gathering, gathered
from freeroute.stores.records.rows import COLUMNS, Batch, Row
from freeroute.stores.records.sums import NAMES, sums
from freeroute.stores.records.tables import DAY, receipts
from freeroute.wire.text import printable
from tests.support.receipts import REFUSED, SERVED, receipt, row_of


def test_the_fields_of_a_row_are_the_columns_of_the_table():
    assert Row.__struct_fields__ == tuple(column.name for column in receipts.columns)[1:]
    assert sorted(COLUMNS) == sorted(Row.__struct_fields__)


def test_a_row_says_what_its_receipt_says():
    row = row_of(receipt(attempts=(REFUSED, SERVED), stream=True, queued=1.5, continued=1))
    assert (row.client, row.asked, row.provider, row.model, row.key) == (
        *("alice", "free-fast", "groq", "openai/gpt-oss-120b", "k1"),
    )
    assert (row.prompt, row.completion, row.first_event, row.total, row.queued) == (10, 20, 0.25, 0.5, 1.5)
    assert (row.stream, row.status, row.code, row.attempts, row.continued) == (True, 200, "", 2, 1)


def test_the_trail_holds_who_did_not_serve_and_why():
    stalled = AttemptNote("groq", "m", "k1", Kind.STALLED, 0.51, first_event=0.4, began=0.1)
    attempts = (REFUSED, stalled, SERVED)
    assert json.loads(row_of(receipt(attempts=attempts)).trail) == [
        {
            "provider": "gemini",
            "model": "gemini-3.5-flash",
            "key": "k2",
            "kind": "rate_limited",
            "began": 0.0,
            "seconds": 0.1,
            "status": 429,
            "detail": "slow? down",
        },
        {
            "provider": "groq",
            "model": "m",
            "key": "k1",
            "kind": "stalled",
            "began": 0.1,
            "seconds": 0.51,
            "first_event": 0.4,
        },
    ]
    assert row_of(receipt()).trail == ""


def test_a_request_that_nobody_served_has_no_provider():
    row = row_of(receipt(provider=None, model=None, key=None, usage=None, first_event=None, status=502))
    assert (row.provider, row.model, row.key, row.prompt, row.first_event) == (*("", "", "", 0, None),)


def test_who_left_did_not_fail():
    def failed(one):
        [told] = sums(gathered([row_of(one)]))[DAY]
        return dict(zip(NAMES, told, strict=True))["failed"]

    assert not failed(receipt(status=499, caller_left=True))
    assert failed(receipt(code="stalled"))
    assert failed(receipt(status=502))
    assert not failed(receipt())


TEXTS = st.sampled_from(["a", "é", "\n", "a\x00b"])
RECEIPTS = st.builds(
    receipt,
    usage=st.none() | st.builds(Usage, *[st.integers(-(2**50), 2**50)] * 4, st.booleans()),
    asked=TEXTS,
    key=st.none() | TEXTS,
    code=st.none() | TEXTS,
    finish=st.none() | TEXTS,
    provider=st.none() | TEXTS,
    status=st.sampled_from([200, 502]),
    stream=st.booleans(),
    attempts=st.sampled_from([(), (SERVED,), (REFUSED, SERVED)]),
    first_event=st.none() | st.just(0.25),
    total=st.floats(0, 9),
)


def plain(one):
    """Return what is to be stored of a receipt, column by column."""
    like, usage, notes = one.like, one.usage or Usage(), one.attempts
    believed = [min(max(tokens, 0), MOST_TOKENS) for tokens in msgspec.structs.astuple(usage)[:4]]
    return Row(
        at=one.at.wall,
        asked=printable(like.asked),
        code=printable(like.code or ""),
        provider=like.provider or "",
        model=like.model or "",
        key=printable(like.key or ""),
        finish=printable(one.finish or ""),
        attempts=len(notes),
        trail=row_of(receipt(attempts=notes)).trail,
        **dict(zip(("prompt", "completion", "reasoning", "cached"), believed, strict=True)),
        estimated=usage.estimated,
        **{name: getattr(like, name) for name in ("surface", "client", "stream", "status", "caller_left")},
        **{name: getattr(one, name) for name in ("request_id", "queued", "overhead", "first_event", "total")},
        continued=one.continued,
    )


def by_columns(alike):
    """Return all that is *alike* as it is stored, in the order of its numbers."""
    every = [
        Row(**dict(zip(COLUMNS, (*shared, *own), strict=True))) for shared, each in alike for own in each
    ]
    return sorted(every, key=lambda row: int(row.request_id))


@given(st.lists(RECEIPTS, max_size=20))
def test_what_is_stored_of_a_batch_is_what_each_receipt_says_within_bounds(found):
    gathering, told = Gathering(), []
    for number, one in enumerate(found):
        told.append(msgspec.structs.replace(one, request_id=str(number)))
        gathering.add(told[-1])
    rows = [plain(one) for one in told]
    assert by_columns(gathering.alike()) == by_columns(gathered(rows)) == rows
    batch = Batch("run", 1, alike=gathering.alike())
    assert batch.count == gathering.count == len(found)
    read = msgspec.json.decode(msgspec.json.encode(batch), type=Batch)
    assert by_columns(read.alike) == rows


def test_no_figure_and_no_text_from_outside_can_break_a_table():
    row = row_of(receipt(usage=Usage(10**30, -1), asked="a\x00\ud800é" * 100, finish="\x00", code="\n"))
    assert (row.prompt, row.completion) == (MOST_TOKENS, 0)
    assert len(row.asked) == 128
    assert row.asked.isascii()
    assert (row.finish, row.code) == ("?", "?")
    batch = Batch("o", 1, alike=gathered([row]))
    assert msgspec.json.decode(msgspec.json.encode(batch), type=Batch) == batch
