"""Conversations and their last candidates: who is remembered, for how long, and how many."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.domain.affinity import Affinity
from tests.support.clocks import ManualClock

HALF_AN_HOUR = 1800.0
NAMES = st.text(max_size=6)


@pytest.fixture
def affinity() -> Affinity:
    return Affinity(size=3)


def test_a_conversation_is_forgotten_when_it_was_silent_for_long(affinity):
    clock = ManualClock()
    key = affinity.key("alice", "s1", 0)
    affinity.remember(key, "groq/m#k1", clock.now())
    clock.advance(HALF_AN_HOUR - 1)
    assert affinity.preferred(key, HALF_AN_HOUR, clock.now()) == "groq/m#k1"
    clock.advance(1)
    assert affinity.preferred(key, HALF_AN_HOUR, clock.now()) is None


def test_the_conversation_longest_unused_makes_room_for_a_new_one(affinity):
    now = ManualClock().now()
    keys = [affinity.key("alice", f"s{number}", 0) for number in range(5)]
    for key in (*keys[:3], keys[0], *keys[3:]):
        affinity.remember(key, "c", now)
    assert len(affinity) == 3
    assert [affinity.preferred(key, 1, now) for key in keys] == ["c", None, None, "c", "c"]


def test_the_last_answer_counts(affinity):
    now = ManualClock().now()
    for candidate in ("a", "b"):
        affinity.remember(1, candidate, now)
    assert affinity.preferred(1, 1, now) == "b"


@given(st.tuples(NAMES, NAMES | st.none(), st.integers()), st.tuples(NAMES, NAMES, st.integers()))
def test_two_callers_or_sessions_never_share_a_key(first, second):
    affinity = Affinity()
    same = first[:2] == second[:2]
    assert (affinity.key(*first) == affinity.key(*second)) == same


def test_an_opening_counts_only_without_a_session(affinity):
    assert affinity.key("a", "s", 1) == affinity.key("a", "s", 2)
    assert affinity.key("a", None, 1) != affinity.key("a", None, 2)
    assert affinity.key("a", None, 1) != affinity.key("b", None, 1)
    assert affinity.key("a", None, hash("s")) != affinity.key("a", "s", 0)


def test_keys_mean_nothing_to_another_process():
    asked = "from freeroute.domain.affinity import Affinity; print(Affinity().key('a', 's', 0))"
    keys = {subprocess.check_output([sys.executable, "-c", asked], env={}) for _ in range(2)}
    assert len(keys) == 2
