"""Durations, sizes and spans as people write them: ``200ms``, ``3s``, ``20MiB``, ``minute``."""

import math
import re

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_BYTES = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_SPANS = {
    "second": 1.0,
    "minute": 60.0,
    "hour": 3600.0,
    "day": 86400.0,
    "week": 604800.0,
    "month": 30 * 86400.0,
}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([a-zA-Z]*)")


def duration(value: str | float) -> float:
    """Return *value* in seconds: a number of seconds, or text such as ``1m30s`` or ``200ms``.

    Raises ValueError for anything else, negative and non-finite numbers included.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError(f"{value!r} is not a duration: write 3s, 200ms, 5m, 1h or 2d")
    if not isinstance(value, str):
        seconds = float(value)
    else:
        text = value.strip().lower()
        parts = list(_PART.finditer(text))
        if not parts or "".join(part.group(0) for part in parts).replace(" ", "") != text.replace(" ", ""):
            raise ValueError(f"{value!r} is not a duration: write 3s, 200ms, 5m, 1h or 2d")
        seconds = sum(float(part[1]) * _SECONDS[part[2]] for part in parts)
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError(f"{value!r} is not a duration: it must be finite and not negative")
    return seconds


def size(value: str | int) -> int:
    """Return *value* in bytes: a whole number, or text such as ``20MiB``; raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError(f"{value!r} is not a size: write 20MiB, 64KiB or a number of bytes")
    if isinstance(value, int):
        count = value
    else:
        match = _SIZE.fullmatch(value.strip())
        if not match or (match[2] or "b").lower() not in _BYTES:
            raise ValueError(f"{value!r} is not a size: write 20MiB, 64KiB or a number of bytes")
        count = int(float(match[1]) * _BYTES[(match[2] or "b").lower()])
    if count < 0:
        raise ValueError(f"{value!r} is not a size: it must not be negative")
    return count


def span(value: str | float) -> float:
    """Return the seconds of ``second`` ... ``month`` (30 days) or of a duration; raises ValueError."""
    if isinstance(value, str) and value in _SPANS:
        return _SPANS[value]
    try:
        seconds = duration(value)
    except ValueError as exc:
        raise ValueError(f"{value!r} is not a span: write second ... month, or a duration like 5h") from exc
    if seconds == 0:
        raise ValueError(f"{value!r} is not a span: it must be longer than zero")
    return seconds
