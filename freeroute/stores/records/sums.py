"""What a batch of receipts adds to the usage of each hour and day."""

import math
from collections.abc import Iterable

from freeroute.stores.records.rows import Row
from freeroute.stores.records.tables import DIMENSIONS, HOUR, SECONDS, SPANS, SUMS

Sum = dict[str, float | str]

_Key = tuple[int, str, str, str]
_NAMES = ("start", *DIMENSIONS, *SUMS, *SECONDS)


def sums(rows: Iterable[Row]) -> dict[int, list[Sum]]:
    """Return by span of `SPANS` what *rows* come to, for each start, client, provider and model."""
    hours: dict[_Key, list[float]] = {}
    for row in rows:
        _add(hours, (_start(row.at, HOUR), row.client, row.provider, row.model), _figures(row))
    return {span: _spelled_out(_by(span, hours)) for span in SPANS}


def _figures(row: Row) -> tuple[float, ...]:
    """Return what *row* adds, in the order of `SUMS` and `SECONDS`."""
    first = row.first_event
    return (
        1,
        row.failed,
        row.caller_left,
        row.attempts,
        row.prompt,
        row.completion,
        row.reasoning,
        row.cached,
        first is not None,
        row.queued,
        first or 0.0,
        row.total,
    )


def _by(span: int, hours: dict[_Key, list[float]]) -> dict[_Key, list[float]]:
    found: dict[_Key, list[float]] = {}
    for (hour, *who), figures in hours.items():
        _add(found, (_start(hour, span), *who), figures)  # type: ignore[arg-type]
    return found


def _add(found: dict[_Key, list[float]], key: _Key, figures: Iterable[float]) -> None:
    there = found.get(key)
    if there is None:
        found[key] = [figure + 0 for figure in figures]
    else:
        for place, figure in enumerate(figures):
            there[place] += figure


def _spelled_out(found: dict[_Key, list[float]]) -> list[Sum]:
    # In the order of their keys: gateways that share a database lock the same rows in the same order.
    return [dict(zip(_NAMES, (*key, *found[key]), strict=True)) for key in sorted(found)]


def _start(at: float, span: int) -> int:
    return math.floor(at / span) * span
