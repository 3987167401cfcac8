"""Candidates, their counters and how they stand, for tests of what endings do."""

from freeroute.domain import effects
from freeroute.domain.catalogue import candidates_of
from freeroute.domain.leases import charges_of
from freeroute.domain.outcome import Outcome
from freeroute.domain.standing import Obstacle, Standing
from freeroute.domain.usage import Demand
from freeroute.stores.memory import MemoryCounters
from tests.support.clocks import ManualClock
from tests.support.scenery import at_once
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


def spend(scene: Scene) -> None:
    """Take what one call takes of the first candidate."""
    candidate = scene.candidates[0]
    at_once(scene.counters.acquire(charges_of(candidate, DEMAND), scene.clock.now()))
