"""Holds, turns, what is learned, and what a reload or a reset forgets."""

import math

import pytest

from freeroute.domain.breaker import State
from freeroute.domain.catalogue import Limit, Unit, WindowKind
from freeroute.domain.leases import charges_of
from freeroute.domain.outcome import Kind
from freeroute.domain.remembered import places_of
from freeroute.domain.returning import ALONE
from freeroute.domain.standing import Obstacle
from tests.support.scenes import DEMAND, Scene, spend
from tests.support.world import model, provider


@pytest.mark.parametrize(
    ("scope", "names"),
    [
        (None, ["a/x#k1", "a/x#k2"]),
        ("model", ["a/x#k1", "a/x#k2"]),
        ("key", ["a/x#k1", "a/y#k1"]),
        ("account", ["a/x#k1", "a/x#k2", "a/y#k1", "a/y#k2"]),
        ("ip", ["a/x#k1", "a/x#k2", "a/y#k1", "a/y#k2"]),
        ("provider", ["a/x#k1", "a/x#k2", "a/y#k1", "a/y#k2"]),
    ],
)
def test_a_429_holds_the_scope_it_names(scope, names):
    scene = Scene()
    scene.ended(Kind.RATE_LIMITED, retry_after=30, scope=scope)
    assert sorted(scene.held()) == names
    assert set(scene.held().values()) == {30}


@pytest.mark.parametrize(
    ("kind", "facts", "held"),
    [
        (Kind.KEY_INVALID, {}, {"a/x#k1": math.inf, "a/y#k1": math.inf}),
        (Kind.NO_CREDIT, {}, {"a/x#k1": 86400, "a/y#k1": 86400}),
        (Kind.NO_CREDIT, {"scope": "model"}, {"a/x#k1": 86400}),
        (Kind.FORBIDDEN, {}, {"a/x#k1": 3600}),
        (Kind.MODEL_GONE, {}, {"a/x#k1": 86400, "a/x#k2": 86400}),
        (Kind.NO_CAPACITY, {}, {"a/x#k1": 5, "a/x#k2": 5}),
        (Kind.NO_CAPACITY, {"retry_after": 20}, {"a/x#k1": 20, "a/x#k2": 20}),
        (Kind.LOADING, {}, dict.fromkeys(["a/x#k1", "a/x#k2", "a/y#k1", "a/y#k2"], 2)),
        (Kind.REDIRECTED, {}, dict.fromkeys(["a/x#k1", "a/x#k2", "a/y#k1", "a/y#k2"], 300)),
        (Kind.REDIRECTED, {"scope": "model"}, {"a/x#k1": 300, "a/x#k2": 300}),
        (Kind.FAULT, {"retry_after": 9}, {"a/x#k1": 9}),
        (Kind.FAULT, {}, {}),
        (Kind.REJECTED, {}, {}),
        (Kind.FILTERED, {}, {}),
        (Kind.TOO_LARGE, {}, {}),
        (Kind.CALLER_LEFT, {}, {}),
        (Kind.MISGENERATED, {}, {}),
        (Kind.NONCONFORMING, {}, {}),
    ],
)
def test_each_ending_holds_what_it_says_and_no_more(kind, facts, held):
    scene = Scene()
    scene.ended(kind, **facts)
    assert scene.held() == held


def test_a_key_forbidden_on_three_models_rests_as_a_whole():
    scene = Scene(provider("a", model("x"), model("y"), model("z"), model("w")))
    for candidate in scene.candidates[:3]:
        scene.ended(Kind.FORBIDDEN, candidate)
    assert scene.back_in(scene.candidates[3]) == 600


def test_a_429_that_names_nothing_backs_off_twice_as_long_each_time():
    scene = Scene()
    waits = []
    for _ in range(9):
        scene.ended(Kind.RATE_LIMITED)
        waits.append(scene.back_in(scene.candidates[0]))
        scene.clock.advance(waits[-1] + 1)
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300, 300]


def test_calls_that_are_refused_together_back_off_once():
    scene = Scene()
    for _ in range(5):
        scene.ended(Kind.RATE_LIMITED)
    assert scene.back_in(scene.candidates[0]) == 5
    scene.clock.advance(6)
    scene.ended(Kind.RATE_LIMITED)
    assert scene.back_in(scene.candidates[0]) == 10


def test_a_success_starts_the_back_off_anew():
    scene = Scene()
    scene.ended(Kind.RATE_LIMITED)
    scene.clock.advance(6)
    now = scene.clock.now()
    scene.standing.answered(scene.candidates[0], scene.standing.begin(scene.candidates[0], now), now)
    scene.ended(Kind.RATE_LIMITED)
    assert scene.back_in(scene.candidates[0]) == 5


def test_a_success_does_not_lift_a_hold_laid_meanwhile():
    scene = Scene()
    trial = scene.standing.begin(scene.candidates[0], scene.clock.now())
    scene.ended(Kind.RATE_LIMITED, retry_after=60)
    scene.standing.answered(scene.candidates[0], trial, scene.clock.now())
    assert scene.back_in(scene.candidates[0]) == 60


