"""What dashboards are told: the whole in few words, then what changed and nothing else."""

from copy import deepcopy
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from freeroute.domain.catalogue import Limit, Scope, Unit, WindowKind
from freeroute.domain.leases import charges_of
from freeroute.domain.outcome import Kind
from freeroute.engine import live
from freeroute.engine.feed import Feed
from freeroute.engine.survey import at_once
from freeroute.engine.view import TYPICAL
from tests.engine.test_reports import client
from tests.support.world import PER_MINUTE, World, model, provider


def document(world, who=None, feed=None):
    feed = feed or Feed(world.gateway)
    cards = at_once(feed._look())
    return live.document(feed._steady(), who, cards, feed._line)


def later(world, seconds=1.0):
    """Return what a reader is told after so many seconds in which nothing happens."""
    feed = Feed(world.gateway)
    before = document(world, feed=feed)
    world.clock.advance(seconds)
    return live.change(before, document(world, feed=feed))


async def test_a_provider_has_its_fullest_pools_and_worst_candidates_alone():
    models = [model(f"m{n}", limits=(structs.replace(PER_MINUTE, scope=Scope.MODEL),)) for n in range(20)]
    world = World(provider("a", *models), provider("b"), a=[Kind.MODEL_GONE] * 10)
    for n in range(10):
        await world.ask(f"a/m{n}", models=("b/m",))
    for n in (19, 15, 17) * 2:
        await world.ask(f"a/m{n}")
    entry = document(world)["providers"][0]
    assert entry["pool_count"] == 20
    assert len(entry["pools"]) == live.MOST.pools
    used = [pool["model"] for pool in entry["pools"] if pool["used"]]
    assert [name for name in used if name in ("m15", "m17", "m19")] == ["m15", "m17", "m19"]
    assert entry["candidates_by_state"] == {"healthy": 10, "held": 10}
    assert len(entry["candidates"]) == live.MOST.candidates
    assert {line["state"] for line in entry["candidates"]} == {"held"}


async def test_a_client_is_told_what_is_its_own():
    world = World(provider("a", keys=("k1", "k2", "k3"), limits=(PER_MINUTE,)), a=[Kind.KEY_INVALID])
    alice = client()
    world.gateway.enrol([alice])
    await world.ask(context=world.context(client=alice))
    await world.ask()
    told = document(world, alice)
    [entry] = told["providers"]
    assert (entry["keys"], entry["pools"], entry["capacity"]) == ([], [], None)
    assert entry["candidates_by_state"] == {"healthy": 1}
    assert [one["name"] for one in told["clients"]] == ["alice"]
    assert (len(told["requests"]), told["totals"]["requests"]) == (1, 1)
    assert (told["capacity"], told["waiting"], told["in_flight"], told["alerts"]) == (None, None, None, [])


async def test_while_nothing_happens_nothing_changes():
    sliding, calendar = PER_MINUTE, Limit(Unit.TOKENS, 10**6, 86_400.0, WindowKind.CALENDAR, "day")
    slots = Limit(Unit.CONCURRENCY, 1)
    world = World(
        provider("a", limits=(sliding, calendar, slots)), provider("b"), a=[Kind.SERVED, Kind.FAULT]
    )
    await world.ask("a/m")
    await world.ask("a/m", models=("b/m",))
    assert later(world, 5) == {}


async def test_what_comes_back_until_midnight_moves_once_a_minute():
    bucket = Limit(Unit.REQUESTS, 1_000_000, 60.0, WindowKind.BUCKET)
    world = World(provider("a", limits=(bucket,)))
    feed = Feed(world.gateway)
    told = [document(world, feed=feed)]
    for _ in range(60):
        world.clock.advance(1)
        told.append(document(world, feed=feed))
    assert sum(bool(live.change(before, after)) for before, after in pairwise(told)) == 1


async def test_what_nobody_knows_the_end_of_has_no_moment_that_moves():
    slots = Limit(Unit.CONCURRENCY, 1)
    world = World(provider("a", limits=(slots,)))
    candidate = world.candidate("a/m#k1")
    await world.counters.acquire(charges_of(candidate, TYPICAL), world.clock.now())
    [line] = document(world)["providers"][0]["candidates"]
    assert (line["state"], line["back_at"]) == ("resting", None)
    assert later(world) == {}


async def test_a_bucket_refills_in_steps_that_can_be_seen():
    bucket = Limit(Unit.REQUESTS, 2000, 86_400.0, WindowKind.BUCKET, "day")
    world = World(provider("a", limits=(bucket,)))
    for _ in range(20):
        await world.ask()
    document(world)
    quiet = sum("providers" not in later(world) for _ in range(60))
    assert quiet >= 54
    nothing = Limit(Unit.REQUESTS, 0, 86_400.0, WindowKind.BUCKET, "day")
    [pool] = document(World(provider("a", limits=(nothing,))))["providers"][0]["pools"]
    assert pool["used"] == 0


async def test_of_what_changed_only_the_entries_are_told():
    world = World(provider("a"), provider("b"))
    before = document(world)
    await world.ask("b/m")
    told = live.change(before, document(world))
    assert [entry["id"] for entry in told["providers"]] == ["b"]
    assert [entry["id"] for entry in told["clients"]] == ["-"]
    assert told["ids"] == {"clients": ["-"]}
    assert {"requests", "totals"} <= set(told) <= {"requests", "totals", "providers", "clients", "ids"}


async def test_of_requests_only_new_ones_are_told():
    world = World(provider("a"))
    feed = Feed(world.gateway)
    await world.ask()
    before = document(world, feed=feed)
    await world.ask()
    told = live.change(before, document(world, feed=feed))
    assert [one["id"] for one in told["requests"]] == ["r2"]


def test_a_provider_that_went_is_told_by_those_that_are_left():
    before = document(World(provider("a"), provider("b"), provider("c")))
    after = document(World(provider("c"), provider("a")))
    told = live.change(before, after)
    assert told["ids"] == {"providers": ["c", "a"]}
    assert [entry["id"] for entry in live.merged(before, told, 55)["providers"]] == ["c", "a"]


ENTRIES = st.lists(
    st.fixed_dictionaries({"id": st.sampled_from("abcd"), "x": st.integers(0, 2)}),
    max_size=4,
    unique_by=lambda entry: entry["id"],
)
DOCUMENTS = st.fixed_dictionaries(
    {
        "now": st.integers(0, 9),
        "totals": st.integers(0, 2),
        "alerts": st.lists(st.integers(0, 2)),
        "providers": ENTRIES,
        "clients": ENTRIES,
    }
)


@given(st.lists(DOCUMENTS, min_size=2, max_size=5), st.lists(st.integers(0, 3), min_size=5, max_size=5))
def test_whoever_is_told_of_every_change_knows_it_all(documents, fresh):
    requests: list[dict[str, str]] = []
    number = 0
    known = before = {**deepcopy(documents[0]), "requests": []}
    for one, count in zip(documents[1:], fresh, strict=False):
        requests = [*({"id": f"r{number + n}"} for n in range(count)), *requests][:6]
        number += count
        after = {**deepcopy(one), "requests": requests}
        known = live.merged(known, {"now": after["now"], **live.change(before, after)}, 6)
        assert known == after
        before = after


@given(DOCUMENTS)
def test_what_is_the_same_is_not_told(one):
    assert live.change({**one, "requests": []}, {**deepcopy(one), "requests": []}) == {}
