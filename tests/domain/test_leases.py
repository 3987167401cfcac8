"""What a call is charged before it is sent, and what it turns out to have taken."""

import pytest

from freeroute.domain.catalogue import (
    Candidate,
    Key,
    Limit,
    Model,
    Pool,
    Precharge,
    Price,
    Provider,
    Unit,
    candidates_of,
)
from freeroute.domain.leases import Charges, Denied, Lease, actual_amounts, charges_of, output_bound
from freeroute.domain.usage import DEFAULT_OUTPUT, Demand, Usage

LIMITS = tuple(Limit(unit, 1_000_000, 0 if unit is Unit.CONCURRENCY else 60) for unit in Unit)


def candidate(
    precharge: Precharge | None = None,
    *,
    max_output: int | None = None,
    price: Price | None = None,
    neurons: Price | None = None,
) -> Candidate:
    (only,) = candidates_of(
        Provider(
            id="groq",
            name="Groq",
            base_url="http://127.0.0.1:9",
            keys=(Key("secret", "key-1"),),
            models=(Model("m", "m", max_output=max_output, price=price, neurons=neurons),),
            limits=LIMITS,
            precharge=precharge or Precharge(),
        )
    )
    return only


def charged(candidate: Candidate, demand: Demand) -> dict[Unit, float]:
    charges = charges_of(candidate, demand)
    return {pool.limit.unit: amount for pool, amount in zip(charges.pools, charges.amounts, strict=True)}


PRECHARGED = Precharge(output=True, default=2_048)


@pytest.mark.parametrize(
    ("precharge", "max_output", "named", "bound"),
    [
        (Precharge(), 8_192, None, None),
        (Precharge(), 8_192, 500, 500),
        (PRECHARGED, None, None, 2_048),
        (PRECHARGED, 1_000, None, 1_000),
        (PRECHARGED, 8_192, None, 2_048),
        (PRECHARGED, 1_000, 4_000, 4_000),
    ],
)
def test_an_output_bound_is_the_callers_or_what_the_provider_would_charge_for(
    precharge, max_output, named, bound
):
    assert output_bound(candidate(precharge, max_output=max_output), Demand(100, named)) == bound


def test_a_call_is_charged_one_request_one_slot_and_its_prompt():
    assert charged(candidate(), Demand(100, 500)) == {
        Unit.REQUESTS: 1,
        Unit.CONCURRENCY: 1,
        Unit.TOKENS: 100,
        Unit.INPUT_TOKENS: 100,
        Unit.OUTPUT_TOKENS: 0,
        Unit.NEURONS: 0,
        Unit.USD: 0,
    }


def test_where_output_is_charged_before_it_is_the_bound_counts():
    found = charged(candidate(PRECHARGED), Demand(100, 500))
    assert found[Unit.TOKENS] == 600
    assert found[Unit.INPUT_TOKENS] == 100
    assert found[Unit.OUTPUT_TOKENS] == 500
    assert charged(candidate(PRECHARGED), Demand(100))[Unit.TOKENS] == 2_148


def test_money_and_neurons_are_charged_for_the_output_expected():
    price, neurons = Price(1.0, 10.0), Price(0.0, 1_000.0)
    served = candidate(price=price, neurons=neurons)
    found = charged(served, Demand(1_000, 20))
    assert found[Unit.USD] == pytest.approx(0.0012)
    assert found[Unit.NEURONS] == pytest.approx(0.02)
    unbounded = charged(served, Demand(0))
    assert unbounded[Unit.NEURONS] == pytest.approx(DEFAULT_OUTPUT / 1_000)
    assert charged(candidate(PRECHARGED, neurons=neurons), Demand(0, 5_000))[Unit.NEURONS] == pytest.approx(5)


def test_an_answer_settles_what_depends_on_its_tokens_and_nothing_else():
    served = candidate(price=Price(1.0, 10.0), neurons=Price(0.0, 1_000.0))
    assert actual_amounts(served, Usage(90, 40)) == {
        Unit.TOKENS: 130,
        Unit.INPUT_TOKENS: 90,
        Unit.OUTPUT_TOKENS: 40,
        Unit.NEURONS: pytest.approx(0.04),
        Unit.USD: pytest.approx(0.00049),
    }


def test_what_is_not_priced_is_not_settled():
    assert actual_amounts(candidate(), Usage(90, 40)).keys() == {
        Unit.TOKENS,
        Unit.INPUT_TOKENS,
        Unit.OUTPUT_TOKENS,
    }


async def test_what_is_granted_or_denied_at_once_is_there_for_whoever_awaits_it():
    lease, denied = Lease(Charges((), ()), None, ()), Denied(1.0, Pool("p", Limit(Unit.REQUESTS, 1.0)))
    assert await lease is lease
    assert await denied is denied
