"""Conversations stay with their candidate: whose they are, from which turn on, and until when."""

import msgspec
import pytest

from freeroute.domain.catalogue import Limit, Unit
from freeroute.domain.clients import Client
from freeroute.domain.outcome import Kind
from freeroute.engine.attempts import Routing
from tests.support.world import World, catalogue, provider

MANY = Limit(Unit.REQUESTS, 1000, 60.0, span="minute")
FEW = Limit(Unit.REQUESTS, 950, 60.0, span="minute")


def even(**given) -> World:
    """Two providers with as much to give; ``free`` goes back and forth between them."""
    return World(provider("a", limits=(MANY,)), provider("b", limits=(MANY,)), **given)


async def asked_after(world: World, opening=b"o", *, first, then) -> tuple[str, ...]:
    """Ask a first time and, when the other is ahead, once more; returns who was asked each time."""
    await world.ask(context=world.context(**first), opening=opening)
    await world.ask(context=world.context(**then), opening=opening, has_assistant=True)
    return tuple(world.upstream.providers_asked[-2:])


async def test_without_a_conversation_calls_alternate():
    world = even()
    for _ in range(4):
        await world.ask(opening=b"o")
    assert world.upstream.providers_asked == ["a", "b", "a", "b"]


async def test_a_second_turn_goes_where_the_first_went():
    assert await asked_after(even(), first={}, then={}) == ("a", "a")


async def test_a_session_stays_even_if_its_messages_do_not():
    world = even()
    for opening in (b"one", b"two", b"three"):
        await world.ask(context=world.context(session="s"), opening=opening)
    assert world.upstream.providers_asked == ["a", "a", "a"]


@pytest.mark.parametrize("session", [None, "s"])
async def test_the_same_session_of_two_clients_does_not_meet(session):
    first, then = {"queue": "alice", "session": session}, {"queue": "bob", "session": session}
    assert await asked_after(even(), first=first, then=then) == ("a", "b")


async def test_upstreams_know_whose_call_it_is_so_that_nothing_they_remember_serves_another():
    world = even()
    await world.ask(context=world.context(client=Client("alice", b"a")))
    await world.ask()
    assert [terms.client for terms in world.upstream.terms] == ["alice", ""]


async def test_a_conversation_moves_when_its_candidate_fails_and_stays_where_it_went():
    world = even(a=[Kind.SERVED, Kind.RATE_LIMITED])
    for _ in range(4):
        await world.ask(context=world.context(session="s"))
        world.clock.advance(20)
    assert world.upstream.providers_asked == ["a", "a", "b", "b", "b"]


@pytest.mark.parametrize(("pause", "second"), [(59, "a"), (60, "b")])
async def test_a_conversation_is_forgotten_after_the_time_set(pause, second):
    world = even(routing=Routing(affinity=60.0))
    world.clock.advance(100)
    await world.ask(context=world.context(session="s"))
    world.clock.advance(pause)
    await world.ask("b/m")
    for _ in range(2):
        await world.ask("a/m")
    await world.ask(context=world.context(session="s"))
    assert world.upstream.providers_asked[-1] == second


async def test_nothing_is_remembered_while_it_is_switched_off():
    world = even(routing=Routing(affinity=0.0))
    assert await asked_after(world, first={"session": "s"}, then={"session": "s"}) == ("a", "b")
    assert len(world.gateway.affinity) == 0


async def test_a_reload_changes_the_time_and_keeps_the_conversations():
    world = even()
    await world.ask(context=world.context(session="s"))
    world.gateway.adopt(catalogue(provider("a", limits=(MANY,)), provider("b", limits=(FEW,))))
    await world.ask(context=world.context(session="s"))
    world.gateway.loop.routing = msgspec.structs.replace(world.gateway.loop.routing, affinity=0.0)
    await world.ask(context=world.context(session="s"))
    assert world.upstream.providers_asked == ["a", "a", "b"]
