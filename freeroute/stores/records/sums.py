"""What a batch of receipts adds to the usage of each hour and day."""

import math
from collections.abc import Iterable, Mapping

from freeroute.stores.records.rows import Row
from freeroute.stores.records.tables import SECONDS, SUMS

Sum = dict[str, float | str]


def sums(rows: Iterable[Row], span: int) -> list[Sum]:
    """Return what *rows* come to, one sum a *span* (seconds), client, provider and model."""
    found: dict[tuple[int, str, str, str], Sum] = {}
    for row in rows:
        at = (math.floor(row.at / span) * span, row.client, row.provider, row.model)
        found[at] = _added(found.get(at, {}), row)
    names = ("start", "client", "provider", "model")
    # In the order of their keys: gateways that share a database lock the same rows in the same order.
    return [{**dict(zip(names, at, strict=True)), **found[at]} for at in sorted(found)]


def _added(sum_: Mapping[str, float | str], row: Row) -> Sum:
    more = {
        "requests": 1,
        "failed": int(row.failed),
        "callers_left": int(row.caller_left),
        "attempts": row.attempts,
        "prompt": row.prompt,
        "completion": row.completion,
        "reasoning": row.reasoning,
        "cached": row.cached,
        "first_events": int(row.first_event is not None),
        "queued": row.queued,
        "first_event": row.first_event or 0.0,
        "total": row.total,
    }
    return {name: sum_.get(name, 0) + more[name] for name in (*SUMS, *SECONDS)}  # type: ignore[operator]
