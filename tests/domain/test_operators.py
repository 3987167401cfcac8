"""Who holds which token, and what it is good for."""

from freeroute.domain.audit import Entry, Wanted
from freeroute.domain.clients import LONGEST_KEY, Problem, hash_key
from freeroute.domain.operators import Operator, Scope, Tokens

ANN = Operator("ann", Scope.OPERATE, hash_key("fo-ann"), expires=100.0)
BEN = Operator("ben", Scope.READ, hash_key("fo-ben"), revoked=5.0)


def test_a_scope_includes_itself_and_those_before_it():
    included = {(one, other) for one in Scope for other in Scope if one.includes(other)}
    assert included == {
        (Scope.READ, Scope.READ),
        (Scope.OPERATE, Scope.READ),
        (Scope.OPERATE, Scope.OPERATE),
        (Scope.ADMIN, Scope.READ),
        (Scope.ADMIN, Scope.OPERATE),
        (Scope.ADMIN, Scope.ADMIN),
    }


def test_a_token_is_found_until_it_expires_and_not_once_it_is_revoked():
    tokens = Tokens([ANN, BEN])
    assert tokens.find("fo-ann", 99.9) == ANN
    assert tokens.find("fo-ann", 100.0) is Problem.EXPIRED
    assert tokens.find("fo-ben", 1.0) is Problem.REVOKED
    assert tokens.find("fo-eve", 1.0) is Problem.UNKNOWN
    assert tokens.find("f" * (LONGEST_KEY + 1), 1.0) is Problem.OVERLONG


def test_an_operator_says_how_it_stands():
    assert [ANN.state(99.0), ANN.state(100.0), BEN.state(1.0)] == ["active", "expired", "revoked"]


def test_changes_are_asked_for_by_time_and_person():
    entry = Entry(10.0, "ann", "client.add", "alice")
    assert Wanted().fits(entry)
    assert Wanted(since=10.0, until=10.1, who="ann").fits(entry)
    assert not Wanted(since=10.1).fits(entry)
    assert not Wanted(until=10.0).fits(entry)
    assert not Wanted(who="ben").fits(entry)
