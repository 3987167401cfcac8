"""Holds, turns, what is learned, and what a reload or a reset forgets."""

import math

import msgspec
import pytest

from freeroute.domain import effects
from freeroute.domain.breaker import LONGEST_REST, State
from freeroute.domain.catalogue import Limit, Unit, WindowKind, candidates_of
from freeroute.domain.fitness import willing
from freeroute.domain.keepsake import LEARNED_FOR, KeptStanding, Rebase
from freeroute.domain.leases import charges_of
from freeroute.domain.outcome import Kind, Outcome
from freeroute.domain.remembered import places_of
from freeroute.domain.returning import ALONE
from freeroute.domain.selection import Need
from freeroute.domain.standing import Obstacle, Standing
from freeroute.domain.tokenizers import sizes_of
from freeroute.domain.usage import Demand
from freeroute.stores.memory import MemoryCounters
from tests.support.clocks import ManualClock
from tests.support.world import model, provider

DEMAND = Demand(10)


class Scene:
    """Candidates of one provider, and what an ending does to them."""

    def __init__(self, found=None) -> None:
        self.candidates = candidates_of(found or provider("a", model("x"), model("y"), keys=("k1", "k2")))
        self.counters = MemoryCounters()
        self.standing = Standing(self.counters)
        self.clock = ManualClock()

    def ended(self, kind, candidate=None, **facts):
        candidate = candidate or self.candidates[0]
        now = self.clock.now()
        trial = self.standing.begin(candidate, now)
        effects.apply(Outcome(kind, **facts), candidate, self.standing, trial, now, jitter=0.5)

    def look(self, candidate) -> Obstacle | None:
        now = self.clock.now()
        return self.standing.obstacle(candidate, charges_of(candidate, DEMAND), now)

    def obstacle(self, candidate) -> Obstacle:
        found = self.look(candidate)
        assert found is not None
        return found

    def back_in(self, candidate) -> float:
        return self.obstacle(candidate).back_at - self.clock.now().mono

    def proven(self) -> "Scene":
        """Return the scene with the first key proven."""
        candidate, now = self.candidates[0], self.clock.now()
        self.standing.answered(candidate, self.standing.begin(candidate, now), now)
        return self

    def held(self) -> dict[str, float]:
        return {c.id: self.back_in(c) for c in self.candidates if self.look(c) is not None}


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
    _spend(scene)
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


def test_only_a_droppable_parameter_is_remembered():
    scene = Scene()
    scene.ended(Kind.BAD_PARAMETER, param="seed")
    scene.ended(Kind.BAD_PARAMETER, param="tools")
    scene.ended(Kind.BAD_PARAMETER, param="user", counted=False)  # it was never sent
    scene.ended(Kind.BAD_PARAMETER, param="logit_bias", lasting=False)  # one caller's value
    scene.ended(Kind.BAD_PARAMETER)
    assert scene.standing.dropped(scene.candidates[0]) == {"seed"}


def test_a_feature_that_is_refused_is_spared_for_a_day_or_until_a_reload():
    scene = Scene()
    first, features = scene.candidates[0], frozenset({"logprobs"})
    for param in ("tools", "max_tokens", "seed"):
        scene.ended(Kind.BAD_PARAMETER, param=param)
        assert not scene.standing.refused(first, frozenset({param}), scene.clock.now())
    scene.ended(Kind.BAD_PARAMETER, param="logprobs")
    assert scene.standing.refused(first, features, scene.clock.now())
    assert not scene.standing.refused(first, frozenset({"n"}), scene.clock.now())
    assert not scene.standing.refused(scene.candidates[2], features, scene.clock.now())
    scene.clock.advance(86400)
    assert not scene.standing.refused(first, features, scene.clock.now())
    scene.ended(Kind.BAD_PARAMETER, param="logprobs")
    scene.standing.retry_verdicts()
    assert not scene.standing.refused(first, features, scene.clock.now())
    scene.ended(Kind.BAD_PARAMETER, param="logprobs")
    scene.standing.keep([])
    assert not scene.standing.refused(first, features, scene.clock.now())


