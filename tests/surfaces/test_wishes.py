"""What a head asks of the gateway: each header for itself, and nothing where there is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.clock import Now
from freeroute.errors import InvalidRequest
from freeroute.surfaces.wishes import NO_WISHES, Wishes, wishes_in
from freeroute.wire.chat import CallContext

MEANT: dict[bytes, bool | None] = {b"true": True, b" Yes ": True, b"1": True, b"NO": False, b"0": False}
SWITCHES = st.none() | st.sampled_from([*MEANT, b"maybe"])


@given(
    *[SWITCHES] * 4,
    st.sampled_from([None, b"", b"a", b"b" * 256, b"c" * 257]),
    st.sampled_from([None, b"7.5"]),
)
def test_each_header_is_a_wish_of_its_own(strict, continues, store, keepalive, session, wait):
    switches = {b"strict": strict, b"continue": continues, b"store": store, b"keepalive": keepalive}
    sent = {b"x-freeroute-" + name: value for name, value in switches.items()}
    sent |= {b"x-session-id": session, b"x-freeroute-max-wait": wait}
    headers = {name: value for name, value in sent.items() if value is not None}
    if b"maybe" in switches.values() or (session and len(session) > 256):
        with pytest.raises(InvalidRequest):
            wishes_in(headers)
        return
    meant = {name: MEANT.get(value) if value else None for name, value in switches.items()}
    wishes = wishes_in(headers)
    assert wishes == Wishes(
        max_wait=float(wait) if wait else None,
        strict=meant[b"strict"] or False,
        continues=meant[b"continue"],
        store=meant[b"store"] is not False,
        session=session.decode() if session else None,
        keepalive=meant[b"keepalive"] or False,
    )
    context = CallContext("r", Now(0.0, 0.0))
    wishes.tell(context)
    told = (context.max_wait, context.strict, context.continues, context.store, context.session)
    assert told == (wishes.max_wait, wishes.strict, wishes.continues, wishes.store, wishes.session)


def test_a_head_without_any_asks_for_what_is_so_anyway():
    assert wishes_in({b"host": b"a"}) is NO_WISHES
    context, plain = CallContext("r", Now(0.0, 0.0)), CallContext("r", Now(0.0, 0.0))
    NO_WISHES.tell(context)
    assert context == plain
