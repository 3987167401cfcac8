"""Receipts, and who wrote them."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the first tables."""
    op.create_table(
        "receipts",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True
        ),
        sa.Column("at", sa.Double, nullable=False),
        *(
            sa.Column(name, sa.String, nullable=False)
            for name in ("request_id", "surface", "client", "asked")
        ),
        sa.Column("stream", sa.Boolean, nullable=False),
        sa.Column("status", sa.SmallInteger, nullable=False),
        *(sa.Column(name, sa.String, nullable=False) for name in ("code", "provider", "model", "key")),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("trail", sa.String, nullable=False),
        *(
            sa.Column(name, sa.BigInteger, nullable=False)
            for name in ("prompt", "completion", "reasoning", "cached")
        ),
        sa.Column("estimated", sa.Boolean, nullable=False),
        sa.Column("finish", sa.String, nullable=False),
        sa.Column("queued", sa.Double, nullable=False),
        sa.Column("overhead", sa.Double, nullable=False),
        sa.Column("first_event", sa.Double),
        sa.Column("total", sa.Double, nullable=False),
        sa.Column("caller_left", sa.Boolean, nullable=False),
        sa.Column("continued", sa.Integer, nullable=False),
    )
    op.create_index("receipts_at", "receipts", ["at"])
    op.create_table(
        "writers",
        sa.Column("origin", sa.String, primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
    )
