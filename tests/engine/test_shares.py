"""Who used what of which provider, and what a client is told of itself."""

import math

import msgspec
import pytest
from msgspec import structs

from freeroute.domain.catalogue import Limit, Unit
from freeroute.domain.clients import Client
from freeroute.domain.outcome import Kind
from freeroute.domain.usage import Usage
from freeroute.engine.shares import LISTED
from freeroute.engine.tally import CLIENTS, OTHER, USES, Tally
from freeroute.errors import InvalidApiKey, NoProvider, UpstreamFailed
from tests.support.receipts import changed
from tests.support.world import World, model, provider, streamed

MINUTE = Limit(Unit.REQUESTS, 20, 60.0, span="minute")
HOUR = Limit(Unit.REQUESTS, 100, 3600.0, span="hour")
DAY = Limit(Unit.TOKENS, 1000, 86400.0, span="day")
ALICE = Client("alice", b"a", limits=(MINUTE, DAY), models=("free*",), no_train=False, max_wait=5.0)
BOB = Client("bob", b"b", weight=2.0)


def team(*providers, **given) -> World:
    world = World(*(providers or (provider("a"), provider("b"))), **given)
    world.gateway.adopt(world.gateway.catalogue, (ALICE, BOB))
    return world


async def test_an_operator_sees_who_used_what_of_which_provider():
    world = team(provider("a", model("x")), provider("b", model("y")))
    await world.ask("a/x", context=world.context(client=BOB))
    await world.ask("b/y", context=world.context(client=BOB))
    await world.ask("b/y", context=world.context(client=BOB))
    bob, alice = world.gateway.status()["clients"]
    msgspec.json.encode(bob)
    assert (bob["name"], bob["requests"], bob["served"], bob["weight"]) == ("bob", 3, 3, 2.0)
    assert bob["tokens"] == {"prompt": 30, "completion": 60}
    assert bob["use"] == [
        {"provider": "b", "model": "y", "requests": 2, "prompt": 20, "completion": 40},
        {"provider": "a", "model": "x", "requests": 1, "prompt": 10, "completion": 20},
    ]
    assert (alice["name"], alice["requests"], alice["last_used"]) == ("alice", 0, None)


async def test_a_client_sees_nobody_s_use_and_requests_but_its_own():
    world = team()
    await world.ask(context=world.context(client=ALICE))
    await world.ask(context=world.context(client=BOB))
    seen = world.gateway.status(BOB)
    assert [one["name"] for one in seen["clients"]] == ["bob"]
    assert [one["client"] for one in seen["requests"]] == ["bob"]
    assert "alice" not in msgspec.json.encode(seen).decode()
    assert len(world.gateway.status()["requests"]) == 2


async def test_a_client_is_told_totals_of_its_own():
    world = team(provider("a"), a=[Kind.FAULT])
    await world.fails(UpstreamFailed, context=world.context(client=BOB))
    await world.ask(context=world.context(client=ALICE))
    await world.ask(context=world.context(client=BOB))
    assert world.gateway.status(BOB)["totals"] == {"requests": 2, "served": 1, "failed": 1, "tokens": 30}
    assert world.gateway.status(ALICE)["totals"]["requests"] == 1
    assert world.gateway.status()["totals"]["requests"] == 3


async def test_a_client_is_told_how_models_stand_and_neither_keys_nor_what_others_do_there():
    keys = ("hidden-1", "hidden-2")
    world = team(provider("a", model("x"), model("y"), keys=keys, limits=(MINUTE,)))
    await world.ask("a/x", context=world.context())
    world.gateway.standing.hold(("key", "a", "hidden-1"), math.inf, "key was refused as invalid")
    [told] = world.gateway.status(BOB)["providers"]
    assert "hidden" not in msgspec.json.encode(world.gateway.status(BOB)).decode()
    assert "hidden" not in msgspec.json.encode(world.gateway.plan("free", BOB)).decode()
    assert "hidden" in msgspec.json.encode(world.gateway.plan("free", None)).decode()
    assert [(one["id"], one["state"], one["key"]) for one in told["candidates"]] == [
        ("a/x", "healthy", None),
        ("a/y", "healthy", None),
    ]
    assert (told["state"], told["models"], told["keys"], told["pools"]) == ("healthy", 2, [], [])
    assert {told[name] for name in ("requests", "served", "failed", "last_used", "last_error")} == {None}
    world.gateway.standing.hold(("key", "a", "hidden-2"), world.clock.now().mono + 5, "key was throttled")
    for client, labels in ((BOB, {None}), (None, {"hidden-1", "hidden-2"})):
        refused = await world.fails(NoProvider, context=world.context(client=client))
        assert {line["key"] for line in (refused.metadata or {})["candidates"]} == labels
    [told] = world.gateway.status(BOB)["providers"]
    held = told["candidates"][0]
    assert (held["state"], held["back_at"]) == ("held", world.clock.now().wall + 5)
    assert set(told) == set(world.gateway.status()["providers"][0])


