"""What one call takes from the counters, and what it is granted."""

import math
from collections.abc import Generator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from freeroute.domain.catalogue import Candidate, Pool, Price, Unit
from freeroute.domain.usage import DEFAULT_OUTPUT, Demand, Usage

ENOUGH_OUTPUT = 1024
"""Tokens of output that are waited for when a bound has to be cut: most answers are whole. Own design."""

LEAST_OUTPUT = 256
"""No bound is cut below this: an answer that ends after a paragraph is of no use. Own design."""

MOST_OUTPUT = 1_000_000
"""Stands for no limit; no model writes so much at once."""

AS_CHARGED: Mapping[Unit, float] = {}
"""What a lease took of which nothing else is known."""

# What nearly every call is charged with; a member of an enum is looked up at length.
_TOKENS, _INPUT, _OUTPUT = Unit.TOKENS, Unit.INPUT_TOKENS, Unit.OUTPUT_TOKENS


class Charges(Struct, frozen=True, gc=False):
    """What one call takes: of each of *pools* one of the *amounts*, in the same order.

    All pools are of one owner, a candidate's provider or a client, and no two are the same: settings limit
    nothing twice. Calls of one candidate, or of one client, share one tuple of them, by which stores know it.
    """

    pools: tuple[Pool, ...]
    amounts: Sequence[float]


class Denied(Struct, frozen=True):
    """The charges do not fit; *until* (mono seconds) the one that fits last may, ``inf`` if never.

    As a `Lease`, it is there already for whoever awaits it.
    """

    until: float
    pool: Pool

    def __await__(self) -> Generator[Any, Any, "Denied"]:
        """Wait for nothing."""
        yield from ()
        return self


class Lease(Struct, eq=False):
    """Granted charges, held until settled. *sheet* and *slips* belong to the store that made the lease.

    A store that grants it at once returns it itself, and whoever meets it may as well not await it.
    """

    charges: Charges
    sheet: Any
    slips: Any
    open: bool = True

    def __await__(self) -> Generator[Any, Any, "Lease"]:
        """Wait for nothing."""
        yield from ()
        return self


class Reading(Struct, frozen=True):
    """A counter as people see it: *resets_in* seconds until it is empty again; *source* of the limit."""

    pool: Pool
    used: float
    limit: float
    resets_in: float
    source: str = "published"
    age: float = 0.0


def output_bound(candidate: Candidate, demand: Demand) -> int | None:
    """Return the output bound to send: the caller's, or one of ours where output is pre-charged.

    Ours is the provider's default as far as it fits beside the prompt.
    """
    if demand.max_output is not None:
        return demand.max_output
    if not candidate.provider.precharge.output:
        return None
    default = candidate.provider.precharge.default
    default = min(default, candidate.model.max_output or default)
    return min(default, _most_output(candidate, demand.prompt))


def least_bound(candidate: Candidate, demand: Demand) -> int | None:
    """Return what the output bound of *demand* may be cut to at *candidate*; None if that saves nothing."""
    bound = output_bound(candidate, demand)
    if bound is None or not candidate.provider.precharge.output:
        return None
    return min(bound, ENOUGH_OUTPUT, _most_output(candidate, demand.prompt))


def _most_output(candidate: Candidate, prompt: int) -> int:
    """Return the output that the candidate's limits allow beside *prompt* while nothing else is used."""
    room = math.inf
    for pool in candidate.pools:
        if pool.limit.unit is Unit.TOKENS:
            room = min(room, pool.limit.amount - prompt)
        elif pool.limit.unit is Unit.OUTPUT_TOKENS:
            room = min(room, pool.limit.amount)
    return MOST_OUTPUT if room == math.inf else max(int(room), LEAST_OUTPUT)


def charges_of(candidate: Candidate, demand: Demand) -> Charges:
    """Return what *candidate*'s provider is expected to count for *demand* when the call is sent."""
    prompt, precharged, pools = demand.prompt, 0.0, candidate.pools
    if candidate.provider.precharge.output:
        precharged += output_bound(candidate, demand) or 0
    amounts = [1.0] * len(pools)
    for at in candidate.sized:  # on the way of every choice
        unit = pools[at].limit.unit
        if unit is _TOKENS:
            amounts[at] = prompt + precharged
        else:
            amounts[at] = _amount(unit, candidate, demand, precharged)
    return Charges(pools, amounts)


def _amount(unit: Unit, candidate: Candidate, demand: Demand, precharged: float) -> float:
    if unit is Unit.INPUT_TOKENS:
        return float(demand.prompt)
    if unit is Unit.OUTPUT_TOKENS:
        return precharged
    bound = DEFAULT_OUTPUT if demand.max_output is None else demand.max_output
    price = candidate.model.neurons if unit is Unit.NEURONS else candidate.model.price
    return _priced(price, demand.prompt, precharged or min(bound, DEFAULT_OUTPUT))


def _priced(price: Price | None, prompt: int, completion: float) -> float:
    return 0.0 if price is None else (prompt * price.input + completion * price.output) / 1_000_000


def actual_amounts(candidate: Candidate, usage: Usage) -> dict[Unit, float]:
    """Return by unit what an answered call really took; requests and concurrency stay as charged."""
    prompt, completion, model = usage.prompt, usage.completion, candidate.model
    amounts = {_TOKENS: float(prompt + completion), _INPUT: float(prompt), _OUTPUT: float(completion)}
    if model.price is not None:
        amounts[Unit.USD] = _priced(model.price, prompt, completion)
    if model.neurons is not None:
        amounts[Unit.NEURONS] = _priced(model.neurons, prompt, completion)
    return amounts
