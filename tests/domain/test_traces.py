"""Traces of W3C's: what is sent on, and what begins here."""

import random
import re

from hypothesis import given
from hypothesis import strategies as st

from freeroute.domain.traces import Trace, begun, new_span

HEADER = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def recorded(share: float) -> int:
    """Return how many of a thousand traces are recorded."""
    rng = random.Random(1)
    begun_here = [begun(rng, share) for _ in range(1000)]
    return sum(trace.sampled for trace in begun_here if trace is not None)


def test_calls_below_a_span_name_it():
    trace = Trace("a" * 32, "b" * 16, "c" * 16, flags=3)
    assert trace.header() == f"00-{'a' * 32}-{'b' * 16}-03"
    assert trace.header("d" * 16) == f"00-{'a' * 32}-{'d' * 16}-03"


@given(st.integers(), st.floats(0, 1))
def test_what_begins_here_is_well_formed_and_above_nothing(seed, share):
    trace = begun(random.Random(seed), share)
    assert trace is not None
    assert HEADER.fullmatch(trace.header())
    assert trace.parent is None
    assert int(trace.id, 16)
    assert int(trace.span, 16)


def test_so_many_of_those_that_begin_here_are_recorded():
    assert recorded(0.0) == 0
    assert recorded(1.0) == 1000
    assert 150 < recorded(0.2) < 250


def test_none_begins_where_none_is_wanted():
    assert begun(random.Random(1), None) is None


def test_no_span_is_all_zero():
    class Zero(random.Random):
        def getrandbits(self, bits: int) -> int:
            return 0

    assert int(new_span(Zero()), 16)
    trace = begun(Zero(), 1.0)
    assert trace is not None
    assert int(trace.id, 16)
