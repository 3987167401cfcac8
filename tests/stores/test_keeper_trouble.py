"""What becomes of a state file that is full, damaged, taken away, newer or nonsense."""

import contextlib
import sqlite3

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from freeroute.domain.catalogue import Limit, Unit, WindowKind
from freeroute.domain.keepsake import (
    KeptBucket,
    KeptCalendar,
    KeptCandidate,
    KeptGate,
    KeptGuard,
    KeptHold,
    KeptMeasure,
    KeptPool,
    KeptSliding,
    KeptSpeed,
    Moment,
)
from freeroute.domain.leases import Charges
from freeroute.domain.outcome import Kind
from freeroute.errors import ConfigError
from freeroute.stores.keeper import _Run
from tests.stores.runs import Run, pool
from tests.support.clocks import ManualClock


async def test_a_disk_that_is_full_is_told_once_and_saved_to_as_soon_as_there_is_room(run, clock):
    first = run(bound=16 * 4096).start()
    with capture_logs() as log:
        for number in range(2_000):
            await first.counters.acquire(Charges((pool(number),), (1,)), clock.now())
        for _ in range(3):
            await first.keeper.flush()
    assert [line["log_level"] for line in log] == ["error"]
    assert "requests are served" in log[0]["event"]
    assert first.trouble == [True]
    await first.take(3)
    first.file._bound = 2**24
    with capture_logs() as log:
        await first.keeper.flush()
    assert [line["event"] for line in log] == ["the state file is written again"]
    assert first.trouble == [True, False]
    first.keeper.close()
    assert run().start().used()[:2] == [3, 3]


async def test_a_file_that_cannot_be_opened_stops_nothing(tmp_path, clock):
    with capture_logs() as log:
        first = Run(tmp_path / "missing", clock).start()
        await first.take()
        await first.keeper.flush()
        first.keeper.close()
    assert [line["log_level"] for line in log] == ["error"]
    assert first.trouble == [True]


async def test_a_damaged_file_is_moved_aside_at_the_start_and_another_begun(run, clock, tmp_path):
    (tmp_path / "state.db").write_bytes(b"nonsense" * 1_000)
    with capture_logs() as log:
        first = run().start()
    assert "moved aside" in log[0]["event"]
    aside = tmp_path / "state.db.corrupt-20260921T141320Z"
    assert log[0]["moved_to"] == str(aside)
    assert aside.read_bytes() == b"nonsense" * 1_000
    await first.take(2)
    first.keeper.close()
    assert run().start().used()[0] == 2


async def test_a_file_that_is_damaged_while_it_runs_is_replaced_by_all_that_is_known(run, clock, tmp_path):
    first = run().start()
    await first.take(2)
    await first.keeper.flush()
    first.file.close()
    first.file.path.write_bytes(b"nonsense" * 1_000)
    first.ends(Kind.RATE_LIMITED, retry_after=600.0)
    await first.keeper.flush()
    await first.keeper.flush()
    first.crash()
    assert len(list(tmp_path.glob("*.corrupt-*"))) == 1
    second = run().start()
    assert second.used()[1] >= 2
    assert second.back_in() == 600


@pytest.mark.parametrize("gone", ["state.db*", "state.db-*"])
async def test_a_file_that_is_taken_away_while_it_runs_is_replaced_by_all_that_is_known(run, tmp_path, gone):
    first = run().start()
    await first.take(2)
    await first.keeper.flush()
    for path in tmp_path.glob(gone):
        path.unlink()
    first.ends(Kind.RATE_LIMITED, retry_after=600.0)
    with capture_logs() as log:
        await first.keeper.flush()
    assert [(line["log_level"], "removed or replaced" in line["event"]) for line in log] == [
        ("warning", True)
    ]
    await first.keeper.flush()
    assert first.trouble == []
    first.crash()
    second = run().start()
    assert second.used()[1] >= 2
    assert second.back_in() == 600


async def test_a_damaged_file_that_cannot_be_moved_is_told_and_left(run, clock, tmp_path):
    (tmp_path / "state.db").write_bytes(b"nonsense" * 1_000)
    (tmp_path / "state.db.corrupt-20260921T141320Z").mkdir()
    with capture_logs() as log:
        first = run().start()
    assert [line["event"][:30] for line in log] == ["the state file cannot be used:"]
    assert first.trouble == [True]


