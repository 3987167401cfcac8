"""Packing: large calls and small ones that wait for the same tokens, and what a full room costs others."""

import asyncio
import contextlib
import random

import pytest

from freeroute.domain.catalogue import Limit, Precharge, Unit
from freeroute.domain.outcome import Kind, Outcome
from freeroute.domain.usage import Usage
from freeroute.engine.attempts import Routing
from freeroute.engine.ports import Answer, Sent
from freeroute.errors import CapacityExhausted
from tests.support.virtual import LoopClock, run
from tests.support.world import World, model, provider

WINDOW = 60.0
GUARD = 0.5


class Counting(World):
    """A world whose answers take exactly what was estimated, with notes of (provider, prompt, when)."""

    def __init__(self, *places, max_wait=100.0) -> None:
        routing = Routing(deadline=600, max_wait_cap=600)
        super().__init__(*places, clock=LoopClock(), max_wait=max_wait, routing=routing)
        self.sent: list[tuple[str, int, float]] = []
        self.upstream.send = self._send  # type: ignore[method-assign]

    async def _send(self, call, candidate, terms):
        self.sent.append((candidate.provider.id, call.demand.prompt, now()))
        await asyncio.sleep(0.2)
        answer = Answer(b"{}", Usage(call.demand.prompt, 0), "stop")
        return Sent(Outcome(Kind.SERVED), answer=answer, head_at=self.clock.now())


def now() -> float:
    return asyncio.get_running_loop().time()


async def timed(gateway: World, **given) -> float:
    """Ask once; return how long it took."""
    began = now()
    await gateway.ask(context=gateway.context(**given))
    return now() - began


def tokens(amount: int) -> Limit:
    return Limit(Unit.TOKENS, amount, WINDOW, span="minute")


def test_small_calls_do_not_nibble_away_what_a_large_one_waits_for():
    async def scene():
        pool = Counting(provider("a", limits=(tokens(6000),)), max_wait=70)

        async def small_ones():
            while True:
                crowd.append(asyncio.create_task(pool.ask(prompt=200, context=pool.context(queue="crowd"))))
                await asyncio.sleep(1.5)

        crowd: list[asyncio.Task[object]] = []
        stream = asyncio.create_task(small_ones())
        await asyncio.sleep(100)
        began = now()
        await pool.ask(prompt=3000, context=pool.context(queue="large"))
        assert now() - began <= WINDOW + 2 * GUARD
        stream.cancel()
        ended = await asyncio.gather(*crowd, return_exceptions=True)
        assert sum(isinstance(end, CapacityExhausted) for end in ended) < len(ended) / 3
        assert not pool.gateway.standing.promises.by_pool
        assert len(pool.gateway.loop.room) == 0

    run(scene())


def test_whoever_fits_elsewhere_is_not_kept_by_a_large_one():
    async def scene():
        pools = Counting(provider("roomy", limits=(tokens(6000),)), provider("tight", limits=(tokens(2000),)))
        for _ in range(2):
            await pools.ask("roomy/m", prompt=2500)
        large = asyncio.create_task(pools.ask(prompt=3000))
        await asyncio.sleep(1)
        began = now()
        await asyncio.gather(*(pools.ask(prompt=200) for _ in range(10)))
        assert now() - began < 1
        await large

    run(scene())


def test_what_a_large_one_does_not_need_is_given_at_once():
    async def scene():
        pool = Counting(provider("a", limits=(tokens(6000),)))
        await pool.ask(prompt=4000)
        large = asyncio.create_task(pool.ask(prompt=3000))
        await asyncio.sleep(1)
        began = now()
        await pool.ask(prompt=2000)
        assert now() - began < 1
        await large

    run(scene())


