"""What a batch of receipts adds to the usage of each hour and day."""

from collections import defaultdict
from operator import itemgetter

from freeroute.stores.records.rows import OWN, SHARED, Alike, Own, Shared
from freeroute.stores.records.tables import DIMENSIONS, HOUR, SECONDS, SPANS, SUMS

NAMES = ("start", *DIMENSIONS, *SUMS, *SECONDS)
"""What a sum consists of, in this order."""

Sum = tuple[float | str, ...]

_Key = tuple[int, str, str, str]  # the start and the dimensions
_Figures = tuple[float, ...]  # in the order of `SUMS` and `SECONDS`

_dimensions = itemgetter(*map(SHARED.index, DIMENSIONS))
_ending = itemgetter(*map(SHARED.index, ("status", "code", "caller_left", "attempts")))
_figures = itemgetter(
    *map(OWN.index, ("prompt", "completion", "reasoning", "cached", "queued", "first_event", "total"))
)


def sums(alike: Alike) -> dict[int, list[Sum]]:
    """Return by span of `SPANS` what receipts come to, for each start, client, provider and model."""
    hours: dict[_Key, _Figures] = {}
    for shared, every in alike:
        for start, own in _by_hour(every):
            _add(hours, (start, *_dimensions(shared)), _total(shared, own))
    # In the order of their keys: gateways that share a database lock the same rows in the same order.
    return {span: [(*key, *figures) for key, figures in sorted(_by(span, hours).items())] for span in SPANS}


def _by_hour(every: list[Own]) -> list[tuple[int, list[Own]]]:
    """Tell *every* receipt apart by the hour it came in."""
    came = [own[0] for own in every]  # the first of `OWN`
    hour = min(came) // HOUR
    if max(came) // HOUR == hour:  # as nearly always
        return [(int(hour) * HOUR, every)]
    hours: defaultdict[float, list[Own]] = defaultdict(list)
    for own in every:
        hours[own[0] // HOUR].append(own)
    return [(int(hour) * HOUR, found) for hour, found in hours.items()]


def _total(shared: Shared, own: list[Own]) -> _Figures:
    status, code, caller_left, attempts = _ending(shared)
    count = len(own)
    # A loop over each figure costs less than one over all figures of each receipt.
    prompt, completion, reasoning, cached, queued, first_events, total = _figures([*zip(*own, strict=True)])
    firsts = [first for first in first_events if first is not None]
    return (
        count,
        count if not caller_left and (status >= 400 or code) else 0,
        count if caller_left else 0,
        count * attempts,
        sum(prompt),
        sum(completion),
        sum(reasoning),
        sum(cached),
        len(firsts),
        sum(queued),
        sum(firsts),
        sum(total),
    )


def _by(span: int, hours: dict[_Key, _Figures]) -> dict[_Key, _Figures]:
    """Return *hours* summed up by the longer *span*."""
    found: dict[_Key, _Figures] = {}
    for (hour, client, provider, model), figures in hours.items():
        _add(found, (hour // span * span, client, provider, model), figures)
    return found


def _add(sums: dict[_Key, _Figures], key: _Key, figures: _Figures) -> None:
    there = sums.get(key)
    sums[key] = figures if there is None else tuple(a + b for a, b in zip(there, figures, strict=True))
