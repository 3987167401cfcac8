"""Responses that callers may come back to: found at once, kept over a restart, and nobody else's."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select

from freeroute.domain.clients import Client
from freeroute.engine.ports import KeptResponse
from freeroute.errors import ConfigError, RecordsUnavailable
from freeroute.stores.records.bodies import WAITING, Keeping
from freeroute.stores.records.connections import Connections
from freeroute.stores.records.database import Database
from freeroute.stores.records.shelf import LAST, LONGEST, TOGETHER, ResponseShelf
from freeroute.stores.records.tables import responses
from tests.support.clocks import EPOCH, ManualClock
from tests.support.live import alone, until

HOUR = Keeping(keep=3600.0, most=2**20, longest=1000)
ALICE, BOB = Client("alice", b"a"), Client("bob", b"b")


def told(name: str = "resp_1", holder: str = "alice", at: float = EPOCH, size: int = 0) -> KeptResponse:
    return KeptResponse(name, holder, at, b'{"id":"resp_1"}', b'["\xc3\xa9\\u0000"]' + b" " * size)


class Slow(Database):
    """A database that is not there until somebody says so."""

    there: asyncio.Event

    async def opened(self) -> Connections:
        await self.there.wait()
        return await super().opened()


class Shelves:
    """A database that has its tables, and shelves over it, one after the other."""

    def __init__(self, url: str | None, path: Path) -> None:
        self.database = Database(url, path)
        self._url, self._path = url, path
        self.broken = False
        self.slow: asyncio.Event | None = None
        self.opened = 0

    def _opened(self) -> Database:
        self.opened += 1
        if self.broken:
            raise ConfigError("it is gone")
        if self.slow is None:
            return Database(self._url, self._path, migrates=False)
        slow = Slow(self._url, self._path, migrates=False)
        slow.there = self.slow
        return slow

    def shelf(self, keeping: Keeping = HOUR) -> ResponseShelf:
        return ResponseShelf(self._opened, ManualClock(), keeping, retry=0.01)

    async def ids(self) -> list[str]:
        asked = select(responses.c.id).order_by(responses.c.at)
        return await self.database.within(lambda connection: list(connection.execute(asked).scalars()))


@pytest.fixture
async def shelves(url, tmp_path) -> AsyncIterator[Shelves]:
    shelves = Shelves(url, tmp_path / "records.db")
    await shelves.database.opened()
    yield shelves
    await alone()
    await shelves.database.close()


def test_the_clients_that_are_named_are_meant(shelves):
    assert shelves.shelf().keeps(None)
    named = shelves.shelf(Keeping(3600.0, 2**20, 1000, frozenset({"alice"})))
    assert (named.keeps(ALICE), named.keeps(BOB), named.keeps(None)) == (True, False, False)


async def test_what_is_kept_is_found_before_it_is_written_and_after_a_restart(shelves):
    shelf = shelves.shelf()
    async with shelf.running():
        assert shelf.keep(told())
        assert await shelf.find("resp_1", "alice") == told()
        assert await shelf.find("resp_1", "bob") is None
    assert await shelves.ids() == ["resp_1"]
    again = shelves.shelf()
    async with again.running():
        assert await again.find("resp_1", "alice") == told()
        assert await again.find("resp_1", "bob") is None
        assert await again.find("resp_2", "alice") is None


async def test_before_there_is_a_database_nothing_is_found_but_what_waits(url, tmp_path):
    none = Database(url, tmp_path / "none.db", migrates=False)
    shelf = ResponseShelf(lambda: none, ManualClock(), HOUR)
    shelf.keep(told())
    assert await shelf.find("resp_1", "alice") == told()
    assert await shelf.find("resp_2", "alice") is None
    assert await shelf.forget("resp_1", "alice")
    assert not await shelf.forget("resp_1", "alice")
    async with shelf.running():
        pass


async def test_what_is_forgotten_is_gone_wherever_it_was(shelves):
    shelf = shelves.shelf()
    shelf.keep(told())
    assert not await shelf.forget("resp_1", "bob")
    assert await shelf.forget("resp_1", "alice")
    assert await shelf.find("resp_1", "alice") is None
    shelf.keep(told("resp_2"))
    async with shelf.running():
        pass
    async with (again := shelves.shelf()).running():
        assert not await again.forget("resp_2", "bob")
        assert await again.forget("resp_2", "alice")
        assert not await again.forget("resp_2", "alice")
    assert await shelves.ids() == []


async def test_what_is_too_long_or_too_much_is_not_kept(shelves):
    shelf = shelves.shelf()
    assert not shelf.keep(told(size=LONGEST))
    most = WAITING // (LONGEST - 100)
    sizes = [shelf.keep(told(f"resp_{n}", size=LONGEST - 100)) for n in range(most + 1)]
    assert sizes == [True] * most + [False]
    await shelf.forget("resp_0", "alice")
    assert shelf.keep(told("resp_9", size=LONGEST - 100))
    async with shelf.running():
        pass


async def test_many_are_written_at_once_and_long_ones_alone(shelves):
    shelf = shelves.shelf()
    for n in range(5):
        shelf.keep(told(f"resp_{n}", at=EPOCH + n, size=200_000 if n else 2**20))
    async with shelf.running():
        pass
    assert await shelves.ids() == [f"resp_{n}" for n in range(5)]


async def test_a_write_that_may_have_been_done_is_done_again(shelves):
    for _ in range(2):
        shelf = shelves.shelf()
        shelf.keep(told())
        async with shelf.running():
            pass
    assert await shelves.ids() == ["resp_1"]


async def test_what_a_database_does_not_take_waits_until_it_does(shelves):
    shelves.broken = True
    shelf = shelves.shelf()
    async with shelf.running():
        shelf.keep(told())
        await until(lambda: shelves.opened > 1)
        assert await shelf.find("resp_1", "alice") == told()
        with pytest.raises(RecordsUnavailable):
            await shelf.find("resp_2", "alice")
        shelves.broken = False
        await until(lambda: not len(shelf))
    assert await shelves.ids() == ["resp_1"]


async def test_the_end_does_not_wait_for_a_database_that_is_gone(shelves):
    shelves.broken = True
    shelf = shelves.shelf()
    async with asyncio.timeout(LAST), shelf.running():
        shelf.keep(told())
        await asyncio.sleep(0)
    assert await shelves.ids() == []


async def test_many_look_at_once_and_each_finds_its_own(shelves):
    shelf = shelves.shelf()
    every = [told(f"resp_{n}", at=EPOCH + n) for n in range(10 * TOGETHER)]
    async with shelf.running():
        for one in every:
            shelf.keep(one)
        await until(lambda: not len(shelf))
        found = await asyncio.gather(*(shelf.find(one.id, "alice") for one in every))
        assert found == every
        again = await asyncio.gather(*(shelf.find("resp_1", whose) for whose in ["alice", "bob"] * 200))
        assert again == [every[1], None] * 200


async def test_many_are_forgotten_at_once(shelves):
    shelf = shelves.shelf()
    async with shelf.running():
        for n in range(10 * TOGETHER):
            shelf.keep(told(f"resp_{n}", at=EPOCH + n))
        await until(lambda: not len(shelf))
        gone = await asyncio.gather(*(shelf.forget(f"resp_{n}", "alice") for n in range(10 * TOGETHER)))
        assert gone == [True] * 10 * TOGETHER
    assert await shelves.ids() == []


async def test_what_is_kept_is_written_while_those_who_look_wait(shelves):
    shelf = shelves.shelf()
    slow = shelves.slow = asyncio.Event()
    async with asyncio.TaskGroup() as looking, shelf.running():
        for _ in range(2 * TOGETHER):
            looking.create_task(shelf.find("resp_2", "alice"))
        await until(lambda: shelves.opened > 0)
        shelves.slow = None
        shelf.keep(told())
        await until(lambda: not len(shelf))
        slow.set()
    assert await shelves.ids() == ["resp_1"]


async def test_old_responses_go_and_those_beyond_the_room_too(shelves):
    shelf = shelves.shelf()
    for n in range(3):
        shelf.keep(told(f"resp_{n}", at=EPOCH + n, size=1000))
    async with shelf.running():
        pass
    tidy = shelves.database.tidy
    await tidy(EPOCH + 3600.5, 3600.0, 2**30, HOUR)
    assert await shelves.ids() == ["resp_1", "resp_2"]
    await tidy(EPOCH + 3, 3600.0, 2**30, Keeping(keep=3600.0, most=1500, longest=1000))
    assert await shelves.ids() == []  # whole chunks, since there are few
    shelf = shelves.shelf()
    shelf.keep(told())
    async with shelf.running():
        pass
    await tidy(EPOCH + 3, 3600.0, 2**30)
    assert await shelves.ids() == []