def test_a_large_one_that_leaves_frees_what_was_kept_for_it():
    async def scene():
        pool = Counting(provider("a", limits=(tokens(6000),)))
        await pool.ask(prompt=3000)
        await asyncio.sleep(10)
        await pool.ask(prompt=2500)
        large = asyncio.create_task(pool.ask(prompt=6000))
        await asyncio.sleep(1)
        small = asyncio.create_task(timed(pool))
        await asyncio.sleep(1)
        assert not small.done()
        large.cancel()
        assert await small == pytest.approx(1.2, abs=0.01)
        assert not pool.gateway.standing.promises.by_pool

    run(scene())


def test_a_bound_of_ours_does_not_hide_a_smaller_one_behind_it():
    async def scene():
        counts = Precharge(output=True, default=2000)
        pool = Counting(provider("a", limits=(tokens(4000),), precharge=counts))
        sent = asyncio.create_task(pool.ask(prompt=1000, max_output=1000))
        await asyncio.sleep(0.1)
        waiting = asyncio.create_task(pool.ask(prompt=100))
        await asyncio.sleep(0)
        await pool.ask(prompt=100, max_output=100)
        await asyncio.gather(sent, waiting)

    run(scene())


def test_mixed_sizes_under_too_much_load_leave_nothing_over_and_nobody_out():
    async def scene():
        dice = random.Random(5)
        limits = {"roomy": 6000, "b": 2000, "c": 2000, "d": 1000}
        places = [provider(name, limits=(tokens(amount),)) for name, amount in limits.items()]
        pools = Counting(*places, max_wait=60)
        served: list[int] = []

        async def caller(prompt):
            with contextlib.suppress(CapacityExhausted):
                await pools.ask(prompt=prompt)
                served.append(prompt)

        began, callers = now(), []
        while now() < began + 600:
            callers.append(asyncio.create_task(caller(3000 if dice.random() < 0.05 else 200)))
            await asyncio.sleep(dice.expovariate(70 / 60))
        ended = now()
        await asyncio.gather(*callers)
        for name, amount in limits.items():
            taken = [(at, prompt) for where, prompt, at in pools.sent if where == name]
            assert sum(prompt for at, prompt in taken if at < ended) >= 0.97 * amount * 10
            for start, _ in taken:
                assert sum(prompt for at, prompt in taken if start <= at < start + WINDOW) <= amount
        assert served.count(3000) >= 8
        assert not pools.gateway.standing.promises.by_pool
        assert pools.counters.in_flight() == 0

    run(scene())


def test_a_long_pass_lets_others_go_on():
    async def scene():
        places = [provider(f"p{n}", *(model(f"m{m}") for m in range(20))) for n in range(10)]
        busy = Counting(*places)
        for place in places:  # a new key takes one call at a time
            await busy.ask(f"{place.id}/m0")
        for place in places:
            busy.gateway.standing.hold(("provider", place.id), now() + 30, "429", quota=True)
        crowd = [asyncio.create_task(timed(busy)) for _ in range(300)]
        await asyncio.sleep(1)
        for place in places:
            busy.gateway.standing.reset(place.id)
        busy.gateway.loop.room.stir()
        began, turns = now(), 0
        while len(busy.gateway.loop.room):
            await asyncio.sleep(0)
            turns += 1
        assert now() == began
        assert turns > 100
        await asyncio.gather(*crowd)

    run(scene())


def test_whoever_runs_a_pass_and_leaves_costs_nobody_a_turn():
    async def scene():
        places = [provider(f"p{n}", *(model(f"m{m}") for m in range(20))) for n in range(10)]
        busy = Counting(*places)
        for place in places:  # a new key takes one call at a time
            await busy.ask(f"{place.id}/m0")
        for place in places:
            busy.gateway.standing.hold(("provider", place.id), now() + 30, "429", quota=True)
        crowd = [asyncio.create_task(timed(busy)) for _ in range(50)]
        await asyncio.sleep(1)
        busy.gateway.standing.reset("p0")
        busy.gateway.loop.room.stir()
        runner = asyncio.create_task(busy.gateway.loop.room.serve())
        await asyncio.sleep(0)
        runner.cancel()
        assert max(await asyncio.gather(*crowd)) == pytest.approx(1.2, abs=0.01)

    run(scene())
