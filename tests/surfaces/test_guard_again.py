"""A head that comes again is let in as it would be if it had never come, whatever has changed since."""

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from freeroute.domain.clients import Client, hash_key
from freeroute.errors import ApiError
from freeroute.surfaces.access import Access, Policy
from freeroute.surfaces.guard import Guard
from freeroute.surfaces.http import Caller
from tests.support.clocks import EPOCH, ManualClock
from tests.surfaces.holders import ALICE, KEYED, LOCAL, OPEN, TURNED, bearing, guard

BRIEF = Client("brief", hash_key("sk-brief"), expires=EPOCH + 30)
BUSY = structs.replace(KEYED, clients=(*KEYED.clients, BRIEF))
REVOKED = structs.replace(KEYED, clients=(structs.replace(ALICE, revoked=EPOCH), BRIEF))
POLICIES = [KEYED, BUSY, REVOKED, OPEN, Policy(cors=frozenset({"https://app.example"}))]
HEADS = [
    *map(bearing, ("sk-alice", "sk-brief", "sk-former", "sk-old", "fo-read", "fo-operate", "boss", "wrong")),
    *(LOCAL, {b"host": b"elsewhere"}, {b"x-api-key": b"sk-alice"}, {**LOCAL, b"x-freeroute-hop": b"2"}),
    {**bearing("sk-brief"), b"x-freeroute-hop": b"1"},
    {**bearing("sk-alice"), b"x-api-key": b"sk-brief"},
    {**LOCAL, b"origin": b"https://app.example"},
    {**LOCAL, b"cookie": b"freeroute_session_3000=nobody", b"x-freeroute-dashboard": b"1"},
]
STEPS = st.one_of(
    st.sampled_from(POLICIES),
    st.sampled_from([10.0, 25.0, 60.0, -40.0]),
    st.tuples(st.integers(0, len(HEADS) - 1), st.sampled_from(Access), st.sampled_from([None, "sk-brief"])),
)


def told(door: Guard, head: int, access: Access, in_query: str | None, kept: dict[Any, Any] | None) -> object:
    """Return who calls, or the error that says why nobody is let in."""
    now = door.clock.now()
    try:
        again = door.admit_again(access, now, kept)
        return again or door.admit(HEADS[head], "10.0.0.9", access, in_query, now, kept)
    except ApiError as error:
        return type(error), error.message


@given(st.lists(STEPS, max_size=40))
def test_whatever_changes_a_known_head_is_let_in_as_an_unknown_one(steps: Sequence[Any]):
    clock = ManualClock()
    known, unknown = Guard(BUSY, clock), Guard(BUSY, clock)
    kept: dict[tuple[int, str | None], dict[Any, Any]] = {}
    for step in steps:
        if isinstance(step, Policy):
            known.policy = unknown.policy = step
        elif isinstance(step, float):
            clock.set_wall(step)
        else:
            head, access, in_query = step
            of_head = kept.setdefault((head, in_query), {})
            expected = told(unknown, head, access, in_query, None)
            assert told(known, head, access, in_query, of_head) == expected


def test_who_was_let_in_by_a_head_is_not_looked_up_again_while_nothing_changes():
    door, kept = guard(structs.replace(KEYED, clients=(TURNED,))), dict[Any, Any]()
    now = door.clock.now()

    def again() -> Caller | None:
        return door.admit_again(Access.CLIENT, now, kept)

    assert again() is None
    caller = door.admit(bearing("sk-former"), "-", Access.CLIENT, now=now, kept=kept)
    assert again() is caller
    assert door.admit_again(Access.STATUS, now, kept) is None
    assert door.admit_again(Access.CLIENT, now, None) is None
    assert door.admit_again(Access.CLIENT, now.later(59.9), kept) is caller
    assert door.admit_again(Access.CLIENT, now.later(60), kept) is None
    door.policy = door.policy
    assert again() is None


def test_a_session_is_looked_up_each_time_since_its_use_prolongs_it():
    door, kept = guard(KEYED), dict[Any, Any]()
    name, _ = door.sign_in("sk-alice", "-")
    page = {**LOCAL, b"cookie": b"freeroute_session_3000=" + name.encode(), b"x-freeroute-dashboard": b"1"}
    assert door.admit(page, "-", Access.CLIENT, kept=kept).client is ALICE
    assert not kept
