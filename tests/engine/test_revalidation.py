"""What is held for a verdict is asked about again, at most hourly and for free."""

import asyncio
import math
import random

import pytest
from structlog.testing import capture_logs

from freeroute.domain.catalogue import Key, catalogue_of
from freeroute.domain.keys import KeyState, Verdict
from freeroute.domain.outcome import Kind, Outcome
from freeroute.engine.revalidation import JITTER, LOOK, PAUSE, Revalidation
from tests.support.virtual import LoopClock, run
from tests.support.world import World, model, provider

HOUR = PAUSE * (1 + JITTER)
VALID = Verdict(KeyState.VALID)
INVALID = Verdict(KeyState.INVALID)
UNKNOWN = Verdict(KeyState.UNKNOWN)


class Checks:
    """Key checks that end as told, by key label; unknown unless told."""

    def __init__(self, **verdicts) -> None:
        self.verdicts = verdicts
        self.asked: list[tuple[str, str]] = []

    async def check(self, provider, key) -> Verdict:
        self.asked.append((provider.id, key.label))
        verdict = self.verdicts.get(key.label, UNKNOWN)
        if isinstance(verdict, Exception):
            raise verdict
        return verdict


class Scene:
    """A gateway with one provider, verdicts on it, and a sweep after an hour."""

    def __init__(self, *models, keys=("k1", "k2"), key_check="/models", **verdicts) -> None:
        self.world = World(provider("a", *models, keys=keys, key_check=key_check))
        self.checks = Checks(**verdicts)
        self.revalidation = Revalidation(self.world.gateway, self.checks, random.Random(1))

    @property
    def standing(self):
        return self.world.gateway.standing

    def held(self, kind, place=("key", "a", "k1"), until=math.inf) -> "Scene":
        self.standing.hold(place, until, "why", verdict=kind)
        return self

    async def after(self, seconds=HOUR) -> "Scene":
        await self.revalidation.sweep()
        self.world.clock.advance(seconds)
        await self.revalidation.sweep()
        return self

    @property
    def places(self):
        return [place for place, _ in self.standing.verdicts(self.world.clock.now())]


async def test_a_key_that_is_valid_after_all_is_used_again():
    scene = await Scene(k1=VALID).held(Kind.KEY_INVALID).after()
    assert scene.checks.asked == [("a", "k1")]
    assert scene.places == []


@pytest.mark.parametrize("verdict", [INVALID, UNKNOWN, RuntimeError("boom")])
async def test_a_key_stays_held_unless_its_provider_says_that_it_is_valid(verdict):
    scene = await Scene(k1=verdict).held(Kind.KEY_INVALID).after()
    assert scene.checks.asked == [("a", "k1")]
    assert scene.places == [("key", "a", "k1")]


async def test_a_key_is_asked_about_once_an_hour_at_most():
    scene = Scene(k1=INVALID).held(Kind.KEY_INVALID)
    for _ in range(10 * 60):
        await scene.revalidation.sweep()
        scene.world.clock.advance(LOOK)
    assert 7 <= len(scene.checks.asked) <= 9


async def test_a_key_that_is_held_anew_is_not_asked_about_at_once():
    scene = await Scene(k1=VALID).held(Kind.KEY_INVALID).after()
    await scene.held(Kind.KEY_INVALID).after(PAUSE - 1)
    assert len(scene.checks.asked) == 1


@pytest.mark.parametrize(("credit", "lifted"), [(None, False), (False, False), (True, True)])
async def test_a_key_without_credit_is_used_again_only_if_the_answer_tells_of_credit(credit, lifted):
    scene = await Scene(k1=Verdict(KeyState.VALID, credit=credit)).held(Kind.NO_CREDIT).after()
    assert scene.places == ([] if lifted else [("key", "a", "k1")])


async def test_a_model_that_is_listed_again_is_used_again():
    scene = Scene(model("x"), model("y"), k2=Verdict(KeyState.VALID, models=frozenset({"x"})))
    scene.held(Kind.KEY_INVALID).held(Kind.MODEL_GONE, ("model", "a", "x"))
    scene.held(Kind.MODEL_GONE, ("model", "a", "y"))
    await scene.after()
    assert sorted(scene.checks.asked) == [("a", "k1"), ("a", "k2")]
    assert sorted(scene.places) == [("key", "a", "k1"), ("model", "a", "y")]


@pytest.mark.parametrize(
    ("given", "kind", "place"),
    [
        ({"key_check": None}, Kind.KEY_INVALID, ("key", "a", "k1")),
        ({"keys": (Key("", "k1"),)}, Kind.KEY_INVALID, ("key", "a", "k1")),
        ({}, Kind.KEY_INVALID, ("key", "a", "gone")),
        ({}, Kind.KEY_INVALID, ("key", "elsewhere", "k1")),
        ({}, Kind.FORBIDDEN, ("key-model", "a", "k1", "m")),
        ({}, Kind.NO_CREDIT, ("key-model", "a", "k1", "m")),
        ({}, Kind.REDIRECTED, ("provider", "a")),
    ],
)
async def test_what_no_free_call_can_tell_is_not_asked(given, kind, place):
    scene = await Scene(k1=VALID, **given).held(kind, place).after()
    assert scene.checks.asked == []
    assert scene.places == [place]


async def test_nothing_is_asked_of_a_provider_that_an_operator_switched_off():
    scene = Scene(k1=VALID).held(Kind.KEY_INVALID)
    scene.standing.switch({"a"})
    assert (await scene.after()).checks.asked == []
    scene.standing.switch(())
    assert (await scene.after()).checks.asked == [("a", "k1")]


@pytest.mark.parametrize("left", [[], [provider("a", model("m"), keys=("k1",), key_check="/models")]])
async def test_a_key_that_is_taken_away_while_others_are_asked_about_is_none_of_our_faults(left):
    scene = Scene(k1=UNKNOWN).held(Kind.KEY_INVALID).held(Kind.KEY_INVALID, ("key", "a", "k2"))
    check = scene.checks.check

    async def removing(asked, key):
        scene.world.gateway.adopt(catalogue_of(left, []))
        return await check(asked, key)

    scene.checks.check = removing  # type: ignore[method-assign]
    with capture_logs() as logs:
        await scene.after()
    assert scene.checks.asked == [("a", "k1")]
    assert [log for log in logs if log["log_level"] == "error"] == []


async def test_a_hold_that_was_laid_anew_meanwhile_stands():
    scene = Scene(k1=VALID).held(Kind.KEY_INVALID)

    class Slow(Checks):
        async def check(self, provider, key):
            scene.held(Kind.KEY_INVALID)
            return await super().check(provider, key)

    scene.revalidation = Revalidation(scene.world.gateway, Slow(k1=VALID))
    await scene.after()
    assert scene.places == [("key", "a", "k1")]


def test_a_revoked_key_that_is_valid_again_serves_again_and_nobody_is_asked_after_the_stop():
    async def scene():
        world = World(
            provider("a", key_check="/models"), clock=LoopClock(), a=[Outcome(Kind.KEY_INVALID, 401)]
        )
        checks = Checks(k1=VALID)
        running = asyncio.create_task(Revalidation(world.gateway, checks).run())
        with pytest.raises(Exception, match=r"attempts? failed"):
            await world.ask()
        with pytest.raises(Exception, match="refused as invalid"):
            await world.ask()
        await asyncio.sleep(HOUR + 2 * LOOK)
        await world.ask()
        assert world.upstream.asked == ["a/m#k1"] * 2
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert len(checks.asked) == 1

    run(scene())
