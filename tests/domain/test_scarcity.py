import pytest

from freeroute.domain.catalogue import WindowKind
from freeroute.domain.selection import Refusal
from tests.support.clocks import ManualClock
from tests.support.fields import DAY, Field, per, tokens
from tests.support.world import model, provider


@pytest.mark.parametrize("strategy", ["free", "free-fast", "free-smart"])
def test_among_near_equals_a_small_call_leaves_the_roomy_pool_to_large_ones(strategy):
    world = Field(
        provider("roomy", limits=(tokens(6000),)),
        provider("tight", limits=(tokens(2000),)),
        provider("endless"),
    )
    assert world.take(world.need(strategy, prompt=50)) == "tight"
    assert world.take(world.need(strategy, prompt=3000)) == "roomy"
    assert world.take(world.need(strategy, prompt=9000)) == "endless"


def test_what_is_back_in_a_minute_is_used_up_before_a_roomy_pool_is_touched():
    world = Field(provider("roomy", limits=(tokens(6000),)), provider("tight", limits=(tokens(2000),)))
    need = world.need("free", prompt=100)
    assert [world.take(need) for _ in range(25)] == ["tight"] * 20 + ["roomy"] * 5


def test_sparing_a_roomy_day_costs_no_more_than_a_tenth_of_the_others():
    world = Field(
        provider("roomy", limits=(tokens(6000, DAY, window=WindowKind.CALENDAR, span="day"),)),
        provider("tight", limits=(tokens(2000, DAY, window=WindowKind.CALENDAR, span="day"),)),
    )
    need = world.need("free", prompt=100)
    taken = [world.take(need) for _ in range(40)]
    shares = taken.count("roomy") * 100 / 6000, taken.count("tight") * 100 / 2000
    assert 0 <= shares[1] - shares[0] <= 0.15


def frontier(name, amount, *limits, **speed):
    day = per(amount, DAY, window=WindowKind.CALENDAR, span="day")
    return provider(name, model(quality=85, **speed), limits=(day, *limits))


def spend_a_day(world, strategy, calls_every_half_hour) -> list[tuple[float, str]]:
    """Ask in bursts from midnight to midnight; returns when, in hours, who was asked."""
    world.clock = ManualClock(1000.0, 1_790_000_000.0 // DAY * DAY)
    taken = []
    for half_hour in range(48):
        taken += [(half_hour / 2, world.take(world.need(strategy))) for _ in range(calls_every_half_hour)]
        world.clock.advance(1800)
    return taken


@pytest.mark.parametrize("strategy", ["free-smart", "free-fast"])
def test_a_scarce_day_quota_lasts_through_the_day_where_an_equal_is_nearly_as_fast(strategy):
    world = Field(
        frontier("scarce", 20, first_token=0.9),
        frontier("plenty", 480, per(10), first_token=1.0),
        provider("lesser", model(quality=50, first_token=5.0)),
    )
    taken = spend_a_day(world, strategy, 10)
    scarce = [hour for hour, name in taken if name == "scarce"]
    assert "lesser" not in {name for _, name in taken}
    assert len(scarce) >= 15
    assert sum(hour < 12 for hour in scarce) <= 13
    assert scarce[-1] >= 22


def test_a_burst_goes_to_what_is_back_in_a_minute_rather_than_to_what_is_back_tomorrow():
    world = Field(frontier("scarce", 20), provider("minutely", model(quality=85), limits=(per(10),)))
    world.clock = ManualClock(1000.0, 1_790_000_000.0 // DAY * DAY)
    taken = [world.take(world.need("free-smart")) for _ in range(12)]
    assert taken == ["minutely"] * 10 + ["scarce"] * 2


def test_smart_still_takes_what_is_twice_as_fast_at_the_price_of_a_third_of_its_quota():
    world = Field(
        frontier("quick", 30, first_token=0.5, tokens_per_second=200),
        frontier("slow", 30, first_token=1.0, tokens_per_second=100),
    )
    taken = [world.take(world.need("free-smart")) for _ in range(20)]
    assert 8 <= taken[:12].count("quick") <= 12
    assert "slow" in taken


def test_free_spends_first_what_would_expire_unused():
    day = 86400.0
    world = Field(
        provider("monthly", limits=(per(1000, 30 * day, window=WindowKind.CALENDAR, span="month"),)),
        provider("minutely", limits=(per(30, 60.0),)),
    )
    assert world.take(world.need("free")) == "minutely"


def test_scarcity_orders_but_never_refuses():
    world = Field(provider("a", limits=(per(3, 86400.0, window=WindowKind.CALENDAR, span="day"),)))
    need = world.need("free")
    assert [world.take(need) for _ in range(3)] == ["a"] * 3
    refused = world.choose(need)
    assert isinstance(refused, Refusal)
    assert refused.back_at > world.clock.now().mono
