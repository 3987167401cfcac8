import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from freeroute.stores.records import queries
from freeroute.stores.records.database import Database
from freeroute.stores.records.gathering import gathered
from freeroute.stores.records.rows import Batch, Row
from freeroute.stores.records.sums import NAMES, sums
from freeroute.stores.records.tables import DAY, DIMENSIONS, HOUR, MINUTE, SECONDS, SUMS
from freeroute.stores.records.tidying import HOURS_KEPT
from tests.support.clocks import EPOCH
from tests.support.receipts import row

NOON = EPOCH // DAY * DAY + DAY / 2


async def usage(records, *about, **how):
    return await records.within(lambda connection: queries.usage(connection, *about, **how))


async def page(records, *about, **how):
    return await records.within(lambda connection: queries.page(connection, *about, **how))


async def stored(records, *about, **how):
    return await records.within(lambda connection: list(queries.stored(connection, *about, **how)))


async def written(database, *rows):
    for number, one in enumerate(rows):
        await database.write(Batch("run", number, (one,)), NOON)
    return database


async def test_usage_is_told_apart_by_what_is_asked_for(database):
    rows = (row(), row(client="bob"), row(client="bob", provider="gemini", model="m"), row(status=502))
    records = await written(database, *rows)
    by_client = await usage(records, ["client"], NOON - DAY, NOON)
    assert [(line["client"], line["requests"], line["failed"]) for line in by_client.lines] == [
        ("alice", 2, 1),
        ("bob", 2, 0),
    ]
    both = await usage(records, ["provider", "client"], NOON - DAY, NOON)
    assert [(line["provider"], line["client"], line["requests"]) for line in both.lines] == [
        *(("groq", "alice", 2), ("gemini", "bob", 1), ("groq", "bob", 1)),
    ]
    [everything] = (await usage(records, [], NOON - DAY, NOON)).lines
    assert (everything["requests"], everything["prompt"], everything["total"]) == (4, 40, 2.0)
    [bob] = (await usage(records, [], NOON - DAY, NOON, client="bob")).lines
    assert bob["requests"] == 2
    assert (await usage(records, [], NOON - DAY, NOON, client="nobody")).lines == []


async def test_whole_hours_count_for_short_times_and_whole_days_for_long_ones(database):
    rows = [row(at=NOON - back) for back in (60, 2 * HOUR - 60, 2 * HOUR + 60, 100 * DAY)]
    records = await written(database, *rows)
    short = await usage(records, [], NOON - 2 * HOUR + 30, NOON)
    assert ((short.since, short.until), short.lines[0]["requests"]) == ((NOON - 2 * HOUR, NOON + HOUR), 2)
    long = await usage(records, [], NOON - 99.6 * DAY, NOON)
    assert ((long.since, long.until), long.lines[0]["requests"]) == (
        (NOON - 100.5 * DAY, NOON + DAY / 2),
        4,
    )


async def test_a_step_gives_a_line_for_each_span_in_which_something_was_asked(database):
    records = await written(database, *(row(at=NOON - back * HOUR) for back in (1, 1, 3, 30)))
    by_hour = await usage(records, ["client"], NOON - 2 * DAY, NOON, step=HOUR)
    assert [(line["start"], line["requests"]) for line in by_hour.lines] == [
        (NOON - 30 * HOUR, 1),
        (NOON - 3 * HOUR, 1),
        (NOON - HOUR, 2),
    ]
    by_day = await usage(records, [], NOON - 2 * DAY, NOON, step=DAY)
    assert [line["requests"] for line in by_day.lines] == [1, 3]


async def test_a_minute_is_read_from_the_receipts_and_begins_with_the_clocks(database):
    records = await written(database, *(row(at=NOON - back) for back in (0.5, 59.9, 60.0, 61.0, 3601.0)))
    found = await usage(records, ["client"], NOON - 90, NOON, step=MINUTE)
    assert [(line["start"], line["client"], line["requests"]) for line in found.lines] == [
        (NOON - 120, "alice", 1),
        (NOON - 60, "alice", 3),
    ]
    assert (found.since, found.until) == (NOON - 120, NOON + 60)
    assert (await usage(records, [], NOON - 90, NOON, step=MINUTE, client="nobody")).lines == []


@pytest.mark.parametrize(
    ("by", "since", "step", "error"),
    [
        (["key"], 0.0, None, "told apart by client, provider, model"),
        ([], 0.0, 61, "a step is 60, 3600 or 86400"),
        ([], DAY + 1.0, MINUTE, "there for 24 hours"),
        ([], HOURS_KEPT + DAY, HOUR, "kept for 400 days"),
    ],
)
async def test_what_cannot_be_asked_is_said(tmp_path, by, since, step, error):
    database = Database(None, tmp_path / "records.db")
    with pytest.raises(ValueError, match=error):
        await usage(database, by, NOON - since, NOON, step=step)
    await database.close()


async def test_receipts_come_out_as_they_went_in_oldest_first(database):
    rows = [row(at=NOON - number, request_id=str(number)) for number in range(4)]
    rows.append(row(at=NOON - 1.5, client="bob", first_event=None))
    records = await written(database, *rows)
    expected = sorted((structs.asdict(one) for one in rows if one.at > NOON - 3), key=lambda one: one["at"])
    assert await stored(records, NOON - 2.5, NOON + 1) == expected
    assert [line["at"] for line in await stored(records, 0.0, NOON, "bob")] == [NOON - 1.5]


async def pages(records, most=2, **wanted) -> list[list[object]]:
    """Return by pages the ids of all requests, walked by the marks."""
    found, after = [], None
    while True:
        got = await page(records, 0.0, NOON + DAY, most=most, after=after, **wanted)
        found.append([line["request_id"] for line in got.lines])
        if got.after is None:
            return found
        after = got.after


