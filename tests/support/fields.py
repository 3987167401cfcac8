"""A field of candidates to choose from, at an instant that moves on."""

from freeroute.domain.catalogue import Limit, Unit, catalogue_of
from freeroute.domain.fitness import eligible
from freeroute.domain.leases import Lease
from freeroute.domain.needs import Need, Tried
from freeroute.domain.resolve import Names, Target
from freeroute.domain.selection import Choice, choose
from freeroute.domain.standing import Standing
from freeroute.domain.usage import Demand
from freeroute.stores.memory import MemoryCounters
from tests.support.clocks import ManualClock
from tests.support.scenery import at_once

DAY = 86_400.0


class Field:
    """Candidates, their counters and their standing, without a gateway."""

    def __init__(self, *providers) -> None:
        self.catalogue = catalogue_of(list(providers), [])
        self.names = Names(self.catalogue)
        self.counters = MemoryCounters()
        self.standing = Standing(self.counters)
        self.clock = ManualClock()

    def need(self, *names, prompt=10, max_output=None, **given) -> Need:
        targets = tuple(self._target(name) for name in names or ("free",))
        return Need(targets=targets, demand=Demand(prompt, max_output), **given)

    def _target(self, name) -> Target:
        target = self.names.resolve(name)
        assert isinstance(target, Target)
        return target

    def choose(self, need, tried=None):
        fit, _ = eligible(need, self.standing, self.clock.now())
        return choose(need, fit, self.standing, tried or Tried(), self.clock.now())

    def take(self, need) -> str:
        """Choose and charge; the call is served at once, as fast as expected. Returns the provider."""
        choice = self.choose(need)
        assert isinstance(choice, Choice)
        lease = at_once(self.counters.acquire(choice.charges, self.clock.now()))
        assert isinstance(lease, Lease)
        self.counters.settle(lease, {}, self.clock.now())
        found = choice.candidate.model
        speed = self.standing.speed(choice.candidate)
        speed.measured(found.first_token, 100, 100 / found.tokens_per_second, self.clock.now())
        return choice.candidate.provider.id


def per(amount, seconds=60.0, **given) -> Limit:
    return Limit(Unit.REQUESTS, amount, seconds, **given)


def tokens(amount, seconds=60.0, **given) -> Limit:
    return Limit(Unit.TOKENS, amount, seconds, **given)
