"""Background probes: take the trial of a resting candidate before a caller needs it."""

import asyncio
from collections.abc import Iterable

import structlog
from msgspec import Raw

from freeroute.clock import Now
from freeroute.domain.breaker import State
from freeroute.domain.catalogue import Candidate, Unit
from freeroute.domain.leases import AS_CHARGED, Reading, charges_of
from freeroute.domain.selection import choice_of
from freeroute.domain.usage import Demand
from freeroute.engine.course import Course
from freeroute.engine.gateway import Gateway
from freeroute.engine.leasing import Won
from freeroute.wire.chat import CallContext, ChatCall

PROBE_TOKENS = 16
# Seconds until the setting is looked at again while probes are off.
SWITCHED_OFF = 30.0
# A day quota under this is too dear to spend on probes.
SPARE_DAY_QUOTA = 100
# Nor is the last tenth of any quota: callers may want it before it is back.
SPARE_SHARE = 0.1
# A provider that hangs must not keep probes from the others; few enough that callers do not notice.
AT_ONCE = 4
DAY = 86400.0


class Probes:
    """Looks every ``routing.probes`` seconds for candidates whose trial is due, and makes it."""

    def __init__(self, gateway: Gateway) -> None:
        """Probe the candidates of *gateway*."""
        self._gateway = gateway
        self._log = structlog.get_logger("freeroute.probes")

    async def run(self) -> None:
        """Probe until cancelled; a pause of 0 means not at all, until a reload says otherwise."""
        while True:
            pause = self._gateway.loop.routing.probes
            await asyncio.sleep(pause or SWITCHED_OFF)
            await self.sweep()

    async def sweep(self) -> None:
        """Probe every candidate that is due, a few at once."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(candidate: Candidate) -> None:
            async with gate:
                try:
                    if self._is_due(candidate):  # a caller may have been quicker
                        await self.probe(candidate)
                except Exception:
                    # A probe is a courtesy: its failure must not end the probing of others.
                    self._log.exception("probe failed", candidate=candidate.id)

        async with asyncio.TaskGroup() as probes:
            for candidate in self.due():
                probes.create_task(one(candidate))

    def due(self) -> list[Candidate]:
        """Return the candidates to probe now: half-open, nothing held against them, quota to spare.

        Of a provider that rests as a whole only the first is due: its trial speaks for all.
        """
        if not self._gateway.loop.routing.probes:
            return []
        now = self._gateway.clock.now()
        found: list[Candidate] = []
        whole: set[str] = set()
        for candidate in self._gateway.catalogue.candidates:
            provider = candidate.provider.id
            if provider in whole or not self._is_due(candidate):
                continue
            found.append(candidate)
            if self._gateway.standing.provider_breaker(provider).state(now) is State.HALF_OPEN:
                whole.add(provider)
        return found

    def _is_due(self, candidate: Candidate) -> bool:
        standing, now = self._gateway.standing, self._gateway.clock.now()
        states = (
            standing.breaker(candidate).state(now),
            standing.provider_breaker(candidate.provider.id).state(now),
        )
        return (
            State.HALF_OPEN in states
            and candidate.model.talks
            and self._is_affordable(candidate, now)
            and standing.obstacle(candidate, charges_of(candidate, _demand()), now) is None
        )

    def _is_affordable(self, candidate: Candidate, now: Now) -> bool:
        counters, pools = self._gateway.counters, candidate.pools
        return affordable(candidate, counters.readings(pools, now)) and (
            counters.left(pools, now) >= SPARE_SHARE
        )

    async def probe(self, candidate: Candidate) -> bool:
        """Make the trial of *candidate*; say whether it passed."""
        gateway = self._gateway
        context = CallContext(request_id="probe", received=gateway.clock.now(), surface="probe")
        leased = await gateway.loop.leasing.take(choice_of(candidate, _demand()), gateway.clock.now())
        if leased is None:
            return False
        course = Course(context=context, asked=candidate.name)
        won = await gateway.loop.attempt(_call(), leased, course, probe=True)
        if not isinstance(won, Won):
            return False
        now = gateway.clock.now()
        gateway.standing.succeeded(candidate, leased.trial, now)
        await gateway.counters.settle(leased.lease, AS_CHARGED, now)
        gateway.loop.room.stir()
        return True


def affordable(candidate: Candidate, readings: Iterable[Reading]) -> bool:
    """Say whether a probe of *candidate* takes nothing a caller would miss; limits are those in force."""
    if not candidate.provider.probes or candidate.provider.failed_calls_count:
        return False
    return not any(
        reading.pool.limit.unit is Unit.REQUESTS
        and reading.pool.limit.seconds >= DAY
        and reading.limit / (reading.pool.limit.seconds / DAY) < SPARE_DAY_QUOTA
        for reading in readings
    )


def _demand() -> Demand:
    return Demand(prompt=8, max_output=PROBE_TOKENS)


def _call() -> ChatCall:
    fields = {
        "messages": Raw(b'[{"role":"user","content":"Say ok."}]'),
        "max_tokens": Raw(str(PROBE_TOKENS).encode()),
    }
    return ChatCall(fields=fields, model="probe", demand=_demand())
