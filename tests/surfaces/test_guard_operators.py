"""What operators' tokens and the admin key open, and where guessing them ends."""

import pytest

from freeroute.domain.clients import hash_key
from freeroute.domain.operators import Operator, Scope
from freeroute.errors import Forbidden, InvalidApiKey, RateLimited
from freeroute.surfaces.access import Access, Policy
from freeroute.surfaces.guard import Guard, check_scope
from tests.support.clocks import EPOCH, ManualClock
from tests.surfaces.holders import ALICE, KEYED, LOCAL, admit, bearing

MADE = "fa-" + "k" * 43


@pytest.mark.parametrize("access", [Access.ADMIN, Access.METRICS])
def test_a_clients_key_is_known_but_not_enough_for_the_operators_routes(access):
    with pytest.raises(Forbidden, match="admin key") as refused:
        admit({**LOCAL, b"authorization": b"Bearer sk-alice"}, KEYED, access)
    assert refused.value.code == "forbidden"


def test_the_admin_key_counts_only_as_a_bearer():
    with pytest.raises(InvalidApiKey):
        admit({**LOCAL, b"x-api-key": b"boss"}, access=Access.ADMIN)


def test_a_token_that_is_good_for_less_is_told_what_is_needed():
    ann = Operator("ann", Scope.READ, hash_key("fo-ann"))
    door = Policy(operators=(ann,), admin_key="boss")
    assert admit(bearing("fo-ann"), door, Access.READ).operator == ann
    with pytest.raises(Forbidden) as caught:
        admit(bearing("fo-ann"), door, Access.OPERATE)
    assert caught.value.code == "insufficient_scope"
    assert caught.value.message == "This needs a token of scope operate; ann has scope read."
    assert caught.value.metadata == {"needed": "operate", "scope": "read"}
    with pytest.raises(Forbidden, match="this call has no token"):
        check_scope(None, Scope.READ)


@pytest.mark.parametrize("key", ["boss", MADE])
def test_who_holds_the_admin_key_is_called_admin(key):
    found = admit(bearing(key), Policy(admin_key=key), Access.ADMIN).operator
    assert found is not None
    assert (found.name, found.scope) == ("admin", Scope.ADMIN)


def wrong(door: Guard, peer: str, access: Access, times: int = 10) -> None:
    for number in range(times):
        with pytest.raises(InvalidApiKey, match="This key is unknown"):
            door.admit(bearing(f"guess-{number}"), peer, access)


@pytest.mark.parametrize("access", [Access.ADMIN, Access.METRICS, Access.STATUS])
def test_guessing_a_chosen_key_ends_after_ten_at_once(access):
    clock = ManualClock()
    door = Guard(KEYED, clock)
    wrong(door, "10.0.0.9", access)
    for token in ("guess", "boss"):
        with pytest.raises(RateLimited) as caught:
            door.admit(bearing(token), "10.0.0.9", access)
        assert caught.value.code == "too_many_wrong_tokens"
        assert caught.value.retry_after == pytest.approx(6.0)
    assert door.admit(bearing("boss"), "10.0.0.8", access).operator is not None
    clock.advance(6.0)
    assert door.admit(bearing("boss"), "10.0.0.9", access).operator is not None


def test_guessing_locks_no_token_out_and_no_client():
    ann = Operator("ann", Scope.ADMIN, hash_key("fo-ann"))
    door = Guard(Policy(clients=(ALICE,), operators=(ann,), admin_key="boss"), ManualClock())
    wrong(door, "10.0.0.9", Access.ADMIN)
    assert door.admit(bearing("fo-ann"), "10.0.0.9", Access.ADMIN).operator == ann
    assert door.admit(bearing("sk-alice"), "10.0.0.9", Access.STATUS).client == ALICE
    assert door.admit(bearing("sk-alice"), "10.0.0.9", Access.CLIENT).client == ALICE


def test_an_admin_key_that_freeroute_made_is_never_locked_out():
    door = Guard(Policy(admin_key=MADE), ManualClock())
    wrong(door, "10.0.0.9", Access.ADMIN)
    assert door.admit(bearing(MADE), "10.0.0.9", Access.ADMIN).operator is not None


def test_what_is_no_guess_is_not_counted():
    late = Operator("late", Scope.ADMIN, hash_key("fo-late"), expires=EPOCH - 1)
    policy = Policy(clients=KEYED.clients, operators=(late,), admin_key="boss")
    door = Guard(policy, ManualClock())
    for _ in range(20):
        for token in ("fo-late", "sk-late", "sk-gone", "k" * 513):
            with pytest.raises(InvalidApiKey):
                door.admit(bearing(token), "10.0.0.9", Access.ADMIN)
        with pytest.raises(Forbidden):
            door.admit(bearing("sk-alice"), "10.0.0.9", Access.ADMIN)
        with pytest.raises(InvalidApiKey, match="No key was sent"):
            door.admit(LOCAL, "10.0.0.9", Access.ADMIN)
    assert door.admit(bearing("boss"), "10.0.0.9", Access.ADMIN).operator is not None


@pytest.mark.parametrize(
    ("token", "told"), [("fo-late", "This key has expired"), ("fo-gone", "This key was revoked")]
)
def test_a_token_that_is_over_is_told_so(token, told):
    operators = (
        Operator("late", Scope.ADMIN, hash_key("fo-late"), expires=EPOCH - 1),
        Operator("gone", Scope.ADMIN, hash_key("fo-gone"), revoked=EPOCH - 1),
    )
    with pytest.raises(InvalidApiKey, match=told):
        admit(bearing(token), Policy(operators=operators), Access.READ)
