"""Callers who wait while all that could serve them goes: told as soon as that is certain, and no sooner."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from msgspec import structs

from freeroute.domain.catalogue import Limit, Precharge, Unit
from freeroute.domain.outcome import Kind, Outcome
from freeroute.domain.rates import RateFact
from freeroute.domain.usage import Usage
from freeroute.engine.attempts import Routing
from freeroute.engine.maintenance import MaintenanceSwitch
from freeroute.engine.ports import Answer, Sent
from freeroute.engine.served import Served
from freeroute.errors import ApiError, CapacityExhausted, ContextTooLong, NoProvider, NotFound
from freeroute.stores.memory import MemoryCounters
from tests.support.virtual import LoopClock, run
from tests.support.world import World, call, catalogue, model, provider, read, streamed

WINDOW = 60.0
ONE = Limit(Unit.REQUESTS, 1, WINDOW, span="minute")
SOON = 0.01
"""Seconds within which whoever waits is told."""


def world(*providers, **given) -> World:
    routing = Routing(deadline=600, max_wait_cap=600)
    return World(*providers, clock=LoopClock(), max_wait=300.0, routing=routing, **given)


def now() -> float:
    return asyncio.get_running_loop().time()


async def told(asking: Awaitable[object]) -> tuple[ApiError, float]:
    """Return the error that *asking* ends with, and when."""
    with pytest.raises(ApiError) as caught:
        await asking
    return caught.value, now()


def words(error: ApiError) -> tuple[object, ...]:
    retry = error.retry_after
    return type(error), error.status, error.code, error.message, retry and round(retry)


async def ends(place: World, change: Callable[[], Awaitable[object]], name: str = "free") -> ApiError:
    """Let three wait for *name*, then *change* something; return what all three are told at once."""
    waiting = [asyncio.create_task(told(place.ask(name))) for _ in range(3)]
    await asyncio.sleep(1)
    assert len(place.gateway.loop.room) == 3
    await change()
    at = now()
    ended = await asyncio.gather(*waiting)
    fresh, _ = await told(place.ask(name))
    for error, when in ended:
        assert words(error) == words(fresh)
        assert when - at <= SOON
    assert len(place.gateway.loop.room) == 0
    return fresh


async def spent(*providers, **given) -> World:
    """Return a world where the first minute has been asked for what it has."""
    place = world(*providers, **given)
    for one in providers:
        await place.ask(f"{one.id}/{one.models[0].id}")
    return place


def failing(ending: Outcome, *providers) -> tuple[World, "asyncio.Task[tuple[ApiError, float]]"]:
    """Return a world where the only call of this minute is under way for five seconds, and ends so."""
    place = world(*(providers or (provider("a", limits=(ONE,)),)), seconds=5.0, a=[ending])
    return place, asyncio.create_task(told(place.ask(context=place.context(max_wait=0.0))))


@pytest.mark.parametrize(
    ("ending", "says"),
    [
        (Outcome(Kind.MODEL_GONE, 404), "model is gone at the provider"),
        (Outcome(Kind.KEY_INVALID, 401), "key was refused as invalid"),
        (Outcome(Kind.NO_CREDIT, 402), "no credit or quota on this plan"),
        (Outcome(Kind.FORBIDDEN, 403), "model is forbidden for this key"),
    ],
)
def test_an_answer_that_the_last_candidate_is_gone_ends_the_wait(ending, says):
    async def scene():
        place, first = failing(ending)
        assert says in (await ends(place, lambda: first)).message
        assert place.upstream.asked == ["a/m#k1"]

    run(scene())


def test_a_refusal_that_says_that_the_day_is_spent_ends_the_wait():
    async def scene():
        place, first = failing(Outcome(Kind.RATE_LIMITED, 429, retry_after=5000.0))
        error = await ends(place, lambda: first)
        assert isinstance(error, CapacityExhausted)
        assert error.retry_after == pytest.approx(5000, abs=1)

    run(scene())


DAY = Limit(Unit.REQUESTS, 500, 86_400.0, span="day")


def test_an_answer_that_says_that_the_day_is_spent_ends_the_wait():
    async def scene():
        fact = RateFact(Unit.REQUESTS, DAY.seconds, 500, 0, reset_in=5000.0)
        answer = Answer(b"{}", Usage(10, 20), "stop")
        place = world(provider("a", limits=(ONE, DAY)), seconds=5.0)
        place.upstream.scripts["a"] = [Sent(Outcome(Kind.SERVED), answer, facts=(fact,))]
        first = asyncio.create_task(place.ask())
        error = await ends(place, lambda: first)
        assert isinstance(error, CapacityExhausted)
        assert error.retry_after == pytest.approx(5000, abs=1)

    run(scene())


def test_an_answer_that_tells_of_a_limit_below_what_is_asked_for_ends_the_wait():
    async def scene():
        tokens = Limit(Unit.TOKENS, 50_000, 86_400.0, span="day")
        fact = RateFact(Unit.TOKENS, tokens.seconds, 1_000, 900, reset_in=5000.0)
        answer = Answer(b"{}", Usage(10, 20), "stop")
        place = world(provider("a", limits=(ONE, tokens)), seconds=5.0)
        place.upstream.scripts["a"] = [Sent(Outcome(Kind.SERVED), answer, facts=(fact,))]
        first = asyncio.create_task(place.ask())
        await asyncio.sleep(0)
        large = asyncio.create_task(told(place.ask(prompt=2_000)))
        small = asyncio.create_task(place.ask(prompt=100))
        await first
        at = now()
        error, when = await large
        fresh, _ = await told(place.ask(prompt=2_000))
        assert words(error) == words(fresh)
        assert when - at <= SOON
        await small
        assert len(place.upstream.asked) == 2

    run(scene())


def test_answers_that_use_up_the_day_end_the_wait_once_they_have():
    async def scene():
        tokens = Limit(Unit.TOKENS, 1_000, 86_400.0, span="day")
        place = world(provider("a", limits=(ONE, tokens)), seconds=5.0, a=[streamed(usage=Usage(10, 985))])
        served = await place.gateway.chat(call("free", stream=True), place.context())

        async def over():
            await asyncio.sleep(9)
            assert len(place.gateway.loop.room) == 3
            await read(served)
            await served.finish()

        assert isinstance(await ends(place, over), CapacityExhausted)

    run(scene())


def test_a_provider_that_an_operator_pauses_ends_the_wait_for_it():
    async def scene():
        place = await spent(provider("a", limits=(ONE,)))

        async def pause():
            place.gateway.standing.switch({"a"})
            place.gateway.adopt(place.gateway.catalogue)  # as the application does

        error = await ends(place, pause)
        assert isinstance(error, NoProvider)
        assert "switched off by an operator" in error.message

    run(scene())


def test_maintenance_ends_no_wait():
    async def scene():
        place = await spent(provider("a", limits=(ONE,)))
        waiting = asyncio.create_task(place.ask())
        await asyncio.sleep(1)
        async with MaintenanceSwitch(place.gateway).switching(on=True, message=""):
            pass
        await waiting
        assert place.upstream.providers_asked == ["a", "a"]

    run(scene())


@pytest.mark.parametrize(
    ("after", "name", "kind"),
    [
        ((provider("a", model("n")),), "a/m", NotFound),
        ((provider("b"),), "a/m", NotFound),
        ((), "free", NoProvider),
        ((provider("a", limits=(structs.replace(ONE, amount=0),)),), "free", ApiError),
        ((provider("a", limits=(ONE, Limit(Unit.TOKENS, 5, 86_400.0))),), "free", ContextTooLong),
    ],
)
def test_a_reload_without_the_model_ends_the_wait_for_it(after, name, kind):
    async def scene():
        place = await spent(provider("a", limits=(ONE,)))

        async def reload():
            place.gateway.adopt(catalogue(*after))

        assert isinstance(await ends(place, reload, name), kind)

    run(scene())


def test_whoever_waits_for_what_a_reload_took_away_is_given_what_it_brought():
    async def scene():
        place = await spent(provider("a", limits=(ONE,)))
        waiting = asyncio.create_task(place.ask())
        await asyncio.sleep(1)
        at = now()
        place.gateway.adopt(catalogue(provider("b")))
        served = await waiting
        assert now() - at <= SOON
        assert served.headers["x-freeroute-provider"] == "b"
        assert served.headers["x-freeroute-queue-ms"] == "1000"

    run(scene())


def test_a_limit_that_nobody_knew_and_that_is_spent_ends_the_wait():
    async def scene():
        fact = RateFact(Unit.REQUESTS, DAY.seconds, 500, 0, reset_in=5000.0)
        answer = Answer(b"{}", Usage(10, 20), "stop")
        place = world(provider("a", limits=(ONE,)), seconds=5.0)
        place.upstream.scripts["a"] = [Sent(Outcome(Kind.SERVED), answer, facts=(fact,))]
        first = asyncio.create_task(place.ask())
        error = await ends(place, lambda: first)
        assert isinstance(error, CapacityExhausted)
        assert error.retry_after == pytest.approx(5000, abs=1)
        assert len(place.upstream.asked) == 1

    run(scene())


def test_those_for_whom_another_may_come_free_go_on_waiting_in_their_order():
    async def scene():
        place = await spent(provider("a", limits=(ONE,)), provider("b", limits=(ONE,)))
        came: list[str] = []

        async def ask(name, models=()):
            await place.ask(name, models=models)
            came.append(name)

        waiting = [
            asyncio.create_task(ask("free")),
            asyncio.create_task(ask("b/m")),
            asyncio.create_task(ask("a/m", models=("b/m",))),
        ]
        doomed = asyncio.create_task(told(place.ask("a/m")))
        await asyncio.sleep(1)
        place.gateway.standing.switch({"a"})
        place.gateway.adopt(place.gateway.catalogue)
        at = now()
        _, when = await doomed
        assert when - at <= SOON
        await asyncio.gather(*waiting)
        assert came == ["free", "b/m", "a/m"]
        assert place.upstream.providers_asked == ["a", "b", "b", "b", "b"]

    run(scene())


TOKENS = Limit(Unit.TOKENS, 1_000, WINDOW, span="minute")
THREE = Limit(Unit.REQUESTS, 3, 86_400.0, span="day")


async def with_the_last_of_the_day_under_way(ending) -> tuple[World, list["asyncio.Task[Served]"]]:
    """Return a world where the first of two large calls has been given the last there is, and ends so.

    The other one waits for tokens.
    """
    place = world(provider("a", limits=(TOKENS, THREE)), seconds=5.0)
    place.upstream.scripts["a"] = [streamed(usage=Usage(900, 50)), Kind.SERVED, ending]
    await place.ask(prompt=900, stream=True)
    both = [asyncio.create_task(place.ask(prompt=900)) for _ in range(2)]
    await asyncio.sleep(1)
    await place.ask(prompt=5)
    await asyncio.sleep(WINDOW - 9)
    assert len(place.upstream.asked) == 3
    place.gateway.loop.room.stir()
    await asyncio.sleep(1)
    assert not any(task.done() for task in both)
    return place, both


def test_what_a_call_under_way_has_taken_may_come_back_while_nothing_of_it_is_heard():
    async def scene():
        ending = Outcome(Kind.UNREACHABLE, counted=False)
        place, (first, second) = await with_the_last_of_the_day_under_way(ending)
        await told(first)
        await second
        assert len(place.upstream.asked) == 4

    run(scene())


def test_what_a_call_has_taken_is_gone_once_it_was_answered():
    async def scene():
        place, (first, second) = await with_the_last_of_the_day_under_way(Kind.SERVED)
        await first
        at = now()
        error, when = await told(second)
        assert isinstance(error, CapacityExhausted)
        assert (error.retry_after or 0) > 86_000
        assert when - at <= SOON
        assert len(place.upstream.asked) == 3

    run(scene())


def test_tokens_that_an_answer_under_way_was_charged_too_many_of_may_come_back():
    async def scene():
        tokens = Limit(Unit.TOKENS, 5_000, 86_400.0, span="day")
        counted = Precharge(output=True, default=2_000)
        place = world(provider("a", limits=(ONE, tokens), precharge=counted))
        served = await place.gateway.chat(call("free", stream=True, prompt=100), place.context())
        waiting = asyncio.create_task(place.ask(prompt=2_500, max_output=100))
        await asyncio.sleep(1)
        place.gateway.adopt(
            catalogue(provider("a", limits=(ONE, structs.replace(tokens, amount=3_000)), precharge=counted))
        )
        await asyncio.sleep(1)
        assert not waiting.done()
        await read(served)
        await served.finish()
        await waiting
        assert now() == pytest.approx(1_000 + WINDOW, abs=1)

    run(scene())


class Counting(MemoryCounters):
    """Counters that count how often they are looked at."""

    looks = 0

    def fits_at(self, charges, now):
        self.looks += 1
        return super().fits_at(charges, now)


def test_a_call_that_ends_has_nobody_looked_at_whose_hope_stands():
    async def scene():
        place = World(
            provider("a", limits=(structs.replace(ONE, amount=150),)),
            provider("b"),
            clock=LoopClock(),
            max_wait=300.0,
            routing=Routing(deadline=600, max_wait_cap=600),
            counters=Counting(),
        )
        for _ in range(150):
            await place.ask("a/m")
        waiting = [asyncio.create_task(place.ask("a/m", prompt=10 + i % 7)) for i in range(300)]
        await asyncio.sleep(1.5)
        await place.ask("b/m")  # whose key is proven by that: all look again
        await asyncio.sleep(0.1)
        before = place.counters.looks
        await place.ask("b/m")
        await asyncio.sleep(0.1)
        assert place.counters.looks - before < 20
        place.gateway.adopt(catalogue(provider("b")))
        at = now()
        for end in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(end, NotFound)
        assert now() - at <= SOON

    run(scene())
