"""What was used by whom, and the receipts themselves, read from the database."""

import re
from collections.abc import Iterator, Sequence

from msgspec import Struct
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    and_,
    case,
    cast,
    func,
    literal_column,
    or_,
    select,
)
from sqlalchemy.engine import Connection

from freeroute.stores.records.tables import (
    DAY,
    DIMENSIONS,
    HOUR,
    MINUTE,
    SECONDS,
    SPANS,
    SUMS,
    bodies,
    receipts,
)
from freeroute.stores.records.tidying import HOURS_KEPT

FINE = 62 * 86400.0
"""Seconds up to which usage is read by the hour; beyond, by the day. Own design: two months, 1,488 hours."""

FINEST = 86400.0
"""Seconds up to which usage is read by the minute, from the receipts. Own design: a day, 1,440 minutes; the
receipts of a busy one, a million, are summed up in some seconds."""

_SUMMED = (*DIMENSIONS, *SUMS, *SECONDS)
_MARK = re.compile(r"(\d{1,15}(?:\.\d{1,17})?)-(\d{1,18})", re.ASCII)
_PIECE = 500  # receipts fetched at once
_FEW = 50  # of those that come with their texts

_TEXTS = (bodies.c.question, bodies.c.answer, bodies.c.calls, bodies.c.cut)

Line = dict[str, object]


class Usage(Struct, frozen=True):
    """Usage from *since* to *until* (Unix time), which begin and end with an hour or a day (UTC).

    Each of *lines* has the names it is told apart by, ``start`` if it is about one *step* (seconds), and what
    is summed up: `tables.SUMS`, and `tables.SECONDS` in seconds.
    """

    since: int
    until: int
    lines: list[Line]


