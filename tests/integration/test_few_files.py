"""A gateway in a process that may open few files, and more callers than there are files for."""

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.live import until
from tests.support.patience import PATIENCE
from tests.support.processes import gateway, url_of
from tests.support.provider import ANSWERS, PlayedProvider, held
from tests.support.servers import serve
from tests.support.serving import HEAD, HI, Answer, RawCaller, post

pytest.importorskip("resource")
FILES = 64
ROOM = 12  # for callers, of 64 files
METRICS = HEAD.replace(b"/livez", b"/metrics") + b"\r\n"


class Scene:
    """A gateway with few files in front of a provider; *log* is what it has logged once it has stopped."""

    def __init__(self, url: str, provider: PlayedProvider, stack: contextlib.AsyncExitStack) -> None:
        self.url, self.provider = url, provider
        self.log: list[dict[str, object]] = []
        self._stack = stack

    async def callers(self, count: int) -> list[RawCaller]:
        """Return so many that are connected, and stay as long as the scene."""
        return [await self._stack.enter_async_context(RawCaller.to(self.url)) for _ in range(count)]

    async def asked(self, request: bytes = post(HI)) -> Answer:
        """Return what a caller is answered that comes, asks and leaves."""
        async with RawCaller.to(self.url) as caller:
            await caller.send(request)
            return await caller.answer()

    async def served(self, request: bytes = post(HI)) -> Answer:
        """Return what a caller is answered that comes again and again until it is let in."""
        while (answer := await self.asked(request)).status == 503:
            assert answer.error["code"] == "crowded"
        return answer

    async def crowded_out(self) -> dict[str, float]:
        """Return how many connections made way or found no room."""
        lines = (await self.served(METRICS)).body.decode().splitlines()
        name = "freeroute_connections_crowded_out_total"
        found = [line.removeprefix(name + '{connection="') for line in lines if line.startswith(name)]
        return {line.split('"')[0]: float(line.split()[-1]) for line in found}

    def told(self, event: str) -> list[dict[str, object]]:
        """Return the lines of the log about *event*."""
        return [line for line in self.log if line["event"] == event]


@contextlib.asynccontextmanager
async def few_files(directory: Path, provider: PlayedProvider) -> AsyncIterator[Scene]:
    async with (
        asyncio.timeout(PATIENCE),
        serve(provider) as server,
        gateway(directory, server.url("/v1"), FILES) as started,
    ):
        async with contextlib.AsyncExitStack() as stack:
            scene = Scene(await url_of(started), provider, stack)
            yield scene
        started.send_signal(signal.SIGTERM)
        _, log = await started.communicate()
        scene.log.extend(json.loads(line) for line in log.splitlines())


@pytest.mark.parametrize("said", [b"", HEAD + b"\r\n"], ids=["never asked", "asked once"])
async def test_callers_that_are_idle_make_way_for_those_that_ask(tmp_path, said):
    async with few_files(tmp_path, PlayedProvider(ANSWERS)) as scene:
        idle = await scene.callers(ROOM)
        for caller in idle if said else ():
            await caller.send(said)
            assert (await caller.answer()).status == 200
        await scene.callers(FILES)
        statuses = [(await scene.served()).status for _ in range(FILES)]
        assert statuses == [200] * FILES
        crowded_out = await scene.crowded_out()
    assert crowded_out["idle"] >= 1
    assert sum(crowded_out.values()) >= FILES
    assert len(scene.told("idle callers make way: there are too few files")) == 1
    assert not scene.told("records cannot be written: requests are served, their receipts wait")


async def test_whose_request_is_under_way_is_answered_and_who_finds_no_room_is_told(tmp_path):
    gate = asyncio.Event()
    async with few_files(tmp_path, PlayedProvider(ANSWERS, held(gate, ANSWERS))) as scene:
        assert (await scene.asked()).status == 200  # what is new is tried by one alone
        first, *_ = served = await scene.callers(ROOM)
        for caller in served:
            await caller.send(post(HI))
        await until(lambda: scene.provider.busy == ROOM)
        refused = await scene.asked()
        assert (refused.status, refused.error["code"]) == (503, "crowded")
        assert (refused.headers["retry-after"], refused.headers["connection"]) == ("1", "close")
        # However many there are that say nothing: one that does is told.
        unheard = await scene.callers(FILES)
        assert (await scene.asked()).status == 503
        assert (await unheard[0].answer()).status == 503
        gate.set()
        assert [(await caller.answer()).status for caller in served] == [200] * ROOM
        await first.send(post(HI))
        assert (await first.answer()).status == 200
        assert (await scene.crowded_out())["new"] >= 2 + FILES
    assert len(scene.told("callers are turned away: there are too few files")) == 1
