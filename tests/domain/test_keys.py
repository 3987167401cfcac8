"""A key that has never answered carries one call at a time."""

import pytest

from freeroute.domain.catalogue import Key, Privacy, candidates_of
from freeroute.domain.keys import PROVING, Proofs
from tests.support.clocks import ManualClock
from tests.support.world import model, provider


@pytest.fixture
def proofs() -> Proofs:
    return Proofs()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def first_of(*providers):
    return candidates_of(providers[0])[0]


NEW = first_of(provider("a", model("x"), model("y")))


def test_the_first_call_keeps_others_off_the_key_until_it_ends(proofs, clock):
    assert proofs.busy_until(NEW, clock.now()) is None
    proofs.began(NEW, 1, clock.now())
    assert proofs.busy_until(NEW, clock.now()) == clock.now().mono + PROVING
    proofs.ended(NEW, 1)
    assert proofs.busy_until(NEW, clock.now()) is None


def test_all_models_of_the_key_wait_for_it(proofs, clock):
    proofs.began(NEW, 1, clock.now())
    other = candidates_of(NEW.provider)[1]
    assert other.model.id == "y"
    assert proofs.busy_until(other, clock.now()) is not None


def test_a_call_that_takes_long_was_accepted(proofs, clock):
    proofs.began(NEW, 1, clock.now())
    assert proofs.busy_until(NEW, clock.advance(PROVING)) is None


def test_a_key_that_answered_keeps_nobody_off(proofs, clock):
    proofs.began(NEW, 1, clock.now())
    assert proofs.answered(NEW)
    assert not proofs.answered(NEW)
    proofs.began(NEW, 2, clock.now())
    assert proofs.busy_until(NEW, clock.now()) is None


def test_of_several_calls_the_latest_is_waited_for(proofs, clock):
    proofs.began(NEW, 1, clock.now())
    proofs.began(NEW, 2, clock.now())
    proofs.ended(NEW, 1)
    assert proofs.busy_until(NEW, clock.now()) is not None
    proofs.ended(NEW, 2)
    assert proofs.busy_until(NEW, clock.now()) is None


def test_a_key_that_was_refused_is_new_again(proofs, clock):
    proofs.answered(NEW)
    proofs.doubt(("a", "k1"))
    proofs.began(NEW, 1, clock.now())
    assert proofs.busy_until(NEW, clock.now()) is not None


@pytest.mark.parametrize(
    "found",
    [provider("a", keys=(Key("", "anonymous"),)), provider("a", privacy=Privacy.LOCAL)],
)
def test_what_needs_no_key_needs_no_proof(proofs, clock, found):
    candidate = first_of(found)
    proofs.began(candidate, 1, clock.now())
    assert proofs.busy_until(candidate, clock.now()) is None


def test_another_key_under_the_same_label_is_new(proofs, clock):
    proofs.answered(NEW)
    replaced = first_of(provider("a", keys=(Key("other", "k1"),)))
    proofs.keep([NEW])
    proofs.began(replaced, 1, clock.now())
    assert proofs.busy_until(replaced, clock.now()) is not None
    proofs.keep([replaced])
    assert proofs.answered(NEW)


def test_keys_that_are_gone_are_forgotten(proofs, clock):
    proofs.began(NEW, 1, clock.now())
    proofs.keep([])
    assert proofs.busy_until(NEW, clock.now()) is None
