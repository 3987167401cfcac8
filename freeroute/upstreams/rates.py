"""What rate headers and the bodies of refusals say of the provider's counters. Garbage says nothing."""

import re
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct, structs

from freeroute.clock import Now
from freeroute.domain.catalogue import Scope, Unit
from freeroute.domain.headers import RateHeaders
from freeroute.domain.quantities import span
from freeroute.domain.rates import RateFact
from freeroute.upstreams import hints
from freeroute.upstreams.complaints import Complaint, read_complaint
from freeroute.upstreams.heads import Telling

HEADERS = 200
MINUTE, DAY = 60.0, 86_400.0

# Refusals whose text tells numbers of a counter.
_TELLING = frozenset({413, 429})
_NUMBER = re.compile(rb"[0-9]{1,12}(?:\.[0-9]{1,9})?")
_NAME = re.compile(
    r"x-ratelimit-(limit|remaining|reset)(?:-(requests|req|tokens))?(?:-(minute|hour|day|week|month))?"
)
_TRIAL = {
    f"x-trial-endpoint-call-{fact}": f"x-ratelimit-{fact}-requests-minute" for fact in ("limit", "remaining")
}
_HEADS_KEPT = 256  # by their names; own design: each provider has a few
_UNITS = {"": Unit.REQUESTS, "requests": Unit.REQUESTS, "req": Unit.REQUESTS, "tokens": Unit.TOKENS}
_USED = re.compile(r"\blimit:? ([0-9]{1,12})(?:, used:? ([0-9]{1,12}))?, requested:? [0-9]", re.IGNORECASE)


class _Counter(Struct, frozen=True):
    """A counter that headers tell of: what it counts in how many seconds, and which of them tells each fact.

    Where nobody says how many, they are None: *by_reset* says that its reset shows them.
    """

    unit: Unit
    seconds: float | None
    by_reset: bool
    limit: int | None = None
    remaining: int | None = None
    reset: int | None = None


def facts_in(telling: Telling, meaning: RateHeaders, now: Now) -> tuple[RateFact, ...]:
    """Return what the head of an answer that is no refusal says of counters."""
    return tuple(_facts(telling.names, telling.values, meaning, now, "header", False))


def facts_of(
    status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes, meaning: RateHeaders, now: Now
) -> tuple[RateFact, ...]:
    """Return what an answer says of counters; *body* is read of refusals only.

    A refusal that does not say when all is back is believed when it says when to come again.
    """
    facts = _told_in(headers, meaning, now, "header", status == 429)
    if status not in _TELLING:
        return tuple(facts) if facts else ()
    said = read_complaint(body)
    facts += _told_in(said.rates, meaning, now, "body", False)
    facts += _in_quotas(said)
    facts += _in_text(said.message)
    asked = hints.retry_after(hints.headers_of(headers), now) or hints.asked_wait(said.message, now)
    # Google's delay is a matter of seconds even when it is the day that is spent.
    soon = asked or (hints.seconds_of(said.delay, now) if said.delay else None)
    return tuple(_timed(fact, soon if fact.seconds < DAY else asked) for fact in facts)


def _timed(fact: RateFact, back_in: float | None) -> RateFact:
    return fact if fact.reset_in else structs.replace(fact, reset_in=back_in)


def _told_in(
    pairs: Sequence[tuple[bytes, bytes]],
    meaning: RateHeaders,
    now: Now,
    source: str,
    refused: bool,
) -> list[RateFact]:
    """Return what rate headers among *pairs* say."""
    if not pairs:
        return []
    names, told = zip(*pairs[:HEADERS], strict=True)
    return _facts(names, told, meaning, now, source, refused)


def _facts(
    names: tuple[bytes, ...],
    told: tuple[bytes, ...],
    meaning: RateHeaders,
    now: Now,
    source: str,
    refused: bool,
) -> list[RateFact]:
    """Return what is *told* in headers of these *names*."""
    counters = _COUNTERS[names, meaning]
    if counters is None:
        names, told = zip(*_once(zip(names, told, strict=True)).items(), strict=True)
        counters = _COUNTERS[names, meaning]
        assert counters is not None
    alone = refused and len(counters) == 1
    facts = []
    for counter in counters:
        fact = _fact(counter, told, now, source, alone)
        if fact is not None:
            facts.append(fact)
    return facts


