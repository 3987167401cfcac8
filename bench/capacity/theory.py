"""How much could be delivered at most, from limits and arrivals alone: no network, no scheduler."""

import math
from collections import deque
from collections.abc import Sequence

from msgspec import Struct

from bench.capacity.callers import WAIT
from bench.capacity.providers import Pool
from bench.capacity.quotas import MINUTE


class Offered(Struct, frozen=True):
    """A call that came *at* (any clock in seconds), with all its tokens."""

    at: float
    tokens: int


def deliverable_calls(pools: Sequence[Pool], offered: Sequence[Offered], since: float = -math.inf) -> int:
    """Return how many of the calls that came *since* then can be served in time.

    First come, first served, each by the slot that is free first: for calls that all take one, nothing
    serves more.
    """
    slots = [_Slots(pool) for pool in pools if pool.accounts]
    served = 0
    for call in offered:
        usable = [one for one in slots if one.day > 0]
        if not usable:
            break
        # What comes back every minute goes before what a day has only so much of.
        starts, _, first = min(
            ((max(call.at, one.free_at[0]), one.day < math.inf, one) for one in usable),
            key=lambda found: found[:2],
        )
        if starts - call.at <= WAIT:
            first.take(starts)
            served += call.at >= since
    return served


class _Slots:
    """The slots of a provider's minute, in the order in which they are free, and what its *day* has left."""

    def __init__(self, pool: Pool) -> None:
        minute = _amount(pool, "requests", "minute") * pool.accounts
        self.free_at = deque([-math.inf] * minute)
        self.day = (_amount(pool, "requests", "day") or math.inf) * pool.accounts

    def take(self, at: float) -> None:
        self.free_at.popleft()
        self.free_at.append(at + MINUTE)
        self.day -= 1


def deliverable_tokens(pools: Sequence[Pool], offered: Sequence[Offered]) -> int:
    """Return how many tokens can be served in time of calls that fit somewhere, could they be cut at will."""
    largest = max(_amount(pool, "tokens", "minute") for pool in pools)
    asked = [call for call in offered if call.tokens <= largest]
    if not asked:
        return 0
    windows = math.floor((asked[-1].at - asked[0].at + WAIT) / MINUTE) + 1
    capacity = sum(_amount(pool, "tokens", "minute") * pool.accounts for pool in pools) * windows
    return min(capacity, sum(call.tokens for call in asked))


def _amount(pool: Pool, unit: str, per: str) -> int:
    return min((limit.amount for limit in pool.limits if (limit.unit, limit.per) == (unit, per)), default=0)
