"""Usage by the hour and by the day, filled with what the receipts say."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_FAILED = "NOT caller_left AND (status >= 400 OR code <> '')"
_COUNTS = {
    "requests": "count(*)",
    "failed": f"sum(CASE WHEN {_FAILED} THEN 1 ELSE 0 END)",
    "callers_left": "sum(CASE WHEN caller_left THEN 1 ELSE 0 END)",
    "attempts": "sum(attempts)",
    "prompt": "sum(prompt)",
    "completion": "sum(completion)",
    "reasoning": "sum(reasoning)",
    "cached": "sum(cached)",
    "first_events": "count(first_event)",
}
_SECONDS = {
    "queued": "sum(queued)",
    "first_event": "coalesce(sum(first_event), 0)",
    "total": "sum(total)",
}


def upgrade() -> None:
    """Make the tables of usage and fill them."""
    for name, seconds in (("usage_hourly", 3600), ("usage_daily", 86400)):
        op.create_table(
            name,
            sa.Column("start", sa.BigInteger, primary_key=True, autoincrement=False),
            *(sa.Column(of, sa.String, primary_key=True) for of in ("client", "provider", "model")),
            *(sa.Column(of, sa.BigInteger, nullable=False) for of in _COUNTS),
            *(sa.Column(of, sa.Double, nullable=False) for of in _SECONDS),
            sqlite_with_rowid=False,
        )
        sums = {**_COUNTS, **_SECONDS}
        start = f"CAST(floor(at / {seconds}) AS BIGINT) * {seconds}"
        if op.get_bind().dialect.name == "sqlite":  # no floor() in older ones; a cast cuts what is above zero
            start = f"CAST(at / {seconds} AS INTEGER) * {seconds}"
        op.execute(
            f"INSERT INTO {name} (start, client, provider, model, {', '.join(sums)}) "
            f"SELECT {start}, client, provider, model, {', '.join(sums.values())} "
            "FROM receipts GROUP BY 1, 2, 3, 4"
        )