async def test_receipts_are_paged_in_both_directions_also_where_many_came_at_one_instant(database):
    rows = [row(at=NOON - back, request_id=str(n)) for n, back in enumerate((3.3, 2.2, 2.2, 2.2, 0.1))]
    records = await written(database, *rows)
    assert await pages(records) == [["4", "3"], ["2", "1"], ["0"]]
    assert await pages(records, newest=False) == [["0", "1"], ["2", "3"], ["4"]]
    assert await pages(records, most=5) == [["4", "3", "2", "1", "0"]]


async def test_receipts_are_found_by_who_asked_and_how_it_ended(database):
    rows = [
        row(request_id="ok"),
        row(request_id="late", status=200, code="stalled"),
        row(request_id="bad", status=502, code="upstream_failed", client="bob"),
        row(request_id="gone", status=499, code="", caller_left=True),
    ]
    records = await written(database, *rows)
    assert await pages(records, outcome="served") == [["ok"]]
    assert await pages(records, outcome="left") == [["gone"]]
    assert {name for names in await pages(records, outcome="failed") for name in names} == {"bad", "late"}
    assert await pages(records, client="bob", outcome="failed") == [["bad"]]
    assert await pages(records, client="carol") == [[]]
    assert await pages(records, request_id="gone") == [["gone"]]


@pytest.mark.parametrize(
    "mark", ["", "1", "x-1", "1-x", "nan-1", "1-", "-1-1", "1-99999999999999999999", "1.5-1;"]
)
async def test_a_mark_that_no_page_gave_is_refused(tmp_path, mark):
    database = Database(None, tmp_path / "records.db")
    with pytest.raises(ValueError, match="not the mark of a page"):
        await page(database, 0.0, NOON, most=1, after=mark)
    await database.close()


async def test_more_lines_of_usage_than_wanted_are_refused(database):
    records = await written(database, row(), row(client="bob"))
    assert len((await usage(records, ["client"], NOON - DAY, NOON, most=2)).lines) == 2
    with pytest.raises(ValueError, match="more than 1 lines"):
        await usage(records, ["client"], NOON - DAY, NOON, most=1)


names = st.sampled_from(["", "a", "b"])
rows_of_any_kind = st.builds(
    row,
    at=st.floats(NOON - 200 * DAY, NOON) | st.floats(NOON - DAY + MINUTE, NOON),
    client=names,
    provider=names,
    model=names,
    status=st.sampled_from([200, 400, 499, 502]),
    code=st.sampled_from(["", "stalled"]),
    caller_left=st.booleans(),
    attempts=st.integers(0, 9),
    prompt=st.integers(0, 10**9),
    completion=st.integers(0, 10**9),
    first_event=st.none() | st.floats(0, 1e3),
    queued=st.floats(0, 1e3),
    total=st.floats(0, 1e3),
)


def failed(one: Row) -> bool:
    return not one.caller_left and (one.status >= 400 or one.code != "")


def naive(rows: list[Row], span: int) -> dict[tuple[object, ...], dict[str, float]]:
    def key(one: Row) -> tuple[object, ...]:
        return (one.at // span * span, one.client, one.provider, one.model)

    return {
        where: {
            "requests": len(found := list(group)),
            "failed": sum(1 for one in found if failed(one)),
            "callers_left": sum(1 for one in found if one.caller_left),
            "first_events": sum(1 for one in found if one.first_event is not None),
            "first_event": math.fsum(one.first_event or 0.0 for one in found),
            **{name: math.fsum(getattr(one, name) for one in found) for name in ("queued", "total")},
            **{
                name: sum(getattr(one, name) for one in found)
                for name in ("attempts", "prompt", "completion", "reasoning", "cached")
            },
        }
        for where, group in itertools.groupby(sorted(rows, key=key), key)
    }


@settings(deadline=None)
@given(st.lists(rows_of_any_kind, max_size=40), st.integers(1, 9))
def test_sums_equal_what_the_receipts_say_whatever_the_batches(rows, size):
    for span in (HOUR, DAY):
        found: dict[tuple[object, ...], dict[str, float]] = {}
        for batch in (rows[first : first + size] for first in range(0, len(rows), size)):
            for told in sums(gathered(batch))[span]:
                one = dict(zip(NAMES, told, strict=True))
                there = found.setdefault(tuple(one[name] for name in ("start", *DIMENSIONS)), {})
                for name in (*SUMS, *SECONDS):
                    there[name] = there.get(name, 0) + float(one[name])
        expected = naive(rows, span)
        assert found.keys() == expected.keys()
        for where, figures in expected.items():
            assert found[where] == pytest.approx(figures)


@settings(max_examples=25, deadline=None)
@given(batches=st.lists(st.lists(rows_of_any_kind, min_size=1, max_size=20), max_size=6))
async def test_stored_sums_equal_stored_receipts_whatever_the_batches(tmp_path_factory, batches):
    database = Database(None, tmp_path_factory.mktemp("records") / "records.db")
    for number, rows in enumerate(batches):
        await database.write(Batch("run", number, tuple(rows)), NOON)
    for span, back in ((MINUTE, DAY), (HOUR, 300 * DAY), (DAY, 300 * DAY)):
        found = await usage(database, DIMENSIONS, NOON - back, NOON, step=span)
        read = {
            tuple(line.pop(name) for name in ("start", *DIMENSIONS)): pytest.approx(line)
            for line in found.lines
        }
        every = [one for rows in batches for one in rows if one.at >= NOON - back]
        assert naive(every, span) == read
    await database.close()
