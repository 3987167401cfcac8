"""What each play must show, judged on freeroute's figures."""

from collections import Counter
from collections.abc import Callable, Sequence

from msgspec import Struct

from bench.capacity.callers import Heard
from bench.capacity.figures import Figures, counted_calls
from bench.capacity.gateway import FIRST_EVENT
from bench.capacity.play import Played
from bench.capacity.providers import DELAY, Seen
from bench.capacity.quotas import MINUTE
from bench.capacity.scenarios import LARGE, SMALL

SLOW = 2.0  # seconds to the first token
LATE = 0.25  # seconds that a slot may be taken late
COST = 1.0  # seconds beyond its timeout that a fault may cost a caller
JUST_BEFORE = 0.02
"""Seconds after a call's arrival in which others may still be sent off that were on their way before it."""


class Must(Struct, frozen=True):
    """A demand, what was seen, and whether that is enough."""

    demand: str
    seen: str
    met: bool


Judge = Callable[[Played, Figures], list[Must]]


def judged(played: Played, found: Figures) -> list[Must]:
    """Return what the play of *played* must show."""
    return _JUDGES[played.scenario.name](played, found)


def _share(found: Figures, least: float) -> Must:
    return Must(f">= {least:.0%} of theoretical", f"{found.share:.1%}", found.share >= least)


def _no_errors(found: Figures) -> Must:
    return Must("0 caller-visible errors", _counted(found.errors), not found.errors)


def _counted(errors: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(errors.items())) or "0"


def _refused(found: Figures, most: int) -> Must:
    return Must(
        f"<= {most} calls refused upstream" if most else "0 calls refused upstream",
        str(found.refused),
        found.refused <= most,
    )


def _refused_each(found: Figures, most: int) -> Must:
    worst = max(pool.refused for pool in found.pools)
    seen = " ".join(str(pool.refused) for pool in found.pools)
    return Must(f"<= {most} refused calls per pool", seen, worst <= most)


def _overload(played: Played, found: Figures) -> list[Must]:
    return [_share(found, 0.98), _refused(found, 0)]


def _burst(played: Played, found: Figures) -> list[Must]:
    answered = Must("all answered", f"{found.delivered} of {found.calls}", found.delivered == found.calls)
    return [answered, _no_errors(found)]


def _tokens(played: Played, found: Figures) -> list[Must]:
    calls = sum(pool.calls for pool in found.pools)
    share = found.refused / max(calls, 1)
    return [
        _share(found, 0.95),
        Must("<= 1 % of calls refused", f"{share:.1%} ({found.refused})", share <= 0.01),
    ]


def _unknown(played: Played, found: Figures) -> list[Must]:
    return [_share(found, 0.95), _refused_each(found, 2)]


def _published(played: Played, found: Figures) -> list[Must]:
    return [_share(found, 0.98), _refused_each(found, 3)]


def _bursts(played: Played, found: Figures) -> list[Must]:
    return [_share(found, 0.97)]


def _packing(played: Played, found: Figures) -> list[Must]:
    large = [heard for heard in played.heard if heard.arrival.prompt == LARGE]
    served = sum(heard.delivered for heard in large)
    return [
        _share(found, 0.97),
        Must("no large prompt starves", f"{served} of {len(large)}", served == len(large)),
    ]


def _faults(played: Played, found: Figures) -> list[Must]:
    early = Counter(
        heard.ending for heard in counted_calls(played) if not heard.delivered and heard.first is None
    )
    costs = list(_costs(played))
    worst = max(costs, default=0.0)
    return [
        Must("0 errors before the first token", _counted(dict(early)), not early),
        Must("each fault < 1 s beyond its timeout", f"{worst:.2f} s ({len(costs)} faults)", worst < COST),
    ]


def _costs(played: Played) -> list[float]:
    """Return what each fault but the very first cost its caller beyond the timeout, in seconds."""
    by_call: dict[int, list[Seen]] = {}
    for seen in played.seen:
        by_call.setdefault(seen.call, []).append(seen)
    costs = []
    for heard in played.heard:
        attempts = by_call.get(heard.call, [])
        faults = [seen.fault for seen in attempts if seen.fault]
        if faults and heard.waited is not None:
            hung = FIRST_EVENT * faults.count("hang")
            costs.append((heard.waited - attempts[-1].took - hung) / len(faults))
    return costs[1:]


