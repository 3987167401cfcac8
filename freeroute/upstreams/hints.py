"""When an answer says to come back, and which counter it says is spent."""

import math
import re
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime

from msgspec import Struct

from freeroute.clock import Now

# No published window is longer; a larger figure is a mistake and must not lock a key for good.
LONGEST = 31 * 86400.0

_SPANS = ("minute", "hour", "day", "week", "month")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_WORDS = {"second": "s", "sec": "s", "minute": "m", "min": "m", "hour": "h", "hr": "h", "day": "d"}
_NUMBER = re.compile(r"[+-]?\d{1,15}(?:\.\d{0,15})?")
_PART = re.compile(
    r"(\d{1,15}(?:\.\d{1,15})?)\s*(ns|us|µs|ms|seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|s|m|h|d)(?![a-z])"
)
# As Go prints them, and so most providers: 825ms, 38.2s, 2m59.56s.
_CLOCKED = re.compile(r"(?:(\d{1,15})h)?(?:(\d{1,15})m)?(\d{1,15}(?:\.\d{1,15})?)(m?s)")
_GAP = re.compile(r"[\s,]*(?:and\s+)?")


def seconds_of(text: str, now: Now) -> float | None:
    """Return how many seconds from *now* the *text* means, or None if it means none.

    Understands plain seconds (``12``, ``11726.28``), durations as Go and protobuf print them (``2m59.56s``,
    ``825ms``, ``11m 0.5s``, ``38.2s``), HTTP dates, and Unix time in seconds or milliseconds.
    """
    text = text.strip()
    if not text or len(text) > 64:
        return None
    if text[-1] == "s" and (clocked := _CLOCKED.fullmatch(text)):
        return _bounded(_clocked(*clocked.groups()))
    if not text[-1].isalpha() and _NUMBER.fullmatch(text):
        return _plain(float(text), now)
    span = _span(text.lower())
    return _bounded(span) if span is not None else _date(text, now)


def _plain(number: float, now: Now) -> float | None:
    if number > 1e11:
        return _bounded(number / 1000 - now.wall)
    if number > 1e9:
        return _bounded(number - now.wall)
    return _bounded(number)


def _clocked(hours: str | None, minutes: str | None, last: str, unit: str) -> float:
    """Return what `_span` does of such a text, in less time."""
    total = 0.0
    if hours is not None:
        total += float(hours) * 3600.0
    if minutes is not None:
        total += float(minutes) * 60.0
    return total + float(last) * _UNITS[unit]


def _span(text: str) -> float | None:
    if alone := _PART.fullmatch(text):
        return _lasting(alone)
    total, at = 0.0, 0
    for part in _PART.finditer(text):
        if not _GAP.fullmatch(text[at : part.start()]):
            return None
        total += _lasting(part)
        at = part.end()
    return total if at and not text[at:].strip(" .") else None


def _lasting(part: re.Match[str]) -> float:
    number, unit = part.groups()
    return float(number) * _UNITS[unit if unit in _UNITS else _WORDS[unit.rstrip("s")]]


def _date(text: str, now: Now) -> float | None:
    try:
        return _bounded(parsedate_to_datetime(text).timestamp() - now.wall)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _bounded(seconds: float) -> float | None:
    if 0.0 <= seconds <= LONGEST:
        return seconds
    return min(max(seconds, 0.0), LONGEST) if math.isfinite(seconds) else None


class Spent(Struct, frozen=True):
    """A counter that an answer says is spent."""

    window: str | None = None
    unit: str | None = None
    resets_in: float | None = None


