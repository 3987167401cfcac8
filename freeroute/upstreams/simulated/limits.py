"""How the simulated providers count.

This is on purpose a second implementation: the gateway's own limiter is judged against it, and a judge
must not share a mistake with the judged.
"""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, Protocol
from zoneinfo import ZoneInfo

from msgspec import Struct

from freeroute.clock import Now

Metric = Literal["requests", "tokens", "input_tokens"]
Per = Literal["minute", "hour", "day", "month"]

SECONDS: dict[Per, float] = {"minute": 60.0, "hour": 3600.0, "day": 86400.0, "month": 30 * 86400.0}
# Sums of small floating shares must not turn the very last free unit into a refusal.
_GRAIN = 1e-6


class Rule(Struct, frozen=True):
    """At most *amount* of *metric* per *per*, for one model or for the whole account."""

    metric: Metric
    amount: int
    per: Per
    window: Literal["sliding", "bucket", "calendar"] = "sliding"
    tz: str = "UTC"
    account_wide: bool = False

    @property
    def seconds(self) -> float:
        """The length of the span."""
        return SECONDS[self.per]


class Entry:
    """One charge in one window, so that it can be settled later."""

    __slots__ = ("amount", "at")

    def __init__(self, at: Now, amount: float) -> None:
        self.at = at
        self.amount = amount


class Window(Protocol):
    """The count of one rule."""

    def used(self, now: Now) -> float:
        """What counts at *now*."""
        ...

    def take(self, amount: float, now: Now) -> Entry:
        """Count *amount*, room or not."""
        ...

    def settle(self, entry: Entry, amount: float, now: Now) -> None:
        """Let *entry* count *amount* instead."""
        ...

    def wait(self, amount: float, now: Now) -> float:
        """Seconds until *amount* fits: 0 for now, infinity for never."""
        ...

    def reset(self, now: Now) -> float:
        """Seconds until nothing is used."""
        ...


class _Sliding:
    """Every charge counts for one span, then not at all."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._entries: deque[Entry] = deque()
        self._sum = 0.0

    def used(self, now: Now) -> float:
        while self._entries and self._entries[0].at.mono + self._rule.seconds <= now.mono:
            self._sum -= self._entries.popleft().amount
        return self._sum

    def take(self, amount: float, now: Now) -> Entry:
        entry = Entry(now, amount)
        self._entries.append(entry)
        self._sum += amount
        return entry

    def settle(self, entry: Entry, amount: float, now: Now) -> None:
        if entry.at.mono + self._rule.seconds > now.mono:
            self._sum += amount - entry.amount
            entry.amount = amount

    def wait(self, amount: float, now: Now) -> float:
        excess = self.used(now) + amount - self._rule.amount
        if excess <= _GRAIN:
            return 0.0
        for entry in self._entries:
            excess -= entry.amount
            if excess <= _GRAIN:
                return entry.at.mono + self._rule.seconds - now.mono
        return math.inf

    def reset(self, now: Now) -> float:
        if not self.used(now):
            return 0.0
        return self._entries[-1].at.mono + self._rule.seconds - now.mono


class _Bucket:
    """A store that refills all the time, so that a call of yesterday is forgotten bit by bit."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._rate = rule.amount / rule.seconds
        self._used = 0.0
        self._at: float | None = None

    def used(self, now: Now) -> float:
        if self._at is not None:
            self._used = max(0.0, self._used - (now.mono - self._at) * self._rate)
        self._at = now.mono
        return self._used

    def take(self, amount: float, now: Now) -> Entry:
        self._used = self.used(now) + amount
        return Entry(now, amount)

    def settle(self, entry: Entry, amount: float, now: Now) -> None:
        self._used = max(0.0, self.used(now) + amount - entry.amount)
        entry.amount = amount

    def wait(self, amount: float, now: Now) -> float:
        if amount > self._rule.amount:
            return math.inf
        excess = self.used(now) + amount - self._rule.amount
        return excess / self._rate if excess > _GRAIN else 0.0

    def reset(self, now: Now) -> float:
        return self.used(now) / self._rate


