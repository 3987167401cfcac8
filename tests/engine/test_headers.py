"""Headers that tell a client how it stands: its own limits, in OpenAI's names."""

from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from freeroute.domain.catalogue import Limit, Pool, Unit
from freeroute.domain.leases import Reading
from freeroute.engine.headers import ClientLimits
from freeroute.wire.head import Head

AMOUNTS = st.floats(0, 1e12) | st.integers(0, 10**9).map(float)
POOLS = st.builds(
    lambda unit: Pool("client:c", Limit(unit, 1, 60.0)), st.sampled_from([Unit.REQUESTS, Unit.TOKENS])
)


@st.composite
def looks(draw):
    """Draw the readings of some pools at several moments; now and then a limit has changed meanwhile."""
    pools = draw(st.lists(POOLS, max_size=5))
    limits = {id(pool): draw(AMOUNTS) for pool in pools}
    seen = []
    for _ in range(draw(st.integers(1, 4))):
        for pool in pools:
            if draw(st.integers(0, 3)) == 0:
                limits[id(pool)] = draw(AMOUNTS)
        seen.append(
            [Reading(pool, draw(AMOUNTS), limits[id(pool)], draw(st.floats(0, 1e7))) for pool in pools]
        )
    return pools, seen


@given(looks())
def test_of_each_unit_the_limit_nearest_its_end_is_told_in_whole_numbers(drawn):
    pools, seen = drawn
    limits = ClientLimits(pools)
    for given_now in seen:
        standing = [(max(one.limit - one.used, 0.0), one.resets_in) for one in given_now]
        told = Head(limits.told([one.limit for one in given_now], [*chain.from_iterable(standing)]))
        units = {pool.limit.unit for pool in pools}
        assert len(told) == 3 * len(units)
        for unit in units:
            ours = [one for one in given_now if one.pool.limit.unit is unit]
            nearest = min(ours, key=lambda one: max(one.limit - one.used, 0.0))
            assert told[f"x-ratelimit-limit-{unit}"] == f"{nearest.limit:.0f}"
            assert told[f"x-ratelimit-remaining-{unit}"] == f"{max(nearest.limit - nearest.used, 0.0):.0f}"
            assert told[f"x-ratelimit-reset-{unit}"] == f"{nearest.resets_in:.3f}s"
