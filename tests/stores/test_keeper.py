"""What one run knew, the next one knows; and saving it is nobody's burden."""

import asyncio
import contextlib
import math
import sqlite3

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from freeroute.clock import Now
from freeroute.domain import effects
from freeroute.domain.breaker import State
from freeroute.domain.catalogue import Key, Limit, Provider, Unit, WindowKind, candidates_of
from freeroute.domain.keepsake import (
    LEARNED_FOR,
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
from freeroute.domain.leases import Charge, Lease, charges_of
from freeroute.domain.measuring import UNKNOWN
from freeroute.domain.outcome import Kind, Outcome
from freeroute.domain.rates import RateFact
from freeroute.domain.standing import Standing
from freeroute.domain.usage import Demand
from freeroute.errors import ConfigError
from freeroute.stores.keeper import PAUSE, SLICE, Keeper, _Run
from freeroute.stores.memory import MemoryCounters
from freeroute.stores.state_file import StateFile
from tests.support.clocks import ManualClock
from tests.support.live import until
from tests.support.world import model, provider

MINUTE = Limit(Unit.REQUESTS, 10, 60.0)
DAY = Limit(Unit.REQUESTS, 100, 86_400.0, WindowKind.CALENDAR, "day")
TOKENS = Limit(Unit.TOKENS, 5_000, 86_400.0, WindowKind.BUCKET)
DEMAND = Demand(100)


def groq(*keys: Key, limits=(MINUTE, DAY, TOKENS)) -> Provider:
    return provider("groq", model("x"), model("y"), keys=keys or (Key("sk-one", "1"),), limits=limits)


class Run:
    """One run of a gateway as far as it remembers: counters, standing and what saves them."""

    def __init__(self, directory, clock, *, boot="boot", found=None, bound=2**24, pause=PAUSE) -> None:
        self.provider = found or groq()
        self.candidates = candidates_of(self.provider)
        self.clock = clock
        self.counters = MemoryCounters()
        self.standing = Standing(self.counters)
        self.file = StateFile(directory / "state.db", bound)
        self.trouble: list[bool] = []
        self.keeper = Keeper(
            self.file,
            counters=self.counters,
            standing=self.standing,
            providers=lambda: [self.provider],
            clock=clock,
            boot=boot,
            report=self.trouble.append,
            pause=pause,
        )

    def start(self) -> "Run":
        self.keeper.recall()
        self.counters.adopt([p for c in self.candidates for p in c.pools], self.clock.now())
        self.standing.keep(self.candidates)
        self.keeper.save()
        return self

    def crash(self) -> None:
        """End as after ``kill -9``: nothing more is written."""
        self.file.close()

    def ends(self, kind, number=0, **facts) -> None:
        candidate, now = self.candidates[number], self.clock.now()
        trial = self.standing.begin(candidate, now)
        effects.apply(Outcome(kind, **facts), candidate, self.standing, trial, now, jitter=0.5)

    async def take(self, calls=1) -> list[Lease]:
        now = self.clock.now()
        leases = [await self.counters.acquire(self.charges(), now) for _ in range(calls)]
        return [lease for lease in leases if isinstance(lease, Lease)]

    def charges(self) -> tuple[Charge, ...]:
        return charges_of(self.candidates[0], DEMAND)

    def used(self) -> list[float]:
        readings = self.counters.readings(self.candidates[0].pools, self.clock.now())
        return [round(reading.used, 6) for reading in readings]

    def back_in(self, number=0) -> float | None:
        hold = self.standing.hold_on(self.candidates[number], self.clock.now())
        return None if hold is None else hold.until - self.clock.now().mono


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def run(tmp_path, clock):
    """Start a run in the one directory of the test; the file is closed at the end."""
    with contextlib.ExitStack() as stack:

        def run(clock=clock, **given) -> Run:
            made = Run(tmp_path, clock, **given)
            stack.callback(made.file.close)
            return made

        yield run


@pytest.mark.parametrize("clean", [True, False])
async def test_counters_go_on_where_they_were(run, clock, clean):
    first = run().start()
    for lease in await first.take(4):
        await first.counters.settle(lease, {}, clock.now())
    clock.advance(0.1)
    under_way = await first.take(2)
    assert len(under_way) == 2
    if clean:
        first.keeper.close()
    else:
        await first.keeper.flush()
        first.crash()
    clock.advance(2)
    second = run().start()
    calls = 6 if clean else 10  # of the limit of ten, since a crash may have lost six
    assert second.used()[0] == calls
    assert second.used()[1] == (6 if clean else 12)
    assert len(await second.take(20)) == 10 - calls


async def test_a_crash_in_the_second_after_a_crash_costs_nothing_more(run, clock):
    first = run().start()
    await first.take(3)
    await first.keeper.flush()
    for _ in range(4):
        first.crash()
        first = run().start()
        assert first.used()[:2] == [6, 6]


async def test_what_was_not_saved_yet_is_within_what_a_crash_raises(run, clock):
    first = run().start()
    for _ in range(3):
        await first.take(2)
        await first.keeper.flush()
    await first.take(2)
    first.crash()
    assert run().start().used()[:2] == [8, 8]


async def test_a_window_that_ended_meanwhile_is_over(run, clock):
    first = run().start()
    for lease in await first.take(5):
        await first.counters.settle(lease, {}, clock.now())
    first.keeper.close()
    clock.advance(86_400)
    assert run().start().used()[:2] == [0, 0]


async def test_told_limits_keep_their_source_and_age_for_a_week_and_under_the_same_settings(run, clock):
    first = run().start()
    (lease,) = await first.take()
    fact = RateFact(Unit.REQUESTS, 60.0, limit=7, remaining=5)
    assert await first.counters.learn(lease, [fact], clock.now())
    first.keeper.close()

    def minute(of: Run) -> tuple[float, str, float]:
        reading = of.counters.readings(of.candidates[0].pools, of.clock.now())[0]
        return reading.limit, reading.source, reading.age

    clock.advance(30)
    second = run().start()
    assert minute(second) == (7, "header", 30)
    second.keeper.close()
    other = run(found=groq(limits=(Limit(Unit.REQUESTS, 20, 60.0), DAY))).start()
    assert minute(other) == (20, "configured", 0)
    other.crash()
    assert run().start().used()[1] > 0


async def test_a_guard_that_was_too_short_is_kept(run, clock):
    first = run().start()
    for lease in await first.take(10):
        await first.counters.settle(lease, {}, clock.now())
    clock.advance(61)
    (early,) = await first.take()
    await first.counters.cancel(early, clock.now())
    assert await first.counters.refused(early, Outcome(Kind.RATE_LIMITED), (), clock.now())
    await first.keeper.flush()
    first.crash()
    guard = first.counters.kept(("guard", "groq"), clock.now())
    assert isinstance(guard, KeptGuard)
    assert guard.added > 0
    second = run().start()
    assert second.counters.kept(("guard", "groq"), clock.now()) == guard
    assert second.used()[0] == 10  # what came back too early is taken again


async def test_what_was_told_long_ago_is_not_believed_any_more(run, clock):
    first = run().start()
    (lease,) = await first.take()
    await first.counters.learn(lease, [RateFact(Unit.REQUESTS, 60.0, limit=7)], clock.now())
    first.standing.learn_context(first.candidates[0], 4_096, clock.now())
    first.keeper.close()
    clock.advance(LEARNED_FOR + 1)
    second = run().start()
    assert second.counters.readings(second.candidates[0].pools, clock.now())[0].limit == 10
    assert second.standing.context(second.candidates[0]) == 100_000


async def test_measured_limits_and_guards_are_kept(run, clock):
    first = run().start()
    spent = await first.take(7)
    await first.counters.settle(spent[0], {}, clock.now())
    refused = Outcome(Kind.RATE_LIMITED, status=429)
    assert await first.counters.refused(spent[0], refused, [], clock.now())
    first.counters._lengthen("groq", clock.now())
    minute = first.candidates[0].pools[0]
    assert first.counters.ceiling(minute, clock.now()) == 6
    first.keeper.close()
    second = run().start()
    assert second.counters.ceiling(minute, clock.now()) == 6
    assert second.counters.readings([minute], clock.now())[0].source == "measured"
    assert second.counters.kept(("guard", "groq"), clock.now()) == first.counters.kept(
        ("guard", "groq"), clock.now()
    )


async def test_how_wide_an_unknown_limit_was_tried_is_kept(run, clock):
    found = groq(limits=(UNKNOWN,))
    first = run(found=found).start()
    for _ in range(3):
        for lease in await first.take(8):
            await first.counters.confirm(lease, clock.now())
            await first.counters.settle(lease, {}, clock.now())
    assert len(await first.take(20)) == 8
    first.keeper.close()
    assert len(await run(found=found).start().take(20)) == 8


async def test_holds_verdicts_and_lessons_are_kept(run, clock):
    first = run().start()
    first.ends(Kind.RATE_LIMITED, retry_after=600.0)
    first.ends(Kind.MODEL_GONE, 1)
    first.standing.learn_context(first.candidates[0], 4_096, clock.now())
    first.ends(Kind.BAD_PARAMETER, param="seed")
    first.keeper.close()
    clock.advance(100)
    second = run().start()
    assert second.back_in(0) == 500
    assert second.back_in(1) == 86_300
    assert second.standing.context(second.candidates[0]) == 4_096
    assert second.standing.dropped(second.candidates[0]) == {"seed"}
    clock.advance(501)
    trial = second.standing.begin(second.candidates[0], clock.now())
    second.standing.answered(second.candidates[0], trial, clock.now())
    second.keeper.close()
    third = run().start()
    assert third.standing.held(("account-model", "groq", "default", "x")) is None


async def test_holds_end_after_a_reboot_as_they_would_have(run, clock):
    first = run().start()
    first.ends(Kind.RATE_LIMITED, retry_after=600.0)
    first.keeper.close()
    later = ManualClock(mono=3.0, wall=clock.now().wall + 400)
    assert run(later, boot="another").start().back_in() == pytest.approx(200)


@pytest.mark.parametrize("wall", [-1e7, 1e9], ids=["back", "forward"])
async def test_a_wall_clock_that_was_set_while_it_ran_says_nothing_after_a_reboot(run, clock, wall):
    first = run().start()
    first.ends(Kind.RATE_LIMITED, retry_after=600.0)
    await first.keeper.flush()
    first.clock = first.keeper._clock = ManualClock(clock.now().mono + 100, clock.now().wall + wall)
    await first.keeper.flush()
    first.crash()
    later = ManualClock(mono=3.0, wall=first.clock.now().wall + 50)
    assert run(later, boot="another").start().back_in() == pytest.approx(450)


@pytest.mark.parametrize(("secret", "held"), [("sk-one", math.inf), ("sk-other", None)])
async def test_a_refused_key_stays_refused_until_it_is_another_one(run, clock, secret, held):
    first = run().start()
    first.ends(Kind.KEY_INVALID)
    first.ends(Kind.FORBIDDEN)
    first.keeper.close()
    content = first.file.path.read_bytes()
    assert b"sk-one" not in content
    assert run(found=groq(Key(secret, "1"))).start().back_in() == held


async def test_breakers_and_speeds_are_kept(run, clock):
    first = run().start()
    for _ in range(3):
        first.ends(Kind.FAULT)
    for _ in range(2):
        first.ends(Kind.UNREACHABLE, 1)
    first.standing.speed(first.candidates[1]).measured(9.0, 100, 10.0, clock.now())
    first.keeper.close()
    clock.advance(5)
    second = run().start()
    x, y = second.candidates
    now = clock.now()
    assert second.standing.breaker(x).state(now) is State.OPEN
    assert second.standing.breaker(x).opens_until == first.standing.breaker(x).opens_until
    assert second.standing.provider_breaker("groq").state(now) is State.OPEN
    assert second.standing.suspect(y, now)
    assert second.standing.speed(y).kept() == first.standing.speed(y).kept()
    assert clock.advance(300)
    assert second.standing.breaker(x).state(clock.now()) is State.HALF_OPEN
    for candidate in second.candidates:
        second.standing.succeeded(candidate, second.standing.begin(candidate, clock.now()), clock.now())
    second.keeper.close()
    third = run().start()
    assert third.standing.breaker(x).state(clock.now()) is State.CLOSED
    assert third.standing.provider_breaker("groq").state(clock.now()) is State.CLOSED


async def test_what_the_settings_no_longer_have_is_kept_as_long_as_it_holds_anything(run, clock):
    first = run().start()
    await first.take(5)
    first.ends(Kind.MODEL_GONE, 1)
    first.keeper.close()
    elsewhere = run(found=provider("other")).start()
    elsewhere.keeper.close()
    back = run().start()
    assert back.used()[:2] == [5, 5]
    assert back.back_in(1) is None
    back.keeper.close()
    clock.advance(3 * 86_400)
    gone = run(found=provider("other")).start()
    assert list(gone.file.read()) == ["run"]


async def test_only_what_changed_is_written_and_nothing_if_nothing_did(run, clock):
    first = run().start()
    await first.take()
    first.ends(Kind.FAULT)
    await first.keeper.flush()
    with contextlib.closing(sqlite3.connect(first.file.path)) as other:
        other.execute("DELETE FROM kept")
        other.commit()
    await first.keeper.flush()
    assert first.file.read() == {}
    first.ends(Kind.FAULT)
    await first.keeper.flush()
    assert set(first.file.read()) == {"run", '["candidate","groq/x#1"]'}


class Ticking(ManualClock):
    """A clock that goes on by half a slice whenever it is looked at."""

    def now(self) -> Now:
        return self.advance(SLICE / 2)


async def test_others_have_their_turns_while_it_gathers(run):
    first = run(Ticking()).start()
    for number in range(200):
        await first.counters.acquire([Charge(pool(number), 1)], first.clock.now())
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await first.keeper.flush()
    task.cancel()
    assert turns > 50
    assert len(first.file.read()) > 200


def pool(number: int):
    found = provider(f"p{number}", limits=(MINUTE,))
    return candidates_of(found)[0].pools[0]


async def test_a_disk_that_is_full_is_told_once_and_saved_to_as_soon_as_there_is_room(run, clock):
    first = run(bound=16 * 4096).start()
    with capture_logs() as log:
        for number in range(2_000):
            await first.counters.acquire([Charge(pool(number), 1)], clock.now())
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


class Word(str):
    """A text that is not quite one."""


async def test_an_entry_that_cannot_be_saved_keeps_no_other_from_it(run, clock):
    first = run().start()
    await first.take(2)
    first.ends(Kind.RATE_LIMITED, retry_after=600.0)
    first.standing.hold(("model", "groq", "x"), math.inf, Word("gone"))
    with capture_logs() as log:
        first.keeper.close()
    assert [(line["event"], line["kind"]) for line in log] == [("an entry cannot be saved", "hold")]
    second = run().start()
    assert (second.used()[:2], second.back_in()) == ([2, 2], 600)


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


async def test_it_saves_by_itself_until_it_is_stopped(run):
    first = run(pause=0.001).start()
    saving = asyncio.create_task(first.keeper.run())
    await first.take(3)
    await until(lambda: any("pool" in name for name in first.file.read()))
    first.keeper.stop()
    await saving
    await first.take(2)
    first.keeper.close()
    assert run().start().used()[:2] == [5, 5]


async def test_told_to_stop_it_does_not_wait_for_its_pause(run):
    first = run(pause=3_600.0).start()
    saving = asyncio.create_task(first.keeper.run())
    await first.take(3)
    first.keeper.stop()
    async with asyncio.timeout(5):
        await saving
    first.keeper.close()
    assert run().start().used()[:2] == [3, 3]