async def test_entries_that_make_no_sense_are_passed_over(run, clock):
    first = run().start()
    await first.take(2)
    first.keeper.close()
    moon = msgspec.msgpack.encode(
        {"type": "pool", "limit": {"unit": "requests", "amount": 1}, "window": {"type": "moon"}}
    )
    hold = msgspec.msgpack.encode(KeptHold(9e9, "moved"))
    strange = {
        "nonsense": b"",
        '["pool","p"]': hold,
        '["hold"]': hold,
        '["hold","x"]': hold,
        '["pool"]': moon,
        "[]": b"\xc0",
        '["key"]': b"\x80",
    }
    first.file.write(strange)
    first.file.close()
    with capture_logs() as log:
        second = run().start()
    assert second.used()[:2] == [2, 2]
    assert log[0]["strange"] == len(strange)
    assert not set(strange) & set(second.file.read())


async def test_a_file_that_is_replaced_by_a_newer_one_is_left_alone(run, clock):
    first = run().start()
    first.file.close()
    with contextlib.closing(sqlite3.connect(first.file.path)) as newer:
        newer.execute("PRAGMA user_version = 2")
    await first.take(1)
    await first.keeper.flush()
    assert first.trouble == [True]


async def test_a_run_that_makes_no_sense_is_a_damaged_file(run, clock, tmp_path):
    first = run().start()
    first.file.write({"run": b"nonsense"})
    first.file.close()
    run().start()
    assert len(list(tmp_path.glob("*.corrupt-*"))) == 1


async def test_a_file_that_was_emptied_is_told(run, tmp_path):
    with capture_logs() as log:
        run().start().keeper.close()
    assert log == []
    (tmp_path / "state.db").write_bytes(b"")
    with capture_logs() as log:
        run().start()
    assert [(line["log_level"], line["event"][:23]) for line in log] == [
        ("warning", "the state file is empty")
    ]


NUMBERS = st.one_of(st.floats(), st.floats(-10.0, 2_000.0))
SMALL = st.integers(-9, 9)
ANYTHING = st.one_of(st.binary(max_size=40), st.text(max_size=10), SMALL, NUMBERS)
INSTANTS = st.builds(Moment, st.sampled_from(["boot", "other"]), NUMBERS, NUMBERS)
HEADS = st.builds(_Run, INSTANTS, st.booleans(), st.binary(max_size=80), st.just({"groq": {"1": b"-"}}))
LIMITS = st.builds(Limit, st.sampled_from(Unit), NUMBERS, NUMBERS, st.sampled_from(WindowKind))
KEPT = st.one_of(
    st.builds(KeptGuard, NUMBERS, NUMBERS, NUMBERS),
    st.builds(
        KeptPool,
        limit=LIMITS,
        window=st.one_of(
            st.builds(KeptSliding, st.lists(st.tuples(NUMBERS, NUMBERS), max_size=3)),
            st.builds(KeptBucket, NUMBERS, NUMBERS),
            st.builds(KeptCalendar, *[NUMBERS] * 6),
        ),
        peak=NUMBERS,
        measure=st.none() | st.builds(KeptMeasure, *[NUMBERS] * 5),
    ),
    st.builds(KeptCandidate, st.none() | st.builds(KeptGate, SMALL, NUMBERS), SMALL, NUMBERS),
    st.builds(KeptSpeed, NUMBERS, NUMBERS, NUMBERS, SMALL, NUMBERS),
    st.builds(KeptHold, NUMBERS, st.text(max_size=5)),
)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
async def test_whatever_stands_in_the_rows_the_gateway_starts_and_counts(tmp_path_factory, data):
    """Rows may be of any type, nonsense, or of our own shape with numbers that cannot be."""
    directory, clock = tmp_path_factory.mktemp("state"), ManualClock()
    first = Run(directory, clock).start()
    await first.take(2)
    first.ends(Kind.RATE_LIMITED, retry_after=600.0)
    first.keeper.close()
    names = st.sampled_from(["run", *first.file.read()])
    first.file.close()
    ours = KEPT.map(msgspec.msgpack.encode) | HEADS.map(msgspec.msgpack.encode)
    rows = st.tuples(names, ours) | st.tuples(names | ANYTHING, ANYTHING)
    with contextlib.closing(sqlite3.connect(directory / "state.db", isolation_level=None)) as other:
        for row in data.draw(st.lists(rows, min_size=1, max_size=4)):
            with contextlib.suppress(sqlite3.IntegrityError):
                other.execute("INSERT OR REPLACE INTO kept VALUES (?, ?)", row)
    second = Run(directory, clock).start()
    try:
        for _ in range(2):
            await second.take()
            second.used()
            second.ends(Kind.SERVED, second.back_in() is None)
            clock.advance(40.0)
        second.keeper.save()
        assert second.trouble == []
    finally:
        second.keeper.close()


async def test_a_newer_file_stops_the_start(run, clock):
    run().start().keeper.close()
    other = run()
    with contextlib.closing(sqlite3.connect(other.file.path)) as newer:
        newer.execute("PRAGMA user_version = 2")
    with pytest.raises(ConfigError, match="newer freeroute"):
        other.start()
