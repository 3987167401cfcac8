"""Runs of a gateway, one after the other, as far as they remember."""

from freeroute.domain import effects
from freeroute.domain.catalogue import Key, Limit, Provider, Unit, WindowKind, candidates_of
from freeroute.domain.leases import Charges, Lease, charges_of
from freeroute.domain.outcome import Outcome
from freeroute.domain.standing import Standing
from freeroute.domain.usage import Demand
from freeroute.stores.keeper import PAUSE, Keeper
from freeroute.stores.memory import MemoryCounters
from freeroute.stores.state_file import StateFile
from tests.support.world import model, provider

MINUTE = Limit(Unit.REQUESTS, 10, 60.0)
DAY = Limit(Unit.REQUESTS, 100, 86_400.0, WindowKind.CALENDAR, "day")
TOKENS = Limit(Unit.TOKENS, 5_000, 86_400.0, WindowKind.BUCKET)
DEMAND = Demand(100)


def groq(*keys: Key, limits=(MINUTE, DAY, TOKENS)) -> Provider:
    return provider("groq", model("x"), model("y"), keys=keys or (Key("sk-one", "1"),), limits=limits)


class Run:
    """One run of a gateway as far as it remembers: counters, standing and what saves them."""

    def __init__(self, directory, clock, *, boot="boot", found=None, bound=2**24, pause=PAUSE) -> None:
        self.provider = found or groq()
        self.candidates = candidates_of(self.provider)
        self.clock = clock
        self.counters = MemoryCounters()
        self.standing = Standing(self.counters)
        self.file = StateFile(directory / "state.db", bound)
        self.trouble: list[bool] = []
        self.keeper = Keeper(
            self.file,
            counters=self.counters,
            standing=self.standing,
            providers=lambda: [self.provider],
            clock=clock,
            boot=boot,
            report=self.trouble.append,
            pause=pause,
        )

    def start(self) -> "Run":
        self.keeper.recall()
        self.counters.adopt([p for c in self.candidates for p in c.pools], self.clock.now())
        self.standing.keep(self.candidates)
        self.keeper.save()
        return self

    def crash(self) -> None:
        """End as after ``kill -9``: nothing more is written."""
        self.file.close()

    def ends(self, kind, number=0, **facts) -> None:
        candidate, now = self.candidates[number], self.clock.now()
        trial = self.standing.begin(candidate, now)
        effects.apply(Outcome(kind, **facts), candidate, self.standing, trial, now, jitter=0.5)

    async def take(self, calls=1) -> list[Lease]:
        now = self.clock.now()
        leases = [await self.counters.acquire(self.charges(), now) for _ in range(calls)]
        return [lease for lease in leases if isinstance(lease, Lease)]

    def charges(self) -> Charges:
        return charges_of(self.candidates[0], DEMAND)

    def used(self) -> list[float]:
        readings = self.counters.readings(self.candidates[0].pools, self.clock.now())
        return [round(reading.used, 6) for reading in readings]

    def back_in(self, number=0) -> float | None:
        hold = self.standing.hold_on(self.candidates[number], self.clock.now())
        return None if hold is None else hold.until - self.clock.now().mono


def pool(number: int):
    found = provider(f"p{number}", limits=(MINUTE,))
    return candidates_of(found)[0].pools[0]