def test_a_number_of_choices_that_is_refused_is_spared_it_and_more_and_no_fewer():
    scene = Scene()
    first, now = scene.candidates[0], scene.clock.now()

    def spared() -> list[int]:
        wanted = frozenset({"n"})
        asked = [Need(targets=(), demand=DEMAND, features=wanted, choices=n) for n in (2, 3, 4, 8)]
        others = [(0, first), (0, scene.candidates[2])]
        return [need.choices for need in asked if len(willing(need, others, scene.standing, now)) == 1]

    scene.ended(Kind.BAD_PARAMETER, param="n", lasting=False, choices=4)
    assert spared() == [4, 8]
    scene.ended(Kind.BAD_PARAMETER, param="n", lasting=False, choices=3)
    assert spared() == [3, 4, 8]
    scene.ended(Kind.BAD_PARAMETER, param="n")
    assert spared() == [2, 3, 4, 8]


def prompt(one: int, others: int | None = None, output: int | None = None) -> Demand:
    """Return a demand that one tokenizer finds so long, and all *others* so long."""
    sizes = (one, *[others or one] * (len(sizes_of(b"")) - 1))
    return Demand(one, output, sizes)


def test_a_prompt_that_was_too_long_speaks_of_longer_ones_of_its_kind_for_an_hour():
    scene = Scene()
    x, y = scene.candidates[0], scene.candidates[2]
    scene.standing.learn_context(x, 2000, scene.clock.now())
    scene.standing.learn_overlong(x, prompt(1000, 2000, output=10), scene.clock.now())

    def refused(demand: Demand, candidate=x) -> bool:
        return scene.standing.overlong(candidate, demand, scene.clock.now())

    assert refused(prompt(1000, 2000, output=10))
    assert refused(prompt(3000, 6500, output=20))
    assert not refused(prompt(1000, 2000))  # which asks for less
    assert not refused(prompt(999, 2000, output=10))
    assert not refused(prompt(2000, 2000, output=10))  # of another kind
    assert not refused(prompt(1000, 2000, output=10), y)
    scene.clock.advance(3600)
    assert not refused(prompt(1000, 2000, output=10))


def test_a_prompt_that_cannot_be_too_long_teaches_nothing():
    scene = Scene()
    x, now = scene.candidates[0], scene.clock.now()
    for context, small, large in ((2_000, 900, 1_000), (100_000, 40_000, 50_000)):
        scene.standing.learn_context(x, context, now)
        scene.standing.retry_verdicts()
        scene.standing.learn_overlong(x, prompt(small), now)
        assert not scene.standing.overlong(x, prompt(small), now)
        scene.standing.learn_overlong(x, prompt(large), now)
        assert scene.standing.overlong(x, prompt(large), now)


def test_few_prompts_that_were_too_long_are_remembered_and_the_shortest_of_a_kind():
    scene = Scene()
    x, now = scene.candidates[0], scene.clock.now()
    scene.standing.learn_context(x, 2000, now)
    for kind in range(1, 9):
        scene.standing.learn_overlong(x, prompt(1000, 1000 * kind), now)
    for size in (5000, 900, 800):
        scene.standing.learn_overlong(x, prompt(size, 8 * size), now)
    assert scene.standing.overlong(x, prompt(800, 6400), now)
    assert scene.standing.overlong(x, prompt(1000, 2000), now)
    scene.standing.learn_overlong(x, prompt(1000, 9000), now)
    assert not scene.standing.overlong(x, prompt(1000, 1000), now)
    scene.standing.retry_verdicts()
    assert not scene.standing.overlong(x, prompt(1000, 2000), now)
    scene.standing.learn_overlong(x, DEMAND, now)
    scene.standing.keep([])
    assert not scene.standing.overlong(x, DEMAND, now)


def test_what_is_remembered_is_bounded():
    scene = Scene()
    for number in range(100):
        scene.standing.learn_refusal(scene.candidates[0], f"field{number}", scene.clock.now())
    assert len(scene.standing.dropped(scene.candidates[0])) == 32


