"""What is known of one pool: its counter, and how far its limit is to be believed."""

import math

from msgspec import Struct, structs

from freeroute.clock import Now
from freeroute.domain.catalogue import Limit, Pool, Unit
from freeroute.domain.counters import Counter, Slip
from freeroute.domain.keepsake import Name
from freeroute.domain.limits import RELOOK
from freeroute.domain.measuring import LONGEST, PATIENCE, Measure
from freeroute.domain.rates import TOLD


class Learned(Struct, frozen=True):
    """From where (``header``, ``body`` or ``measured``) and when (mono) a limit was last learned.

    *given* is the pool's limit by the settings: what was learned holds as long as they give the same.
    """

    source: str
    at: float
    given: Limit


class Cell(Struct, eq=False):
    """What is known of the pool that goes by *name*, of which *owner* counts the *unit*.

    Its *counter*, and of its limit what answers taught (*learned*) and what calls show (*measure*).
    """

    name: Name
    owner: str
    unit: Unit
    counter: Counter
    learned: Learned | None = None
    measure: Measure | None = None

    @classmethod
    def of(cls, pool_id: str, counter: Counter) -> "Cell":
        """Return one with *counter*, of whose limit nothing is known beside that."""
        owner = pool_id.partition("/")[0]
        return cls(("pool", pool_id), owner, counter.limit.unit, counter)

    @property
    def is_told(self) -> bool:
        """Say whether an answer told the limit."""
        return self.learned is not None and self.learned.source in TOLD

    def present(self, now: Now) -> Counter:
        """Return the counter, its limit as it is measured by now."""
        counter = self.counter
        if self.measure is not None and (amount := self.measure.amount(now)) != counter.limit.amount:
            counter.resize(structs.replace(counter.limit, amount=amount), now)
        return counter

    def fits_at(self, pool: Pool, amount: float, now: Now) -> float:
        """Return when (mono) *amount* of *pool*, which is its own, fits."""
        learned, measure = self.learned, self.measure
        if learned is None and measure is None:
            return self.counter.fits_at(amount, now)
        counter = self.present(now)
        if measure is not None and counter.in_flight >= measure.width:
            return now.mono + RELOOK
        limit = counter.limit
        if learned is None or not limit.amount < amount <= _given(pool):
            return counter.fits_at(amount, now)
        # Only answers say that it is too large: one may go again a while after they were last heard.
        again = learned.at + min(PATIENCE * limit.seconds, LONGEST)
        return max(counter.fits_at(limit.amount, now), again)

    def granted(self, slip: Slip, now: Now) -> bool:
        """Note that *slip*'s call was granted; say whether more may go now."""
        if self.measure is None:
            return False
        wider = self.measure.served(slip.level, slip.at, self.counter.limit.seconds, now)
        if self.measure.is_over:
            self.measure = self.learned = None
        return wider

    def unlearn(self) -> None:
        """Forget what was learned and measured of the limit."""
        self.learned = self.measure = None

    def measure_anew(self, limit: Limit) -> None:
        """Forget what was measured; a *limit* that nobody knows goes on being measured."""
        before, self.measure = self.measure, None
        if math.isinf(limit.amount):
            untouched = before is not None and before.given == before.level == math.inf
            self.measure = before if before and untouched else Measure.unknown()


def _given(pool: Pool) -> float:
    """Return the limit of *pool* by settings or catalogue; ``inf`` if they give none."""
    return math.inf if pool.limit.confidence in TOLD else pool.limit.amount
