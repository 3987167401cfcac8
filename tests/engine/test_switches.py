"""Switches of operators and keys that come and go count for every new attempt, and cut nothing off."""

import asyncio

from msgspec import structs

from freeroute.domain.catalogue import Key, Limit, Unit, catalogue_of
from freeroute.domain.leases import Charges
from freeroute.domain.outcome import Kind
from freeroute.engine import listing, status
from freeroute.engine.attempts import Routing
from freeroute.errors import ApiError, NoProvider
from tests.support.virtual import LoopClock, run
from tests.support.world import World, call, model, provider, read

ALPHA = provider("alpha", model("m", quality=90.0), model("n"), keys=("k1", "k2"))
BETA = provider("beta", model("m"))


def state(world, label):
    return status.key_state(world.gateway.view(), "alpha", label)


def without_key(label):
    return catalogue_of(
        [structs.replace(ALPHA, keys=tuple(key for key in ALPHA.keys if key.label != label)), BETA], []
    )


async def test_a_stream_under_way_goes_on():
    world = World(ALPHA)
    served = await world.gateway.chat(call("free", stream=True), world.context())
    world.gateway.standing.switch({"alpha"})
    assert await read(served) == [b"one", b"two", b"three"]
    await served.finish()
    assert world.receipts.last.like.code is None


async def test_no_further_attempt_goes_to_what_was_switched_off_meanwhile():
    world = World(ALPHA, BETA, alpha=[Kind.FAULT])
    send = world.upstream.send

    async def switching(*args):
        world.gateway.standing.switch({"alpha"})
        return await send(*args)

    world.upstream.send = switching  # type: ignore[method-assign]
    await world.ask()
    assert world.upstream.providers_asked == ["alpha", "beta"]


async def test_one_model_is_switched_and_the_others_are_asked():
    world = World(ALPHA)
    world.gateway.standing.switch({"alpha/m"})
    assert (await world.ask()).headers["x-freeroute-model"] == "n"
    error = await world.fails(NoProvider, "alpha/m", match="switched off by an operator")
    assert error.status == 503
    world.gateway.standing.switch(())
    await world.ask("alpha/m")


def test_whoever_waits_is_not_given_what_was_switched_off_meanwhile():
    async def scene():
        limit = Limit(Unit.REQUESTS, 1, 60.0, span="minute")
        waited = World(
            provider("alpha", limits=(limit,)),
            clock=LoopClock(),
            max_wait=100.0,
            routing=Routing(deadline=600, max_wait_cap=600),
        )
        await waited.ask()
        waiting = asyncio.create_task(waited.fails(NoProvider, match="switched off by an operator"))
        await asyncio.sleep(1)
        waited.gateway.standing.switch({"alpha"})
        await waiting
        assert waited.upstream.providers_asked == ["alpha"]

    run(scene())


async def test_a_key_that_is_gone_is_not_used_by_calls_that_knew_it():
    world = World(ALPHA)
    world.gateway.adopt(world.gateway.catalogue)
    old = world.candidate("alpha/m#k1")
    world.gateway.adopt(without_key("k1"))
    standing, now = world.gateway.standing, world.clock.now()
    assert standing.obstacle(old, Charges((), ()), now) is not None
    world.gateway.adopt(catalogue_of([ALPHA, BETA], []))
    assert standing.obstacle(world.candidate("alpha/m#k1"), Charges((), ()), now) is None


async def test_another_key_under_a_label_has_a_clean_record():
    world = World(ALPHA, alpha=[Kind.KEY_INVALID, Kind.KEY_INVALID])
    await world.fails(ApiError)
    assert state(world, "k1")["state"] == "refused"
    renewed = structs.replace(ALPHA, keys=(Key("another", "k1"), ALPHA.keys[1]))
    world.gateway.adopt(catalogue_of([renewed], []))
    assert state(world, "k1")["state"] == "single-flight"
    assert state(world, "k2")["state"] == "refused"
    await world.ask()
    assert state(world, "k1") == {"state": "valid", "until": None, "reason": None}


async def test_what_is_off_is_shown_as_off_and_not_offered():
    world = World(ALPHA, BETA)
    world.gateway.standing.switch({"alpha", "beta/m"})
    shown = {one["id"]: one for one in world.gateway.status()["providers"]}
    assert [one["state"] for one in shown["alpha"]["candidates"]] == ["off"] * 4
    assert (shown["alpha"]["state"], shown["beta"]["state"]) == ("off", "off")
    assert [one["id"] for one in world.gateway.models(None) if "/" in one["id"]] == []
    assert not world.gateway.model("alpha/m", None)["freeroute"]["available"]
    reasons = {one["reason"] for one in world.gateway.plan("free", None)["candidates"]}
    assert reasons == {"switched off by an operator"}
    world.gateway.standing.switch({"beta"})
    names = [one["id"] for one in listing.models(world.gateway.view(), None) if "/" in one["id"]]
    assert names == ["alpha/m", "alpha/n"]


async def test_a_key_that_is_disabled_is_shown_as_off():
    world = World(structs.replace(ALPHA, keys=(structs.replace(ALPHA.keys[0], enabled=False), ALPHA.keys[1])))
    assert [key["state"] for key in world.gateway.status()["providers"][0]["keys"]] == ["off", "ok"]
