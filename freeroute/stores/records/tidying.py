"""What is too old or too much goes: plain statements, one after another, for whoever has a connection."""

import math
import sqlite3

from sqlalchemy import Table, delete, func, select, text
from sqlalchemy.engine import Connection

from freeroute.stores.records.bodies import Keeping
from freeroute.stores.records.tables import bodies, daily, hourly, receipts, responses, writers

CHUNK = 2000
"""Receipts deleted at once. Own design: some 20 ms, for which a batch may wait."""

BODIES_CHUNK = 200
"""Prompts and answers deleted at once. Own design: some 25 MB at the usual bound of each."""

HOURS_KEPT = 400 * 86400.0
DAYS_KEPT = 10 * 366 * 86400.0
"""Seconds for which usage is kept by the hour and by the day. Own design: a year and a month, so that a year
can be compared; and as long as anybody asks."""


def tidy(
    connection: Connection, now: float, keep: float, most: int, keeping: Keeping | None
) -> tuple[bool, bool]:
    """Delete some of what may go; say whether that freed any room, and whether more is left.

    That is receipts older than *keep* (seconds before *now*, Unix time) or beyond *most* bytes, prompts and
    answers that *keeping* does not want, and sums once nothing else is left to delete.
    """
    texts = _tidy_texts(connection, now, keeping)
    gone = _delete(connection, receipts, now - keep, CHUNK)
    if gone < CHUNK and _size(connection) > most:
        gone = _delete(connection, receipts, math.inf, CHUNK)
    is_more = gone == CHUNK or texts == BODIES_CHUNK
    if not is_more:
        _tidy_sums(connection, now)
    return bool(texts or gone), is_more


def shrink(driver: sqlite3.Connection) -> None:
    """Give the pages of a SQLite file that nothing is in any more back to the file system."""
    # It goes on for each page that it frees, which only the execution of a script follows to the end.
    driver.executescript("PRAGMA incremental_vacuum")


def _tidy_texts(connection: Connection, now: float, keeping: Keeping | None) -> int:
    """Delete some of the prompts and answers that *keeping* does not want; return the more of both counts."""
    before = now - keeping.keep if keeping is not None else math.inf
    most = 0
    for table in (bodies, responses):
        gone = _delete(connection, table, before, BODIES_CHUNK)
        if keeping is not None and gone < BODIES_CHUNK and _size_of(connection, table) > keeping.most:
            gone = _delete(connection, table, math.inf, BODIES_CHUNK)
        most = max(most, gone)
    return most


def _tidy_sums(connection: Connection, now: float) -> None:
    for table, kept in ((hourly, HOURS_KEPT), (daily, DAYS_KEPT)):
        connection.execute(delete(table).where(table.c.start < now - kept))
    connection.execute(delete(writers).where(writers.c.at < now - HOURS_KEPT))


def _delete(connection: Connection, table: Table, before: float, most: int) -> int:
    """Delete the oldest rows of *table* from *before*, so many at *most*; return how many."""
    at, number = table.c.at, table.c.id
    oldest = select(number).where(at < before).order_by(at, number).limit(most)
    return connection.execute(delete(table).where(number.in_(oldest))).rowcount


def _size_of(connection: Connection, texts: Table) -> int:
    return int(connection.execute(select(func.coalesce(func.sum(texts.c.size), 0))).scalar_one())


def _size(connection: Connection) -> int:
    """Return the bytes that records take, without texts; of PostgreSQL those of the receipts, estimated."""
    if connection.dialect.name == "sqlite":
        pages, free, each = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("page_count", "freelist_count", "page_size")
        ]
        texts = _size_of(connection, bodies) + _size_of(connection, responses)
        return int((pages - free) * each) - texts
    newest = "SELECT avg(pg_column_size(r.*)) FROM (SELECT * FROM receipts ORDER BY id DESC LIMIT 1000) r"
    count = connection.execute(select(func.count()).select_from(receipts)).scalar_one()
    return int(count * float(connection.execute(text(newest)).scalar() or 0))
