"""What deciding costs: ``choose`` over a catalogue, in process, with no I/O."""

import random
import time
from collections.abc import Callable

from bench.results import Choosing, quantile
from freeroute.clock import Now
from freeroute.domain.catalogue import Catalogue, Key, Limit, Model, Provider, Unit, WindowKind, catalogue_of
from freeroute.domain.fitness import eligible
from freeroute.domain.leases import Lease, charges_of
from freeroute.domain.resolve import Names, Target
from freeroute.domain.selection import Need, Tried, choose
from freeroute.domain.standing import Standing
from freeroute.domain.usage import Demand
from freeroute.stores.memory import MemoryCounters

PROVIDERS, MODELS, KEYS = 19, 120, 3
SCALES = (1, 10)
STRATEGIES = ("free", "free-fast", "free-smart")
# Enough calls that each counter holds something, as in service.
_USED = 2000
_SPAN = 1.0
_DEMAND = Demand(prompt=200)


async def measure(span: float = _SPAN) -> list[Choosing]:
    """Time each strategy over each catalogue for *span* seconds."""
    found = []
    for scale in SCALES:
        field = await _used(PROVIDERS * scale, MODELS * scale)
        found += [_timed(field, strategy, span) for strategy in STRATEGIES]
    return found


class _Field:
    """Candidates, their counters and their standing, at an instant that moves on with every call."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.names = Names(catalogue)
        self.counters = MemoryCounters()
        self.standing = Standing(self.counters)
        self._now = Now(mono=1000.0, wall=1_760_000_000.0)

    def now(self) -> Now:
        self._now = Now(self._now.mono + 0.01, self._now.wall + 0.01)
        return self._now

    def need(self, strategy: str) -> Need:
        target = self.names.resolve(strategy)
        assert isinstance(target, Target)
        return Need(targets=(target,), demand=_DEMAND)


async def _used(providers: int, models: int) -> _Field:
    """Return a field in which calls have been made, a few of them still under way."""
    field = _Field(catalogue_of([_provider(number, providers, models) for number in range(providers)], []))
    dice = random.Random(1)
    for turn in range(_USED):
        candidate = dice.choice(field.catalogue.candidates)
        now = field.now()
        lease = await field.counters.acquire(charges_of(candidate, _DEMAND), now)
        trial = field.standing.begin(candidate, now)
        if turn % 50 and isinstance(lease, Lease):
            await field.counters.settle(lease, None, field.now())
            field.standing.succeeded(candidate, trial, field.now())
            field.standing.speed(candidate).measured(dice.random(), 100, 1 + dice.random(), field.now())
    return field


def _provider(number: int, providers: int, models: int) -> Provider:
    own = range(number, models, providers)
    return Provider(
        id=f"provider-{number}",
        name=f"Provider {number}",
        base_url="http://127.0.0.1:1/v1",
        keys=tuple(Key(secret=f"key-{n}", label=f"key-{n}", account=f"account-{n}") for n in range(KEYS)),
        models=tuple(_model(n) for n in own),
        limits=(
            Limit(Unit.REQUESTS, 1e6, seconds=60.0, span="minute"),
            Limit(Unit.REQUESTS, 1e8, seconds=86400.0, span="day", window=WindowKind.CALENDAR),
            Limit(Unit.CONCURRENCY, 1000.0),
        ),
    )


def _model(number: int) -> Model:
    return Model(
        id=f"model-{number}",
        family=f"family-{number % 40}",
        context=131072,
        capabilities=frozenset({"tools", "json_object"}),
        quality=float(30 + number * 7 % 60),
        first_token=0.2 + number % 10 / 10,
        tokens_per_second=20.0 + number * 13 % 400,
        limits=(Limit(Unit.TOKENS, 1e8, seconds=60.0, span="minute", window=WindowKind.BUCKET),),
    )


def _timed(field: _Field, strategy: str, span: float) -> Choosing:
    need = field.need(strategy)
    fit, _ = eligible(need, field.standing, field.now())
    return Choosing(
        providers=len(field.catalogue.providers),
        candidates=len(field.catalogue.candidates),
        strategy=strategy,
        eligible_us=_median_us(lambda: eligible(need, field.standing, field.now()), span / 4),
        choose_us=_median_us(lambda: choose(need, fit, field.standing, Tried(), field.now()), span),
    )


def _median_us(work: Callable[[], object], span: float) -> float:
    took: list[float] = []
    ends = time.perf_counter() + span
    while (begun := time.perf_counter()) < ends:
        work()
        took.append(time.perf_counter() - begun)
    return quantile(took, 0.5) * 1e6
