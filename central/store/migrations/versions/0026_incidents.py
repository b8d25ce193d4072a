"""Incidents: what happened, and who was told of it by when."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds its table."""
    op.create_table(
        "incidents",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("device", sa.String(length=64), nullable=False),
        sa.Column("learned_ms", sa.BigInteger(), nullable=False),
        sa.Column("opened_ms", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(length=64), nullable=False),
        sa.Column("authority_ms", sa.BigInteger(), nullable=False),
        sa.Column("authority_note", sa.Text(), nullable=False),
        sa.Column("concerned_ms", sa.BigInteger(), nullable=False),
        sa.Column("concerned_note", sa.Text(), nullable=False),
        sa.Column("closed_ms", sa.BigInteger(), nullable=False),
        sa.Column("closed_by", sa.String(length=64), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("incidents_open", "incidents", ["closed_ms", "learned_ms"])


def downgrade() -> None:
    """Without it."""
    op.drop_index("incidents_open", "incidents")
    op.drop_table("incidents")
