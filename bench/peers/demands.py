"""What others cost, and what is demanded of freeroute beside them."""

from collections.abc import Mapping

from msgspec import Struct

from bench.peers.budgets import CPU
from bench.ways import LIMITED, NGINX, OVER_TLS


class Demand(Struct, frozen=True):
    """How freeroute is to compare with *name* in requests for each second of CPU time.

    It is to serve *must* times as many, better *aim* times; under a *ceiling* the other may serve so many
    times as many. *quoted* is what the other once took, in CPU ms a request, on two cores of a virtual
    machine like that of docs/benchmarks.md; where the other is not measured it stands in, as many times as
    much as this machine is slower than that one.
    """

    name: str
    must: float
    aim: float
    quoted: float
    ceiling: bool = False


# Own design: ratios within one run are what binds on any machine, and these keep freeroute at what its
# design allows. The quoted figures are of November 2026, LiteLLM's with one worker.
DEMANDS = (
    Demand(NGINX, 16.0, 10.0, quoted=CPU.nginx, ceiling=True),
    Demand("FreeLLM", 2.0, 3.0, quoted=0.46),
    Demand("Portkey", 3.4, 5.5, quoted=0.69),
    Demand("freellmapi", 10.0, 15.0, quoted=2.1),
    Demand("LiteLLM", 37.0, 60.0, quoted=8.4),
)
_TLS_MUST, _TLS_AIM = 1.6, 1.3


class Beside(Struct, frozen=True):
    """*ours* beside another way: *ratio* is what the demand is about; *cpu_ms* is the other's, a request."""

    ours: str
    demand: Demand
    cpu_ms: float
    ratio: float
    is_quoted: bool

    @property
    def is_met(self) -> bool:
        """Say whether what must be is so."""
        return self.ratio <= self.demand.must if self.demand.ceiling else self.ratio >= self.demand.must


def beside(costs: Mapping[str, float]) -> list[Beside]:
    """Hold freeroute beside all others, and over TLS beside itself; nothing where it was not measured.

    *costs* are CPU ms a request under load, by the name of the way.
    """
    if LIMITED not in costs:
        return []
    found = [_held(LIMITED, demand, costs) for demand in DEMANDS]
    if OVER_TLS in costs:
        plain = Demand(LIMITED, _TLS_MUST, _TLS_AIM, quoted=0.0, ceiling=True)
        found.append(_held(OVER_TLS, plain, costs))
    return found


def _held(ours: str, demand: Demand, costs: Mapping[str, float]) -> Beside:
    theirs = costs.get(demand.name) or demand.quoted * (CPU.slower(costs) or 1.0)
    own = costs[ours]
    ratio = own / theirs if demand.ceiling else theirs / own
    return Beside(ours, demand, theirs, ratio, demand.name not in costs)
