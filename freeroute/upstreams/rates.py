"""What rate headers and the bodies of refusals say of the provider's counters. Garbage says nothing."""

import re
from collections.abc import Iterator, Sequence

from msgspec import structs

from freeroute.clock import Now
from freeroute.domain.catalogue import Scope, Unit
from freeroute.domain.headers import RateHeaders
from freeroute.domain.quantities import span
from freeroute.domain.rates import RateFact
from freeroute.upstreams import hints
from freeroute.upstreams.complaints import Complaint, read_complaint

HEADERS = 200
MINUTE, DAY = 60.0, 86_400.0

# Refusals whose text tells numbers of a counter.
_TELLING = frozenset({413, 429})
_NUMBER = re.compile(rb"[0-9]{1,12}(?:\.[0-9]{1,9})?")
_NAME = re.compile(
    r"x-ratelimit-(limit|remaining|reset)(?:-(requests|req|tokens))?(?:-(minute|hour|day|week|month))?"
)
_SHORTEST_NAME = len("x-ratelimit-limit")  # most of a head is shorter
_TRIAL = re.compile(r"x-trial-endpoint-call-(limit|remaining)")
_TRIAL_FAMILY = ("requests", "minute")
_NAMES_KEPT = 1024  # Own design: each provider has one or two dozen
_UNITS = {"requests": Unit.REQUESTS, "req": Unit.REQUESTS, "tokens": Unit.TOKENS}
_USED = re.compile(r"\blimit:? ([0-9]{1,12})(?:, used:? ([0-9]{1,12}))?, requested:? [0-9]", re.IGNORECASE)

Family = tuple[str, str]
"""The unit and the window as a header names them, empty where it does not."""


def facts_of(
    status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes, meaning: RateHeaders, now: Now
) -> tuple[RateFact, ...]:
    """Return what an answer says of counters; *body* is read of refusals only.

    A refusal that does not say when all is back is believed when it says when to come again.
    """
    families = _families(headers)
    if not families and status not in _TELLING:
        return ()
    facts = list(_of_families(families, meaning, now, "header", refused=status == 429))
    if status not in _TELLING:
        return tuple(facts)
    said = read_complaint(body)
    facts += _of_families(_families(said.rates), meaning, now, "body")
    facts += _in_quotas(said)
    facts += _in_text(said.message)
    asked = hints.retry_after(hints.headers_of(headers), now) or hints.asked_wait(said.message, now)
    # Google's delay is a matter of seconds even when it is the day that is spent.
    soon = asked or (hints.seconds_of(said.delay, now) if said.delay else None)
    return tuple(_timed(fact, soon if fact.seconds < DAY else asked) for fact in facts)


def _timed(fact: RateFact, back_in: float | None) -> RateFact:
    return fact if fact.reset_in else structs.replace(fact, reset_in=back_in)


def _of_families(
    families: dict[Family, dict[str, bytes]],
    meaning: RateHeaders,
    now: Now,
    source: str,
    *,
    refused: bool = False,
) -> Iterator[RateFact]:
    for family, told in families.items():
        remaining, limit = _number(told.get("remaining")), _number(told.get("limit"))
        if refused and len(families) == 1 and "reset" in told and "remaining" not in told:
            remaining = 0.0  # the only counter that a 429 speaks of is the one that is spent
        if remaining is None or ("limit" in told and (limit is None or not 1 <= limit >= remaining)):
            continue
        reset_in = hints.seconds_of(told["reset"].decode("latin-1"), now) if "reset" in told else None
        seconds = _seconds(family, meaning, reset_in)
        if seconds is not None:
            yield RateFact(_UNITS[family[0] or "requests"], seconds, limit, remaining, reset_in, source)


def _number(told: bytes | None) -> float | None:
    """Return the number that *told* is, without a sign or an exponent; None if it is none."""
    if told is None or not ((told.isdigit() and len(told) <= 12) or _NUMBER.fullmatch(told)):
        return None
    return float(told)


def _families(pairs: Sequence[tuple[bytes, bytes]]) -> dict[Family, dict[str, bytes]]:
    """Return the values of each family of rate headers; what is said in two ways is no number."""
    families: dict[Family, dict[str, bytes]] = {}
    for raw, value in pairs if len(pairs) <= HEADERS else pairs[:HEADERS]:
        if len(raw) < _SHORTEST_NAME or (named := _NAMES[raw]) is None:
            continue
        family, fact = named
        told = value.strip()[:64]
        known = families.get(family)
        if known is None:
            known = families[family] = {}
        known[fact] = told if known.get(fact, told) == told else b"?"
    return families


class _Names(dict[bytes, tuple[Family, str] | None]):
    """Which family the header of a name belongs to, and what of it it tells; None for others.

    Answers have the same names again and again, so it keeps some that it has seen.
    """

    def __missing__(self, raw: bytes) -> tuple[Family, str] | None:
        named = _named(raw)
        if len(self) < _NAMES_KEPT:
            self[raw] = named
        return named


_NAMES = _Names()


def _named(raw: bytes) -> tuple[Family, str] | None:
    text = raw.lower().decode("latin-1")
    if match := _NAME.fullmatch(text):
        return (match[2] or "", match[3] or ""), match[1]
    match = _TRIAL.fullmatch(text)
    return None if match is None else (_TRIAL_FAMILY, match[1])


def _seconds(family: Family, meaning: RateHeaders, reset_in: float | None) -> float | None:
    """Return the window of *family*: the one it names, else the one the catalogue gives it."""
    unit, window = family
    if window:
        return span(window)
    if unit:
        given = meaning.tokens if unit == "tokens" else meaning.requests
        return span(given) if given else None
    if not meaning.plain or reset_in is None:
        return None
    # Which of the two is spent shows in its reset: a minute's is never further off, allowing for clocks.
    return MINUTE if reset_in <= 1.5 * MINUTE else DAY


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
