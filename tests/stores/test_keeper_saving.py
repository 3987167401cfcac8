"""Saving what is known is nobody's burden."""

import asyncio
import contextlib
import math
import sqlite3

from structlog.testing import capture_logs

from freeroute.clock import Now
from freeroute.domain.leases import Charges
from freeroute.domain.outcome import Kind
from freeroute.stores.keeper import SLICE
from tests.stores.runs import pool
from tests.support.clocks import ManualClock
from tests.support.live import until
from tests.support.patience import PATIENCE


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
        await first.counters.acquire(Charges((pool(number),), (1,)), first.clock.now())
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
    async with asyncio.timeout(PATIENCE):
        await saving
    first.keeper.close()
    assert run().start().used()[:2] == [3, 3]
