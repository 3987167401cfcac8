"""What one run knew, the next one knows."""

import math

import pytest

from freeroute.domain.breaker import State
from freeroute.domain.catalogue import Key, Limit, Unit
from freeroute.domain.keepsake import (
    LEARNED_FOR,
    KeptGuard,
)
from freeroute.domain.measuring import UNKNOWN
from freeroute.domain.outcome import Kind, Outcome
from freeroute.domain.rates import RateFact
from tests.stores.runs import DAY, Run, groq
from tests.support.clocks import ManualClock
from tests.support.world import provider


@pytest.mark.parametrize("clean", [True, False])
async def test_counters_go_on_where_they_were(run, clock, clean):
    first = run().start()
    for lease in await first.take(4):
        await first.counters.settle(lease, {}, clock.now())
    clock.advance(0.1)
    under_way = await first.take(2)
    assert len(under_way) == 2
    if clean:
        first.keeper.close()
    else:
        await first.keeper.flush()
        first.crash()
    clock.advance(2)
    second = run().start()
    calls = 6 if clean else 10  # of the limit of ten, since a crash may have lost six
    assert second.used()[0] == calls
    assert second.used()[1] == (6 if clean else 12)
    assert len(await second.take(20)) == 10 - calls


async def test_a_crash_in_the_second_after_a_crash_costs_nothing_more(run, clock):
    first = run().start()
    await first.take(3)
    await first.keeper.flush()
    for _ in range(4):
        first.crash()
        first = run().start()
        assert first.used()[:2] == [6, 6]


async def test_what_was_not_saved_yet_is_within_what_a_crash_raises(run, clock):
    first = run().start()
    for _ in range(3):
        await first.take(2)
        await first.keeper.flush()
    await first.take(2)
    first.crash()
    assert run().start().used()[:2] == [8, 8]


async def test_a_window_that_ended_meanwhile_is_over(run, clock):
    first = run().start()
    for lease in await first.take(5):
        await first.counters.settle(lease, {}, clock.now())
    first.keeper.close()
    clock.advance(86_400)
    assert run().start().used()[:2] == [0, 0]


async def test_told_limits_keep_their_source_and_age_for_a_week_and_under_the_same_settings(run, clock):
    first = run().start()
    (lease,) = await first.take()
    fact = RateFact(Unit.REQUESTS, 60.0, limit=7, remaining=5)
    assert await first.counters.learn(lease, [fact], clock.now())
    first.keeper.close()

    def minute(of: Run) -> tuple[float, str, float]:
        reading = of.counters.readings(of.candidates[0].pools, of.clock.now())[0]
        return reading.limit, reading.source, reading.age

    clock.advance(30)
    second = run().start()
    assert minute(second) == (7, "header", 30)
    second.keeper.close()
    other = run(found=groq(limits=(Limit(Unit.REQUESTS, 20, 60.0), DAY))).start()
    assert minute(other) == (20, "configured", 0)
    other.crash()
    assert run().start().used()[1] > 0


async def test_a_guard_that_was_too_short_is_kept(run, clock):
    first = run().start()
    for lease in await first.take(10):
        await first.counters.settle(lease, {}, clock.now())
    clock.advance(61)
    (early,) = await first.take()
    await first.counters.cancel(early, clock.now())
    assert await first.counters.refused(early, Outcome(Kind.RATE_LIMITED), (), clock.now())
    await first.keeper.flush()
    first.crash()
    guard = first.counters.kept(("guard", "groq"), clock.now())
    assert isinstance(guard, KeptGuard)
    assert guard.added > 0
    second = run().start()
    assert second.counters.kept(("guard", "groq"), clock.now()) == guard
    assert second.used()[0] == 10  # what came back too early is taken again


async def test_what_was_told_long_ago_is_not_believed_any_more(run, clock):
    first = run().start()
    (lease,) = await first.take()
    await first.counters.learn(lease, [RateFact(Unit.REQUESTS, 60.0, limit=7)], clock.now())
    first.standing.learn_context(first.candidates[0], 4_096, clock.now())
    first.keeper.close()
    clock.advance(LEARNED_FOR + 1)
    second = run().start()
    assert second.counters.readings(second.candidates[0].pools, clock.now())[0].limit == 10
    assert second.standing.context(second.candidates[0]) == 100_000


async def test_measured_limits_and_guards_are_kept(run, clock):
    first = run().start()
    spent = await first.take(7)
    await first.counters.settle(spent[0], {}, clock.now())
    refused = Outcome(Kind.RATE_LIMITED, status=429)
    assert await first.counters.refused(spent[0], refused, [], clock.now())
    first.counters._lengthen("groq", clock.now())
    minute = first.candidates[0].pools[0]
    assert first.counters.ceiling(minute, clock.now()) == 6
    first.keeper.close()
    second = run().start()
    assert second.counters.ceiling(minute, clock.now()) == 6
    assert second.counters.readings([minute], clock.now())[0].source == "measured"
    assert second.counters.kept(("guard", "groq"), clock.now()) == first.counters.kept(
        ("guard", "groq"), clock.now()
    )