def _keys(played: Played, found: Figures) -> list[Must]:
    good = {key.secret for pool in played.scenario.pools for key in pool.keys if key.state == "good"}
    spent = Counter((seen.pool, seen.key) for seen in played.seen if seen.key not in good)
    asked = Counter(key for key, _ in played.checks if key not in good)
    pools = sum(len(pool.keys) > 1 for pool in played.scenario.pools)
    told = ", ".join(f"{pool}: {key} {count}" for (pool, key), count in sorted(spent.items())) or "none"
    checks = sum(asked.values())
    # Two keys in each of these pools, asked about at the start and then once an hour.
    most = 2 * pools * (2 + int(played.seconds // 3600))
    return [
        Must("a bad key costs 1 traffic call", told, all(count <= 1 for count in spent.values())),
        Must("revalidation at most hourly", f"{checks} checks", checks <= most),
        _no_errors(found),
    ]


def _retired(played: Played, found: Figures) -> list[Must]:
    gone = Counter(seen.pool for seen in played.seen if seen.status in (404, 410))
    told = ", ".join(f"{pool} {count}" for pool, count in sorted(gone.items())) or "none"
    return [
        Must("a retired model costs 1 call", told, all(count <= 1 for count in gone.values())),
        _no_errors(found),
    ]


def _slow(played: Played, found: Figures) -> list[Must]:
    since = min(phases[0].seconds for pool in played.scenario.pools if len(phases := pool.phases) > 1)
    calls = [heard for heard in played.heard if heard.sent >= played.began + since]
    slow = sum(heard.waited is None or heard.waited > SLOW for heard in calls)
    share = max(0, slow - 3) / max(1, len(calls))
    return [
        Must("< 5 % slower than 2 s after the first 3", f"{share:.1%} ({slow} of {len(calls)})", share < 0.05)
    ]


def _restart(played: Played, found: Figures) -> list[Must]:
    if not played.stops:
        return [Must("0 calls refused after restart", "was not stopped", met=False)]
    refused = sum(seen.refused for seen in played.seen if seen.received >= played.stops[0])
    counted = Counter(
        seen.pool for seen in played.seen if seen.counted is not None and seen.counted < played.stops[0]
    )
    spent = [
        counted[pool.name] >= limit.amount
        for pool in played.scenario.pools
        for limit in pool.limits
        if limit.per == "day"
    ]
    return [
        Must("the day is spent before", f"{sum(spent)} of {len(spent)} pools", all(spent)),
        Must("0 calls refused after restart", str(refused), refused == 0),
    ]


def _fairness(played: Played, found: Figures) -> list[Must]:
    small = [heard for heard in played.heard if heard.arrival.client == SMALL]
    answered = sum(heard.delivered for heard in small)
    worst = max((late for late in _lateness(played, small)), default=0.0)
    return [
        Must("the small client: 100 % answered", f"{answered} of {len(small)}", answered == len(small)),
        Must("its slots at most 0.25 s late", f"{worst:.2f} s", worst <= LATE),
    ]


def _lateness(played: Played, calls: Sequence[Heard]) -> list[float]:
    """Return how long after the first slot usable by it each of *calls* was sent, in seconds."""
    by_call = {seen.call: seen for seen in played.seen if seen.counted is not None}
    own: list[Seen] = []
    late = []
    for heard in calls:
        sent = by_call.get(heard.call)
        if sent is None:
            continue
        late.append(sent.received - _usable(played, heard.sent, own))
        own.append(sent)
    return late


def _usable(played: Played, arrived: float, own: Sequence[Seen]) -> float:
    """Return when the first slot is there for a call that *arrived* then, behind the client's *own* others.

    A slot is there again one window after its last call was counted, or may have been, at the slowest that
    the network is, unless its answer was there before.
    """
    earliest = []
    for pool in played.scenario.pools:
        before = [
            seen
            for seen in played.seen
            if seen.pool == pool.name
            and seen.counted is not None
            and (seen.received < arrived + JUST_BEFORE or seen in own)
        ]
        back = sorted(
            min(seen.received + DELAY[1], seen.head or seen.received + DELAY[1]) + MINUTE for seen in before
        )
        taken = [at for at in back if at > arrived]
        amount = min(limit.amount for limit in pool.limits)
        over = len(taken) - amount
        earliest.append(arrived if over < 0 else taken[over])
    return min(earliest)


_JUDGES: dict[str, Judge] = {
    "overload": _overload,
    "burst": _burst,
    "tokens": _tokens,
    "unknown": _unknown,
    "faults": _faults,
    "keys": _keys,
    "retired": _retired,
    "slow": _slow,
    "restart": _restart,
    "fairness": _fairness,
    "bursts": _bursts,
    "published": _published,
    "packing": _packing,
}
