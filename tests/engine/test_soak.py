"""A soak: many thousand requests in virtual time, with all that goes wrong on the way. Nothing stays behind.

`make soak` runs 200,000; SOAK_REQUESTS gives another number.
"""

import asyncio
import gc
import os
import random
import sys
from collections import Counter

from freeroute.clock import Now
from freeroute.domain.breaker import State
from freeroute.domain.catalogue import Limit, Provider, Scope, Unit, WindowKind
from freeroute.domain.clients import Client
from freeroute.domain.outcome import Kind, Outcome
from freeroute.domain.rates import RateFact
from freeroute.domain.receipt import Receipt
from freeroute.domain.usage import Usage
from freeroute.engine.attempts import Routing
from freeroute.engine.gateway import Gateway
from freeroute.engine.ports import Answer, Sent
from freeroute.errors import ApiError
from freeroute.stores.memory import MemoryCounters
from freeroute.wire.chat import CallContext
from tests.support.virtual import LoopClock, run
from tests.support.world import ScriptedStream, call, catalogue, model, provider

REQUESTS = int(os.environ.get("SOAK_REQUESTS", "5000"))
CALLERS = 150
DAY = 86_400.0
# Blocks of memory that may come to be in use between half-time and the end: the interpreter's own caches.
SLACK = 3_000

FAULTS = (
    [Outcome(Kind.RATE_LIMITED, 429, retry_after=3)] * 3
    + [Outcome(Kind.RATE_LIMITED, 429)]
    + [Outcome(Kind.NO_CAPACITY, 503), Outcome(Kind.LOADING, 503)]
    + [Outcome(kind) for kind in (Kind.FAULT, Kind.EMPTY, Kind.GARBAGE, Kind.MISGENERATED, Kind.REJECTED)]
    + [Outcome(kind) for kind in (Kind.UNREACHABLE, Kind.DISCONNECTED, Kind.TIMED_OUT, Kind.STALE)]
)
CUT = (Kind.STALLED, Kind.TRUNCATED, Kind.DISCONNECTED)


class SlowStream(ScriptedStream):
    """A stream that keeps whoever reads it waiting."""

    async def next(self):
        await asyncio.sleep(0.05)
        return await super().next()


class Moody:
    """An upstream whose every answer is a matter of luck, and that knows how many it is answering."""

    def __init__(self, luck: random.Random) -> None:
        self._luck = luck
        self.in_flight = 0

    async def send(self, call, candidate, terms) -> Sent:
        self.in_flight += 1
        try:
            await asyncio.sleep(self._luck.expovariate(1 / 0.4))
        finally:
            self.in_flight -= 1
        if self._luck.random() < 0.06:
            return Sent(self._luck.choice(FAULTS), facts=self._facts())
        usage = Usage(call.demand.prompt, self._luck.randrange(1, 400))
        if not call.stream:
            return Sent(Outcome(Kind.SERVED), Answer(b"{}", usage, "stop"), facts=self._facts())
        ending = self._luck.choice(CUT) if self._luck.random() < 0.02 else Kind.SERVED
        return Sent(Outcome(Kind.SERVED), stream=SlowStream([[b"1"], [b"2"]], Outcome(ending), usage))

    def _facts(self) -> tuple[RateFact, ...]:
        if self._luck.random() < 0.8:
            return ()
        return (RateFact(Unit.REQUESTS, 60.0, None, self._luck.randrange(100, 900)),)


class Tally:
    """An observer that remembers how requests ended, and nothing else."""

    def __init__(self) -> None:
        self.codes: Counter[str] = Counter()
        self.queued = 0

    def saw(self, receipt: Receipt) -> None:
        self.codes["left" if receipt.like.caller_left else receipt.like.code or "served"] += 1
        self.queued += receipt.queued > 0


def per(amount: float, seconds: float = 60.0, unit: Unit = Unit.REQUESTS, **given) -> Limit:
    return Limit(unit, amount, seconds, **given)


def providers() -> list[Provider]:
    models = (model("small"), model("large", quality=85))
    bucket = per(40_000, 60.0, Unit.TOKENS, window=WindowKind.BUCKET, scope=Scope.MODEL)
    day = per(400_000, DAY, window=WindowKind.CALENDAR, span="day", tz="America/Los_Angeles")
    return [
        provider("sliding", *models, limits=(per(900), day)),
        provider("bucket", *models, limits=(per(900, window=WindowKind.BUCKET), bucket)),
        provider(
            "slots", *models, keys=("k1", "k2"), limits=(per(5, 0.0, Unit.CONCURRENCY, scope=Scope.KEY),)
        ),
        provider("tokens", *models, limits=(per(60_000, unit=Unit.TOKENS), per(6, 0.0, Unit.CONCURRENCY))),
    ]


