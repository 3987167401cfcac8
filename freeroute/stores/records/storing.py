"""A batch into the tables: plain statements, one after another, for whoever has a connection."""

import sqlite3
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

from msgspec import structs
from sqlalchemy import Boolean, Table, insert
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Connection, Dialect

from freeroute.stores.records.rows import Batch, Body, Row
from freeroute.stores.records.sums import NAMES, sums
from freeroute.stores.records.tables import DIMENSIONS, SECONDS, SPANS, SUMS, bodies, receipts, writers

AT_ONCE = 25
"""Receipts inserted into SQLite by one statement: at each, its driver lets go of Python's lock and has to get
it back from requests. Own design: more would save no more, and SQLite takes 999 values anywhere."""

_RECEIPT, _BODY = insert(receipts), insert(bodies)

# What is no plain number or text SQLite's driver asks in several ways how it is to be written, which takes as
# long as twenty of them. Flags are made numbers here, and of nothing it is told that it stays nothing.
_FLAGS = [
    place for place, name in enumerate(Row.__struct_fields__) if isinstance(receipts.c[name].type, Boolean)
]
sqlite3.register_adapter(type(None), lambda nothing: nothing)


def store(connection: Connection, batch: Batch, now: float) -> bool:
    """Store *batch* over *connection*, unless that was done before; say so. *now* is Unix time."""
    if not _claimed(connection, batch, now):
        return False
    if batch.rows:
        _insert(connection, batch.rows)
        for span, found in sums(batch.rows).items():
            _each(connection, _added(connection.dialect.name, SPANS[span]), NAMES, found)
    if batch.bodies:
        texts = [structs.astuple(body) for body in batch.bodies]
        _each(connection, _BODY, Body.__struct_fields__, texts)
    return True


def _claimed(connection: Connection, batch: Batch, now: float) -> bool:
    """Note that *batch* is being written; False if it was before."""
    note = {"origin": batch.origin, "number": batch.number, "at": now}
    return connection.execute(_claim(connection.dialect.name), note).first() is not None


def _insert(connection: Connection, rows: Sequence[Row]) -> None:
    """Insert *rows* of receipts."""
    names = Row.__struct_fields__
    if connection.dialect.name != "sqlite":
        _each(connection, _RECEIPT, names, [structs.astuple(row) for row in rows])
        return
    values: list[Any] = []
    for row in rows:
        values += structs.astuple(row)
    for place in _FLAGS:
        values[place :: len(names)] = [1 if flag else 0 for flag in values[place :: len(names)]]
    text = _text(connection.dialect, _RECEIPT, names)
    whole = (len(rows) - len(rows) % AT_ONCE) * len(names)
    for statement, part, size in (
        (_of_several(text), values[:whole], AT_ONCE * len(names)),
        (text, values[whole:], len(names)),
    ):
        if part:
            pieces = [tuple(part[at : at + size]) for at in range(0, len(part), size)]
            connection.exec_driver_sql(statement, pieces)


def _each(connection: Connection, statement: Any, names: tuple[str, ...], rows: Sequence[Any]) -> None:
    """Execute *statement* for each of *rows*, tuples of what goes by *names*.

    That is by the driver itself: to look at each value of each row would double the cost.
    """
    if not rows:
        return
    text = _text(connection.dialect, statement, names)
    if not connection.dialect.positional:
        rows = [dict(zip(names, row, strict=True)) for row in rows]
    connection.exec_driver_sql(text, rows)


@lru_cache(8)  # five statements; each file that is opened anew has a dialect of its own
def _text(dialect: Dialect, statement: Any, names: tuple[str, ...]) -> str:
    """Return the text of *statement*, which takes values by *names*."""
    return str(statement.compile(dialect=dialect, column_keys=names))


@cache
def _of_several(text: str) -> str:
    """Return what inserts `AT_ONCE` rows, of the *text* that inserts one."""
    begin, word, values = text.rpartition("VALUES ")
    return begin + word + ", ".join([values] * AT_ONCE)


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
