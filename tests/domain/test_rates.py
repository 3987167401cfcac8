"""What an answer says of a counter, and which counter that is."""

from freeroute.domain.catalogue import Limit, Pool, Scope, Unit
from freeroute.domain.leases import Charge
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
    charges = [Charge(MODEL, 1), Charge(DAY, 1), Charge(TOKENS, 300)]
    facts = [fact(remaining=1), fact(seconds=86_400.0, remaining=0), fact(Unit.TOKENS, remaining=299)]
    assert room_told(facts, charges) == {"model": True, "day": False, "tokens": False}
    assert room_told([fact(remaining=5), fact(limit=30)], charges) == {"model": False}
    assert room_told([fact(Unit.USD, remaining=5)], charges) == {}


def told(unit: Unit, seconds: float, limit: float | None) -> RateFact:
    return RateFact(unit, seconds, limit, 0, source="body")


def test_limits_that_no_pool_counts_are_news():
    pools = [Pool("p", Limit(Unit.REQUESTS, 30, 60.0))]
    known = told(Unit.REQUESTS, 60.0, 20)
    month, odd = told(Unit.TOKENS, 2_592_000.0, 1_000), told(Unit.TOKENS, 7.0, 5)
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