CLIENTS = (
    None,
    Client("heavy", b"h", limits=(per(40, 0.0, Unit.CONCURRENCY),), weight=3.0),
    Client("light", b"l", limits=(per(1_500), per(9_000_000, DAY, Unit.TOKENS, window=WindowKind.BUCKET))),
)


class Soak:
    """The gateway, its callers, and what they leave behind."""

    def __init__(self) -> None:
        self.luck = random.Random(5)
        self.clock = LoopClock()
        self.upstream = Moody(self.luck)
        self.tally = Tally()
        self.counters = MemoryCounters()
        self.gateway = Gateway(
            catalogue=catalogue(*providers()),
            counters=self.counters,
            upstreams={"openai": self.upstream},
            clock=self.clock,
            observers=[self.tally],
            routing=Routing(max_wait=10.0, waiting_room=30),
            rng=random.Random(7),
        )

    async def callers(self, requests: int) -> None:
        """Make *requests*, and see them all end."""
        each = [requests // CALLERS + (place < requests % CALLERS) for place in range(CALLERS)]
        async with asyncio.TaskGroup() as group:
            for count in each:
                group.create_task(self.caller(count))

    async def caller(self, requests: int) -> None:
        client = self.luck.choice(CLIENTS)
        for _ in range(requests):
            await asyncio.sleep(self.luck.expovariate(1 / 6))
            patience = self.luck.expovariate(1 / 0.8) if self.luck.random() < 0.1 else None
            try:
                async with asyncio.timeout(patience):
                    await self.ask(client)
            except (ApiError, TimeoutError):
                pass

    async def ask(self, client: Client | None) -> None:
        luck = self.luck
        context = CallContext(
            request_id="soak",
            received=self.clock.now(),
            client=client,
            queue=luck.choice("abc"),
            max_wait=luck.choice([None, 0.0, 5.0, 60.0]),
            dice=luck.random(),
        )
        name = luck.choice(["free", "free-fast", "free-smart", "small"])
        asked = call(name, prompt=luck.choice([20, 200, 3_000]), stream=luck.random() < 0.5)
        serving = await self.gateway.chat(asked, context)
        left = True
        try:
            while await serving.next():
                pass
            left = False
        finally:
            await serving.finish(caller_left=left)

    def nothing_stays_behind(self) -> None:
        now: Now = self.clock.now()
        assert self.counters.in_flight() == 0
        assert self.gateway.in_flight == 0
        assert self.upstream.in_flight == 0
        assert len(self.gateway.loop.room) == 0
        for candidate in self.gateway.catalogue.candidates:
            for reading in self.counters.readings(candidate.pools, now):
                assert reading.used == 0 or reading.pool.limit.unit is not Unit.CONCURRENCY
            assert self.gateway.standing.breaker(candidate).state(now) is not State.OPEN
            assert self.gateway.standing.breaker(candidate).permits(now)
            assert self.gateway.standing.provider_breaker(candidate.provider.id).permits(now)

    async def at_rest(self) -> int:
        """Return how many blocks of memory are in use once every window and rest is over."""
        await asyncio.sleep(1_000)
        self.nothing_stays_behind()
        gc.collect()
        return sys.getallocatedblocks()


def test_after_many_thousand_requests_nothing_stays_behind_and_memory_is_what_it_was():
    async def scene():
        soak = Soak()
        await soak.callers(REQUESTS // 2)
        half = await soak.at_rest()
        await soak.callers(REQUESTS - REQUESTS // 2)
        whole = await soak.at_rest()
        sys.stdout.write(
            f"{REQUESTS} requests: {dict(soak.tally.codes)}, {soak.tally.queued} of them waited; "
            f"blocks of memory in use: {half} at half-time, {whole} at the end\n"
        )
        assert soak.tally.codes.total() == REQUESTS
        assert soak.tally.codes["served"] > 0.5 * REQUESTS
        assert min(soak.tally.queued, soak.tally.codes["left"]) > 0.01 * REQUESTS
        assert whole - half < SLACK

    run(scene())
