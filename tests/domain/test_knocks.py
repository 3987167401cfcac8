from hypothesis import given
from hypothesis import strategies as st

from freeroute.domain.knocks import BURST, RATE, Knocks
from tests.support.clocks import ManualClock


def test_a_few_who_are_turned_away_are_all_recorded():
    clock, knocks = ManualClock(), Knocks()
    assert [knocks.heard(clock.now()) for _ in range(BURST)] == [0] * BURST
    clock.advance(3600)
    assert [knocks.heard(clock.now()) for _ in range(BURST)] == [0] * BURST


def test_of_a_flood_some_are_and_they_say_how_many_were_not():
    clock, knocks = ManualClock(), Knocks()
    for _ in range(BURST):
        knocks.heard(clock.now())
    assert [knocks.heard(clock.now()) for _ in range(7)] == [None] * 7
    clock.advance(1 / RATE)
    assert (knocks.heard(clock.now()), knocks.heard(clock.now())) == (7, None)
    clock.advance(1 / RATE)
    assert knocks.heard(clock.now()) == 1


@given(st.lists(st.floats(0, 0.3), max_size=400))
def test_all_are_counted_and_no_more_are_recorded_than_there_is_room_for(pauses):
    clock, knocks = ManualClock(), Knocks()
    heard = []
    for pause in pauses:
        clock.advance(pause)
        heard.append(knocks.heard(clock.now()))
    recorded = [before for before in heard if before is not None]
    assert len(recorded) <= BURST + sum(pauses) * RATE + 1
    last = len(heard) - next((at for at, one in enumerate(reversed(heard)) if one is not None), 0)
    assert sum(recorded) + len(recorded) == last