async def test_how_wide_an_unknown_limit_was_tried_is_kept(run, clock):
    found = groq(limits=(UNKNOWN,))
    first = run(found=found).start()
    for _ in range(3):
        for lease in await first.take(8):
            await first.counters.confirm(lease, clock.now())
            await first.counters.settle(lease, {}, clock.now())
    assert len(await first.take(20)) == 8
    first.keeper.close()
    assert len(await run(found=found).start().take(20)) == 8


async def test_holds_verdicts_and_lessons_are_kept(run, clock):
    first = run().start()
    first.ends(Kind.RATE_LIMITED, retry_after=600.0)
    first.ends(Kind.MODEL_GONE, 1)
    first.standing.learn_context(first.candidates[0], 4_096, clock.now())
    first.ends(Kind.BAD_PARAMETER, param="seed")
    first.keeper.close()
    clock.advance(100)
    second = run().start()
    assert second.back_in(0) == 500
    assert second.back_in(1) == 86_300
    assert second.standing.context(second.candidates[0]) == 4_096
    assert second.standing.dropped(second.candidates[0]) == {"seed"}
    clock.advance(501)
    trial = second.standing.begin(second.candidates[0], clock.now())
    second.standing.answered(second.candidates[0], trial, clock.now())
    second.keeper.close()
    third = run().start()
    assert third.standing.held(("account-model", "groq", "default", "x")) is None


async def test_holds_end_after_a_reboot_as_they_would_have(run, clock):
    first = run().start()
    first.ends(Kind.RATE_LIMITED, retry_after=600.0)
    first.keeper.close()
    later = ManualClock(mono=3.0, wall=clock.now().wall + 400)
    assert run(later, boot="another").start().back_in() == pytest.approx(200)


@pytest.mark.parametrize("wall", [-1e7, 1e9], ids=["back", "forward"])
async def test_a_wall_clock_that_was_set_while_it_ran_says_nothing_after_a_reboot(run, clock, wall):
    first = run().start()
    first.ends(Kind.RATE_LIMITED, retry_after=600.0)
    await first.keeper.flush()
    first.clock = first.keeper._clock = ManualClock(clock.now().mono + 100, clock.now().wall + wall)
    await first.keeper.flush()
    first.crash()
    later = ManualClock(mono=3.0, wall=first.clock.now().wall + 50)
    assert run(later, boot="another").start().back_in() == pytest.approx(450)


@pytest.mark.parametrize(("secret", "held"), [("sk-one", math.inf), ("sk-other", None)])
async def test_a_refused_key_stays_refused_until_it_is_another_one(run, clock, secret, held):
    first = run().start()
    first.ends(Kind.KEY_INVALID)
    first.ends(Kind.FORBIDDEN)
    first.keeper.close()
    content = first.file.path.read_bytes()
    assert b"sk-one" not in content
    assert run(found=groq(Key(secret, "1"))).start().back_in() == held


async def test_breakers_and_speeds_are_kept(run, clock):
    first = run().start()
    for _ in range(3):
        first.ends(Kind.FAULT)
    for _ in range(2):
        first.ends(Kind.UNREACHABLE, 1)
    first.standing.speed(first.candidates[1]).measured(9.0, 100, 10.0, clock.now())
    first.keeper.close()
    clock.advance(5)
    second = run().start()
    x, y = second.candidates
    now = clock.now()
    assert second.standing.breaker(x).state(now) is State.OPEN
    assert second.standing.breaker(x).opens_until == first.standing.breaker(x).opens_until
    assert second.standing.provider_breaker("groq").state(now) is State.OPEN
    assert second.standing.suspect(y, now)
    assert second.standing.speed(y).kept() == first.standing.speed(y).kept()
    assert clock.advance(300)
    assert second.standing.breaker(x).state(clock.now()) is State.HALF_OPEN
    for candidate in second.candidates:
        second.standing.succeeded(candidate, second.standing.begin(candidate, clock.now()), clock.now())
    second.keeper.close()
    third = run().start()
    assert third.standing.breaker(x).state(clock.now()) is State.CLOSED
    assert third.standing.provider_breaker("groq").state(clock.now()) is State.CLOSED


async def test_what_the_settings_no_longer_have_is_kept_as_long_as_it_holds_anything(run, clock):
    first = run().start()
    await first.take(5)
    first.ends(Kind.MODEL_GONE, 1)
    first.keeper.close()
    elsewhere = run(found=provider("other")).start()
    elsewhere.keeper.close()
    back = run().start()
    assert back.used()[:2] == [5, 5]
    assert back.back_in(1) is None
    back.keeper.close()
    clock.advance(3 * 86_400)
    gone = run(found=provider("other")).start()
    assert list(gone.file.read()) == ["run"]
