import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from freeroute.domain.outcome import Kind
from freeroute.domain.receipt import AttemptNote
from freeroute.domain.usage import Usage
from freeroute.stores.records.rows import MOST_TOKENS, Batch, Cleaned, Row, row_of
from freeroute.stores.records.tables import receipts
from tests.support.receipts import REFUSED, SERVED, receipt


def test_the_fields_of_a_row_are_the_columns_of_the_table():
    assert Row.__struct_fields__ == tuple(column.name for column in receipts.columns)[1:]


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
    assert (row.provider, row.model, row.key, row.prompt, row.first_event, row.failed) == (
        *("", "", "", 0, None, True),
    )


def test_who_left_did_not_fail():
    assert not row_of(receipt(status=499, caller_left=True)).failed
    assert row_of(receipt(code="stalled")).failed
    assert not row_of(receipt()).failed


@given(st.lists(st.builds(Usage, *[st.integers(-(2**50), 2**50)] * 4)))
def test_rows_of_a_batch_are_those_of_each_receipt_and_believe_figures_within_bounds(usages):
    clean = Cleaned().__getitem__
    for number, usage in enumerate(usages):
        one = receipt(usage=usage, asked=f"é{number % 2}", code="\n", status=502)
        row = row_of(one, clean)
        assert row == row_of(one)
        believed = [min(max(tokens, 0), MOST_TOKENS) for tokens in msgspec.structs.astuple(usage)[:4]]
        assert [row.prompt, row.completion, row.reasoning, row.cached] == believed


def test_no_figure_and_no_text_from_outside_can_break_a_table():
    row = row_of(receipt(usage=Usage(10**30, -1), asked="a\x00\ud800é" * 100, finish="\x00", code="\n"))
    assert (row.prompt, row.completion) == (MOST_TOKENS, 0)
    assert len(row.asked) == 128
    assert row.asked.isascii()
    assert (row.finish, row.code) == ("?", "?")
    assert msgspec.json.decode(msgspec.json.encode(Batch("o", 1, (row,))), type=Batch).rows == (row,)
