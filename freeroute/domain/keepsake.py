"""What a gateway remembers from one run to the next, as plain values, and how the clocks of two runs relate.

Instants are those of the run that kept them, in mono seconds, beside one `Moment` that says when that was.
The next run shifts them onto its own clock. Fields that are added need a default: older files lack them.
"""

import math
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from freeroute.clock import Now
from freeroute.domain.catalogue import Limit
from freeroute.domain.outcome import Kind

LEARNED_FOR = 7 * 86_400.0
"""Seconds that what answers taught is still believed at a start. Own design: providers change limits and
models, and what is forgotten is learned again by one answer."""


class Moment(Struct, frozen=True):
    """An instant of a run: the *boot* of the machine (empty if unknown), and both clocks."""

    boot: str
    mono: float
    wall: float


class KeptSliding(Struct, frozen=True, tag="sliding"):
    """A sliding window: *slips* are pairs of when it comes back and how much."""

    slips: list[tuple[float, float]]


class KeptBucket(Struct, frozen=True, tag="bucket"):
    """A bucket: what was missing, and since when it refills."""

    debt: float
    since: float


class KeptCalendar(Struct, frozen=True, tag="calendar"):
    """A calendar window: *used*, and of it *under_way*, in the period from *start* to *end* (Unix time).

    *newest* is the latest period that was ever opened by time, *opened* (mono) when; *due* (mono) is when the
    present one should end.
    """

    used: float
    under_way: float
    start: float
    end: float
    newest: float
    opened: float
    due: float = -math.inf


KeptWindow = KeptSliding | KeptBucket | KeptCalendar


class KeptTold(Struct, frozen=True):
    """From where and when (mono) an answer told of a limit, and the limit that was *given* instead."""

    source: str
    at: float
    given: Limit


class KeptMeasure(Struct, frozen=True):
    """What calls showed of a limit; see `measuring.Measure`."""

    given: float
    level: float
    step_at: float
    width: float
    excused_at: float
    against_told: bool = False


class KeptGuard(Struct, frozen=True, tag="guard"):
    """How long calls to a provider may be under way before it counts them; see `guards.Guard`."""

    added: float
    at: float
    trip: float


class KeptPool(Struct, frozen=True, tag="pool"):
    """A counter: its present *limit*, what is taken, and *peak*, the most it ever took between two savings.

    *raised* says that an allowance for what a crash lost is in it, and nothing was taken since.
    """

    limit: Limit
    window: KeptWindow
    peak: float = 0.0
    raised: bool = False
    told: KeptTold | None = None
    measure: KeptMeasure | None = None


class KeptGate(Struct, frozen=True):
    """A breaker that is not closed: how often it opened in a row, and until when (mono) it rests."""

    openings: int
    until: float


class KeptCandidate(Struct, frozen=True, tag="candidate"):
    """The health of a candidate: *in_a_row* failures, the last one at *failed_at* (mono)."""

    gate: KeptGate | None = None
    in_a_row: int = 0
    failed_at: float = 0.0


class KeptProvider(Struct, frozen=True, tag="provider"):
    """The breaker of a whole provider."""

    gate: KeptGate


class KeptSpeed(Struct, frozen=True, tag="speed"):
    """How fast a model was found to be; see `speed.Speed`."""

    first_token: float
    rate: float
    measured_at: float
    samples: int
    slowest: float
    spread: float = 0.0
    longest: float = 0.0


class KeptModel(Struct, frozen=True, tag="model"):
    """What errors taught of a model until *at* (mono): its context in tokens, parameters it refuses.

    *features* are spared until (mono) they are tried again.
    """

    at: float
    context: int | None = None
    refuses: list[str] = []
    features: dict[str, float] = {}


class KeptKey(Struct, frozen=True, tag="key"):
    """A key that has answered once."""


class KeptHold(Struct, frozen=True, tag="hold"):
    """A hold; see `remembered.Hold`."""

    until: float
    reason: str
    step: int = 0
    quota: bool = False
    verdict: Kind | None = None
    since: float | None = None


KeptStanding = KeptCandidate | KeptProvider | KeptSpeed | KeptModel | KeptKey | KeptHold
Kept = KeptPool | KeptGuard | KeptStanding
Name = tuple[str, ...]
"""What is kept: its kind, which is the tag of its struct, then its id or its place."""


def sound(kept: Kept) -> bool:
    """Say whether the numbers of *kept* can be: none is NaN, and a limit is of something in some time."""
    if isinstance(kept, KeptPool) and not (kept.limit.amount >= 0 and 0 < kept.limit.seconds < math.inf):
        return False
    return not any(map(math.isnan, _numbers(msgspec.to_builtins(kept))))


def _numbers(value: object) -> Iterator[float]:
    match value:
        case float():
            yield value
        case dict():
            yield from _numbers([*value.values()])
        case list() | tuple():
            for part in value:
                yield from _numbers(part)


class Rebase(Struct, frozen=True):
    """How the instants of an earlier run become those of this one, at *now*: *shift* seconds later (mono)."""

    now: Now
    shift: float = 0.0

    def mono(self, kept: float, latest: float = math.inf) -> float:
        """Return the instant that was kept as *kept* on this run's clock, at most *latest*."""
        return min(kept + self.shift, latest)

    def fresh(self, at: float) -> bool:
        """Say whether what was learned at *at*, in the earlier run's time, is still believed."""
        return self.now.mono - self.mono(at) < LEARNED_FOR


def rebase(moment: Moment, boot: str, now: Now) -> Rebase:
    """Return how instants of the run that was at *moment* become those of one that is at *now*.

    Within one boot of the machine the monotonic clock went on, and whoever sets the wall clock frees and
    freezes nothing. Across boots only the wall clock tells how much time passed; if it went back, none did.
    """
    if boot and boot == moment.boot and now.mono >= moment.mono:
        return Rebase(now)
    passed = max(0.0, now.wall - moment.wall)
    return Rebase(now, now.mono - passed - moment.mono)
