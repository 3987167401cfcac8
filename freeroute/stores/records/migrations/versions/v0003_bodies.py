"""Prompts and answers, where they are kept."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "bodies",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True
        ),
        sa.Column("at", sa.Double, nullable=False),
        *(
            sa.Column(name, sa.String, nullable=False)
            for name in ("request_id", "client", "question", "answer", "calls")
        ),
        sa.Column("cut", sa.Boolean, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
    )
    op.create_index("bodies_at", "bodies", ["at", "size"])
