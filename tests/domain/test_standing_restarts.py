import math

import msgspec
import pytest

from freeroute.domain.breaker import LONGEST_REST, State
from freeroute.domain.keepsake import LEARNED_FOR, KeptStanding, Rebase
from freeroute.domain.outcome import Kind
from tests.support.clocks import ManualClock
from tests.support.scenes import Scene


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
