"""Responses that callers may come back to, where prompts and answers are kept."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "responses",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("holder", sa.String, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("response", sa.String, nullable=False),
        sa.Column("items", sa.String, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
    )
    op.create_index("responses_at", "responses", ["at", "size"])
