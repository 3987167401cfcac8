"""What one call takes from the counters, and what it is granted."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from freeroute.domain.catalogue import Candidate, Pool, Price, Unit
from freeroute.domain.usage import DEFAULT_OUTPUT, Demand, Usage


class Charge(Struct, frozen=True):
    """*amount* of a pool's unit."""

    pool: Pool
    amount: float


class Denied(Struct, frozen=True):
    """The charges do not fit; *until* (mono seconds) the one that fits last may, ``inf`` if never."""

    until: float
    pool: Pool


class Lease(Struct, eq=False):
    """Granted charges, held until settled. *slips* belong to the store that made the lease."""

    charges: tuple[Charge, ...]
    slips: tuple[object, ...]
    open: bool = True


class Reading(Struct, frozen=True):
    """A counter as people see it: *resets_in* seconds until it is empty again; *source* of the limit."""

    pool: Pool
    used: float
    limit: float
    resets_in: float
    source: str = "published"
    age: float = 0.0


def output_bound(candidate: Candidate, demand: Demand) -> int | None:
    """Return the output bound to send: the caller's, or the default where output is pre-charged."""
    if demand.max_output is not None:
        return demand.max_output
    if not candidate.provider.precharge.output:
        return None
    default = candidate.provider.precharge.default
    return min(default, candidate.model.max_output or default)


def charges_of(candidate: Candidate, demand: Demand) -> tuple[Charge, ...]:
    """Return what *candidate*'s provider is expected to count for *demand* when the call is sent."""
    precharged = 0
    if candidate.provider.precharge.output:
        precharged = output_bound(candidate, demand) or 0
    expected = precharged or min(demand.max_output or DEFAULT_OUTPUT, DEFAULT_OUTPUT)
    return tuple(
        Charge(pool, _amount(pool.limit.unit, candidate, demand.prompt, precharged, expected))
        for pool in candidate.pools
    )


def _amount(unit: Unit, candidate: Candidate, prompt: int, precharged: int, expected: int) -> float:
    match unit:
        case Unit.REQUESTS | Unit.CONCURRENCY:
            return 1.0
        case Unit.TOKENS:
            return float(prompt + precharged)
        case Unit.INPUT_TOKENS:
            return float(prompt)
        case Unit.OUTPUT_TOKENS:
            return float(precharged)
        case Unit.NEURONS:
            return _priced(candidate.model.neurons, prompt, expected)
        case _:  # Unit.USD, the last
            return _priced(candidate.model.price, prompt, expected)


def _priced(price: Price | None, prompt: int, completion: int) -> float:
    return 0.0 if price is None else (prompt * price.input + completion * price.output) / 1_000_000


def actual_amounts(candidate: Candidate, usage: Usage, charges: Sequence[Charge]) -> Mapping[str, float]:
    """Return by pool id what an answered call really took; requests and concurrency stay as charged."""
    real = {
        Unit.TOKENS: float(usage.total),
        Unit.INPUT_TOKENS: float(usage.prompt),
        Unit.OUTPUT_TOKENS: float(usage.completion),
        Unit.NEURONS: _priced(candidate.model.neurons, usage.prompt, usage.completion),
        Unit.USD: _priced(candidate.model.price, usage.prompt, usage.completion),
    }
    return {c.pool.id: real[c.pool.limit.unit] for c in charges if c.pool.limit.unit in real}
