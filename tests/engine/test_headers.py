"""What answers say of a client's own limits."""

from hypothesis import given
from hypothesis import strategies as st

from freeroute.domain.catalogue import Limit, Pool, Unit
from freeroute.domain.leases import Reading
from freeroute.engine.headers import client_limits
from freeroute.wire.head import Head

AMOUNTS = st.floats(0, 1e12) | st.integers(0, 10**9).map(float)


@st.composite
def readings(draw):
    unit = draw(st.sampled_from([Unit.REQUESTS, Unit.TOKENS, Unit.CONCURRENCY]))
    limit = Limit(unit, 1, 60.0)
    return Reading(Pool("client:c", limit), draw(AMOUNTS), draw(AMOUNTS), draw(st.floats(0, 1e7)))


@given(st.lists(readings(), max_size=5))
def test_of_each_unit_the_limit_nearest_its_end_is_told_in_whole_numbers(given):
    told = Head(client_limits(given))
    units = {one.pool.limit.unit for one in given} & {Unit.REQUESTS, Unit.TOKENS}
    assert len(told) == 3 * len(units)
    for unit in units:
        ours = [one for one in given if one.pool.limit.unit is unit]
        nearest = min(ours, key=lambda one: max(one.limit - one.used, 0.0))
        assert told[f"x-ratelimit-limit-{unit}"] == f"{nearest.limit:.0f}"
        assert told[f"x-ratelimit-remaining-{unit}"] == f"{max(nearest.limit - nearest.used, 0.0):.0f}"
        assert told[f"x-ratelimit-reset-{unit}"] == f"{nearest.resets_in:.3f}s"
