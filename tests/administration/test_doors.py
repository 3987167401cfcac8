"""Keys that open a door of the gateway are known, whatever door it is and whether it still opens."""

import pytest

from freeroute.administration.doors import nobodys, own_key
from freeroute.domain.clients import Client, FormerKey, hash_key
from freeroute.domain.operators import Operator, Scope

TOLD = {"the admin key": "fa-admin", "the metrics key": None}
ALICE = Client("alice", hash_key("fr-now"), former=(FormerKey(hash_key("fr-before"), 1.0),), revoked=2.0)
ANN = Operator("ann", Scope.READ, hash_key("fo-ann"))


@pytest.mark.parametrize(
    ("key", "owner"),
    [
        ("fa-admin", "the admin key"),
        ("fr-now", "the key of the client alice"),
        ("fr-before", "the key of the client alice"),
        ("fo-ann", "the token of the operator ann"),
        ("gsk_of-a-provider", None),
        ("None", None),
        ("", None),
    ],
)
def test_a_key_of_the_gateway_is_told_from_those_of_providers(key, owner):
    assert own_key(key, TOLD, (ALICE,), (ANN,)) == owner
    assert nobodys(key) is None
