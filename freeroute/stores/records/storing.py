"""A batch into the tables: plain statements, one after another, for whoever has a connection."""

import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import chain
from typing import Any

from msgspec import structs
from sqlalchemy import Table, insert
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Connection, Dialect

from freeroute.stores.records.connections import sqlite_driver
from freeroute.stores.records.gathering import gathered
from freeroute.stores.records.rows import COLUMNS, OWN, SHARED, Alike, Batch, Body
from freeroute.stores.records.sums import NAMES, sums
from freeroute.stores.records.tables import DIMENSIONS, SECONDS, SPANS, SUMS, bodies, receipts, writers

SIZES = (32, 16, 8, 4, 2, 1)
"""Receipts inserted into SQLite by one statement: what they share is bound once, and at each statement the
driver lets go of Python's lock and has to get it back from requests. Own design: more would save no more, and
SQLite takes 999 values anywhere."""

_BODY = insert(bodies)

# What is no plain number or text SQLite's driver asks in several ways how it is to be written, which takes as
# long as twenty of them. Flags are made numbers here, and of nothing it is told that it stays nothing.
sqlite3.register_adapter(type(None), lambda nothing: nothing)


def store(connection: Connection, batch: Batch, now: float) -> bool:
    """Store *batch* over *connection*, unless that was done before; say so. *now* is Unix time."""
    if not _claimed(connection, batch, now):
        return False
    if alike := (*batch.alike, *gathered(batch.rows)):
        _insert(connection, alike)
        for span, found in sums(alike).items():
            _each(connection, _added(connection.dialect.name, SPANS[span]), NAMES, found)
    if batch.bodies:
        texts = [structs.astuple(body) for body in batch.bodies]
        _each(connection, _BODY, Body.__struct_fields__, texts)
    return True


def _claimed(connection: Connection, batch: Batch, now: float) -> bool:
    """Note that *batch* is being written; False if it was before."""
    note = {"origin": batch.origin, "number": batch.number, "at": now}
    text = _text(connection.dialect, _claim(connection.dialect.name), tuple(note))
    if (driver := sqlite_driver(connection)) is not None:
        return driver.execute(text, tuple(note.values())).fetchone() is not None
    return connection.exec_driver_sql(text, note).first() is not None


def _insert(connection: Connection, alike: Alike) -> None:
    """Insert receipts, *alike* ones by the same statements."""
    driver = sqlite_driver(connection)
    if driver is None:
        values = [(*shared, *one) for shared, own in alike for one in own]
        _each(connection, insert(receipts), COLUMNS, values)
        return
    by_size: defaultdict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for shared, own in alike:
        plain = [int(value) if type(value) is bool else value for value in shared]
        begin = 0
        for size in SIZES:
            while len(own) - begin >= size:
                by_size[size].append((*plain, *chain.from_iterable(own[begin : begin + size])))
                begin += size
    for size, values in by_size.items():
        driver.executemany(_of_several(size), values)


def _each(connection: Connection, statement: Any, names: tuple[str, ...], rows: Sequence[Any]) -> None:
    """Execute *statement* for each of *rows*, tuples of what goes by *names*.

    That is by the driver itself: to look at each value of each row would double the cost, and what SQLAlchemy
    does for a statement costs as much as four receipts.
    """
    if not rows:
        return
    text = _text(connection.dialect, statement, names)
    if (driver := sqlite_driver(connection)) is not None:
        driver.executemany(text, rows)
    else:
        connection.exec_driver_sql(text, [dict(zip(names, row, strict=True)) for row in rows])


@lru_cache(8)  # five statements; each file that is opened anew has a dialect of its own
def _text(dialect: Dialect, statement: Any, names: tuple[str, ...]) -> str:
    """Return the text of *statement*, which takes values by *names*."""
    return str(statement.compile(dialect=dialect, column_keys=names))


@cache
def _of_several(size: int) -> str:
    """Return what inserts *size* receipts into SQLite: it takes what they share, and then what each has."""
    shared = [f"?{place}" for place in range(1, len(SHARED) + 1)]
    values = ", ".join(f"({', '.join([*shared, *['?'] * len(OWN)])})" for _ in range(size))
    return f"INSERT INTO {receipts.name} ({', '.join(COLUMNS)}) VALUES {values}"


@cache
def _claim(dialect: str) -> Any:
    new = _dialect_insert(dialect, writers)
    once = new.on_conflict_do_update(
        index_elements=["origin"],
        set_={"number": new.excluded.number, "at": new.excluded.at},
        where=writers.c.number < new.excluded.number,
    )
    return once.returning(writers.c.number)


@cache
def _added(dialect: str, table: Table) -> Any:
    new = _dialect_insert(dialect, table)
    return new.on_conflict_do_update(
        index_elements=["start", *DIMENSIONS],
        set_={name: table.c[name] + new.excluded[name] for name in (*SUMS, *SECONDS)},
    )


def _dialect_insert(name: str, table: Table) -> Any:
    if name == "postgresql":
        from sqlalchemy.dialects import postgresql  # 2 MiB that SQLite does not need

        return postgresql.insert(table)
    return sqlite.insert(table)
