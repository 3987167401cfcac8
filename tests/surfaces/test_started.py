"""Work that is begun at once."""

import asyncio

import pytest

from freeroute.surfaces.started import Started


async def test_what_need_not_wait_is_over_as_soon_as_it_is_started():
    async def work() -> str:
        return "done"

    started = Started(work())
    assert started.is_over
    assert started.result == "done"
    assert await started == "done"


async def test_what_has_to_wait_is_done_by_whoever_awaits_it():
    came = asyncio.Event()

    async def work() -> str:
        await came.wait()
        await asyncio.sleep(0)
        return "done"

    started = Started(work())
    assert not started.is_over
    task = asyncio.ensure_future(started)
    came.set()
    assert await task == "done"


async def test_what_fails_at_once_fails_where_it_is_started():
    async def work() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        Started(work())


async def test_a_cancel_reaches_what_waits():
    told = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            told.append("cancelled")
            raise

    task = asyncio.ensure_future(Started(work()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert told == ["cancelled"]


async def test_an_error_that_the_work_deals_with_is_not_the_end_of_it():
    waited = asyncio.get_running_loop().create_future()

    async def work() -> str:
        try:
            await waited
        except ValueError:
            return "dealt with"
        return "never"

    started = Started(work())
    waited.set_exception(ValueError())
    assert await started == "dealt with"
