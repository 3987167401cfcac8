"""Providers that judge for themselves what they grant: sliding windows over arrivals, network delay included.

It shares nothing with the counters it judges: a list of arrivals, and a limit that is never told, or wrongly.
"""

import asyncio
import random
from collections.abc import Callable, Mapping

import msgspec

from freeroute.domain.outcome import Kind, Outcome
from freeroute.domain.rates import RateFact
from freeroute.domain.usage import Usage
from freeroute.engine.ports import Answer, Sent
from freeroute.errors import CapacityExhausted
from tests.support.virtual import LoopClock
from tests.support.world import World

WINDOW = 60.0


class Line(msgspec.Struct):
    """How a provider is reached: one-way delays between two bounds, and how long it takes to answer."""

    least: float = 0.05
    most: float = 0.3
    answering: float = 0.4


class Grants(msgspec.Struct):
    """What one provider grants in any minute, and what it did; arrivals and refusals by their time."""

    limit: int
    accepted: list[float] = []
    refused: list[float] = []

    def judge(self, at: float) -> bool:
        """Take a call that arrives now, or refuse it."""
        granted = sum(at - WINDOW < other for other in self.accepted) < self.limit
        (self.accepted if granted else self.refused).append(at)
        return granted

    def retry_after(self, at: float) -> float:
        """Return the seconds until it grants one more."""
        return sorted(self.accepted)[-self.limit] + WINDOW - at


class Judges:
    """The upstream of a world: each provider grants what *limits* say, and tells nothing but its refusals.

    What its answers claim of limits beside that is up to *claims*, given how many calls it granted lately;
    refusals do so unless *claims_refusing* is False.
    """

    def __init__(
        self,
        limits: Mapping[str, int],
        line: Line | None = None,
        *,
        hints: bool = False,
        seed: int = 1,
        claims: Callable[[str, int], tuple[RateFact, ...]] = lambda name, granted: (),
        claims_refusing: bool = True,
    ) -> None:
        self.grants = {name: Grants(limit) for name, limit in limits.items()}
        self.line = line or Line()
        self._hints = hints
        self._claims = claims
        self._claims_refusing = claims_refusing
        self._random = random.Random(seed)
        self._clock = LoopClock()

    async def send(self, call, candidate, terms) -> Sent:
        grants = self.grants[candidate.provider.id]
        await self._travel()
        at = self._clock.now().mono
        granted = grants.judge(at)
        facts = self._claims(candidate.provider.id, sum(at - WINDOW < other for other in grants.accepted))
        if not granted:
            wait = grants.retry_after(at) if self._hints else None
            await self._travel()
            return Sent(
                Outcome(Kind.RATE_LIMITED, 429, retry_after=wait),
                facts=facts if self._claims_refusing else (),
            )
        await asyncio.sleep(self.line.answering)
        await self._travel()
        answer = Answer(b'{"choices":[]}', Usage(10, 20), "stop")
        return Sent(Outcome(Kind.SERVED), answer=answer, head_at=self._clock.now(), facts=facts)

    async def _travel(self) -> None:
        await asyncio.sleep(self._random.uniform(self.line.least, self.line.most))

    @property
    def refused(self) -> dict[str, int]:
        """How many calls each provider refused."""
        return {name: len(grants.refused) for name, grants in self.grants.items()}

    def delivered(self, name: str, since: float, until: float) -> float:
        """Return which share of what the provider would have granted was used between two times."""
        used = sum(since <= at < until for at in self.grants[name].accepted)
        return used / (self.grants[name].limit * (until - since) / WINDOW)


async def steady(world: World, every: float, seconds: float, *, patience: float = 60.0) -> int:
    """Ask once *every* so many seconds, for *seconds*; return how many were turned away."""
    turned_away = 0

    async def ask() -> None:
        nonlocal turned_away
        try:
            await world.ask(context=world.context(max_wait=patience))
        except CapacityExhausted:
            turned_away += 1

    async with asyncio.TaskGroup() as callers:
        for _ in range(int(seconds / every)):
            callers.create_task(ask())
            await asyncio.sleep(every)
    return turned_away
