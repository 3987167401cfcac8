"""One contender in one scenario, from its start to the last answer."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Literal

from msgspec import Struct

from bench.capacity.callers import Callers, Heard
from bench.capacity.gateway import Gateway, arranged
from bench.capacity.ideal import Ideal
from bench.capacity.naive import Naive
from bench.capacity.providers import Fleet, Seen, running
from bench.capacity.quotas import zone_at_noon
from bench.capacity.scenarios import Scenario

Contender = Literal["freeroute", "naive", "ideal"]
CONTENDERS: tuple[Contender, ...] = ("freeroute", "naive", "ideal")


class Times(Struct, frozen=True):
    """How time passes: *wall* tells Unix time, *make* a gateway that lives in the same time."""

    wall: Callable[[], float]
    make: Callable[[Path], Gateway]


class Played(Struct):
    """Everything that callers heard and providers saw; times by the loop's clock, from *began* on."""

    scenario: Scenario
    contender: Contender
    seconds: float
    began: float
    heard: list[Heard]
    seen: list[Seen]
    checks: list[tuple[str, str]]
    stops: list[float]


async def play(
    scenario: Scenario,
    contender: Contender,
    seconds: float,
    times: Times,
    up: Callable[[], Awaitable[object]] | None = None,
) -> Played:
    """Play *scenario* for so many *seconds*, its warm-up not counted, with fresh providers.

    Nobody comes before *up* returns, which is asked once the contender runs.
    """
    zone = zone_at_noon(times.wall())
    async with (
        running(scenario.pools, zone, times.wall, scenario.name) as fleet,
        _contending(contender, scenario, fleet, times) as (ports, gateway),
    ):
        if up is not None:
            await up()
        keys = {client: client_key(client) for client in scenario.clients}
        callers = Callers(ports, scenario.model, keys, scenario.name)
        began = asyncio.get_running_loop().time()
        for provider in fleet.providers.values():
            provider.began = began
        whole = scenario.warm_up + seconds
        stops: list[float] = []
        async with asyncio.TaskGroup() as group:
            group.create_task(callers.come(scenario.traffic(whole)))
            if gateway is not None:
                group.create_task(_stopping(scenario, whole, callers, gateway, stops))
        checks = [check for provider in fleet.providers.values() for check in provider.checks]
        return Played(scenario, contender, seconds, began, callers.heard, fleet.seen, checks, stops)


def client_key(client: str) -> str:
    """Return the key of *client*."""
    return f"key-of-client-{client}"


async def _stopping(
    scenario: Scenario, seconds: float, callers: Callers, gateway: Gateway, stops: list[float]
) -> None:
    """Stop the gateway at its times and start it again; nobody comes meanwhile."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    for share, how in scenario.stops:
        await asyncio.sleep(began + share * seconds - loop.time())
        callers.open.clear()
        under_way = [heard for heard in callers.heard if heard.ended is None]
        await gateway.end(how)
        await gateway.start()
        for heard in under_way:
            heard.interrupted = True
        stops.append(loop.time())
        callers.open.set()


@contextlib.asynccontextmanager
async def _contending(
    contender: Contender, scenario: Scenario, fleet: Fleet, times: Times
) -> AsyncIterator[tuple[Callable[[], int], Gateway | None]]:
    """Run *contender* in front of *fleet*; gives its port, and freeroute itself if it is that."""
    if contender == "freeroute":
        keys = {client: client_key(client) for client in scenario.clients}
        with tempfile.TemporaryDirectory(prefix="freeroute-bench-") as directory:
            async with arranged(fleet, keys, Path(directory), times.make) as gateway:
                yield lambda: gateway.port, gateway
        return
    one = Ideal(fleet) if contender == "ideal" else Naive(list(fleet.providers.values()))
    await one.server.start()
    try:
        yield lambda: one.server.port, None
    finally:
        await one.close()
