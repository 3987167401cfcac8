"""The tables of the records. Migrations make them; this is how they are read and written."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
)

metadata = MetaData()

# SQLite numbers rows by itself only where the column is called INTEGER.
_Id = BigInteger().with_variant(Integer, "sqlite")


def _text(name: str) -> Column[str]:
    return Column(name, String, nullable=False)


def _count(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def _seconds(name: str) -> Column[float]:
    return Column(name, Double, nullable=False)


receipts = Table(
    "receipts",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    _seconds("at"),
    _text("request_id"),
    _text("surface"),
    _text("client"),
    _text("asked"),
    Column("stream", Boolean, nullable=False),
    Column("status", SmallInteger, nullable=False),
    _text("code"),
    _text("provider"),
    _text("model"),
    _text("key"),
    Column("attempts", Integer, nullable=False),
    _text("trail"),
    _count("prompt"),
    _count("completion"),
    _count("reasoning"),
    _count("cached"),
    Column("estimated", Boolean, nullable=False),
    _text("finish"),
    _seconds("queued"),
    _seconds("overhead"),
    Column("first_event", Double),
    _seconds("total"),
    Column("caller_left", Boolean, nullable=False),
    Column("continued", Integer, nullable=False),
    Index("receipts_at", "at"),
)

bodies = Table(
    "bodies",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    _seconds("at"),
    _text("request_id"),
    _text("client"),
    _text("question"),
    _text("answer"),
    _text("calls"),
    Column("cut", Boolean, nullable=False),
    _count("size"),
    Index("bodies_at", "at", "size"),
)
"""What was asked and answered, where that is kept; *at*, *client* and *request_id* are the receipt's."""

responses = Table(
    "responses",
    metadata,
    Column("id", String, primary_key=True),
    _text("holder"),
    _seconds("at"),
    _text("response"),
    _text("items"),
    _count("size"),
    Index("responses_at", "at", "size"),
)
"""What callers may come back to, where prompts and answers are kept; the columns are of `KeptResponse`."""

writers = Table(
    "writers",
    metadata,
    Column("origin", String, primary_key=True),
    _count("number"),
    _seconds("at"),
)
"""The last batch that each run of a gateway had written: what is replayed is not written twice."""

DIMENSIONS = ("client", "provider", "model")
"""What usage is told apart by."""

SUMS = (
    "requests",
    "failed",
    "callers_left",
    "attempts",
    "prompt",
    "completion",
    "reasoning",
    "cached",
    "first_events",
)
"""What is counted of the requests of a span."""

SECONDS = ("queued", "first_event", "total")
"""What is summed up in seconds; *first_event* over the requests that *first_events* counts."""


def _usage(name: str) -> Table:
    return Table(
        name,
        metadata,
        Column("start", BigInteger, primary_key=True, autoincrement=False),
        *(Column(of, String, primary_key=True) for of in DIMENSIONS),
        *(_count(of) for of in SUMS),
        *(_seconds(of) for of in SECONDS),
        sqlite_with_rowid=False,
    )


hourly = _usage("usage_hourly")
daily = _usage("usage_daily")

MINUTE, HOUR, DAY = 60, 3600, 86400

SPANS = {HOUR: hourly, DAY: daily}
"""Seconds that a row of usage is about, from *start* (Unix time, UTC), and the table of such rows."""
