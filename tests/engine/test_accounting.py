"""Receipts as they are made: what like ones have in common is one thing, and of those there is an end."""

from freeroute.domain.receipt import MOST_ALIKE
from freeroute.engine.accounting import Accounting, Ending
from freeroute.engine.course import Course
from tests.support.world import Receipts, World, provider


async def test_like_requests_share_what_they_are_like():
    world = World(provider("a"))
    await world.ask("free")
    await world.ask("free")
    await world.ask("a/m")
    first, second, other = [receipt.like for receipt in world.receipts.seen]
    assert first is second
    assert (first.asked, other.asked) == ("free", "a/m")


async def test_every_receipt_says_what_it_is_like_however_many_kinds_there_are():
    world, receipts = World(provider("a")), Receipts()
    accounting = Accounting([receipts])
    names = [f"m{number}" for number in range(MOST_ALIKE + 2)]
    for name in (*names, *names[-2:]):
        accounting.record(Course(world.context(), name), Ending(404, "model_not_found"), world.clock.now())
    assert [receipt.like.asked for receipt in receipts.seen] == [*names, *names[-2:]]
    assert receipts.seen[-1].like is receipts.seen[-3].like
