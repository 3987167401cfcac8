"""A call under way: what it was begun with, and what its end tells something of."""

from msgspec import Struct

from freeroute.domain.breaker import Breaker, ProviderBreaker
from freeroute.domain.speed import Awaited, Speed


class Measures(Struct, frozen=True):
    """What is measured of a candidate and of its *provider*, found once for a call."""

    own: Breaker
    provider: ProviderBreaker
    speed: Speed
    awaited: Awaited


class Trial(Struct, frozen=True):
    """The generations of both breakers a call was begun in; in half-open they are the one trial.

    *call* is its number among all calls. Of calls on a new key, or after a hold, others wait for the *first*.
    *known* is what it is measured with: of a candidate that is gone by its end nobody else asks for that.
    """

    own: int
    provider: int
    call: int
    first: bool
    known: Measures