def headers_of(pairs: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return the headers that matter here, by lower-case name; the first of each name."""
    wanted: dict[str, str] = {}
    for name, value in pairs[:200]:
        key = name.decode("latin-1").lower()
        if "ratelimit" in key or "retry" in key or "content-" in key or "call-" in key:
            wanted.setdefault(key, value.decode("latin-1").strip()[:256])
    return wanted


def retry_after(headers: Mapping[str, str], now: Now) -> float | None:
    """Return what the Retry-After family says, in seconds; what says "now" or nothing is no hint."""
    exact = headers.get("retry-after-ms", "")
    if _NUMBER.fullmatch(exact) and float(exact) > 0:
        return _bounded(float(exact) / 1000)
    asked = (seconds_of(headers.get(name, ""), now) for name in ("retry-after", "x-retry-after"))
    return next((seconds for seconds in asked if seconds), None)


def spent_in(headers: Mapping[str, str], now: Now) -> Spent | None:
    """Return the counter the rate headers show as empty; of several the one that is back last."""
    spent: list[Spent] = []
    for name, value in headers.items():
        if "-remaining" in name and "ratelimit" in name and _is_zero(value):
            reset = headers.get(name.replace("-remaining", "-reset", 1), "")
            spent.append(Spent(window_in(name), unit_in(name), seconds_of(reset, now)))
    if not spent:
        return _draft(headers, now)
    return max(spent, key=lambda one: (_rank(one.window), one.resets_in or 0.0))


def _draft(headers: Mapping[str, str], now: Now) -> Spent | None:
    """Read the IETF draft's one-line form: ``"default";r=0;t=12``."""
    text = headers.get("ratelimit", "")
    if not re.search(r"(?:^|[;, ])(?:r|remaining)=0(?:$|[;, ])", text):
        return None
    reset = re.search(r"(?:^|[;, ])(?:t|reset)=(\d{1,9})", text)
    return Spent(None, None, seconds_of(reset[1], now) if reset else None)


def limit_is_zero(headers: Mapping[str, str]) -> bool:
    """Say whether a rate header gives a limit of nothing: not on this plan."""
    return any("ratelimit" in name and "-limit-" in name and _is_zero(v) for name, v in headers.items())


def _is_zero(value: str) -> bool:
    return bool(_NUMBER.fullmatch(value)) and float(value) == 0


def _rank(window: str | None) -> int:
    return _SPANS.index(window) if window in _SPANS else -1


_WINDOWS = (
    ("month", re.compile(r"month")),
    ("week", re.compile(r"week")),
    ("day", re.compile(r"per[-_ ]?day|\bday\b|daily|\brpd\b|\btpd\b|/ ?day|-day\b|24 ?h")),
    ("hour", re.compile(r"hour|\btph\b|\brph\b")),
    ("minute", re.compile(r"per[-_ ]?min|\bminute|/ ?min|-minute|\brpm\b|\btpm\b|\bitpm\b|\botpm\b|-min\b")),
)


def window_in(text: str) -> str | None:
    """Return the longest span *text* names: minute, hour, day, week or month."""
    text = text.lower()
    return next((name for name, pattern in _WINDOWS if pattern.search(text)), None)


def longest(windows: Sequence[str | None]) -> str | None:
    """Return the longest of *windows*."""
    return max(windows, key=_rank, default=None)


_UNIT_WORDS = (
    ("neurons", re.compile(r"neuron")),
    ("concurrency", re.compile(r"concurren|parallel requests|simultaneous")),
    ("input_tokens", re.compile(r"input[-_ ]?token|\bitpm\b")),
    ("output_tokens", re.compile(r"output[-_ ]?token|\botpm\b")),
    ("tokens", re.compile(r"token|\btp[mhd]\b")),
    ("requests", re.compile(r"request|\brp[mhds]\b|api calls|-req-|\bcalls\b|free-models-per")),
)


def unit_in(text: str) -> str | None:
    """Return the unit *text* counts, as a ``catalogue.Unit`` value."""
    text = text.lower()
    return next((name for name, pattern in _UNIT_WORDS if pattern.search(text)), None)


_PHRASE = re.compile(
    r"(free-models|input[-_ ]tokens?|output[-_ ]tokens?|tokens?|requests?|api calls?)"
    r"[-_ ]*(?:per|/)[-_ ]*(min|hour|day|week|month)",
    re.IGNORECASE,
)


def counter_in(text: str) -> Spent:
    """Return the counter *text* speaks of: a phrase such as ``tokens per day`` before single words."""
    phrase = _PHRASE.search(text)
    if phrase is not None:
        window = "minute" if phrase[2].lower() == "min" else phrase[2].lower()
        return Spent(window, unit_in(phrase[1] + "-per"))
    return Spent(window_in(text), unit_in(text))


_AGAIN = re.compile(
    r"(?:(?:try again|retry|available again|reset(?:s|ting)?)(?: after| in| at)?|wait)[: ]+"
    r"((?:\d+(?:\.\d+)?\s*"
    r"(?:ms|seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|s|m|h|d)?[\s,]*(?:and )?){1,6})",
    re.IGNORECASE,
)


def asked_wait(text: str, now: Now) -> float | None:
    """Return the wait that prose such as ``Please try again in 11m0.528s`` asks for."""
    match = _AGAIN.search(text[:4000])
    return seconds_of(match[1].strip(" ,.").removesuffix("and").strip(), now) if match else None
