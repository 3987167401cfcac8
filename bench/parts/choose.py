"""What deciding costs: finding who is able and who is best, in process, with no I/O.

Each choice is leased and answered, so that the next one finds the field as a gateway does.
"""

import random
import time

from bench.results import Choosing, quantile
from freeroute.clock import Now
from freeroute.domain.catalogue import Catalogue, Key, Limit, Model, Provider, Unit, WindowKind, catalogue_of
from freeroute.domain.leases import Lease
from freeroute.domain.needs import Need, Tried
from freeroute.domain.rankings import Rankings
from freeroute.domain.resolve import Names, Target
from freeroute.domain.selection import Choice, choice_of, choose
from freeroute.domain.standing import Standing
from freeroute.domain.usage import Demand
from freeroute.stores.memory import MemoryCounters

# Models of each provider: 6,840 candidates, and ten times as many.
PROVIDERS, MODELS, KEYS = 19, 120, 3
SCALES = (1, 10)
STRATEGIES = ("free", "free-fast", "free-smart")
# Enough calls that each counter holds something, as in service.
_USED = 2000
_SPAN = 1.0
# Seconds that pass at each look at the clock, three of them for a request: 333 requests a second.
_TICK = 0.001
_DEMAND = Demand(prompt=200)


async def measure(span: float = _SPAN) -> list[Choosing]:
    """Time each strategy over each catalogue for *span* seconds."""
    found = []
    for scale in SCALES:
        field = await _used(PROVIDERS * scale)
        found += [await _timed(field, strategy, span) for strategy in STRATEGIES]
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
        self._now = Now(self._now.mono + _TICK, self._now.wall + _TICK)
        return self._now

    async def call(self, choice: Choice, dice: random.Random, *, ends: bool = True) -> None:
        """Let what was chosen be called, and answered unless it never *ends*."""
        candidate, began = choice.candidate, self.now()
        lease = await self.counters.acquire(choice.charges, began)
        trial = self.standing.begin(candidate, began)
        if ends and isinstance(lease, Lease):
            ended = self.now()
            self.standing.answered(candidate, trial, ended)
            await self.counters.confirm(lease, ended)
            await self.counters.settle(lease, {}, ended)
            first, seconds = candidate.model.first_token, 100 / candidate.model.tokens_per_second
            pace = 0.5 + dice.random()  # about as fast as the catalogue says
            self.standing.speed(candidate).measured(first * pace, 100, seconds * pace, ended)
            self.standing.succeeded(candidate, trial, ended)

    def need(self, strategy: str) -> Need:
        target = self.names.resolve(strategy)
        assert isinstance(target, Target)
        return Need(targets=(target,), demand=_DEMAND)


async def _used(providers: int) -> _Field:
    """Return a field in which calls have been made, a few of them still under way."""
    field = _Field(catalogue_of([_provider(number) for number in range(providers)], []))
    dice = random.Random(1)
    for turn in range(_USED):
        candidate = dice.choice(field.catalogue.candidates)
        await field.call(choice_of(candidate, _DEMAND), dice, ends=turn % 50 > 0)
    return field


def _provider(number: int) -> Provider:
    return Provider(
        id=f"provider-{number}",
        name=f"Provider {number}",
        base_url="http://127.0.0.1:1/v1",
        keys=tuple(Key(secret=f"key-{n}", label=f"key-{n}", account=f"account-{n}") for n in range(KEYS)),
        models=tuple(_model(n) for n in range(MODELS)),
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


async def _timed(field: _Field, strategy: str, span: float) -> Choosing:
    """Time what the gateway does for each request. What others took of the core meanwhile does not count."""
    rankings, need, dice = Rankings(field.standing), field.need(strategy), random.Random(2)
    rankings.able(need, field.now())
    able_took: list[float] = []
    choose_took: list[float] = []
    ends = time.perf_counter() + span
    while time.perf_counter() < ends:
        now = field.now()
        begun = time.thread_time()
        able = rankings.able(need, now)
        found = time.thread_time()
        choice = choose(need, able, field.standing, Tried(), now)
        chosen = time.thread_time()
        assert isinstance(choice, Choice)
        able_took.append(found - begun)
        choose_took.append(chosen - found)
        await field.call(choice, dice)
    return Choosing(
        providers=len(field.catalogue.providers),
        candidates=len(field.catalogue.candidates),
        strategy=strategy,
        eligible_us=quantile(able_took, 0.5) * 1e6,
        choose_us=quantile(choose_took, 0.5) * 1e6,
    )