def test_after_a_quota_hold_one_call_goes_alone_until_it_is_granted():
    scene = Scene().proven()
    x1 = scene.candidates[0]
    before = scene.standing.begin(x1, scene.clock.now())
    scene.ended(Kind.RATE_LIMITED, retry_after=5)
    now = scene.clock.advance(5)
    assert scene.look(x1) is None
    first = scene.standing.begin(x1, now)
    assert scene.back_in(x1) == ALONE
    assert scene.obstacle(x1).kind == "quota"
    assert not scene.standing.answered(x1, before, now)  # sent before the refusal: it tells nothing
    scene.standing.give_back(x1, first)  # its caller left
    assert scene.look(x1) is None
    second = scene.standing.begin(x1, now)
    assert scene.standing.answered(x1, second, now)
    scene.standing.begin(x1, now)
    assert scene.look(x1) is None
    assert scene.standing.held(("account-model", "a", "default", "x")) is None


def test_a_first_call_still_under_way_after_three_seconds_was_granted():
    scene = Scene().proven()
    x1 = scene.candidates[0]
    scene.ended(Kind.NO_CAPACITY)
    scene.standing.begin(x1, scene.clock.advance(5))
    assert scene.look(x1) is not None
    scene.clock.advance(ALONE)
    assert scene.look(x1) is None
    scene.standing.begin(x1, scene.clock.now())
    assert scene.look(x1) is None


def test_a_reset_lets_everybody_go_at_once():
    scene = Scene().proven()
    x1 = scene.candidates[0]
    scene.ended(Kind.NO_CAPACITY)
    scene.standing.begin(x1, scene.clock.advance(5))
    scene.standing.reset("a")
    assert scene.look(x1) is None


def test_a_429_that_names_nothing_waits_for_the_fullest_counter():
    scene = Scene(provider("a", limits=(Limit(Unit.REQUESTS, 1, 60.0),)))
    spend(scene)
    scene.ended(Kind.RATE_LIMITED)
    assert 59 <= scene.back_in(scene.candidates[0]) <= 61


def test_a_429_that_names_nothing_while_every_counter_has_room_backs_off():
    scene = Scene(provider("a", limits=(Limit(Unit.REQUESTS, 5, 60.0),)))
    scene.ended(Kind.RATE_LIMITED)
    assert scene.back_in(scene.candidates[0]) == 5


def test_a_spent_day_is_held_to_the_calendar_s_reset_whatever_else_is_said():
    day = Limit(Unit.REQUESTS, 20, 86400.0, window=WindowKind.CALENDAR, span="day", tz="America/Los_Angeles")
    scene = Scene(provider("a", limits=(day,)))
    scene.ended(Kind.RATE_LIMITED, window="day", retry_after=38)
    # The manual clock starts at 14:13:20 UTC, 07:13:20 in Los Angeles.
    assert scene.back_in(scene.candidates[0]) == 16 * 3600 + 46 * 60 + 40
    assert scene.obstacle(scene.candidates[0]).reason == "out of quota for this day, says the provider"


@pytest.mark.parametrize(
    ("unit", "held"), [("tokens", 5), (None, 5), ("neurons", 5), ("requests", 9 * 3600 + 46 * 60 + 40)]
)
def test_a_spent_day_of_another_unit_is_no_matter_of_the_calendar(unit, held):
    calls = Limit(Unit.REQUESTS, 1_000, 86400.0, window=WindowKind.CALENDAR, span="day")
    tokens = Limit(Unit.TOKENS, 100_000, 86400.0, window=WindowKind.BUCKET, span="day")
    scene = Scene(provider("a", limits=(calls, tokens)))
    scene.ended(Kind.RATE_LIMITED, window="day", unit=unit, retry_after=5)
    assert scene.back_in(scene.candidates[0]) == held


def test_the_longer_of_two_holds_stands():
    scene = Scene()
    scene.ended(Kind.RATE_LIMITED, retry_after=60)
    scene.ended(Kind.RATE_LIMITED, retry_after=10)
    assert scene.back_in(scene.candidates[0]) == 60


async def test_a_counter_that_is_full_for_longer_than_a_hold_lasts_says_when_quota_is_back():
    limits = (Limit(Unit.REQUESTS, 1, 60),)
    scene = Scene(provider("a", model("x"), limits=limits))
    [candidate] = scene.candidates
    await scene.counters.acquire(charges_of(candidate, DEMAND), scene.clock.now())
    scene.ended(Kind.RATE_LIMITED, retry_after=8.0, window="minute")
    assert scene.obstacle(candidate).reason == "out of quota"
    assert scene.back_in(candidate) == 60.5
    scene.ended(Kind.RATE_LIMITED, retry_after=90.0, window="minute")
    assert scene.obstacle(candidate).reason == "out of quota for this minute, says the provider"
    assert scene.back_in(candidate) == 90