async def test_who_is_added_anew_under_a_name_is_told_nothing_of_the_former_and_starts_whole():
    world = team()
    former = structs.replace(ALICE, key_hash=b"1", created=1.0)
    anew = structs.replace(ALICE, key_hash=b"2", created=2.0)
    world.gateway.adopt(world.gateway.catalogue, (former, BOB))
    await world.ask(context=world.context(client=former))
    world.gateway.enrol((anew, BOB))
    told, seen = world.gateway.key(anew)["data"]["freeroute"], world.gateway.status(anew)
    assert (told["name"], told["requests"], told["use"], told["last_used"]) == ("alice", 0, [], None)
    assert [limit["used"] for limit in told["limits"]] == [0, 0]
    assert (seen["requests"], seen["totals"]["requests"]) == ([], 0)
    listed = [(one["name"], one["requests"], one["weight"]) for one in world.gateway.status()["clients"]]
    assert sorted(listed, key=str) == [("alice", 0, 1.0), ("alice", 1, None), ("bob", 0, 2.0)]


async def test_what_failed_is_counted_but_used_nothing():
    world = team(provider("a"), a=[Kind.FAULT])
    await world.fails(UpstreamFailed, context=world.context(client=BOB))
    bob = world.gateway.status()["clients"][0]
    assert (bob["requests"], bob["served"], bob["use"]) == (1, 0, [])


async def test_an_answer_of_unknown_use_is_an_answer_still():
    world = team(provider("a"), a=[streamed([b"x"], usage=None)])
    await world.ask(stream=True, context=world.context(client=BOB))
    [use] = world.gateway.status()["clients"][0]["use"]
    assert (use["requests"], use["prompt"]) == (1, 0)


async def test_a_client_that_is_gone_is_shown_by_what_it_used():
    world = team()
    await world.ask(context=world.context(client=BOB))
    world.gateway.adopt(world.gateway.catalogue, (ALICE,))
    bob, _ = world.gateway.status()["clients"]
    assert (bob["name"], bob["requests"], bob["weight"], bob["limits"]) == ("bob", 1, None, [])


async def test_nobody_is_a_client_only_where_none_is_configured():
    world = World(provider("a"))
    world.gateway.refuse(world.context(), "", InvalidApiKey("no"))
    assert world.gateway.status()["clients"] == []
    await world.ask()
    assert [one["name"] for one in world.gateway.status()["clients"]] == ["-"]


async def test_the_status_lists_so_many_clients_and_those_used_last_first():
    world = World(provider("a"))
    many = [Client(f"c{number}", b"%d" % number) for number in range(LISTED + 5)]
    world.gateway.adopt(world.gateway.catalogue, many)
    await world.ask(context=world.context(client=many[-1]))
    listed = world.gateway.status()["clients"]
    assert len(listed) == LISTED
    assert listed[0]["name"] == many[-1].name


async def test_clients_and_their_uses_are_counted_apart_up_to_a_bound():
    world = World(provider("a"))
    await world.ask()
    receipt = world.receipts.last
    counted = Tally()
    for number in range(CLIENTS + 2):
        counted.saw(changed(receipt, client=f"c{number}"))
    assert len(counted.clients) == CLIENTS + 1
    assert counted.clients[OTHER].requests == 2
    for number in range(USES + 2):
        note = msgspec.structs.replace(receipt.attempts[0], model=f"m{number}", usage=Usage(1, 2))
        counted.saw(changed(receipt, client="c0", attempts=(note,)))
    assert len(counted.clients["c0"].uses) == USES + 1
    other = counted.clients["c0"].uses[OTHER, OTHER]
    assert (other.requests, other.prompt, other.completion) == (3, 3, 6)


async def test_a_client_is_told_its_limits_its_use_and_when_they_are_whole_again():
    world = team()
    await world.ask(context=world.context(client=ALICE))
    told = world.gateway.key(ALICE)["data"]
    assert (told["label"], told["usage"], told["limit"], told["limit_remaining"]) == (
        "alice",
        0.0,
        None,
        None,
    )
    assert told["rate_limit"] == {"requests": 20, "interval": "60s"}
    ours = told["freeroute"]
    assert (ours["models"], ours["privacy"], ours["max_wait"]) == (("free*",), "any", 5.0)
    assert ours["tokens"] == {"prompt": 10, "completion": 20}
    requests, tokens = ours["limits"]
    assert (requests["label"], requests["limit"], requests["remaining"]) == ("requests/minute", 20, 19)
    assert requests["resets_at"] == pytest.approx(world.clock.now().wall + 60, abs=1)
    assert (tokens["label"], tokens["used"]) == ("tokens/day", 30)


async def test_the_tightest_limit_of_requests_is_told_as_the_rate():
    world = team()
    tight = Client("tight", b"t", limits=(HOUR, MINUTE))
    assert world.gateway.key(tight)["data"]["rate_limit"] == {"requests": 20, "interval": "60s"}


@pytest.mark.parametrize("client", [None, BOB])
async def test_without_limits_the_rate_is_unbounded(client):
    told = team().gateway.key(client)["data"]
    assert told["rate_limit"] == {"requests": -1, "interval": "10s"}
    assert (told["freeroute"] is None) == (client is None)
