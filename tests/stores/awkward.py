"""What the limiter is tried with: limits, awkward dates, and calls as their provider sees them."""

import math
from collections.abc import Sequence
from typing import TypeVar

from hypothesis import strategies as st
from msgspec import Struct

from freeroute.clock import Now
from freeroute.domain.catalogue import Candidate, Key, Limit, Scope, Unit, WindowKind
from freeroute.domain.leases import Lease

T = TypeVar("T")

GUARD = 2.0  # seconds, of the store that is tried

DAY, MONTH = 86_400.0, 30 * 86_400.0
ZONES = ("America/New_York", "America/Los_Angeles", "Europe/Berlin", "UTC")
NOISE = 1e-6

# Each a few minutes before something: clocks go forward or back in New York, Los Angeles and Berlin, a month
# ends, a leap day begins, a year ends in UTC and elsewhere, an ordinary noon.
MOMENTS = (
    1_772_952_900.0,  # 2026-03-08T06:55Z
    1_772_963_700.0,  # 2026-03-08T09:55Z
    1_793_512_500.0,  # 2026-11-01T05:55Z
    1_774_745_700.0,  # 2026-03-29T00:55Z
    1_793_505_300.0,  # 2026-11-01T03:55Z
    1_835_395_000.0,  # 2028-02-28T23:56:40Z
    1_798_761_300.0,  # 2026-12-31T23:55Z
    1_790_000_000.0,
)
SPANS = st.sampled_from(
    [0.0, 1 / 64, 0.25, 1.0, GUARD, 5.5, 13.0, 29.75, 58.0, 60.0, 62.25, 3_600.0, 43_200.0, DAY, 40 * DAY]
)
WINDOWS = st.sampled_from(
    [
        (WindowKind.SLIDING, "minute", 60.0),
        (WindowKind.SLIDING, "", 10.0),
        (WindowKind.BUCKET, "minute", 60.0),
        (WindowKind.BUCKET, "day", DAY),
        (WindowKind.CALENDAR, "day", DAY),
        (WindowKind.CALENDAR, "month", MONTH),
    ]
)
QUOTAS = st.builds(
    lambda unit, window, amount, scope, zone: Limit(
        unit, amount, window[2], window[0], window[1], zone, scope
    ),
    st.sampled_from([Unit.REQUESTS, Unit.TOKENS]),
    WINDOWS,
    st.integers(1, 8).map(float),
    st.sampled_from(list(Scope)),
    st.sampled_from(ZONES),
)
SLOTS = st.builds(
    lambda amount, scope: Limit(Unit.CONCURRENCY, amount, scope=scope),
    st.integers(1, 3).map(float),
    st.sampled_from(list(Scope)),
)
LIMITS = st.lists(QUOTAS | SLOTS, min_size=1, max_size=4, unique_by=lambda limit: (limit.label, limit.scope))

# Two accounts: the first has two keys, which share its counters.
KEYS = (Key("s1", "k1", "one"), Key("s2", "k2", "one"), Key("s3", "k3", "two"))
MODELS = ("m1", "m2")
Place = tuple[str, ...]


def drawn(data: st.DataObject, things: Sequence[T]) -> T:
    """Draw by place: a report then shows numbers instead of whole calls."""
    return things[data.draw(st.integers(0, len(things) - 1))]


def place_of(limit: Limit, candidate: Candidate) -> Place:
    """Return where *limit* is counted for a call by *candidate*, as the documentation has it."""
    key = candidate.key
    place = {
        Scope.ACCOUNT: (key.account,),
        Scope.MODEL: (key.account, candidate.model.id),
        Scope.KEY: (key.label,),
        Scope.IP: (),
    }
    return (limit.label, limit.scope.value, *place[limit.scope])


class Call(Struct, eq=False):
    """A call as the provider sees it: *delay* after it was *sent* it is there, or when the answer began.

    *sent* is by our clocks, *true_sent* by the true ones. *charged* and *real* are by unit, *real* unknown
    until the end; what it was more than charged is counted then. *ceilings* are the limits when it was sent.
    """

    candidate: Candidate
    lease: Lease
    sent: Now
    true_sent: Now
    delay: float
    charged: dict[Unit, float]
    ceilings: dict[tuple[str, str], float]
    real: dict[Unit, float] | None = None
    head: Now | None = None
    ended: Now | None = None

    def arrived(self) -> float:
        heard = self.head or self.ended
        by = math.inf if heard is None else heard.mono - self.true_sent.mono
        return self.true_sent.mono + min(self.delay, by)
