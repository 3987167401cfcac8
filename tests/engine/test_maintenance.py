"""Maintenance: nobody new is let in, whoever is in stays, and it lasts until somebody ends it."""

import asyncio
from typing import Any

import pytest

from freeroute.engine.maintenance import MaintenanceSwitch
from freeroute.engine.view import Maintenance
from freeroute.errors import ConfigError, InMaintenance
from tests.support.world import World, call, provider, read


class Stored:
    """A store in memory that can be broken."""

    def __init__(self, kept: Maintenance | None = None) -> None:
        self.kept = kept
        self.broken = False

    def read(self) -> Maintenance | None:
        return self.kept

    def write(self, maintenance: Maintenance | None) -> None:
        if self.broken:
            raise ConfigError("maintenance.json: cannot be written: No space left on device")
        self.kept = maintenance


async def turned(switch: MaintenanceSwitch, *, on: bool, message: str) -> dict[str, Any]:
    async with switch.switching(on=on, message=message) as wanted:
        await asyncio.to_thread(switch.keep, wanted)
    return switch.shown()


async def test_requests_are_refused_with_the_operators_words_and_when_to_come_back():
    world = World(provider("a"))
    switch = MaintenanceSwitch(world.gateway)
    shown = await turned(switch, on=True, message="back at noon")
    assert shown == {"on": True, "since": world.clock.now().wall, "message": "back at noon"}
    error = await world.fails(InMaintenance, match="in maintenance: back at noon")
    assert (error.status, error.code, error.retry_after) == (503, "maintenance", 60)
    assert world.upstream.asked == []
    assert (world.receipts.last.like.status, world.receipts.last.like.code) == (503, "maintenance")
    assert await turned(switch, on=False, message="") == {"on": False, "since": None, "message": None}
    await world.ask()


async def test_without_a_message_callers_are_told_to_come_later():
    world = World(provider("a"))
    await turned(MaintenanceSwitch(world.gateway), on=True, message="")
    await world.fails(InMaintenance, match="try again later")


async def test_an_answer_under_way_is_read_to_its_end():
    world = World(provider("a"))
    served = await world.gateway.chat(call(stream=True), world.context())
    await turned(MaintenanceSwitch(world.gateway), on=True, message="")
    assert await read(served) == [b"one", b"two", b"three"]
    await served.finish()
    assert world.receipts.last.like.status == 200


async def test_it_is_told_in_readiness_and_status_and_no_one_is_sent_here():
    world = World(provider("a"))
    assert world.gateway.status()["maintenance"] is None
    await turned(MaintenanceSwitch(world.gateway), on=True, message="new disks")
    assert world.gateway.ready() == (False, {"status": "maintenance"})
    assert world.gateway.status()["maintenance"] == {"since": world.clock.now().wall, "message": "new disks"}


async def test_another_message_does_not_begin_it_anew():
    world = World(provider("a"))
    switch = MaintenanceSwitch(world.gateway)
    began = world.clock.now().wall
    await turned(switch, on=True, message="one")
    world.clock.advance(60)
    assert await turned(switch, on=True, message="two") == {"on": True, "since": began, "message": "two"}


async def test_it_goes_on_in_the_next_run_until_it_is_ended():
    stored = Stored()
    await turned(MaintenanceSwitch(World(provider("a")).gateway, stored), on=True, message="disks")
    world = World(provider("a"))
    switch = MaintenanceSwitch(world.gateway, stored)
    switch.recall()
    await world.fails(InMaintenance, match="disks")
    await turned(switch, on=False, message="")
    assert stored.kept is None
    switch.recall()
    await world.ask()


async def test_what_cannot_be_kept_changes_nothing():
    stored = Stored()
    stored.broken = True
    world = World(provider("a"))
    with pytest.raises(ConfigError):
        await turned(MaintenanceSwitch(world.gateway, stored), on=True, message="")
    await world.ask()


async def test_two_who_switch_at_once_take_turns():
    stored, world = Stored(), World(provider("a"))
    switch = MaintenanceSwitch(world.gateway, stored)
    await asyncio.gather(turned(switch, on=True, message="one"), turned(switch, on=False, message=""))
    assert (stored.kept, world.gateway.maintenance) == (None, None)