def test_a_context_is_learned_only_if_it_is_told():
    scene = Scene()
    scene.ended(Kind.CONTEXT_TOO_LONG)
    assert scene.standing.context(scene.candidates[0]) == 100_000
    scene.ended(Kind.CONTEXT_TOO_LONG, context=4096)
    assert scene.standing.context(scene.candidates[0]) == 4096


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
    assert scene.obstacle(x2).reason == "its key is used no more"
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
    assert scene.obstacle(x2).reason == "its key is used no more"
    assert scene.standing.free_at(x2, scene.clock.now()) == math.inf
    scene.standing.keep([x1, x2])
    assert scene.look(x2) is None


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


def next_run(scene, seconds=0.0) -> Scene:
    """Return what a run *seconds* later knows of what was saved, on a clock of its own."""
    then = Scene(scene.candidates[0].provider)
    before, then.clock = scene.clock.now(), ManualClock(mono=5.0)
    rebase = Rebase(then.clock.now(), 5.0 - seconds - before.mono)
    for name in scene.standing.changed():
        kept = scene.standing.kept(name, before)
        if kept is not None:
            raw = msgspec.msgpack.encode(kept)
            then.standing.restore(name, msgspec.msgpack.decode(raw, type=KeptStanding), rebase)
    then.standing.keep(then.candidates)
    return then


def test_holds_end_in_the_next_run_when_they_would_have():
    scene = Scene()
    scene.ended(Kind.RATE_LIMITED, retry_after=60)
    scene.ended(Kind.KEY_INVALID, scene.candidates[2])
    then = next_run(scene, 20)
    assert then.held() == {"a/x#k1": math.inf, "a/x#k2": 40, "a/y#k1": math.inf}


def test_breakers_rest_on_in_the_next_run_and_no_longer_than_ever():
    scene = Scene()
    for _ in range(3):
        scene.ended(Kind.FAULT)
    scene.ended(Kind.UNREACHABLE, scene.candidates[1])
    rest = scene.standing.provider_breaker("a").opens_until - scene.clock.now().mono
    then = next_run(scene, 4)
    scene.standing.touch_all()
    behind = next_run(scene, -1e6)
    scene.standing.touch_all()
    later = next_run(scene, 90)
    now = then.clock.now()
    assert then.standing.breaker(then.candidates[0]).state(now) is State.OPEN
    assert then.standing.provider_breaker("a").opens_until - now.mono == pytest.approx(rest - 4)
    assert behind.standing.provider_breaker("a").opens_until == now.mono + LONGEST_REST
    assert then.standing.suspect(then.candidates[1], now)
    assert not later.standing.suspect(later.candidates[1], now)


def test_what_was_measured_and_learned_is_known_in_the_next_run_for_a_while():
    scene = Scene()
    x = scene.candidates[0]
    assert scene.standing.speed(x).kept() is None
    scene.standing.speed(x).measured(9.0, 100, 10.0, scene.clock.now())
    scene.ended(Kind.CONTEXT_TOO_LONG, context=4_096)
    scene.ended(Kind.BAD_PARAMETER, param="seed")
    then = next_run(scene, 3)
    assert then.standing.context(x) == 4_096
    assert then.standing.dropped(x) == {"seed"}
    assert then.standing.speed(x).first_token == scene.standing.speed(x).first_token
    assert then.clock.now().mono - then.standing.speed(x).measured_at == 3
    scene.standing.touch_all()
    late = next_run(scene, LEARNED_FOR + 1)
    assert late.standing.context(x) == 100_000
    assert late.standing.dropped(x) == frozenset()


def test_features_that_were_refused_are_spared_in_the_next_run_for_as_long():
    scene = Scene()
    x, later = scene.candidates[0], scene.clock.now().mono + 100
    scene.standing.refuses(x, "logprobs", until=later)
    then = next_run(scene, 40)
    features = frozenset({"logprobs", "n"})
    assert then.standing.refused(x, features, then.clock.now())
    assert not then.standing.refused(x, features, then.clock.advance(61))
    then.standing.retry_verdicts()
    assert then.standing.kept(("model", x.name), then.clock.now()) is None


