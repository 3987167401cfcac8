"""The deadlines of one exchange, whose waits share a timer."""

import asyncio
import math

import pytest

from freeroute.upstreams.http_alarm import Alarm
from freeroute.upstreams.http_patience import Awaited
from freeroute.upstreams.transport import Deadlines, Phase, TimedOut
from tests.support.virtual import run


async def more(answer: Awaited) -> None:
    """Await more of the body of *answer*, as an exchange does."""
    waiting = answer.waiting()
    try:
        await waiting
    finally:
        answer.came()


def awaited(deadlines: Deadlines, alarm: Alarm | None = None) -> Awaited:
    loop = asyncio.get_running_loop()
    answer = Awaited(deadlines, loop, loop.time())
    answer.alarm = alarm or Alarm()
    return answer


async def waited(deadlines: Deadlines, *pieces: float) -> tuple[Phase, float]:
    """Return which deadline ended the wait for more, and when, after *pieces* that came so much apart."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    answer = awaited(deadlines)
    for pause in pieces:
        loop.call_later(pause, answer.wake)
        await more(answer)
    with pytest.raises(TimedOut) as caught:
        await more(answer)
    return caught.value.phase, loop.time() - began


def test_silence_is_timed_from_the_last_piece_on():
    phase, seconds = run(waited(Deadlines(idle=10, total=100), 6, 6, 6))
    assert phase is Phase.IDLE
    assert seconds == pytest.approx(28)


def test_the_total_comes_before_a_silence_that_would_be_longer():
    phase, seconds = run(waited(Deadlines(idle=10, total=15), 4, 4))
    assert phase is Phase.TOTAL
    assert seconds == pytest.approx(15)


def test_the_time_for_the_answer_comes_before_the_silence_and_the_total():
    assert run(waited(Deadlines(idle=10, total=15, answer=12), 4, 4)) == (Phase.ANSWER, pytest.approx(12))
    assert run(waited(Deadlines(idle=10, total=12, answer=12), 4, 4)) == (Phase.ANSWER, pytest.approx(12))
    assert run(waited(Deadlines(idle=10, total=11, answer=12), 4, 4)) == (Phase.TOTAL, pytest.approx(11))


@pytest.mark.parametrize(("moved_to", "phase", "ends"), [(5, Phase.ANSWER, 5), (math.inf, Phase.IDLE, 14)])
def test_the_time_for_the_answer_may_be_moved_between_two_waits(moved_to, phase, ends):
    async def moved() -> tuple[Phase, float]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        answer = awaited(Deadlines(idle=10, total=100, answer=8))
        loop.call_later(4, answer.wake)
        await more(answer)
        answer.answer_by = began + moved_to
        with pytest.raises(TimedOut) as caught:
            await more(answer)
        return caught.value.phase, loop.time() - began

    assert run(moved()) == (phase, pytest.approx(ends))


def test_the_total_comes_before_the_first_silence_is_over():
    phase, seconds = run(waited(Deadlines(idle=10, total=8), 4))
    assert phase is Phase.TOTAL
    assert seconds == pytest.approx(8)


def test_nobody_is_told_of_a_silence_that_nobody_waited_through():
    async def read() -> None:
        loop = asyncio.get_running_loop()
        answer = awaited(Deadlines(idle=10, total=100))
        loop.call_later(1, answer.wake)
        await more(answer)
        await asyncio.sleep(50)
        answer.read_on()
        loop.call_later(1, answer.wake)
        await more(answer)

    run(read())


def test_silence_begins_anew_with_what_goes_past_whoever_waits_and_the_total_goes_on():
    async def waited_through(deadlines: Deadlines) -> tuple[Phase, float]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        answer = awaited(deadlines)

        def passed_on() -> bool:
            answer.wait_on(loop.time())
            return True

        answer.passed_on = passed_on
        for at in (6, 12, 18):
            loop.call_later(at, answer.wake)
        with pytest.raises(TimedOut) as caught:
            await more(answer)
        return caught.value.phase, loop.time() - began

    assert run(waited_through(Deadlines(idle=10, total=100))) == (Phase.IDLE, pytest.approx(28))
    assert run(waited_through(Deadlines(idle=10, total=15))) == (Phase.TOTAL, pytest.approx(15))


@pytest.mark.parametrize(("first", "second"), [(10, 10), (10, 4), (4, 10)])
def test_the_timer_of_a_connection_is_there_for_its_next_exchange(first, second):
    async def one_after_the_other() -> float:
        loop = asyncio.get_running_loop()
        alarm = Alarm()
        early = awaited(Deadlines(idle=first, total=100), alarm)
        loop.call_later(3, early.wake)
        await more(early)
        alarm.leave()
        await asyncio.sleep(2)
        began = loop.time()
        with pytest.raises(TimedOut):
            await more(awaited(Deadlines(idle=second, total=100), alarm))
        return loop.time() - began

    assert run(one_after_the_other()) == pytest.approx(second)


def test_a_timer_that_is_left_or_stopped_wakes_nobody():
    async def left() -> None:
        woken: list[float] = []

        class Woken:
            def rung(self, at: float) -> None:
                woken.append(at)

        alarm, now = Alarm(), asyncio.get_running_loop().time()
        alarm.set(Woken(), now + 1)
        alarm.leave()
        await asyncio.sleep(2)
        alarm.set(Woken(), now + 3)
        alarm.stop()
        alarm.stop()
        await asyncio.sleep(2)
        assert woken == []
        alarm.set(Woken(), now + 5)
        await asyncio.sleep(2)
        assert woken == [now + 5]

    run(left())