def usage(
    connection: Connection,
    by: Sequence[str],
    since: float,
    now: float,
    *,
    client: str | None = None,
    step: int | None = None,
    most: int | None = None,
) -> Usage:
    """Return what was used since *since*, told apart *by* some of `tables.DIMENSIONS`, most requests first.

    With *step*, 60, 3600 or 86400, one line for each such span, the oldest first; minutes for `FINEST` at
    most. *client* names the only one to look at. Raises ValueError for other words and steps, for times of
    which there is nothing so fine, and for more than *most* lines.
    """
    if not set(by) <= set(DIMENSIONS):
        raise ValueError(f"usage is told apart by {', '.join(DIMENSIONS)}")
    if step not in (None, MINUTE, *SPANS):
        raise ValueError(f"a step is {MINUTE}, {HOUR} or {DAY} seconds")
    span = step or (HOUR if now - since <= FINE else DAY)
    if span == HOUR and now - since > HOURS_KEPT:
        raise ValueError("usage by the hour is kept for 400 days")
    if span == MINUTE and now - since > FINEST:
        raise ValueError("usage by the minute is there for 24 hours at most")
    start = int(since // span * span)
    table = _minutes(start) if span == MINUTE else SPANS[span]
    names = (*(("start",) if step else ()), *by)
    groups = [table.c[name] for name in names]
    totals = [func.sum(table.c[name]).label(name) for name in (*SUMS, *SECONDS)]
    asked = select(*groups, *totals).where(table.c.start >= start).group_by(*groups)
    if client is not None:
        asked = asked.where(table.c.client == client)
    asked = asked.order_by(*groups) if step else asked.order_by(func.sum(table.c.requests).desc(), *groups)
    found = connection.execute(asked.limit(most and most + 1)).mappings().all()
    if most is not None and len(found) > most:
        raise ValueError(f"this is more than {most} lines: ask about less time, or tell less apart")
    lines = [_plain(dict(line)) for line in found if line["requests"]]
    return Usage(start, int(now // span * span) + span, lines)


def _minutes(start: int) -> FromClause:
    """Return the receipts from *start* on, as if each were the sum of its minute."""
    told = {
        "requests": literal_column("1"),
        "failed": _one_if(_ended("failed")),
        "callers_left": _one_if(receipts.c.caller_left.is_(True)),
        "first_events": _one_if(receipts.c.first_event.is_not(None)),
        "first_event": func.coalesce(receipts.c.first_event, 0.0),
    }
    minute = cast(func.floor(receipts.c.at / MINUTE), BigInteger) * MINUTE
    columns = {name: told[name] if name in told else receipts.c[name] for name in _SUMMED}
    named = (column.label(name) for name, column in columns.items())
    return select(minute.label("start"), *named).where(receipts.c.at >= start).subquery("minutes")


def _one_if(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return case((condition, 1), else_=0)


def _plain(line: Line) -> Line:
    # PostgreSQL sums whole numbers up as decimals.
    return {name: int(value) if name in SUMS else value for name, value in line.items()}  # type: ignore[call-overload]


class Page(Struct, frozen=True):
    """Some receipts, and the mark of the last of them if there are more."""

    lines: list[Line]
    after: str | None


def page(
    connection: Connection,
    since: float,
    until: float,
    *,
    most: int,
    newest: bool = True,
    client: str | None = None,
    outcome: str | None = None,
    request_id: str | None = None,
    after: str | None = None,
) -> Page:
    """Return *most* receipts from *since* to before *until*, the *newest* first or last.

    They begin where the page with the mark *after* ended. *client*, *outcome* (served, failed or left) and
    *request_id*, which callers may choose, name the only ones to look at. Raises ValueError for a mark that
    is none.
    """
    wanted = [receipts.c.at >= since, receipts.c.at < until]
    if client is not None:
        wanted.append(receipts.c.client == client)
    if outcome is not None:
        wanted.append(_ended(outcome))
    if request_id is not None:
        wanted.append(receipts.c.request_id == request_id)
    if after is not None:
        wanted.append(_beyond(after, newest=newest))
    place = (receipts.c.at, receipts.c.id)
    asked = select(receipts).where(*wanted).limit(most + 1)
    asked = asked.order_by(*(column.desc() for column in place) if newest else place)
    found = [dict(line) for line in connection.execute(asked).mappings()]
    more = len(found) > most
    lines = found[:most]
    mark = f"{lines[-1]['at']!r}-{lines[-1]['id']}" if more else None
    for line in lines:
        del line["id"]
    return Page(lines, mark)


def _ended(outcome: str) -> ColumnElement[bool]:
    bad = or_(receipts.c.status >= 400, receipts.c.code != "")
    if outcome == "left":
        return receipts.c.caller_left.is_(True)
    return and_(receipts.c.caller_left.is_(False), bad if outcome == "failed" else ~bad)


def _beyond(mark: str, *, newest: bool) -> ColumnElement[bool]:
    found = _MARK.fullmatch(mark)
    if found is None:
        raise ValueError("this is not the mark of a page, as `next` tells it")
    at, number = float(found[1]), int(found[2])
    here = receipts.c.at, receipts.c.id
    if newest:
        return and_(here[0] <= at, or_(here[0] < at, here[1] < number))
    return and_(here[0] >= at, or_(here[0] > at, here[1] > number))


def stored(
    connection: Connection, since: float, until: float, client: str | None = None, *, texts: bool = False
) -> Iterator[Line]:
    """Give the receipts of requests that arrived from *since* to before *until* (Unix time), oldest first.

    *client* names the only one to look at; with *texts* each has what was asked and answered too, None where
    that is not kept. Whatever their number, few are in memory at once.
    """
    columns = [column for column in receipts.columns if column.name != "id"]
    asked = select(*columns).where(receipts.c.at >= since, receipts.c.at < until)
    if texts:
        # Callers may choose the id, and so choose the same.
        same = [bodies.c[name] == receipts.c[name] for name in ("at", "client", "request_id")]
        asked = asked.add_columns(*_TEXTS).outerjoin(bodies, and_(*same))
    if client is not None:
        asked = asked.where(receipts.c.client == client)
    asked = asked.order_by(receipts.c.at, receipts.c.id).execution_options(
        yield_per=_FEW if texts else _PIECE
    )
    with connection.execute(asked) as found:
        yield from map(dict, found.mappings())