def _fact(counter: _Counter, told: Sequence[bytes], now: Now, source: str, alone: bool) -> RateFact | None:
    """Return what is *told* of *counter*, which may be what a 429 speaks of *alone*."""
    limit = reset_in = None
    if counter.remaining is not None:
        remaining = _number(told[counter.remaining])
    else:
        # The only counter that a 429 speaks of is the one that is spent.
        remaining = 0.0 if alone and counter.reset is not None else None
    if remaining is None:
        return None
    if counter.limit is not None:
        limit = _number(told[counter.limit])
        if limit is None or not 1 <= limit >= remaining:
            return None
    if counter.reset is not None:
        reset_in = hints.seconds_of(_cut(told[counter.reset]).decode("latin-1"), now)
    seconds = counter.seconds
    if seconds is None:
        if reset_in is None or not counter.by_reset:
            return None
        # Which of the two is spent shows in its reset: a minute's is never further off, allowing for clocks.
        seconds = MINUTE if reset_in <= 1.5 * MINUTE else DAY
    return RateFact(counter.unit, seconds, limit, remaining, reset_in, source)


def _number(told: bytes) -> float | None:
    """Return the number that *told* is, without a sign or an exponent; None if it is none."""
    if told.isdigit() and len(told) <= 12:
        return float(told)
    told = _cut(told)
    return float(told) if _NUMBER.fullmatch(told) else None


def _cut(told: bytes) -> bytes:
    return told.strip()[:64]


def _once(pairs: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return each of *pairs* once, however its name is written; what is said in two ways is no number."""
    once: dict[bytes, bytes] = {}
    for raw, value in pairs:
        name, told = _plain_name(raw).encode("latin-1"), _cut(value)
        once[name] = told if once.get(name, told) == told else b"?"
    return once


def _plain_name(raw: bytes) -> str:
    name = raw.lower().decode("latin-1")
    return _TRIAL.get(name, name)


class _Counters(dict[tuple[tuple[bytes, ...], RateHeaders], tuple[_Counter, ...] | None]):
    """Which counters headers of some names tell of, by what they mean; None if two names mean the same.

    The answers of a provider have the same names again and again, so it keeps some that it has seen.
    """

    def __missing__(self, told: tuple[tuple[bytes, ...], RateHeaders]) -> tuple[_Counter, ...] | None:
        counters = _counters(*told)
        if len(self) < _HEADS_KEPT:
            self[told] = counters
        return counters


_COUNTERS = _Counters()


def _counters(names: Iterable[bytes], meaning: RateHeaders) -> tuple[_Counter, ...] | None:
    found: dict[tuple[str, str], dict[str, int]] = {}
    for place, raw in enumerate(names):
        match = _NAME.fullmatch(_plain_name(raw))
        if match is None:
            continue
        fact, unit, window = match.groups(default="")
        by = found.setdefault((unit, window), {})
        if fact in by:
            return None
        by[fact] = place
    counters = []
    for (unit, window), by in found.items():
        # One that names no window has that which the catalogue gives its unit.
        given = window or (unit and (meaning.tokens if unit == "tokens" else meaning.requests))
        counters.append(
            _Counter(_UNITS[unit], span(given) if given else None, meaning.plain and not unit, **by)
        )
    return tuple(counters)


def _in_quotas(said: Complaint) -> Iterator[RateFact]:
    """Read Google's violated quotas: their value is the limit, which is spent."""
    for quota, value in said.quotas:
        window, unit = hints.window_in(quota), hints.unit_in(quota)
        limit = _number(value.encode(errors="replace"))
        if window and unit in list(Unit) and limit is not None and limit >= 1:
            yield RateFact(
                unit=Unit(unit),
                seconds=span(window),
                limit=limit,
                # Of tokens there may be some left, only not enough for this call.
                remaining=0.0 if unit == Unit.REQUESTS else None,
                source="body",
                scope=Scope.MODEL if "permodel" in quota.lower() else None,
            )


def _in_text(message: str) -> Iterator[RateFact]:
    """Read ``... tokens per day (TPD): Limit 200000, Used 198371, Requested 3158``."""
    match = _USED.search(message[:4000])
    counter = hints.counter_in(message[:4000])
    if match is None or counter.window is None or counter.unit not in list(Unit) or not int(match[1]):
        return
    limit = float(match[1])
    used = None if match[2] is None else float(match[2])
    yield RateFact(
        unit=Unit(counter.unit),
        seconds=span(counter.window),
        limit=limit,
        remaining=None if used is None else max(0.0, limit - used),
        source="body",
    )
