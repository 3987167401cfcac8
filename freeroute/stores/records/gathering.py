"""Receipts into the batch that is stored of them, by what they have in common."""

from collections import defaultdict
from collections.abc import Iterable
from operator import attrgetter
from typing import Any, cast

import msgspec
from msgspec import Struct, structs

from freeroute.domain.outcome import Kind
from freeroute.domain.receipt import AttemptNote, Likeness, Receipt
from freeroute.domain.usage import Usage
from freeroute.stores.records.rows import OWN, SHARED, Alike, Batch, Own, Row, Shared
from freeroute.wire.text import printable

MOST_TOKENS = 2**40
"""The largest number of tokens that is believed: more than any context, and no sum overflows. Own design."""

_NOTHING = Usage()
_SERVED = Kind.SERVED  # looking up a member costs ten times what comparing it does
_FROM_OUTSIDE = tuple(map(SHARED.index, ("asked", "code", "key", "finish")))

_Key = tuple[Likeness, int, str, bool, str | None, int]
"""What receipts have in common as it is stored: in what they are alike, their attempts and trail, whether
their usage was estimated, how they finished, and how often they were continued."""


class Gathering:
    """The receipts of one batch: what like ones have in common is one key, and cleaned once."""

    def __init__(self) -> None:
        """Begin without any."""
        self._groups: dict[_Key, tuple[Shared, list[Own]]] = {}
        self.count = 0

    def add(self, receipt: Receipt) -> None:
        """Add what is stored of *receipt*."""
        usage, notes = receipt.usage or _NOTHING, receipt.attempts
        prompt, completion, reasoning, cached = usage.prompt, usage.completion, usage.reasoning, usage.cached
        # As hardly ever: one of them is not.
        if not 0 <= prompt | completion | reasoning | cached < MOST_TOKENS:
            prompt, completion = _believed(prompt), _believed(completion)
            reasoning, cached = _believed(reasoning), _believed(cached)
        key = (
            receipt.like,
            len(notes),
            "" if len(notes) == 1 and notes[0].kind is _SERVED else _trail(notes),
            usage.estimated,
            receipt.finish,
            receipt.continued,
        )
        # In the order of `OWN`.
        own = (
            receipt.at.wall,
            receipt.request_id,
            prompt,
            completion,
            reasoning,
            cached,
            receipt.queued,
            receipt.overhead,
            receipt.first_event,
            receipt.total,
        )
        group = self._groups.get(key) or self._group(key)
        group[1].append(own)
        self.count += 1

    def _group(self, key: _Key) -> tuple[Shared, list[Own]]:
        like, attempts, trail, estimated, finish, continued = key
        # In the order of `SHARED`.
        shared = (
            like.surface,
            like.client,
            like.asked,
            like.stream,
            like.status,
            like.code,
            like.provider,
            like.model,
            like.key,
            attempts,
            trail,
            estimated,
            finish,
            like.caller_left,
            continued,
        )
        group = self._groups[key] = _cleaned(shared), []
        return group

    def alike(self) -> Alike:
        """Return all that were added."""
        return tuple(self._groups.values())


def gathered(rows: Iterable[Row]) -> Alike:
    """Return *rows* by what they have in common."""
    groups: defaultdict[Any, list[Any]] = defaultdict(list)
    for row in rows:
        groups[_shared(row)].append(_own(row))
    return tuple(groups.items())


def writable(batch: Batch) -> tuple[Batch, int, int]:
    """Return *batch* without what JSON cannot hold, and how many receipts and bodies that were."""
    alike = tuple(
        (shared, [one for one in own if _is_writable((shared, one))]) for shared, own in batch.alike
    )
    bodies = tuple(body for body in batch.bodies if _is_writable(body))
    left = structs.replace(batch, alike=tuple(group for group in alike if group[1]), bodies=bodies)
    return left, batch.count - left.count, len(batch.bodies) - len(bodies)


def _is_writable(value: object) -> bool:
    try:
        msgspec.json.encode(value)
    except Exception:  # whatever it was made of
        return False
    return True


_shared, _own = attrgetter(*SHARED), attrgetter(*OWN)


def _cleaned(shared: tuple[Any, ...]) -> Shared:
    """Return *shared* with texts from outside made `printable`; of what there is not, with an empty text."""
    texts: list[Any] = ["" if value is None else value for value in shared]
    for place in _FROM_OUTSIDE:
        texts[place] = printable(texts[place])
    return cast("Shared", tuple(texts))


def _believed(tokens: int) -> int:
    return min(max(tokens, 0), MOST_TOKENS)


class _Hop(Struct, frozen=True, omit_defaults=True):
    """One attempt of a trail, in JSON."""

    provider: str
    model: str
    key: str
    kind: Kind
    began: float
    seconds: float
    first_event: float | None = None
    status: int | None = None
    detail: str = ""


def _trail(notes: tuple[AttemptNote, ...]) -> str:
    failed = [_hop(note) for note in notes if note.kind is not _SERVED]
    return msgspec.json.encode(failed).decode() if failed else ""


def _hop(note: AttemptNote) -> _Hop:
    first = note.first_event
    return _Hop(
        note.provider,
        note.model,
        printable(note.key),
        note.kind,
        round(note.began, 4),
        round(note.seconds, 4),
        round(first, 4) if first is not None else None,
        note.status,
        printable(note.detail),
    )
