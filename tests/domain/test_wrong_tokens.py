"""Guessing is bounded for each network, in bounded memory, whatever others do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.domain.wrong_tokens import PER_TRY, TRIES, WrongTokens, network_of
from tests.support.clocks import ManualClock


def guess(tokens: WrongTokens, clock: ManualClock, peer: str) -> bool:
    """Send a wrong token from *peer*; say whether it was looked at."""
    if tokens.wait(peer, clock.now()):
        return False
    tokens.count(peer, clock.now())
    return True


def test_after_ten_wrong_tokens_one_is_looked_at_every_six_seconds():
    tokens, clock = WrongTokens(), ManualClock()
    assert [guess(tokens, clock, "10.0.0.1") for _ in range(11)] == [True] * 10 + [False]
    assert tokens.wait("10.0.0.1", clock.now()) == pytest.approx(PER_TRY)
    clock.advance(PER_TRY)
    assert [guess(tokens, clock, "10.0.0.1") for _ in range(2)] == [True, False]


def test_who_sends_no_wrong_token_waits_for_nothing():
    tokens, clock = WrongTokens(), ManualClock()
    for _ in range(TRIES):
        guess(tokens, clock, "10.0.0.1")
    assert tokens.wait("10.0.0.2", clock.now()) == 0
    assert len(tokens) == 1


@given(st.lists(st.tuples(st.integers(0, 2), st.floats(0, 20)), max_size=200))
def test_no_network_gets_more_guesses_than_its_bucket_holds(steps):
    tokens, clock = WrongTokens(), ManualClock()
    looked: dict[str, list[float]] = {}
    for number, pause in steps:
        now, peer = clock.advance(pause), f"10.0.0.{number}"
        if guess(tokens, clock, peer):
            looked.setdefault(peer, []).append(now.mono)
    for times in looked.values():
        for first, begun in enumerate(times):
            for last in range(first, len(times)):
                assert last - first + 1 <= TRIES + (times[last] - begun) / PER_TRY + 1e-6


@given(st.lists(st.tuples(st.integers(0, 30), st.floats(0, 30)), max_size=200))
def test_memory_is_bounded_and_nobody_is_forgotten_to_make_room(steps):
    tokens, clock = WrongTokens(networks=4), ManualClock()
    spent: dict[str, float] = {}
    for number, pause in steps:
        now, peer = clock.advance(pause), f"10.0.1.{number}"
        while guess(tokens, clock, peer):
            spent[peer] = now.mono + tokens.wait(peer, now)
        assert len(tokens) <= 5
        for other, until in spent.items():
            if now.mono < until - 1e-3:
                assert tokens.wait(other, now) > 0


def test_a_network_is_forgotten_once_its_bucket_is_full_again():
    tokens, clock = WrongTokens(networks=2), ManualClock()
    for number in range(5):
        guess(tokens, clock, f"10.0.0.{number}")
    assert len(tokens) == 3
    clock.advance(TRIES * PER_TRY)
    guess(tokens, clock, "10.0.0.9")
    assert len(tokens) == 1


@pytest.mark.parametrize(
    ("peer", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("-", "-"),
        ("", ""),
    ],
)
def test_a_network_is_what_one_subscriber_has(peer, network):
    assert network_of(peer) == network