def test_a_key_that_has_answered_need_not_prove_itself_in_the_next_run():
    scene = Scene()
    x1, x2, *_ = scene.candidates
    for candidate in (x1, x2):
        trial = scene.standing.begin(candidate, scene.clock.now())
        scene.standing.answered(candidate, trial, scene.clock.now())
        assert scene.look(candidate) is None
    assert ("key", "a", "k1") in scene.standing.changed() | set()
    scene.proven()
    assert ("key", "a", "k1") not in scene.standing.changed()
    scene.standing.touch_all()
    then = next_run(scene)
    then.standing.begin(x1, then.clock.now())
    assert then.look(x1) is None
    then.standing.renewed("a", "k1")
    assert then.standing.kept(("key", "a", "k1"), then.clock.now()) is None


def test_what_is_over_is_kept_no_more():
    scene = Scene()
    x = scene.candidates[0]
    scene.ended(Kind.KEY_INVALID)
    scene.ended(Kind.UNREACHABLE)
    now = scene.clock.now()
    assert scene.standing.kept(("provider", "a"), now) is not None
    scene.standing.changed()
    scene.standing.reset("a")
    names = scene.standing.changed()
    assert ("provider", "a") in names
    assert scene.standing.kept(("provider", "a"), now) is None
    scene.standing.hold(("model", "a", "x"), now.mono - 1, "why")
    scene.standing.answered(x, scene.standing.begin(x, now), now)
    assert ("hold", "model", "a", "x") in scene.standing.changed()
    assert scene.standing.kept(("hold", "model", "a", "x"), now) is None
    assert scene.standing.kept(("provider", "never"), now) is None
    assert scene.standing.kept(("candidate", "never"), now) is None
    assert scene.standing.kept(("model", "never"), now) is None


def test_another_key_under_a_label_is_not_held_for_the_one_before():
    scene = Scene()
    scene.ended(Kind.KEY_INVALID)
    scene.ended(Kind.FORBIDDEN)
    scene.ended(Kind.KEY_INVALID, scene.candidates[1])
    scene.standing.renewed("a", "k1")
    scene.standing.renewed("b", "k2")
    assert scene.look(scene.candidates[0]) is None
    assert scene.back_in(scene.candidates[1]) == math.inf


def _spend(scene) -> None:
    import asyncio

    candidate = scene.candidates[0]
    asyncio.run(scene.counters.acquire(charges_of(candidate, DEMAND), scene.clock.now()))


def test_a_reload_lifts_verdicts_on_keys_models_and_addresses_but_not_spent_quota():
    scene = Scene()
    for kind in (Kind.NO_CREDIT, Kind.FORBIDDEN, Kind.MODEL_GONE, Kind.REDIRECTED):
        scene.ended(kind)
    scene.ended(Kind.RATE_LIMITED, scene.candidates[3], retry_after=60)
    assert len(scene.held()) == 4
    scene.standing.retry_verdicts()
    assert list(scene.held()) == ["a/y#k1", "a/y#k2"]


def test_a_key_that_was_refused_is_new_when_it_comes_back():
    scene = Scene()
    x1 = scene.candidates[0]
    scene.proven()
    scene.ended(Kind.KEY_INVALID, x1)
    scene.standing.retry_verdicts()
    scene.standing.begin(x1, scene.clock.now())
    assert scene.obstacle(x1).kind == "proving"


def test_a_verdict_is_still_one_in_the_next_run():
    scene = Scene().proven()
    scene.standing.changed()
    scene.ended(Kind.KEY_INVALID)
    assert ("key", "a", "k1") in scene.standing.changed()
    scene.standing.touch_all()
    then = next_run(scene, 10)
    [(place, hold)] = then.standing.verdicts(then.clock.now())
    assert (place, hold.verdict, hold.until) == (("key", "a", "k1"), Kind.KEY_INVALID, math.inf)
    assert then.standing.lift(place, hold)
    then.standing.begin(then.candidates[0], then.clock.now())
    assert then.obstacle(then.candidates[0]).kind == "proving"
    assert ("hold", *place) in then.standing.changed()
