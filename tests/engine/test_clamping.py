"""Output bounds that do not fit beside the prompt: who is asked for less, for how much, and who is told."""

import asyncio

import pytest

from freeroute.domain.catalogue import Limit, Precharge, Unit, WindowKind
from freeroute.domain.outcome import Kind, Outcome
from freeroute.domain.usage import Usage
from freeroute.engine.attempts import Routing
from freeroute.engine.ports import Answer, Sent
from freeroute.errors import CapacityExhausted, ContextTooLong
from tests.support.virtual import LoopClock, run
from tests.support.world import World, model, provider

COUNTS_OUTPUT = Precharge(output=True, default=2048)
TOO_LARGE = Outcome(Kind.TOO_LARGE, 413, request_error="more than a minute's tokens")


def minute(amount: float, **given) -> Limit:
    return Limit(Unit.TOKENS, amount, 60.0, span="minute", **given)


def counting(name: str, amount: float = 8000, *more: Limit, **given):
    """Return a provider that counts output in advance, with *amount* tokens a minute."""
    return provider(
        name, model(context=200_000), limits=(minute(amount), *more), precharge=COUNTS_OUTPUT, **given
    )


def bucket(name: str):
    limit = minute(8000, window=WindowKind.BUCKET)
    return provider(name, model(context=200_000), limits=(limit,), precharge=COUNTS_OUTPUT)


def world(*providers, max_wait=20.0, **given) -> World:
    return World(*providers, clock=LoopClock(), max_wait=max_wait, routing=Routing(deadline=600), **given)


def bounds(place: World) -> list[int | None]:
    return [terms.max_output for terms in place.upstream.terms]


def test_a_bound_that_fits_no_quota_is_cut_to_what_fits_and_the_trail_says_so():
    async def scene():
        groq = world(counting("groq"))
        served = await groq.ask(prompt=500, max_output=32_000)
        assert bounds(groq) == [7500]
        assert served.headers["x-freeroute-trail"] == "groq/m=clamped:7500"

    run(scene())


def test_a_limit_of_output_alone_leaves_the_prompt_out():
    async def scene():
        limits = (Limit(Unit.OUTPUT_TOKENS, 900, 60.0), Limit(Unit.REQUESTS, 30, 60.0))
        groq = world(provider("groq", limits=limits, precharge=COUNTS_OUTPUT))
        await groq.ask(prompt=500, max_output=32_000)
        assert bounds(groq) == [900]

    run(scene())


def test_whoever_takes_all_of_it_comes_first_even_if_it_has_to_be_waited_for():
    async def scene():
        both = world(counting("groq"), provider("plain", limits=(Limit(Unit.REQUESTS, 1, 10.0),)))
        for _ in range(2):
            served = await both.ask(prompt=500, max_output=32_000)
            assert "x-freeroute-trail" not in served.headers
        assert both.upstream.providers_asked == ["plain", "plain"]
        assert bounds(both) == [32_000, 32_000]

    run(scene())


def test_without_time_to_wait_less_is_asked_for():
    async def scene():
        both = world(counting("groq"), provider("plain", limits=(Limit(Unit.REQUESTS, 1, 10.0),)), max_wait=5)
        for _ in range(2):
            await both.ask(prompt=500, max_output=32_000)
        assert both.upstream.providers_asked == ["plain", "groq"]
        assert bounds(both) == [32_000, 7500]

    run(scene())


def test_a_bound_that_fits_is_left_alone():
    async def scene():
        groq = world(counting("groq"))
        served = await groq.ask(prompt=500, max_output=7500)
        assert bounds(groq) == [7500]
        assert "x-freeroute-trail" not in served.headers

    run(scene())


def test_enough_for_most_answers_is_waited_for_if_there_is_time():
    async def scene():
        # 8,000 a minute come back at 133 a second; the first call keeps 7,800 of them until it ends.
        groq = world(bucket("groq"), seconds=600)
        first = asyncio.create_task(groq.ask(prompt=500, max_output=7300))
        await asyncio.sleep(0)
        second = asyncio.create_task(groq.ask(prompt=500, max_output=7300))
        await asyncio.sleep(11)
        assert len(bounds(groq)) == 2
        assert 1024 <= (bounds(groq)[1] or 0) < 1100
        await asyncio.gather(first, second)

    run(scene())


def test_a_call_without_a_bound_takes_less_rather_than_nothing():
    async def scene():
        groq = world(counting("groq"))
        served = await groq.ask(prompt=7000)
        assert bounds(groq) == [1000]
        assert "x-freeroute-trail" not in served.headers

    run(scene())


def test_a_prompt_that_leaves_no_room_for_an_answer_is_too_long():
    async def scene():
        groq = world(counting("groq"))
        await groq.fails(ContextTooLong, prompt=7900, max_output=32_000)
        await groq.fails(ContextTooLong, prompt=7900)
        assert groq.upstream.asked == []

    run(scene())


def test_a_refusal_says_when_the_cut_call_would_come_to_its_turn():
    async def scene():
        whole = Sent(Outcome(Kind.SERVED), answer=Answer(b"{}", Usage(500, 7400), "length"))
        groq = world(counting("groq"), max_wait=5, groq=[whole])
        await groq.ask(prompt=500, max_output=7500)
        error = await groq.fails(CapacityExhausted, prompt=500, max_output=32_000)
        assert error.retry_after == pytest.approx(60, abs=1)

    run(scene())


def test_a_413_is_answered_with_less_where_the_bound_was_ours():
    async def scene():
        groq = world(counting("groq"), groq=[TOO_LARGE])
        await groq.ask(prompt=500)
        assert bounds(groq) == [2048, 512]

    run(scene())


def test_a_413_of_the_caller_s_bound_goes_elsewhere_first():
    async def scene():
        both = world(counting("groq"), provider("plain"), groq=[TOO_LARGE])
        await both.ask("groq/m", prompt=500, max_output=4000, models=("plain/m",))
        assert both.upstream.providers_asked == ["groq", "plain"]
        assert bounds(both) == [4000, 4000]

    run(scene())


def test_a_413_of_the_caller_s_bound_is_cut_where_nobody_else_is():
    async def scene():
        groq = world(counting("groq"), groq=[TOO_LARGE])
        served = await groq.ask(prompt=500, max_output=4000)
        assert bounds(groq) == [4000, 1000]
        assert served.headers["x-freeroute-trail"] == "groq/m=too_large:413; groq/m=clamped:1000"

    run(scene())


def test_a_second_413_ends_it():
    async def scene():
        groq = world(counting("groq"), groq=[TOO_LARGE] * 9)
        await groq.fails(ContextTooLong, prompt=500)
        assert bounds(groq) == [2048, 512]
        await groq.fails(ContextTooLong, prompt=500, max_output=4000)
        assert bounds(groq)[2:] == [4000, 1000]

    run(scene())
