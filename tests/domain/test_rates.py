"""What an answer says of a counter, and which counter that is."""

import math

import pytest

from freeroute.domain.catalogue import Limit, Pool, Scope, Unit
from freeroute.domain.leases import Charges
from freeroute.domain.rates import RateFact, pool_meant, room_told, unheard_of, used_by, with_told
from tests.support.world import catalogue, provider

ACCOUNT = Pool("account", Limit(Unit.REQUESTS, 100, 60, scope=Scope.ACCOUNT))
MODEL = Pool("model", Limit(Unit.REQUESTS, 30, 60, scope=Scope.MODEL))
DAY = Pool("day", Limit(Unit.REQUESTS, 1_000, 86_400, scope=Scope.MODEL))
TOKENS = Pool("tokens", Limit(Unit.TOKENS, 8_000, 60, scope=Scope.MODEL))
POOLS = (ACCOUNT, MODEL, DAY, TOKENS)


def fact(unit=Unit.REQUESTS, seconds=60.0, **told) -> RateFact:
    return RateFact(unit, seconds, **told)


def test_a_counter_is_known_by_its_unit_and_window():
    assert pool_meant(fact(Unit.TOKENS), POOLS) is TOKENS
    assert pool_meant(fact(seconds=86_400.0), POOLS) is DAY
    assert pool_meant(fact(Unit.INPUT_TOKENS), POOLS) is None
    assert pool_meant(fact(Unit.TOKENS, 86_400.0), POOLS) is None


def test_of_two_alike_it_is_the_one_of_that_scope_or_else_of_that_limit():
    assert pool_meant(fact(scope=Scope.MODEL, limit=100), POOLS) is MODEL
    assert pool_meant(fact(limit=100), POOLS) is ACCOUNT
    assert pool_meant(fact(limit=31), POOLS) is None
    assert pool_meant(fact(scope=Scope.IP), POOLS) is None


def test_what_is_used_is_the_limit_told_or_else_the_known_one_less_what_is_left():
    assert used_by(fact(limit=20, remaining=5), 30) == 15
    assert used_by(fact(remaining=5), 30) == 25
    assert used_by(fact(remaining=50), 30) == 0
    assert used_by(fact(limit=20), 30) is None


def test_facts_tell_of_room_for_a_call_if_none_of_them_says_otherwise():
    charges = Charges((MODEL, DAY, TOKENS), (1, 1, 300))
    facts = [fact(remaining=1), fact(seconds=86_400.0, remaining=0), fact(Unit.TOKENS, remaining=299)]
    assert room_told(facts, charges) == {"model": True, "day": False, "tokens": False}
    assert room_told([fact(remaining=5), fact(limit=30)], charges) == {"model": False}
    assert room_told([fact(Unit.USD, remaining=5)], charges) == {}


@pytest.mark.parametrize(
    ("limit", "remaining", "believed"),
    [
        (999_999_999_999, 999, False),
        (3_000, 2_999, True),
        (3_001, 2_999, False),
        (0.3, 0, True),
        (0.2, 0, False),
        (None, 3_000, True),
        (None, 999_999, False),
    ],
)
def test_a_limit_a_hundred_times_off_the_given_one_is_garbage(limit, remaining, believed):
    found = pool_meant(fact(limit=limit, remaining=remaining, scope=Scope.MODEL), [MODEL])
    assert found is (MODEL if believed else None)


@pytest.mark.parametrize(
    ("unit", "limit", "believed"),
    [
        (Unit.REQUESTS, 1_000_000, True),
        (Unit.REQUESTS, 999_999_999_999, False),
        (Unit.TOKENS, 1e9, True),
        (Unit.TOKENS, 1, False),
        (Unit.NEURONS, 10, True),
    ],
)
def test_of_a_limit_that_nobody_gives_no_more_is_believed_than_a_free_tier_may_have(unit, limit, believed):
    assert bool(unheard_of([told(unit, 60.0, limit)], ())) is believed
    nobody_knows = Pool("unknown", Limit(unit, math.inf, 60.0))
    assert (pool_meant(told(unit, 60.0, limit), [nobody_knows]) is nobody_knows) is believed


def told(unit: Unit, seconds: float, limit: float | None) -> RateFact:
    return RateFact(unit, seconds, limit, 0, source="body")


def test_limits_that_no_pool_counts_are_news():
    pools = [Pool("p", Limit(Unit.REQUESTS, 30, 60.0))]
    known = told(Unit.REQUESTS, 60.0, 20)
    month, odd = told(Unit.TOKENS, 2_592_000.0, 1_000), told(Unit.TOKENS, 7.0, 500)
    found = unheard_of([known, month, odd, told(Unit.TOKENS, 60.0, None)], pools)
    assert list(found.values()) == [month, odd]
    assert [limit.label for limit in found] == ["tokens/month", "tokens/7s"]
    assert {(limit.scope, limit.confidence) for limit in found} == {(Scope.MODEL, "body")}


def test_limits_told_of_in_an_earlier_run_are_those_of_their_models_again():
    found = catalogue(provider("a", keys=("k1", "k2")), provider("b"))
    [limit] = unheard_of([told(Unit.TOKENS, 2_592_000.0, 1_000)], ())
    name = "a/account:default/model:m/tokens/month"
    again = with_told(found, {name: limit, "gone/account:default/model:m/tokens/month": limit})
    assert [[pool.id for pool in c.pools] for c in again.candidates] == [[name], [name], []]
