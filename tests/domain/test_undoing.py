"""What operators take back: holds, breakers, lessons. It is gone from what outlives the process too."""

from freeroute.domain.breaker import State
from freeroute.domain.catalogue import candidates_of
from freeroute.domain.keepsake import KeptHold, Rebase
from freeroute.domain.leases import Charges
from freeroute.domain.lessons import Taught
from freeroute.domain.outcome import Kind
from freeroute.domain.standing import OVERLONG_FOR, Standing
from freeroute.domain.usage import Demand
from freeroute.stores.memory import MemoryCounters
from tests.support.clocks import ManualClock
from tests.support.world import model, provider


class Scene:
    """Two candidates of one provider and one of another."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.standing = Standing(MemoryCounters())
        self.x, self.y = candidates_of(provider("a", model("x"), model("y")))
        [self.z] = candidates_of(provider("b", model("z")))

    def held(self) -> list[tuple[str, ...]]:
        return [place for place, _ in self.standing.holds(self.clock.now())]

    def hold(self, *place: str, seconds: float = 60.0) -> None:
        now = self.clock.now()
        self.standing.hold(place, now.mono + seconds, "why", since=now)

    def fail(self, candidate, times=3, kind=Kind.FAULT) -> None:
        for _ in range(times):
            trial = self.standing.begin(candidate, self.clock.now())
            self.standing.failed(candidate, trial, kind, self.clock.now(), jitter=0)


def test_holds_that_have_ended_are_not_told():
    scene = Scene()
    scene.hold("key", "a", "k1", seconds=10)
    scene.hold("model", "a", "x", seconds=30)
    scene.clock.advance(11)
    assert scene.held() == [("model", "a", "x")]


def test_a_lifted_hold_is_gone_here_and_from_what_is_kept_and_others_stay():
    scene = Scene()
    scene.hold("key", "a", "k1")
    scene.hold("key", "b", "k1")
    scene.standing.changed()
    scene.standing.lift_holds([("key", "a", "k1"), ("key", "a", "nobody")])
    assert scene.held() == [("key", "b", "k1")]
    assert scene.standing.changed() == {("hold", "key", "a", "k1")}
    assert scene.standing.kept(("hold", "key", "a", "k1"), scene.clock.now()) is None
    assert scene.standing.blocked(scene.x, scene.clock.now()) is None


def test_after_a_hold_is_lifted_nobody_waits_for_a_first_call():
    scene = Scene()
    now = scene.clock.now()
    scene.standing.hold(("model", "a", "x"), now.mono + 1, "why", quota=True)
    scene.standing.begin(scene.x, scene.clock.advance(2))
    assert scene.standing.obstacle(scene.x, Charges((), ()), scene.clock.now()) is not None
    scene.standing.lift_holds([("model", "a", "x")])
    told = scene.standing.obstacle(scene.x, Charges((), ()), scene.clock.now())
    assert told is None or told.kind == "proving"


def test_since_when_a_hold_stands_is_remembered_from_one_run_to_the_next():
    scene = Scene()
    scene.hold("key", "a", "k1")
    kept = scene.standing.kept(("hold", "key", "a", "k1"), scene.clock.now())
    assert isinstance(kept, KeptHold)
    next_run = Standing(MemoryCounters())
    next_run.restore(("hold", "key", "a", "k1"), kept, Rebase(scene.clock.now(), shift=-5.0))
    [(_, hold)] = next_run.holds(scene.clock.now())
    assert hold.since == scene.clock.now().mono - 5.0


def test_a_hold_that_an_older_version_kept_stands_since_nobody_knows_when():
    scene = Scene()
    scene.standing.restore(("hold", "key", "a", "k1"), KeptHold(1e9, "why"), Rebase(scene.clock.now()))
    [(_, hold)] = scene.standing.holds(scene.clock.now())
    assert hold.since is None


def test_breakers_are_closed_by_their_names_and_no_others():
    scene = Scene()
    for candidate in (scene.x, scene.z):
        scene.fail(candidate, kind=Kind.UNREACHABLE)
    scene.standing.changed()
    scene.standing.close_breakers([scene.x.id, "a/nobody#k1"], ["a", "nobody"])
    now = scene.clock.now()
    assert scene.standing.breaker(scene.x).state(now) is State.CLOSED
    assert scene.standing.breaker(scene.x).in_a_row == 0
    assert scene.standing.provider_breaker("a").state(now) is State.CLOSED
    assert scene.standing.breaker(scene.z).state(now) is State.OPEN
    assert scene.standing.provider_breaker("b").openings == 1
    assert scene.standing.changed() == {("candidate", scene.x.id), ("provider", "a")}
    assert scene.standing.kept(("provider", "a"), now) is None


def test_a_reset_touches_one_provider_alone():
    scene = Scene()
    for candidate in (scene.x, scene.z):
        scene.fail(candidate)
        scene.hold("key", candidate.provider.id, "k1")
    scene.standing.reset("a")
    now = scene.clock.now()
    assert scene.standing.breaker(scene.x).state(now) is State.CLOSED
    assert scene.standing.breaker(scene.z).state(now) is State.OPEN
    assert scene.held() == [("key", "b", "k1")]


def test_what_is_forgotten_of_a_model_is_the_catalogues_again():
    scene = Scene()
    now = scene.clock.now()
    for candidate in (scene.x, scene.y):
        scene.standing.learn_context(candidate, 4096, now)
        scene.standing.learn_refusal(candidate, "logprobs", now)
        scene.standing.refuses(candidate, "prefill", until=now.mono + 60)
    scene.standing.changed()
    scene.standing.unlearn(["a/x"])
    assert scene.standing.lesson("a/x", now) is None
    assert scene.standing.context(scene.x) == scene.x.model.context
    assert scene.standing.dropped(scene.x) == frozenset()
    assert not scene.standing.refused(scene.x, frozenset({"prefill"}), now)
    assert scene.standing.context(scene.y) == 4096
    assert scene.standing.changed() == {("model", "a/x")}
    assert scene.standing.kept(("model", "a/x"), now) is None


def test_what_was_too_long_for_others_is_still_known_when_one_model_is_forgotten():
    scene = Scene()
    now = scene.clock.now()
    for candidate in (scene.x, scene.y):
        scene.standing.learn_overlong(candidate, Demand(90_000), now)
    scene.standing.unlearn(["a/x"])
    assert not scene.standing.overlong(scene.x, Demand(90_000), now)
    assert scene.standing.overlong(scene.y, Demand(90_000), now)


def test_what_is_believed_no_more_is_not_told():
    scene = Scene()
    now = scene.clock.now()
    scene.standing.refuses(scene.x, "prefill", until=now.mono + 10)
    scene.standing.learn_overlong(scene.x, Demand(90_000), now)
    told = scene.standing.lesson("a/x", now)
    assert told == Taught(None, None, (), {"prefill": now.mono + 10}, ((90_000, now.mono + OVERLONG_FOR),))
    told = scene.standing.lesson("a/x", scene.clock.advance(15))
    assert told is not None
    assert (told.spared, len(told.overlong)) == ({}, 1)
    assert scene.standing.lesson("a/x", scene.clock.advance(OVERLONG_FOR)) is None
