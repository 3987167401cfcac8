"""A client's own limits: charged before a candidate is looked for, settled when the answer is over."""

import asyncio
import math
from collections.abc import Awaitable

from msgspec import Struct

from freeroute.clock import Clock, Now
from freeroute.domain.catalogue import Pool, Unit, sized
from freeroute.domain.clients import Client
from freeroute.domain.leases import AS_CHARGED, Charges, Denied, Lease
from freeroute.domain.usage import Demand, Usage
from freeroute.engine.course import Course
from freeroute.engine.headers import ClientLimits
from freeroute.engine.ports import Counters
from freeroute.engine.served import DONE
from freeroute.errors import ApiError, ContextTooLong, RateLimited

MOST_KEPT = 10_000
"""Clients whose allowances are kept: some MB. Own design: more than most gateways have."""

_TOKENS = Unit.TOKENS  # beside requests and calls under way all that a client's limits count


class Allowance(Struct, frozen=True):
    """What its limits mean for each request of *client*: *pools*, as `Candidate` has them, *sized* or not.

    Its answers tell of those in *told*, with the lines of *limits*.
    """

    client: Client
    pools: tuple[Pool, ...]
    sized: tuple[int, ...]
    told: tuple[Pool, ...]
    limits: ClientLimits

    @classmethod
    def of(cls, client: Client) -> "Allowance":
        """Return that of *client*."""
        return cls(
            client, client.pools, sized(client.pools), client.told_pools, ClientLimits(client.told_pools)
        )

    def charges(self, demand: Demand) -> Charges:
        """Return what a request takes beforehand: what its answer takes is charged when that is known."""
        amounts = [1.0] * len(self.pools)
        for at in self.sized:
            amounts[at] = float(demand.prompt)
        return Charges(self.pools, amounts)


class Admission:
    """Lets the requests of clients in, by the same counters that candidates have.

    *room* is how many requests may wait for limits of their own clients at once, *waiting* how many do.
    """

    def __init__(self, counters: Counters, clock: Clock, room: int) -> None:
        """Charge to *counters*."""
        self.room = room
        self._counters = counters
        self._clock = clock
        self._known: dict[str, Allowance] = {}
        self.waiting = 0

    def admit(self, demand: Demand, course: Course, now: Now) -> Awaitable[Lease | None]:
        """Charge *demand* to the client of *course* at *now*; nothing if it has no limits.

        A spent limit is waited for only where the caller asked for that, and then no longer than it may wait
        at all: the time is its own, and nobody else waits behind it. Raises RateLimited and ContextTooLong.
        What is a lease already need not be awaited.
        """
        client = course.context.client
        if client is None or not client.limits:
            return DONE
        charges = self._allowance(client).charges(demand)
        lease = self._counters.acquire(charges, now)
        return lease if isinstance(lease, Lease) else self._waited(client, lease, charges, course, now)

    async def _waited(
        self,
        client: Client,
        answer: Awaitable[Lease | Denied],
        charges: Charges,
        course: Course,
        now: Now,
    ) -> Lease:
        """Return the lease *client* is granted for *charges* in the end, if not by the first *answer*."""
        patience = -math.inf if course.context.max_wait is None else course.until
        began = now
        while not isinstance(lease := await answer, Lease):
            if lease.until > patience or self.waiting >= self.room:
                raise _over_limit(client, lease, now)
            await self._pause(lease.until - now.mono)
            now = self._clock.now()
            course.waited(began, now)
            began = now
            answer = self._counters.acquire(charges, now)
        return lease

    def settle(self, lease: Lease, usage: Usage | None, now: Now) -> Awaitable[None]:
        """End the *lease* of an answer that took *usage*; None leaves it as it was charged."""
        actual = AS_CHARGED if usage is None else {_TOKENS: float(usage.prompt + usage.completion)}
        return self._counters.settle(lease, actual, now)

    async def release(self, lease: Lease | None, taken: Usage | None = None) -> None:
        """End the *lease* of a request that nobody served: it counts, and of tokens only what was *taken*."""
        if lease is not None:
            await self.settle(lease, taken or Usage(), self._clock.now())

    def told(self, client: Client | None, now: Now) -> bytes:
        """Return the lines of OpenAI's rate headers for *client* at *now*; none if it has no limits."""
        if client is None or not client.limits:
            return b""
        allowance = self._allowance(client)
        limits, standing = self._counters.remaining(allowance.told, now)
        return allowance.limits.told(limits, standing)

    def _allowance(self, client: Client) -> Allowance:
        known = self._known.get(client.name)
        if known is None or known.client is not client:
            if len(self._known) >= MOST_KEPT:
                self._known.clear()
            known = self._known[client.name] = Allowance.of(client)
        return known

    async def _pause(self, seconds: float) -> None:
        self.waiting += 1
        try:
            await asyncio.sleep(max(seconds, 0.0))
        finally:
            self.waiting -= 1


def _over_limit(client: Client, denied: Denied, now: Now) -> ApiError:
    limit = denied.pool.limit
    wait = denied.until - now.mono
    if wait == math.inf:
        told = f"client {client.name}: larger than its whole limit of {limit.amount:g} {limit.label}"
        return ContextTooLong(told, param="messages")
    told = f"client {client.name}: limit of {limit.amount:g} {limit.label} reached"
    return RateLimited(told, retry_after=wait, metadata={"limit": limit.label, "amount": limit.amount})
