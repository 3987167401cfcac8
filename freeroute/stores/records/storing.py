"""A batch into the tables: plain statements, one after another, for whoever has a connection."""

from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Any

from msgspec import structs
from sqlalchemy import Table, insert
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Connection, Dialect

from freeroute.stores.records.rows import Batch, Row
from freeroute.stores.records.sums import sums
from freeroute.stores.records.tables import DIMENSIONS, SECONDS, SPANS, SUMS, bodies, receipts, writers

AT_ONCE = 25
"""Receipts inserted into SQLite by one statement: at each, its driver lets go of Python's lock and has to get
it back from requests. Own design: more would save no more, and SQLite takes 999 values anywhere."""


def store(connection: Connection, batch: Batch, now: float) -> bool:
    """Store *batch* over *connection*, unless that was done before; say so. *now* is Unix time."""
    if not _claimed(connection, batch, now):
        return False
    if batch.rows:
        _insert(connection, batch.rows)
        for span, found in sums(batch.rows).items():
            connection.execute(_added(connection.dialect.name, SPANS[span]), found)
    if batch.bodies:
        connection.execute(insert(bodies), [structs.asdict(body) for body in batch.bodies])
    return True


def _claimed(connection: Connection, batch: Batch, now: float) -> bool:
    """Note that *batch* is being written; False if it was before."""
    note = {"origin": batch.origin, "number": batch.number, "at": now}
    return connection.execute(_claim(connection.dialect.name), note).first() is not None


def _insert(connection: Connection, rows: Sequence[Row]) -> None:
    """Insert *rows*: by the driver itself, as to look at each of 25 values of each would double the cost."""
    text, positional = _text(connection.dialect)
    if not positional:
        connection.exec_driver_sql(text, [structs.asdict(row) for row in rows])
        return
    values = [structs.astuple(row) for row in rows]
    whole = len(values) - len(values) % AT_ONCE
    if whole:
        several = [tuple(chain(*values[at : at + AT_ONCE])) for at in range(0, whole, AT_ONCE)]
        connection.exec_driver_sql(_text_of_several(text), several)
    if whole < len(values):
        connection.exec_driver_sql(text, values[whole:])


@cache
def _text(dialect: Dialect) -> tuple[str, bool]:
    """Return the text that inserts a receipt, and whether it takes tuples."""
    compiled: Any = insert(receipts).compile(dialect=dialect, column_keys=Row.__struct_fields__)
    return str(compiled), compiled.positional


@cache
def _text_of_several(text: str) -> str:
    """Return what inserts `AT_ONCE` receipts, of the *text* that inserts one."""
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
