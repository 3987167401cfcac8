"""What a figure may be on a machine of known speed, and what that comes to on the one that was measured."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from bench.results import Calls, Streams
from bench.ways import BARE, LIMITED, NGINX


class Budget(Struct, frozen=True):
    """What *name* must be, better is to be, on the machine where *nginx* and the *bare* proxy had theirs.

    A ceiling, or with *is_floor* the least. Both are figures of what decides nothing, so how much they differ
    between two machines is how much the machines do.
    """

    name: str
    must: float
    aim: float
    nginx: float
    bare: float
    is_floor: bool = False

    def slower(self, seen: Mapping[str, float]) -> float | None:
        """Return how many times slower than there this machine is, by the one of *seen* that allows less."""
        there = {NGINX: self.nginx, BARE: self.bare}
        both = [(seen[name], figure) for name, figure in there.items() if seen.get(name, 0) > 0]
        return min((there / here if self.is_floor else here / there for here, there in both), default=None)


class Carried(Struct, frozen=True):
    """Freeroute's *figure* here, beside a budget that a machine *slower* by so many times is given."""

    budget: Budget
    figure: float
    slower: float

    @property
    def must(self) -> float:
        """Return what the budget comes to here."""
        return self._here(self.budget.must)

    @property
    def aim(self) -> float:
        """Return what is aimed at here."""
        return self._here(self.budget.aim)

    @property
    def is_met(self) -> bool:
        """Say whether what must be is so."""
        return self.figure >= self.must if self.budget.is_floor else self.figure <= self.must

    def _here(self, figure: float) -> float:
        return figure / self.slower if self.budget.is_floor else figure * self.slower


# Own design: what a gateway in Python can be with every feature on. The figures of others are of November
# 2026, on two cores of a virtual machine; nginx served 52,000 to 79,000 there.
CPU = Budget("CPU ms/req", 0.22, 0.12, nginx=0.0135, bare=0.036)
_PER_SECOND = Budget("req/s", 4_800, 8_000, nginx=65_500, bare=20_922, is_floor=True)
_ADDED = Budget("added p50 ms at 50/s", 0.7, 0.4, nginx=0.15, bare=0.25)
_EVENT = Budget("CPU us/event", 35, 20, nginx=12, bare=20)


def of_calls(ways: Sequence[Calls]) -> list[Carried]:
    """Hold calls against their budgets; nothing where freeroute or all that carries them was not measured."""
    direct = ways[0]
    cpu, per_second, added = {}, {}, {}
    for way in ways[1:]:
        cpu[way.name] = way.busiest.cpu_ms or 0.0
        per_second[way.name] = way.busiest.per_second
        added[way.name] = way.p50_ms - direct.p50_ms
    return carried({CPU: cpu, _PER_SECOND: per_second, _ADDED: added})


def of_streams(ways: Sequence[Streams]) -> list[Carried]:
    """Hold streams against their budget, likewise."""
    return carried({_EVENT: {way.name: way.cpu_us or 0.0 for way in ways}})


def carried(seen: Mapping[Budget, Mapping[str, float]]) -> list[Carried]:
    """Hold what was *seen* of each way, by its name, against each budget."""
    return [
        Carried(budget, figures[LIMITED], slower)
        for budget, figures in seen.items()
        if LIMITED in figures and (slower := budget.slower(figures)) is not None
    ]