class _Calendar:
    """A count that falls to zero when the provider's own day or month turns."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._zone = ZoneInfo(rule.tz)
        self._ends = -math.inf
        self._used = 0.0

    def _next_turn(self, wall: float) -> float:
        local = datetime.fromtimestamp(wall, self._zone)
        midnight = datetime(local.year, local.month, local.day, tzinfo=self._zone)
        if self._rule.per == "month":
            turn = (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)
        else:
            # Wall-clock arithmetic: the next local midnight, 23 or 25 hours away where clocks change.
            turn = midnight + timedelta(days=1)
        return turn.timestamp()

    def used(self, now: Now) -> float:
        if now.wall >= self._ends:
            self._used = 0.0
            self._ends = self._next_turn(now.wall)
        return self._used

    def take(self, amount: float, now: Now) -> Entry:
        self._used = self.used(now) + amount
        return Entry(now, amount)

    def settle(self, entry: Entry, amount: float, now: Now) -> None:
        # A charge of yesterday is gone; correcting it today would be a gift.
        if self._next_turn(entry.at.wall) > now.wall:
            self._used = max(0.0, self.used(now) + amount - entry.amount)
            entry.amount = amount

    def wait(self, amount: float, now: Now) -> float:
        if amount > self._rule.amount:
            return math.inf
        return 0.0 if self.used(now) + amount <= self._rule.amount + _GRAIN else self._ends - now.wall

    def reset(self, now: Now) -> float:
        self.used(now)
        return self._ends - now.wall


_KINDS: dict[str, type[_Sliding] | type[_Bucket] | type[_Calendar]] = {
    "sliding": _Sliding,
    "bucket": _Bucket,
    "calendar": _Calendar,
}


class Refusal(Struct, frozen=True):
    """The rule that did not fit, and when it will; *scripted* if only a script says so."""

    rule: Rule
    used: float
    requested: float
    wait: float
    scripted: bool = False


class Charge(Struct):
    """What one call took, per rule."""

    entries: list[tuple[Rule, Window, Entry]]

    def settle(self, costs: Mapping[str, float], now: Now) -> None:
        """Let the call count what it really cost; metrics not named stay."""
        for rule, window, entry in self.entries:
            if rule.metric in costs:
                window.settle(entry, costs[rule.metric], now)


class Ledger:
    """All counts of one account at one provider."""

    def __init__(self) -> None:
        """Start with nothing used."""
        self._windows: dict[tuple[Rule, str], Window] = {}

    def window(self, rule: Rule, model: str) -> Window:
        """Return the count of *rule* for *model*, or for the account if the rule is account-wide."""
        key = (rule, "" if rule.account_wide else model)
        if key not in self._windows:
            self._windows[key] = _KINDS[rule.window](rule)
        return self._windows[key]

    def refusal(
        self, rules: Sequence[Rule], model: str, costs: Mapping[str, float], now: Now
    ) -> Refusal | None:
        """Return the rule that holds a call back longest, if any does."""
        worst: Refusal | None = None
        for rule in rules:
            window, cost = self.window(rule, model), costs[rule.metric]
            wait = window.wait(cost, now)
            if wait > 0 and (worst is None or wait > worst.wait):
                worst = Refusal(rule, window.used(now), cost, wait)
        return worst

    def charge(self, rules: Sequence[Rule], model: str, costs: Mapping[str, float], now: Now) -> Charge:
        """Count a call in every rule."""
        windows = [(rule, self.window(rule, model)) for rule in rules]
        return Charge([(rule, window, window.take(costs[rule.metric], now)) for rule, window in windows])


class Meter(Struct, frozen=True):
    """What the headers of one answer may tell: the counts of its model at this moment."""

    ledger: Ledger
    rules: Sequence[Rule]
    model: str
    now: Now
    pretended: Refusal | None = None

    def find(self, metric: Metric, per: Per) -> Rule | None:
        """Return the rule of this kind, if the provider has one."""
        return next((rule for rule in self.rules if (rule.metric, rule.per) == (metric, per)), None)

    def remaining(self, rule: Rule) -> int:
        """Return the whole units left; a rule that only pretends to be spent shows none."""
        if self._pretends(rule):
            return 0
        used = self.ledger.window(rule, self.model).used(self.now)
        return max(0, math.floor(rule.amount - used + _GRAIN))

    def reset(self, rule: Rule) -> float:
        """Return the seconds until nothing of *rule* is used."""
        reset = self.ledger.window(rule, self.model).reset(self.now)
        return max(reset, self.pretended.wait) if self.pretended and self._pretends(rule) else reset

    def _pretends(self, rule: Rule) -> bool:
        return self.pretended is not None and self.pretended.rule == rule
