"""How values are written in the settings: durations, sizes, spans, host names and origins."""

import re
from collections.abc import Callable
from typing import Annotated, Any

from msgspec import Meta, UnsetType, field

from freeroute.domain import quantities

MOST = 10**15
"""The most that a count or an amount may be. Own design: floats hold it exactly, and nobody uses as much."""

Positive = Annotated[float, Meta(gt=0, le=MOST)]
Count = Annotated[int, Meta(ge=1, le=MOST)]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$(?!\n)")]


class Duration(float):
    """Seconds, written ``200ms``, ``3s``, ``1m30s``, ``2h``, ``5d`` or as a number of seconds."""


class Size(int):
    """Bytes, written ``64KiB``, ``20MiB`` or as a number of bytes."""


class Span(str):
    """A length a quota is counted over: ``second`` ... ``month``, or a duration such as ``5h``."""

    seconds: float


class Origin(str):
    """Where a web page comes from, ``https://app.example.com``, or ``*`` for every page."""


class HostName(str):
    """A name in the Host header, with or without a port."""


SPANS = ("second", "minute", "hour", "day", "week", "month")
LONGEST = 400 * 86400.0
"""Seconds that a duration or a span may have: a year and a month. Own design: more is a slip of the pen."""

_HOST = r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?"
PATTERNS: dict[type, str] = {
    HostName: rf"^{_HOST}$",
    Origin: rf"^(\*|[A-Za-z][A-Za-z0-9+.-]*://{_HOST}/?)$",
}


def decode_quantity(kind: type, value: Any) -> Any:
    """Turn *value* into one of the types above; for msgspec's ``dec_hook``. Never repeats the value."""
    if kind not in _EXPECTED:
        raise NotImplementedError(kind)
    try:
        found = _DECODERS[kind](value) if kind in _DECODERS else _matching(kind, value)
    except (ValueError, OverflowError) as exc:
        raise ValueError(_EXPECTED[kind]) from exc
    seconds = found.seconds if isinstance(found, Span) else found if isinstance(found, Duration) else 0.0
    if seconds > LONGEST:
        raise ValueError("may be 400 days at most")
    return found


def _span(value: Any) -> Span:
    span = Span(value)
    span.seconds = quantities.span(value)
    return span


def _matching(kind: type, value: Any) -> Any:
    if not isinstance(value, str) or not re.fullmatch(PATTERNS[kind], value):
        raise ValueError
    return kind(value)


_DECODERS: dict[type, Callable[[Any], Any]] = {
    Duration: lambda value: Duration(quantities.duration(value)),
    Size: lambda value: Size(quantities.size(value)),
    Span: _span,
}
_EXPECTED: dict[type, str] = {
    Duration: "expected a duration such as 200ms, 3s, 5m or 1h",
    Size: "expected a size such as 64KiB or 20MiB",
    Span: "expected second, minute, hour, day, week, month or a duration such as 5h",
    HostName: "expected a name such as gateway.example.com, without scheme, path or `*`",
    Origin: "expected an origin such as https://app.example.com, or `*`",
}


def default(value: Any) -> Any:
    """Return a field with this default *value*."""
    # A plain default would have to be encoded for the JSON Schema, and msgspec does not know these types.
    return field(default_factory=lambda: value)


def refuse_unprintable(**texts: str | UnsetType) -> None:
    """Refuse what would break a line of the log or reach a terminal as a command."""
    for name, text in texts.items():
        if not isinstance(text, UnsetType) and not text.isprintable():
            raise ValueError(f"{name} holds a line break or another control character")
