"""What the status page remembers of requests: counts, medians, the last fifty."""

from freeroute.clock import Now
from freeroute.domain.outcome import Kind
from freeroute.domain.receipt import MOST_ALIKE, AttemptNote
from freeroute.engine.tally import HISTORY, RECENT, TURNED_AWAY, ProviderTally, Tally
from tests.support.receipts import changed
from tests.support.world import World, provider


async def receipt_of_one_request():
    world = World(provider("a"), seconds=2)
    await world.ask()
    return world.receipts.last


async def test_only_the_last_fifty_are_kept():
    tally, receipt = Tally(), await receipt_of_one_request()
    for _ in range(RECENT + 5):
        tally.saw(receipt)
    assert len(tally.recent) == RECENT
    assert tally.requests == RECENT + 5
    assert tally.providers["a"].latency() == {
        "first_event_p50": 2.0,
        "total_p50": 2.0,
        "first_events": [2.0] * HISTORY,
        "totals": [2.0] * HISTORY,
    }


async def test_requests_turned_away_at_the_door_push_no_others_out():
    tally, receipt = Tally(), await receipt_of_one_request()
    knocks = [
        changed(
            receipt, at=Now(n, n), request_id=f"knock{n}", status=401, code="invalid_api_key", attempts=()
        )
        for n in range(1000, 1100)
    ]
    for one in (changed(receipt, at=Now(1000.5, 1000.5)), *knocks):
        tally.saw(one)
    assert tally.requests == 101
    assert [one.request_id for one in tally.recent] == [receipt.request_id] + [
        f"knock{n}" for n in range(1100 - TURNED_AWAY, 1100)
    ]


async def test_an_answer_whose_first_event_nobody_saw_still_counts():
    tally, receipt = Tally(), await receipt_of_one_request()
    tally.saw(changed(receipt, first_event=None))
    latency = tally.providers["a"].latency()
    assert latency == {"first_event_p50": 0.0, "total_p50": 2.0, "first_events": [], "totals": [2.0]}


async def test_the_last_error_of_a_provider_is_remembered():
    tally, receipt = Tally(), await receipt_of_one_request()
    note = AttemptNote("a", "m", "k1", Kind.FAULT, 0.5, 503, "down")
    tally.saw(changed(receipt, attempts=(note,), status=502))
    error = tally.providers["a"].last_error
    assert error is not None
    assert (error.kind, error.detail, error.model) == ("fault", "down", "m")
    assert tally.failed == 1


def test_a_provider_never_asked_has_no_latency():
    assert ProviderTally().latency() is None


async def test_however_many_names_are_asked_for_every_request_counts_for_its_client():
    tally, receipt = Tally(), await receipt_of_one_request()
    for number in range(MOST_ALIKE + 2):
        tally.saw(changed(receipt, client="alice", asked=f"m{number}"))
    assert (tally.requests, tally.clients["alice"].requests) == (MOST_ALIKE + 2, MOST_ALIKE + 2)
