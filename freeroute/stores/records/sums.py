"""What a batch of receipts adds to the usage of each hour and day."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from freeroute.stores.records.rows import Row
from freeroute.stores.records.tables import DIMENSIONS, HOUR, SECONDS, SPANS, SUMS

NAMES = ("start", *DIMENSIONS, *SUMS, *SECONDS)
"""What a sum consists of, in this order."""

Sum = tuple[float | str, ...]

_Key = tuple[int, str, str, str]  # the start and the dimensions
_Figures = Sequence[float]  # in the order of `SUMS` and `SECONDS`


def sums(rows: Iterable[Row]) -> dict[int, list[Sum]]:
    """Return by span of `SPANS` what *rows* come to, for each start, client, provider and model."""
    groups: defaultdict[tuple[float, str, str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.at // HOUR, row.client, row.provider, row.model].append(row)
    hours: dict[_Key, _Figures] = {
        (int(hour) * HOUR, client, provider, model): _total(group)
        for (hour, client, provider, model), group in groups.items()
    }
    # In the order of their keys: gateways that share a database lock the same rows in the same order.
    return {span: [(*key, *figures) for key, figures in sorted(_by(span, hours).items())] for span in SPANS}


def _total(group: list[Row]) -> _Figures:
    # Lists, for one loop over each figure costs less than one over all figures of each row.
    firsts = [row.first_event for row in group if row.first_event is not None]
    return (
        len(group),
        sum([row.failed for row in group]),
        sum([row.caller_left for row in group]),
        sum([row.attempts for row in group]),
        sum([row.prompt for row in group]),
        sum([row.completion for row in group]),
        sum([row.reasoning for row in group]),
        sum([row.cached for row in group]),
        len(firsts),
        sum([row.queued for row in group]),
        sum(firsts),
        sum([row.total for row in group]),
    )


def _by(span: int, hours: dict[_Key, _Figures]) -> dict[_Key, _Figures]:
    """Return *hours* summed up by the longer *span*."""
    found: dict[_Key, _Figures] = {}
    for (hour, client, provider, model), figures in hours.items():
        key = hour // span * span, client, provider, model
        there = found.get(key)
        found[key] = figures if there is None else [a + b for a, b in zip(there, figures, strict=True)]
    return found
