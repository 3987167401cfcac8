"""What is played: which providers there are, who calls when, and what happens meanwhile."""

import math
from collections.abc import Callable, Sequence

from msgspec import Struct

from bench.capacity.callers import Arrival, burst, in_order, steady
from bench.capacity.gateway import How
from bench.capacity.providers import Key, Phase, Pool
from bench.capacity.quotas import Limit

BIG, SMALL = "big", "small"
LARGE = 3000
"""Tokens of a large prompt; a small one has ``LITTLE``."""
LITTLE = 200
ANSWER = 50  # tokens of the answer to either


class Scenario(Struct, frozen=True, kw_only=True):
    """One play. *traffic* gives the calls of so many seconds, the *warm_up* included, which is not counted.

    *clients* have keys of their own. *stops* say at which share of the time the gateway is stopped, and how.
    With *tokens*, what is delivered is counted in tokens rather than in calls.
    """

    name: str
    title: str
    pools: tuple[Pool, ...]
    traffic: Callable[[float], Sequence[Arrival]]
    model: str = "free"
    clients: tuple[str, ...] = ()
    warm_up: float = 0.0
    stops: tuple[tuple[float, How], ...] = ()
    tokens: bool = False


def requests(amount: int, day: int | None = None) -> tuple[Limit, ...]:
    """Return a limit of requests a minute, and one a *day*."""
    minute = Limit("requests", amount)
    return (minute,) if day is None else (minute, Limit("requests", day, "day"))


def tokens(amount: int) -> tuple[Limit, ...]:
    """Return a limit of tokens a minute."""
    return (Limit("tokens", amount),)


_FIRST_TOKEN = {"alder": 0.3, "birch": 0.6, "cedar": 0.5, "dogwood": 0.7}


def four(limits: Sequence[tuple[Limit, ...]], **of_each: Sequence[object]) -> tuple[Pool, ...]:
    """Return the four providers with such *limits*; *of_each* holds further facts of them, in their order."""
    return tuple(
        Pool(
            name=name,
            limits=limits[number],
            first_token=first_token,
            **{fact: values[number] for fact, values in of_each.items()},  # type: ignore[arg-type]
        )
        for number, (name, first_token) in enumerate(_FIRST_TOKEN.items())
    )


KNOWN = [requests(30), requests(15), requests(30), requests(5)]
"""Requests a minute of the four providers in most plays: 80 together."""

_HALF = [True, False, True, False]

_THREE_KEYS = (Key("invalid-key", "invalid"), Key("spent-key", "unpaid"), Key("good-key"))
_THREE_MORE = (Key("invalid-key", "invalid"), Key("spent-key", "spent"), Key("good-key"))
_ONE_KEY = (Key("key-1"),)

_STEADY = (Phase(math.inf),)
_WELL = Phase(15)
_IN_TURN = (
    *(_WELL, Phase(45, "error")),
    *(_WELL, Phase(45, "hang")),
    *(_WELL, Phase(45, "cut")),
    *(_WELL, Phase(45, "reset")),
)


def _mixed(rate: float, seconds: float, every: int) -> list[Arrival]:
    """Return calls of which one in *every* is large."""
    return [
        Arrival(number * 60 / rate, LITTLE if number % every else LARGE, ANSWER, stream=number % 2 == 0)
        for number in range(int(rate * seconds / 60))
    ]


def _packed(seconds: float) -> list[Arrival]:
    large = steady(2, seconds, since=7.0, prompt=LARGE, output=ANSWER)
    return in_order(steady(32, seconds, prompt=LITTLE, output=ANSWER), large)


def _again(seconds: float, pause: float, cycle: Callable[[float], list[Arrival]]) -> list[Arrival]:
    """Return *cycle* every *pause* seconds, as often as it comes to its end."""
    return in_order(*(cycle(number * pause) for number in range(max(1, round(seconds / pause)))))


def _two_bursts(at: float) -> list[Arrival]:
    return burst(45, at) + burst(45, at + 20)


def _over_a_restart(seconds: float) -> list[Arrival]:
    """Return more calls than there is room for until the day is spent, and then what the rest can carry."""
    half = seconds / 2
    return steady(90, half) + steady(24, seconds - half, since=half)


SCENARIOS = (
    Scenario(
        name="overload",
        title="steady overload, known limits",
        pools=four(KNOWN),
        traffic=lambda seconds: steady(160, seconds),
    ),
    Scenario(
        name="burst",
        title="burst of 70, capacity there",
        pools=four(KNOWN),
        traffic=lambda seconds: _again(seconds, 75, lambda at: burst(70, at)),
    ),
    Scenario(
        name="tokens",
        title="token limits",
        pools=four([tokens(6000)] * 4),
        traffic=lambda seconds: _mixed(68, seconds, every=10),
        tokens=True,
    ),
    Scenario(
        name="unknown",
        title="unknown limits, steady arrivals",
        pools=four(KNOWN, published=[()] * 4, retry_after=_HALF),
        traffic=lambda seconds: steady(100, seconds),
        warm_up=120.0,
    ),
    Scenario(
        name="faults",
        title="faults in turn at 40/min",
        pools=four(KNOWN, phases=[_IN_TURN, _STEADY, _STEADY, _STEADY]),
        traffic=lambda seconds: steady(40, seconds),
    ),
    Scenario(
        name="keys",
        title="keys",
        pools=four(KNOWN, keys=[_THREE_KEYS, _THREE_MORE, _ONE_KEY, _ONE_KEY]),
        traffic=lambda seconds: burst(70, 0) + steady(60, seconds - 65, since=65),
    ),
    Scenario(
        name="retired",
        title="a retired model",
        pools=four(KNOWN, gone=[{"retired": 404}, {"retired": 410}, {}, {}]),
        traffic=lambda seconds: steady(60, seconds),
    ),
    Scenario(
        name="slow",
        title="slow provider, `free-fast`",
        pools=four(KNOWN, phases=[(Phase(60), Phase(math.inf, first_token=8.0)), *[_STEADY] * 3]),
        traffic=lambda seconds: steady(40, seconds),
        model="free-fast",
    ),
    Scenario(
        name="restart",
        title="kill -9 in a spent day",
        pools=four([requests(30, 20), requests(15, 15), requests(30), requests(5, 5)]),
        traffic=_over_a_restart,
        stops=((0.5, "kill"), (0.8, "stop")),
    ),
    Scenario(
        name="fairness",
        title="fairness (100/min and 5/min into 80/min)",
        pools=four(KNOWN),
        traffic=lambda seconds: in_order(
            steady(100, seconds, client=BIG), steady(5, seconds, since=1, client=SMALL)
        ),
        clients=(BIG, SMALL),
    ),
    Scenario(
        name="bursts",
        title="two bursts of 45 inside one window",
        pools=four(KNOWN),
        traffic=lambda seconds: _again(seconds, 150, _two_bursts),
    ),
    Scenario(
        name="published",
        title="published limits too high",
        pools=four(
            [requests(20), requests(10), requests(20), requests(4)],
            published=[requests(30), requests(15), requests(30), requests(6)],
            retry_after=_HALF,
        ),
        traffic=lambda seconds: steady(68, seconds),
    ),
    Scenario(
        name="packing",
        title="mixed prompts, one pool fits the large ones",
        pools=four([tokens(8000), tokens(2500), tokens(2500), tokens(2500)]),
        traffic=_packed,
        tokens=True,
    ),
)
"""Every play, in the order of the report."""
