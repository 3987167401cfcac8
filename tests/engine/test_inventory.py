"""Every model as operators look at it."""

import asyncio

import pytest

from freeroute.domain.catalogue import Key, Limit, MetaModel, Price, Scope, Unit
from freeroute.domain.outcome import Kind
from freeroute.engine import inventory
from freeroute.engine.operations import Operations
from freeroute.errors import NotFound, UpstreamFailed
from tests.support.world import PER_MINUTE, World, model, provider

DAILY = Limit(Unit.TOKENS, 1000, 86400.0, span="day", scope=Scope.MODEL, confidence="documented")


async def told(world, provider=None):
    return await Operations(world.gateway).models(provider)


async def line(world, name):
    return next(one for one in (await told(world))["data"] if one["id"] == name)


async def test_a_model_says_what_it_can_and_what_it_costs():
    rich = model(
        "org/x",
        family="x",
        max_output=4096,
        capabilities=("tools", "images"),
        quality=82.0,
        first_token=0.3,
        tokens_per_second=200.0,
        price=Price(0.5, 1.5),
        neurons=Price(10.0, 20.0),
        limits=(DAILY,),
    )
    world = World(provider("a", rich, limits=(PER_MINUTE,)))
    [found] = (await told(world))["data"]
    assert found == {
        "id": "a/org/x",
        "provider": "a",
        "model": "org/x",
        "family": "x",
        "state": "healthy",
        "reason": None,
        "back_at": None,
        "enabled": True,
        "off_by": None,
        "keys": 1,
        "context": 100_000,
        "max_output": 4096,
        "capabilities": ["images", "tools"],
        "quality": 82.0,
        "tier": 3,
        "speed": {"prior": {"first_token": 0.3, "tokens_per_second": 200.0}, "measured": None},
        "price": {"input": 0.5, "output": 1.5},
        "neurons": {"input": 10.0, "output": 20.0},
        "privacy": "unknown",
        "auto": True,
        "retires": None,
        "limits": [
            {
                "id": "a/account:default/model:org/x/tokens/day",
                "label": "tokens/day",
                "used": 0.0,
                "limit": 1000.0,
                "resets_at": world.clock.now().wall,
                "source": "documented",
            }
        ],
    }


async def test_what_answers_came_to_stands_beside_what_was_expected():
    world = World(provider("a"), seconds=2.0)
    await world.ask()
    await world.ask()
    measured = (await line(world, "a/m"))["speed"]["measured"]
    assert measured["answers"] == 2
    assert measured["at"] == world.clock.now().wall
    assert measured["first_token"] > 1.0


async def test_limits_that_all_models_share_are_told_once_with_the_provider():
    world = World(provider("a", model("x", limits=(DAILY,)), model("y"), limits=(PER_MINUTE,)))
    await world.ask("a/y")
    found = await told(world)
    [whole] = found["providers"]
    assert [(one["label"], one["used"]) for one in whole["limits"]] == [("requests/minute", 1.0)]
    assert {one["model"]: len(one["limits"]) for one in found["data"]} == {"x": 1, "y": 0}
    assert (whole["id"], whole["name"], whole["state"], whole["enabled"]) == ("a", "A", "healthy", True)


async def test_it_stands_as_its_best_key():
    world = World(provider("a", keys=("k1", "k2")))
    standing, now = world.gateway.standing, world.clock.now()
    standing.hold(("key", "a", "k1"), now.mono + 60, "refused")
    found = await line(world, "a/m")
    assert (found["state"], found["keys"]) == ("healthy", 2)
    standing.hold(("key", "a", "k2"), now.mono + 30, "refused too")
    found = await line(world, "a/m")
    assert (found["state"], found["reason"]) == ("held", "refused too")
    assert found["back_at"] == now.wall + 30


async def test_who_switched_a_model_off_is_told():
    world = World(
        provider("a", model("on"), model("spare"), model("off", enabled=False)),
        provider("b", model("gone", enabled=False, retires="2020-01-31"), model("z")),
        provider("c", keys=(Key("s", "k", enabled=False),)),
    )
    world.gateway.standing.switch({"a/spare", "b"})
    found = {one["id"]: one for one in (await told(world))["data"]}
    assert {name: (one["enabled"], one["off_by"], one["state"]) for name, one in found.items()} == {
        "a/on": (True, None, "healthy"),
        "a/spare": (False, "operator", "off"),
        "a/off": (False, "settings", "off"),
        "b/gone": (False, "settings", "off"),
        "b/z": (True, "provider", "off"),
        "c/m": (True, None, "no-key"),
    }
    assert found["a/off"]["reason"] == "switched off in the settings"
    assert found["b/gone"]["reason"] == "retired on 2020-01-31"
    assert found["c/m"]["reason"] == "none of its provider's keys is used"
    states = {one["id"]: (one["state"], one["enabled"]) for one in (await told(world))["providers"]}
    assert states == {"a": ("healthy", True), "b": ("off", False), "c": ("no-key", True)}


async def test_a_provider_that_rests_says_so_and_a_context_is_as_it_was_learned():
    world = World(provider("a"), a=[Kind.UNREACHABLE])
    await world.fails(UpstreamFailed)
    [whole] = (await told(world))["providers"]
    assert whole["state"] == "open"
    world.gateway.standing.learn_context(world.candidate("a/m#k1"), 8192, world.clock.now())
    assert (await line(world, "a/m"))["context"] == 8192


async def test_meta_models_say_what_they_order_by_and_how_many_they_hold():
    coding = MetaModel("coding", "smart", ("a/*",), frozenset({"tools"}))
    world = World(
        provider("a", model("x", capabilities=("tools",)), model("y"), keys=("k1", "k2")),
        provider("b", model("z", capabilities=("tools",))),
        metas=[coding],
    )
    world.gateway.standing.switch({"b"})
    metas = {one["name"]: one for one in (await told(world))["meta_models"]}
    assert metas["coding"] == {
        "name": "coding",
        "aliases": [],
        "strategy": "smart",
        "patterns": ("a/*",),
        "require": ["tools"],
        "models": 1,
    }
    assert (metas["free-fast"]["aliases"], metas["free-fast"]["strategy"]) == (
        ["fast", "claude-*haiku*", "gpt-5*mini*", "gpt-5*nano*"],
        "fast",
    )
    assert (metas["free"]["models"], metas["free"]["patterns"]) == (2, None)


async def test_one_provider_is_told_by_itself():
    world = World(provider("a"), provider("b"))
    found = await told(world, "b")
    assert ([one["id"] for one in found["data"]], len(found["providers"])) == (["b/m"], 1)
    with pytest.raises(NotFound, match="there is no provider 'c'"):
        await told(world, "c")


async def test_others_have_their_turn_while_many_models_are_looked_at():
    many = [model(f"m{number}") for number in range(3 * inventory.AT_ONCE)]
    world = World(provider("a", *many))
    turns = 0

    async def other():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    assert len((await told(world))["data"]) == len(many)
    task.cancel()
    assert turns >= 5
