"""Sessions end by themselves, make room for others, and can be read back by nobody."""

from hypothesis import given
from hypothesis import strategies as st

from freeroute.domain.clients import hash_key
from freeroute.domain.sessions import IDLE, LONGEST, SESSIONS, SESSIONS_OF_ONE, Sessions
from tests.support.clocks import ManualClock

ANN, BEN = hash_key("fo-ann"), hash_key("fo-ben")


def test_a_session_stands_for_the_key_it_was_begun_with():
    sessions, now = Sessions(), ManualClock().now()
    sessions.begin("one", ANN, now)
    sessions.begin("two", BEN, now)
    assert (sessions.use("one", now), sessions.use("two", now)) == (ANN, BEN)
    assert sessions.use("three", now) is None


def test_a_session_that_is_ended_stands_for_nothing_and_no_other_is():
    sessions, now = Sessions(), ManualClock().now()
    sessions.begin("one", ANN, now)
    sessions.begin("two", ANN, now)
    sessions.end("one")
    sessions.end("one")
    assert (sessions.use("one", now), sessions.use("two", now)) == (None, ANN)


def test_a_session_ends_after_twelve_hours_without_use():
    sessions, clock = Sessions(), ManualClock()
    sessions.begin("one", ANN, clock.now())
    assert sessions.use("one", clock.advance(IDLE - 1)) == ANN
    assert sessions.use("one", clock.advance(IDLE - 1)) == ANN
    assert sessions.use("one", clock.advance(IDLE)) is None
    assert len(sessions) == 0


def test_a_session_ends_after_seven_days_however_it_is_used():
    sessions, clock = Sessions(), ManualClock()
    sessions.begin("one", ANN, clock.now())
    seconds = 0.0
    while sessions.use("one", clock.now()) is not None:
        clock.advance(3600)
        seconds += 3600
    assert seconds == LONGEST


def test_setting_the_calendar_lengthens_no_session():
    sessions, clock = Sessions(), ManualClock()
    sessions.begin("one", ANN, clock.now())
    clock.set_wall(-2 * LONGEST)
    assert sessions.use("one", clock.advance(IDLE)) is None


def test_the_session_that_was_idle_longest_makes_room():
    sessions, clock = Sessions(), ManualClock()
    for number in range(SESSIONS):
        sessions.begin(f"s{number}", hash_key(f"fo-{number}"), clock.advance(1))
    assert sessions.use("s0", clock.advance(1)) is not None
    sessions.begin("last", ANN, clock.advance(1))
    assert len(sessions) == SESSIONS
    assert sessions.use("s1", clock.now()) is None
    assert {sessions.use(name, clock.now()) is None for name in ("s0", "s2", "last")} == {False}


def test_who_signs_in_again_and_again_signs_no_one_else_out():
    sessions, clock = Sessions(), ManualClock()
    sessions.begin("ben", BEN, clock.now())
    for number in range(10_000):
        sessions.begin(f"ann{number}", ANN, clock.advance(0.1))
    assert len(sessions) == SESSIONS_OF_ONE + 1
    assert sessions.use("ben", clock.now()) == BEN
    assert sessions.use("ann9999", clock.now()) == ANN
    assert sessions.use("ann0", clock.now()) is None


def test_sessions_that_are_over_take_no_room():
    sessions, clock = Sessions(most=2), ManualClock()
    sessions.begin("one", ANN, clock.now())
    sessions.begin("two", BEN, clock.advance(IDLE - 1))
    sessions.begin("three", ANN, clock.advance(1))
    assert sessions.use("two", clock.now()) == BEN


def test_neither_names_nor_keys_can_be_read_back():
    sessions, now = Sessions(), ManualClock().now()
    sessions.begin("the-name", hash_key("the-key"), now)
    kept = repr(vars(sessions))
    assert "the-name" not in kept
    assert "the-key" not in kept


@given(
    st.lists(
        st.tuples(st.sampled_from(["begin", "use", "end"]), st.integers(0, 9), st.floats(0, IDLE * 1.1)),
        max_size=60,
    )
)
def test_whatever_happens_a_session_is_good_for_its_own_key_and_its_own_time(steps):
    sessions, clock = Sessions(most=6, most_of_one=3), ManualClock()
    begun: dict[str, float] = {}
    used: dict[str, float] = {}
    for number, (verb, who, seconds) in enumerate(steps):
        now = clock.advance(seconds)
        if verb == "begin":
            name = f"{who}-{number}"
            sessions.begin(name, hash_key(str(who)), now)
            begun[name] = used[name] = now.mono
        elif begun:
            name = list(begun)[who % len(begun)]
            if verb == "end":
                sessions.end(name)
                begun[name] = -LONGEST
            elif sessions.use(name, now) is not None:
                assert now.mono - begun[name] < LONGEST
                assert now.mono - used[name] < IDLE
                assert sessions.use(name, now) == hash_key(name.partition("-")[0])
                used[name] = now.mono
        assert len(sessions) <= 6
