"""Receipts by what they have in common: that is bound and summed up once for all of them.

A busy gateway asks few models for few clients, and most requests end alike: of the columns of a receipt more
than half are those of many others in its batch.
"""

from collections import defaultdict
from collections.abc import Iterable
from operator import itemgetter
from typing import Any

from msgspec import structs

from freeroute.stores.records.rows import Row

OWN = (
    "at",
    "request_id",
    "prompt",
    "completion",
    "reasoning",
    "cached",
    "queued",
    "overhead",
    "first_event",
    "total",
)
"""The columns that each request has of its own."""

SHARED = tuple(name for name in Row.__struct_fields__ if name not in OWN)
"""The columns that are the same for many."""

COLUMNS = (*SHARED, *OWN)
"""All of them, in this order."""

Shared = tuple[Any, ...]
Own = tuple[Any, ...]
Alike = dict[Shared, list[Own]]
"""Receipts by what they share, in the order they came."""

_shared = itemgetter(*(Row.__struct_fields__.index(name) for name in SHARED))
_own = itemgetter(*(Row.__struct_fields__.index(name) for name in OWN))


def grouped(rows: Iterable[Row]) -> Alike:
    """Return *rows* by what they have in common."""
    groups: defaultdict[Shared, list[Own]] = defaultdict(list)
    for row in rows:
        values = structs.astuple(row)
        groups[_shared(values)].append(_own(values))
    return groups