def test_holds_for_want_of_quota_are_told_apart_from_verdicts():
    scene = Scene()
    scene.ended(Kind.RATE_LIMITED, retry_after=60)
    assert scene.obstacle(scene.candidates[0]).kind == "quota"
    scene.ended(Kind.KEY_INVALID)
    assert scene.obstacle(scene.candidates[0]).kind == "held"


def test_a_resting_provider_is_told_apart_from_a_resting_candidate():
    scene = Scene()
    for _ in range(3):
        scene.ended(Kind.FAULT)
    assert scene.obstacle(scene.candidates[0]).reason == "resting after failures"
    assert scene.look(scene.candidates[2]) is None
    scene.ended(Kind.UNREACHABLE, scene.candidates[2])
    assert scene.obstacle(scene.candidates[3]).reason == "provider is resting after failures"


def test_a_reset_forgets_the_failures_of_one_provider():
    scene = Scene()
    scene.ended(Kind.UNREACHABLE)
    scene.ended(Kind.KEY_INVALID)
    scene.standing.reset("other")
    assert scene.held()
    scene.standing.reset("a")
    assert scene.held() == {}
    assert scene.standing.provider_breaker("a").state(scene.clock.now()) is State.CLOSED


def test_a_new_catalogue_forgets_whatever_is_gone_and_verdicts_on_keys_when_told():
    scene = Scene()
    x1, x2, y1, _ = scene.candidates
    scene.ended(Kind.KEY_INVALID, x1)
    scene.ended(Kind.RATE_LIMITED, x2, retry_after=60)
    scene.ended(Kind.FAULT, y1)
    scene.standing.learn_context(y1, 5, scene.clock.now())
    scene.standing.learn_refusal(y1, "seed", scene.clock.now())
    scene.standing.lapsed(y1, scene.clock.now())
    scene.standing.keep([x1, x2])
    assert scene.obstacle(x1).reason == "key was refused as invalid"
    scene.standing.retry_verdicts()
    assert scene.obstacle(x1).reason == "out of quota, says the provider"
    assert not scene.standing.suspect(y1, scene.clock.now())
    assert scene.standing.context(y1) == 100_000
    assert scene.standing.dropped(y1) == frozenset()
    scene.standing.keep([])
    assert scene.obstacle(x2).reason == "no longer in the catalogue"
    scene.standing.keep([x2])
    assert scene.look(x2) is None


def test_what_an_operator_switches_off_gets_no_call_until_it_is_on_again():
    scene = Scene()
    x1, _, other, _ = scene.candidates
    scene.standing.switch({"a/x"})
    assert [scene.standing.is_off(one) for one in scene.candidates] == [True, True, False, False]
    assert scene.obstacle(x1) == Obstacle("off", "switched off by an operator", math.inf)
    assert scene.standing.free_at(x1, scene.clock.now()) == math.inf
    scene.standing.switch({"a"})
    assert scene.obstacle(other).kind == "off"
    scene.standing.switch(())
    assert scene.look(other) is None


def test_a_key_that_is_gone_gets_no_call_of_those_who_knew_it():
    scene = Scene()
    x1, x2, _, _ = scene.candidates
    scene.standing.keep(scene.candidates)
    scene.standing.keep([x1])
    assert scene.look(x1) is None
    assert scene.obstacle(x2).reason == "no longer in the catalogue"
    assert scene.standing.free_at(x2, scene.clock.now()) == math.inf
    scene.standing.keep([x1, x2])
    assert scene.look(x2) is None


def test_a_model_that_is_gone_gets_no_call_of_those_who_knew_it():
    scene = Scene()
    x1, _, other, _ = scene.candidates
    scene.standing.keep(scene.candidates)
    scene.standing.keep([other])
    assert scene.obstacle(x1) == Obstacle("off", "no longer in the catalogue", math.inf)


def test_calls_under_way_are_known_of_models_that_were_ever_asked():
    scene = Scene()
    candidate = scene.candidates[0]
    assert scene.standing.under_way(candidate.name) is None
    awaited = scene.standing.awaited(candidate)
    assert scene.standing.under_way(candidate.name) is awaited


def test_whether_a_key_has_answered_is_known_by_its_place():
    scene = Scene()
    place = (scene.candidates[0].provider.id, scene.candidates[0].key.label)
    assert not scene.standing.has_answered(place)
    trial = scene.standing.begin(scene.candidates[0], scene.clock.now())
    scene.standing.answered(scene.candidates[0], trial, scene.clock.now())
    assert scene.standing.has_answered(place)


def test_turns_count_who_was_asked_last():
    scene = Scene()
    assert scene.standing.last_turn(scene.candidates[0]) == 0
    for candidate in scene.candidates:
        scene.standing.begin(candidate, scene.clock.now())
    assert [scene.standing.last_turn(c) for c in scene.candidates] == [1, 2, 3, 4]


def test_a_candidate_is_covered_by_holds_on_every_place_it_is_part_of():
    scene = Scene()
    for place in places_of(scene.candidates[0]):
        fresh = Scene()
        fresh.standing.hold(place, fresh.clock.now().mono + 1, "why")
        assert fresh.back_in(fresh.candidates[0]) == 1
