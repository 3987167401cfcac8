"""What /metrics tells of how things stand."""

import asyncio
import contextlib

import pytest

from freeroute.domain.catalogue import Limit, Unit
from freeroute.domain.clients import Client
from freeroute.domain.outcome import Kind
from freeroute.engine.view import Maintenance, Recording
from freeroute.errors import FreerouteError
from tests.observe.watched import PER_MODEL, SLOTS, Watched, samples
from tests.support.world import PER_MINUTE, model, provider


async def test_quota_is_shown_as_used_of_its_limit_with_the_limits_source():
    world = Watched(provider("groq", model(limits=(PER_MODEL,)), limits=(PER_MINUTE, SLOTS)))
    await world.ask("free")
    found = samples(world.metrics)
    pool = ("limit=requests/minute", "pool=groq/account:default/requests/minute", "provider=groq")
    assert found["freeroute_quota_used", *pool] == 1
    assert found["freeroute_quota_limit", *pool, "source=configured"] == 30
    wall = world.clock.now().wall
    assert 59 <= found["freeroute_quota_reset_timestamp_seconds", *pool] - wall <= 61
    owned = ("limit=tokens/day", "model=m", "pool=groq/account:default/model:m/tokens/day", "provider=groq")
    assert found["freeroute_quota_used", *owned] == 30


async def test_breakers_holds_and_use_are_read_when_asked_for():
    world = Watched(provider("groq"), groq=[Kind.FAULT] * 3)
    candidate = ("key=k1", "model=m", "provider=groq")
    before = samples(world.metrics)
    assert before["freeroute_breaker_state", *candidate] == 0
    assert before["freeroute_candidate_usable", *candidate] == 1
    for _ in range(3):
        with pytest.raises(FreerouteError):
            await world.ask("free")
    failed = samples(world.metrics)
    assert failed["freeroute_breaker_state", *candidate] == 2
    assert failed["freeroute_candidate_usable", *candidate] == 0
    assert failed["freeroute_candidate_held", *candidate] == 0
    assert failed["freeroute_provider_breaker_state", "provider=groq"] == 0
    world.gateway.standing.hold(("provider", "groq"), world.clock.now().mono + 5, "told to")
    held = samples(world.metrics)
    assert held["freeroute_candidate_held", *candidate] == 1
    assert held["freeroute_candidates", "provider=groq", "state=held"] == 1
    assert held["freeroute_candidates", "provider=groq", "state=usable"] == 0
    assert held["freeroute_key_refused", "key=k1", "provider=groq"] == 0


async def test_a_breaker_that_opens_and_closes_again_is_counted_each_time():
    world = Watched(provider("groq"), groq=[Kind.FAULT] * 3)
    for _ in range(3):
        with pytest.raises(FreerouteError):
            await world.ask("free")
    world.gateway.reset("groq")
    found = samples(world.metrics)
    assert found["freeroute_breaker_openings_total", "key=k1", "model=m", "provider=groq"] == 1
    assert found["freeroute_breaker_state", "key=k1", "model=m", "provider=groq"] == 0
    assert found["freeroute_provider_breaker_openings_total", "provider=groq"] == 0


async def test_who_waits_is_counted():
    world = Watched(provider("groq", limits=(Limit(Unit.REQUESTS, 1, 60.0, span="minute"),)))
    await world.ask("free")
    waiting = asyncio.create_task(world.ask("free", context=world.context(max_wait=100.0)))
    for _ in range(10):
        await asyncio.sleep(0)
    found = samples(world.metrics)
    assert found["freeroute_waiting_requests", "cause=capacity"] == 1
    assert found["freeroute_waiting_requests", "cause=client_limit"] == 0
    assert found["freeroute_waiting_room_size",] == 1000
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting


async def test_limits_of_clients_are_shown_once_they_have_asked():
    world = Watched(provider("groq"))
    clients = [Client(name, b"", limits=(PER_MINUTE,)) for name in ("ann", "bob")]
    world.gateway.enrol(clients)
    await world.ask("free", context=world.context(client=clients[0]))
    found = samples(world.metrics)
    assert {name: value for name, value in found.items() if name[0].startswith("freeroute_client_quota")} == {
        ("freeroute_client_quota_used", "client=ann", "limit=requests/minute"): 1,
        ("freeroute_client_quota_limit", "client=ann", "limit=requests/minute"): 30,
    }


async def test_requests_being_answered_are_in_flight_until_they_are_finished():
    world = Watched(provider("groq"))
    served = await world.begin()
    assert samples(world.metrics)["freeroute_requests_in_flight",] == 1
    await served.finish()
    assert samples(world.metrics)["freeroute_requests_in_flight",] == 0
    with pytest.raises(FreerouteError):
        await world.ask("no-such-model")
    assert samples(world.metrics)["freeroute_requests_in_flight",] == 0


def test_records_are_counted_where_they_are_kept():
    world = Watched(provider("groq"))
    assert not [name for name, *_ in samples(world.metrics) if "records" in name]
    world.gateway.recording = Recording(failing=True, written=3, lost=2, spooled=400, queued=7)
    assert {name: value for (name, *_), value in samples(world.metrics).items() if "records" in name} == {
        "freeroute_records_failing": 1,
        "freeroute_records_queued": 7,
        "freeroute_records_spooled_bytes": 400,
        "freeroute_records_written_total": 3,
        "freeroute_records_lost_total": 2,
    }


def test_maintenance_is_seen():
    world = Watched(provider("groq"))
    assert samples(world.metrics)["freeroute_maintenance",] == 0
    world.gateway.maintenance = Maintenance(0.0)
    assert samples(world.metrics)["freeroute_maintenance",] == 1
