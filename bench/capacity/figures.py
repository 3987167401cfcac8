"""What a play comes to, in figures."""

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from bench.capacity.callers import Heard
from bench.capacity.play import Played
from bench.capacity.providers import Seen
from bench.capacity.theory import Offered, deliverable_calls, deliverable_tokens
from bench.results import quantile


class PoolFigures(Struct, frozen=True):
    """One provider: what it *delivered* of what it could have *alone*, in calls or tokens.

    *calls* is how many it saw, *refused* how many of them for a limit, *endings* counts all other failures
    by status or fault. Waits are in seconds to the first text, of the calls that it served.
    """

    name: str
    calls: int
    delivered: int
    alone: int
    refused: int
    endings: dict[str, int]
    wait_p50: float
    wait_p95: float


class Figures(Struct, frozen=True):
    """A play in total, and each provider; in tokens where *tokens* says so, else in calls."""

    scenario: str
    contender: str
    seconds: float
    tokens: bool
    calls: int
    delivered: int
    theoretical: int
    refused: int
    errors: dict[str, int]
    interrupted: int
    wait_p50: float
    wait_p95: float
    pools: tuple[PoolFigures, ...]

    @property
    def share(self) -> float:
        """Return delivered / theoretical; 1 if nothing could be."""
        return self.delivered / self.theoretical if self.theoretical else 1.0


def figures(played: Played) -> Figures:
    """Return what *played* comes to: warm-up and interrupted calls apart, refusals of the whole play."""
    counted = counted_calls(played)
    served_by = {seen.call: seen.pool for seen in played.seen if seen.status == 200 and not seen.fault}
    tokens = played.scenario.tokens
    return Figures(
        scenario=played.scenario.name,
        contender=played.contender,
        seconds=played.seconds,
        tokens=tokens,
        calls=len(counted),
        delivered=_delivered(counted, tokens=tokens),
        theoretical=_theoretical(played, None),
        refused=sum(seen.refused for seen in played.seen),
        errors=dict(Counter(heard.ending for heard in counted if not heard.delivered)),
        interrupted=sum(heard.interrupted for heard in played.heard),
        wait_p50=_wait(counted, 0.5),
        wait_p95=_wait(counted, 0.95),
        pools=tuple(
            _pool(played, name, [heard for heard in counted if served_by.get(heard.call) == name])
            for name in (pool.name for pool in played.scenario.pools)
        ),
    )


def counted_calls(played: Played) -> list[Heard]:
    """Return the calls that came after the warm-up and that no stop of the gateway interrupted."""
    since = played.began + played.scenario.warm_up
    return [heard for heard in played.heard if heard.sent >= since and not heard.interrupted]


def _pool(played: Played, name: str, served: Sequence[Heard]) -> PoolFigures:
    seen = [one for one in played.seen if one.pool == name]
    return PoolFigures(
        name=name,
        calls=len(seen),
        delivered=_delivered(served, tokens=played.scenario.tokens),
        alone=_theoretical(played, name),
        refused=sum(one.refused for one in seen),
        endings=dict(Counter(_ending(one) for one in seen if _ending(one))),
        wait_p50=_wait(served, 0.5),
        wait_p95=_wait(served, 0.95),
    )


def _ending(seen: Seen) -> str:
    if seen.fault:
        return seen.fault
    return "" if seen.refused or seen.status in (None, 200) else str(seen.status)


def _theoretical(played: Played, name: str | None) -> int:
    """Return what all pools together could have delivered, or the one of that *name* had it had all calls."""
    pools = [pool for pool in played.scenario.pools if name in (None, pool.name)]
    since = played.began + played.scenario.warm_up
    offered = [Offered(heard.sent, heard.arrival.tokens) for heard in played.heard if not heard.interrupted]
    if played.scenario.tokens:
        return deliverable_tokens(pools, offered)
    if name is not None:
        # As if it were fresh after the warm-up: which of the others served what before says nothing of it.
        offered = [call for call in offered if call.at >= since]
    return deliverable_calls(pools, offered, since)


def _delivered(heard: Sequence[Heard], *, tokens: bool) -> int:
    return sum(one.arrival.tokens if tokens else 1 for one in heard if one.delivered)


def _wait(heard: Sequence[Heard], share: float) -> float:
    return quantile([one.waited for one in heard if one.delivered and one.waited is not None], share)
